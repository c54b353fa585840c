{{ config(materialized='table') }}

with

threads as (

    select
        platform, instance, community, thread_id,
        {{ total("case when day >= " ~ day_before(6) ~ " then posts else 0 end") }} as posts,
        {{ total("case when day < " ~ day_before(6) ~ " then posts else 0 end") }} as posts_before
    from {{ ref('thread_days') }}
    where day between {{ day_before(13) }} and {{ day_before(0) }}
    group by platform, instance, community, thread_id

),

scored as (

    {{ trend_scores('threads', ['thread_id']) }}

)

select
    scored.platform,
    scored.instance,
    scored.community,
    scored.thread_id,

    lives.title,
    lives.url,

    scored.trend_rank,
    scored.posts,
    scored.posts_before,
    scored.score,

    {{ day_before(0) }} as as_of
from scored
left join {{ ref('thread_lives') }} as lives
    on {{ same_key('lives', 'scored', thread_key()) }}
where scored.trend_rank <= {{ var('trending') }}
