{{ follows('instances') }}

{%- set key = ['platform', 'instance', 'community'] %}

with

sums as (

    select
        known.{{ key | join(', known.') }},
        {{ sums_of_sums('known') }},
        {{ total('known.anonymous_posts') }} as anonymous_posts,
        min(known.first_post_at) as first_post_at,
        max(known.last_post_at) as last_post_at
    from {{ ref('activity_by_year') }} as known
    where {{ in_changed() }}
    group by known.{{ key | join(', known.') }}

),

authors as (

    select known.{{ key | join(', known.') }}, count(distinct known.author_id) as authors
    from {{ ref('posters_by_year') }} as known
    where known.posts > 0 and {{ in_changed() }}
    group by known.{{ key | join(', known.') }}

),

observed as (

    select
        known.{{ key | join(', known.') }},
        count(case when known.state = 'complete' then 1 end) as hours_complete,
        count(case when known.state <> 'complete' then 1 end) as hours_not_complete,
        max(known.last_observed_at) as last_observed_at,
        max(case when known.state = 'complete' then known.hour end) as last_complete_hour
    from {{ ref('observed_hours') }} as known
    where {{ in_changed() }}
    group by known.{{ key | join(', known.') }}

),

latest as (

    select known.{{ key | join(', known.') }}, known.state, known.error
    from {{ ref('observed_hours') }} as known
    where {{ in_changed() }}
    qualify row_number() over (partition by known.{{ key | join(', known.') }} order by known.hour desc) = 1

),

keys as (

    select {{ key | join(', ') }} from sums
    union distinct
    select {{ key | join(', ') }} from observed

)

select
    keys.platform,
    keys.instance,
    keys.community,

    latest.state,
    latest.error,

    {%- for column in sums() + ['anonymous_posts'] %}
    coalesce(sums.{{ column }}, 0) as {{ column }},
    {%- endfor %}
    coalesce(authors.authors, 0) as authors,
    coalesce(observed.hours_complete, 0) as hours_complete,
    coalesce(observed.hours_not_complete, 0) as hours_not_complete,

    sums.first_post_at,
    sums.last_post_at,
    observed.last_observed_at,
    observed.last_complete_hour
from keys
{%- for name in ['sums', 'authors', 'observed', 'latest'] %}
left join {{ name }}
    on {{ same_key('keys', name, key) }}
{%- endfor %}
