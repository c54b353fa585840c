{{ config(materialized='view') }}

with

sums as (

    select
        years.platform, years.instance, years.community, years.author_id,
        {{ sums_of_sums('years') }},
        {{ total('years.times_quoting') }} as times_quoting,
        {{ total('years.times_quoted') }} as times_quoted,
        {{ total('years.active_days') }} as active_days,
        min(years.first_post_at) as first_post_at,
        max(years.last_post_at) as last_post_at
    from {{ ref('posters_by_year') }} as years
    group by years.platform, years.instance, years.community, years.author_id

)

select
    sums.platform,
    sums.instance,
    sums.community,
    sums.author_id,

    authors.author_name,
    authors.is_bot,

    {%- for column in sums() %}
    sums.{{ column }},
    {%- endfor %}
    sums.text_length / nullif(sums.texts, 0) as mean_length,
    sums.times_quoting,
    sums.times_quoted,
    sums.active_days,

    sums.first_post_at,
    sums.last_post_at
from sums
left join {{ ref('authors') }} as authors
    on {{ same_key('sums', 'authors', author_key()) }}
