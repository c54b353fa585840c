{{ follows('threads') }}

{%- set key = thread_key() %}

with

days as (

    select * from {{ ref('thread_days') }} as known
    where {{ in_changed() }}

),

threads as (

    {%- for name, side in [('threads', 'recent'), ('threads_history', 'history')] %}
    select
        {{ key | join(', ') }}, community, author_id, key_number, title, url, is_closed, is_archived, created_at, deleted_at
    from {{ ref(name) }} as known
    where {{ on_side('known.created_at', side) }} and {{ in_changed() }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}

),

sums as (

    select
        days.{{ key | join(', days.') }}, days.key_number,
        max(days.community) as community,
        {{ total('days.posts') }} as posts,
        {{ total('days.replies') }} as replies,
        {{ total('days.deletions') }} as deletions,
        min(days.day) as first_day,
        max(days.day) as last_day,
        min(days.first_post_at) as first_post_at,
        max(days.last_post_at) as last_post_at,
        min(days.first_reply_at) as first_reply_at
    from days
    group by days.{{ key | join(', days.') }}, days.key_number

),

participants as (

    select days.{{ key | join(', days.') }}, count(distinct author_id) as participants
    from days {{ each_of('days.author_ids', 'author_id') }}
    group by days.{{ key | join(', days.') }}

),

keys as (

    select {{ key | join(', ') }}, key_number from sums
    union distinct
    select {{ key | join(', ') }}, key_number from threads

),

joined as (

    select
        keys.{{ key | join(', keys.') }}, keys.key_number,
        coalesce(threads.community, sums.community) as community,
        threads.author_id, threads.title, threads.url,
        coalesce(threads.is_closed, false) or coalesce(threads.is_archived, false) or threads.deleted_at is not null as is_over,
        coalesce(sums.posts, 0) as posts,
        coalesce(sums.replies, 0) as replies,
        coalesce(sums.deletions, 0) as deletions,
        coalesce(participants.participants, 0) as participants,
        coalesce(threads.created_at, sums.first_post_at) as created_at,
        coalesce(sums.last_post_at, threads.created_at) as last_post_at,
        sums.first_day, sums.last_day, sums.first_post_at, sums.first_reply_at, threads.deleted_at
    from keys
    {%- for name in ['threads', 'sums', 'participants'] %}
    left join {{ name }}
        on {{ same_key('keys', name, key) }}
    {%- endfor %}
    where true
    -- a key that stands in two hours until it is healed
    qualify row_number() over (partition by keys.{{ key | join(', keys.') }} order by threads.created_at desc) = 1

)

select
    platform,
    instance,
    community,
    thread_id,
    author_id,
    key_number,

    title,
    url,

    is_over,
    posts,
    replies,
    deletions,
    participants,
    greatest({{ seconds_between('created_at', 'last_post_at') }}, 0) as lifetime_seconds,
    case
        when first_reply_at is not null then greatest({{ seconds_between('created_at', 'first_reply_at') }}, 0)
    end as seconds_to_first_reply,
    case when is_over then {{ local_hour_of_day('last_post_at') }} end as hour_of_death,
    extract(year from {{ local_day('created_at') }}) as year,

    first_day,
    last_day,
    created_at,
    first_post_at,
    first_reply_at,
    last_post_at,
    case when is_over then last_post_at end as died_at,
    deleted_at
from joined
