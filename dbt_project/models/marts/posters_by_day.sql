{{ follows('days') }}

select
    written.platform,
    written.instance,
    written.community,
    written.author_id,

    {{ sums_of_posts('written') }},
    written.year,

    written.day,
    min(written.created_at) as first_post_at,
    max(written.created_at) as last_post_at
from {{ posts_by_days([
    'platform', 'instance', 'community', 'author_id', 'text', 'is_opening', 'version_count', 'created_at', 'edited_at',
    'deleted_at',
]) }} as written
where written.author_id is not null
group by written.platform, written.instance, written.community, written.author_id, written.day, written.year
