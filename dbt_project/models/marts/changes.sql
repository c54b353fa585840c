{{ follows('days') }}

with

posts as (

    select known.*
    from {{ posts_by_days(['platform', 'instance', 'community', 'created_at', 'edited_at', 'deleted_at']) }} as known

),

changed as (

    {%- for kind, column in [('edit', 'edited_at'), ('deletion', 'deleted_at')] %}
    select
        platform, instance, community, '{{ kind }}' as kind, year, day,
        greatest({{ seconds_between('created_at', column) }}, 0) as delay
    from posts
    where {{ column }} is not null
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}

),

sorted as (

    select
        changed.*,
        case
            {%- for bound in var('delays') | reverse %}
            when changed.delay >= {{ bound }} then {{ as_integer(bound) }}
            {%- endfor %}
            else {{ as_integer(0) }}
        end as delay_from
    from changed

)

select
    platform,
    instance,
    community,

    kind,

    count(*) as posts,
    {{ total('delay') }} as delay_sum,
    delay_from,
    year,

    day
from sorted
group by platform, instance, community, kind, delay_from, year, day
