{{ config(materialized='view') }}

with

sums as (

    select
        platform, instance, community, kind, delay_from, year,
        {{ total('posts') }} as posts,
        {{ total('delay_sum') }} as delay_sum
    from {{ ref('changes') }}
    group by platform, instance, community, kind, delay_from, year

)

select
    sums.platform,
    sums.instance,
    sums.community,

    sums.kind,

    sums.posts,
    sums.delay_sum,
    sums.delay_from,
    years.posts as of_posts,
    sums.posts / years.posts as share_of_posts,
    sums.posts / sum(sums.posts) over (
        partition by sums.platform, sums.instance, sums.community, sums.kind, sums.year
    ) as share_of_changes,
    sums.year
from sums
inner join {{ ref('activity_by_year') }} as years
    on {{ same_key('sums', 'years', ['platform', 'instance', 'community', 'year']) }}
