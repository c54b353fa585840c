{{ follows('days') }}

with

authors as (

    select
        known.platform, known.instance, known.community, known.day,
        {{ set_of('known.author_id') }} as author_ids,
        count(*) as authors
    from {{ ref('posters_by_day') }} as known
    where {{ in_changed() }}
    group by known.platform, known.instance, known.community, known.day

),

sums as (

    select
        known.platform, known.instance, known.community, known.day, known.weekday, known.year,
        {{ sums_of_sums('known') }},
        {{ total('known.anonymous_posts') }} as anonymous_posts,
        min(known.first_post_at) as first_post_at,
        max(known.last_post_at) as last_post_at
    from {{ ref('activity_by_hour') }} as known
    where {{ in_changed() }}
    group by known.platform, known.instance, known.community, known.day, known.weekday, known.year

)

select
    sums.platform,
    sums.instance,
    sums.community,

    coalesce(authors.author_ids, []) as author_ids,

    {%- for column in sums() %}
    sums.{{ column }},
    {%- endfor %}
    sums.anonymous_posts,
    coalesce(authors.authors, 0) as authors,
    sums.weekday,
    sums.year,

    sums.day,
    sums.first_post_at,
    sums.last_post_at
from sums
left join authors
    on {{ same_key('sums', 'authors', ['platform', 'instance', 'community', 'day']) }}
