{{ follows('days') }}

select
    posts.platform,
    posts.instance,
    posts.community,
    posts.author_id,

    {{ sums_of_posts('posts') }},
    posts.year,

    posts.day,
    min(posts.created_at) as first_post_at,
    max(posts.created_at) as last_post_at
from {{ posts_by_days([
    'platform', 'instance', 'community', 'author_id', 'text', 'is_opening', 'version_count', 'created_at', 'edited_at',
    'deleted_at',
]) }} as posts
where posts.author_id is not null
group by posts.platform, posts.instance, posts.community, posts.author_id, posts.day, posts.year
