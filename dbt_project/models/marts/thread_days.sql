{{ follows('days') }}

select
    posts.platform,
    posts.instance,
    posts.community,
    posts.thread_id,
    {{ key_number(['posts.platform', 'posts.instance', 'posts.thread_id']) }} as key_number,

    {{ set_of('posts.author_id') }} as author_ids,

    count(*) as posts,
    count(case when not coalesce(posts.is_opening, false) then 1 end) as replies,
    count(case when posts.deleted_at is not null then 1 end) as deletions,
    posts.year,

    posts.day,
    min(posts.created_at) as first_post_at,
    max(posts.created_at) as last_post_at,
    min(case when not coalesce(posts.is_opening, false) then posts.created_at end) as first_reply_at
from {{ posts_by_days([
    'platform', 'instance', 'community', 'thread_id', 'author_id', 'is_opening', 'created_at', 'deleted_at'
]) }} as posts
group by posts.platform, posts.instance, posts.community, posts.thread_id, posts.day, posts.year
