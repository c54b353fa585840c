{{ follows('days') }}

with

written as (

    select known.*, {{ local_hour('known.created_at') }} as hour, {{ local_hour_of_day('known.created_at') }} as hour_of_day
    from {{ posts_by_days([
        'platform', 'instance', 'community', 'author_id', 'text', 'is_opening', 'version_count', 'created_at', 'edited_at',
        'deleted_at',
    ]) }} as known

)

select
    written.platform,
    written.instance,
    written.community,

    {{ set_of('written.author_id') }} as author_ids,

    {{ sums_of_posts('written') }},
    count(case when written.author_id is null then 1 end) as anonymous_posts,
    count(distinct written.author_id) as authors,
    written.hour_of_day,
    {{ weekday_of('written.day') }} as weekday,
    written.year,

    written.day,
    written.hour,
    min(written.created_at) as first_post_at,
    max(written.created_at) as last_post_at
from written
group by
    written.platform, written.instance, written.community, written.hour, written.hour_of_day, written.day, written.year
