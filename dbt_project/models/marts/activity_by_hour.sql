{{ follows('days') }}

with

posts as (

    select known.*, {{ local_hour('known.created_at') }} as hour, {{ local_hour_of_day('known.created_at') }} as hour_of_day
    from {{ posts_by_days([
        'platform', 'instance', 'community', 'author_id', 'text', 'is_opening', 'version_count', 'created_at', 'edited_at',
        'deleted_at',
    ]) }} as known

)

select
    posts.platform,
    posts.instance,
    posts.community,

    {{ set_of('posts.author_id') }} as author_ids,

    {{ sums_of_posts('posts') }},
    count(case when posts.author_id is null then 1 end) as anonymous_posts,
    count(distinct posts.author_id) as authors,
    posts.hour_of_day,
    {{ weekday_of('posts.day') }} as weekday,
    posts.year,

    posts.day,
    posts.hour,
    min(posts.created_at) as first_post_at,
    max(posts.created_at) as last_post_at
from posts
group by
    posts.platform, posts.instance, posts.community, posts.hour, posts.hour_of_day, posts.day, posts.year
