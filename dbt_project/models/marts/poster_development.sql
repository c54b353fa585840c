{{ config(materialized='view') }}

{%- set key = ['platform', 'instance', 'community', 'author_id'] %}

with

spans as (

    select {{ key | join(', ') }}, min(year) as first_year, max(year) as last_year
    from {{ ref('posters_by_year') }}
    group by {{ key | join(', ') }}
    having sum(posts) >= {{ var('minimal_posts') }}

),

years as (

    select spans.{{ key | join(', spans.') }}, year
    from spans {{ each_of(numbers_between('spans.first_year', 'spans.last_year'), 'year') }}

)

select
    years.platform,
    years.instance,
    years.community,
    years.author_id,

    {%- for column in sums() + ['times_quoting', 'times_quoted', 'active_days'] %}
    coalesce(known.{{ column }}, 0) as {{ column }},
    {%- endfor %}
    known.text_length / nullif(known.texts, 0) as mean_length,
    years.year
from years
left join {{ ref('posters_by_year') }} as known
    on {{ same_key('years', 'known', key + ['year']) }}
