{{ follows('years') }}

{%- set key = ['platform', 'instance', 'community', 'year', 'weekday', 'hour_of_day'] %}

with

hours as (

    select
        {{ key | join(', ') }}, {{ sums() | join(', ') }}, anonymous_posts, author_ids
    from {{ ref('activity_by_hour') }} as known
    where {{ in_changed() }}

),

authors as (

    select
        hours.{{ key | join(', hours.') }},
        count(distinct author_id) as authors
    from hours {{ each_of('hours.author_ids', 'author_id') }}
    group by hours.{{ key | join(', hours.') }}

),

sums as (

    select
        hours.{{ key | join(', hours.') }},
        {{ sums_of_sums('hours') }},
        {{ total('hours.anonymous_posts') }} as anonymous_posts
    from hours
    group by hours.{{ key | join(', hours.') }}

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
    sums.hour_of_day,
    sums.weekday,
    sums.year
from sums
left join authors
    on {{ same_key('sums', 'authors', key) }}
