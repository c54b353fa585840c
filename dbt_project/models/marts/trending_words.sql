{{ config(materialized='table') }}

with

words as (

    select
        platform, instance, community, word,
        {{ total("case when day >= " ~ day_before(6) ~ " then posts else 0 end") }} as posts,
        {{ total("case when day < " ~ day_before(6) ~ " then posts else 0 end") }} as posts_before
    from {{ ref('words_by_hour') }}
    where day between {{ day_before(13) }} and {{ day_before(0) }}
    group by platform, instance, community, word

),

scored as (

    {{ trend_scores('words', ['word']) }}

)

select
    platform,
    instance,
    community,

    word,

    trend_rank,
    posts,
    posts_before,
    score,

    {{ day_before(0) }} as as_of
from scored
where trend_rank <= {{ var('trending') }}
