{{ follows('years') }}

with

authors as (

    select known.platform, known.instance, known.community, known.year, count(*) as authors
    from {{ ref('posters_by_year') }} as known
    where known.posts > 0 and {{ in_changed() }}
    group by known.platform, known.instance, known.community, known.year

),

sums as (

    select
        known.platform, known.instance, known.community, known.year,
        {{ sums_of_sums('known') }},
        {{ total('known.anonymous_posts') }} as anonymous_posts,
        count(*) as active_days,
        min(known.first_post_at) as first_post_at,
        max(known.last_post_at) as last_post_at
    from {{ ref('activity_by_day') }} as known
    where {{ in_changed() }}
    group by known.platform, known.instance, known.community, known.year

)

select
    sums.platform,
    sums.instance,
    sums.community,

    {%- for column in sums() %}
    sums.{{ column }},
    {%- endfor %}
    sums.anonymous_posts,
    coalesce(authors.authors, 0) as authors,
    sums.active_days,
    sums.year,

    sums.first_post_at,
    sums.last_post_at
from sums
left join authors
    on {{ same_key('sums', 'authors', ['platform', 'instance', 'community', 'year']) }}
