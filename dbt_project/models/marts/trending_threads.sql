{{ config(materialized='table') }}

with

threads as (

    {{ posts_of_two_weeks(ref('thread_days'), ['thread_id']) }}

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
