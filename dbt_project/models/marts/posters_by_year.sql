{{ follows('years') }}

with

written as (

    select
        known.platform, known.instance, known.community, known.author_id, known.year,
        {{ sums_of_sums('known') }},
        0 as times_quoting, 0 as times_quoted,
        count(*) as active_days,
        min(known.first_post_at) as first_post_at,
        max(known.last_post_at) as last_post_at
    from {{ ref('posters_by_day') }} as known
    where {{ in_changed() }}
    group by known.platform, known.instance, known.community, known.author_id, known.year

),

quotes as (

    select platform, instance, community, year, author_id, quoted_post_id, quoted_author_id
    from {{ ref('quotes') }} as known
    where quoted_post_id is not null and {{ in_changed() }}

),

parts as (

    select * from written
    {%- for author, quoting, quoted in [('author_id', 1, 0), ('quoted_author_id', 0, 1)] %}
    union all
    select
        platform, instance, community, {{ author }} as author_id, year,
        {%- for column in sums() %}
        0 as {{ column }},
        {%- endfor %}
        {{ quoting }} as times_quoting, {{ quoted }} as times_quoted,
        0 as active_days,
        {{ nothing('instant') }} as first_post_at,
        {{ nothing('instant') }} as last_post_at
    from quotes
    where {{ author }} is not null
    {%- endfor %}

)

select
    parts.platform,
    parts.instance,
    parts.community,
    parts.author_id,

    {{ sums_of_sums('parts') }},
    {{ total('parts.times_quoting') }} as times_quoting,
    {{ total('parts.times_quoted') }} as times_quoted,
    {{ total('parts.active_days') }} as active_days,
    parts.year,

    min(parts.first_post_at) as first_post_at,
    max(parts.last_post_at) as last_post_at
from parts
group by parts.platform, parts.instance, parts.community, parts.author_id, parts.year
