{{ config(materialized='table') }}

with

words as (

    {{ posts_of_two_weeks(ref('words_by_hour'), ['word']) }}

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
