{{ follows('days', number='key_number') }}

{%- set columns = [
    'platform', 'instance', 'community', 'thread_id', 'post_id', 'author_id', 'key_number', 'quoted', 'quoted_number',
    'year', 'day', 'created_at',
] %}

with

fresh as (

    select
        posts.platform, posts.instance, posts.community, posts.thread_id, posts.post_id, posts.author_id, posts.key_number,
        quoted,
        {{ quoted_number('posts', 'quoted') }} as quoted_number,
        posts.year, posts.day, posts.created_at
    from {{ posts_by_days([
        'platform', 'instance', 'community', 'thread_id', 'post_id', 'author_id', 'key_number', 'quotes', 'created_at'
    ]) }} as posts {{ each_of('posts.quotes', 'quoted') }}

),

rows_to_make as (

    select * from fresh
    {%- if only_changed() %}
    union all
    -- posts of other days that quote one which changed, or was not there yet; with all their quotes: they are replaced by post
    select known.{{ columns | join(', known.') }}
    from {{ this }} as known
    where
        known.key_number in (
            select waiting.key_number
            from {{ this }} as waiting
            where waiting.quoted_number in (
                select {{ quoted_number('posts', quotable_name('posts')) }}
                from {{ posts_by_days(['platform', 'instance', 'post_id', 'url']) }} as posts
            )
            union distinct
            select fresh.key_number from fresh
        )
        and not ({{ in_changed() }})
    {%- endif %}

),

-- who wrote what is quoted: found by its number, on Discourse by its topic
quoted_posts as (

    {%- for name, side in [('posts', 'recent'), ('posts_history', 'history')] %}
    {%- set by_number = "known.platform <> 'discourse' and known.key_number in "
        ~ "(select rows_to_make.quoted_number from rows_to_make where rows_to_make.platform <> 'discourse')" %}
    {%- set by_topic = "known.platform = 'discourse' and known.thread_id in (select "
        ~ first_match('rows_to_make.quoted', '^([^/]+)/') ~ " from rows_to_make where rows_to_make.platform = 'discourse')" %}
    {%- for condition in [by_number, by_topic] %}
    select
        known.platform, known.instance, known.community, known.post_id, known.author_id, known.created_at,
        {{ quotable_name('known') }} as name
    from {{ ref(name) }} as known
    where {{ narrowed(ref(name), on_side('known.created_at', side) ~ " and " ~ condition) }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}

),

once as (

    select *
    from quoted_posts
    where true
    qualify row_number() over (partition by platform, instance, name order by created_at, post_id) = 1

)

select
    rows_to_make.platform,
    rows_to_make.instance,
    rows_to_make.community,
    rows_to_make.thread_id,
    rows_to_make.post_id,
    rows_to_make.author_id,
    rows_to_make.key_number,
    rows_to_make.quoted,
    rows_to_make.quoted_number,
    once.community as quoted_community,
    once.post_id as quoted_post_id,
    once.author_id as quoted_author_id,

    rows_to_make.year,

    rows_to_make.day,
    rows_to_make.created_at,
    once.created_at as quoted_at
from rows_to_make
left join once
    on {{ same_key('once', 'rows_to_make', ['platform', 'instance']) }} and once.name = rows_to_make.quoted
