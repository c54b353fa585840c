{{ follows('days') }}

with

urls as (

    select
        posts.platform, posts.instance, posts.community, posts.thread_id, posts.post_id, posts.author_id,
        url, {{ domain_of('url') }} as domain,
        posts.year, posts.day, posts.created_at
    from {{ posts_by_days([
        'platform', 'instance', 'community', 'thread_id', 'post_id', 'author_id', 'links', 'created_at'
    ]) }} as posts {{ each_of('posts.links', 'url') }}

)

select
    platform,
    instance,
    community,
    thread_id,
    post_id,
    author_id,

    url,
    domain,
    {{ kind_of_link('url', 'domain') }} as kind,

    year,

    day,
    created_at
from urls
where domain is not null
