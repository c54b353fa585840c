{{ follows('days') }}

select
    written.platform,
    written.instance,
    written.community,
    written.thread_id,
    {{ key_number(['written.platform', 'written.instance', 'written.thread_id']) }} as key_number,

    {{ set_of('written.author_id') }} as author_ids,

    count(*) as posts,
    count(case when not coalesce(written.is_opening, false) then 1 end) as replies,
    count(case when written.deleted_at is not null then 1 end) as deletions,
    written.year,

    written.day,
    min(written.created_at) as first_post_at,
    max(written.created_at) as last_post_at,
    min(case when not coalesce(written.is_opening, false) then written.created_at end) as first_reply_at
from {{ posts_by_days([
    'platform', 'instance', 'community', 'thread_id', 'author_id', 'is_opening', 'created_at', 'deleted_at'
]) }} as written
group by written.platform, written.instance, written.community, written.thread_id, written.day, written.year
