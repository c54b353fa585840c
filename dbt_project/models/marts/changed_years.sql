{{ config(materialized='table') }}

with

years as (

    select platform, instance, year from {{ ref('changed_days') }}
    union distinct
    -- a post that comes late is somebody's, whom older posts turn out to have quoted
    select known.platform, known.instance, known.year
    from {{ ref('quotes') }} as known
    where known.quoted_number in (
        select {{ quoted_number('posts', quotable_name('posts')) }}
        from {{ posts_by_days(['platform', 'instance', 'post_id', 'url'], partial=true) }} as posts
    )

)

select platform, instance, year
from years
