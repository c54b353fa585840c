{{ config(materialized='table') }}

-- The observations of this run's hours, of all platforms, each as a state (see macros/merge.sql).
with

observed as (
{% for platform in var('platforms') %}
    select {{ observed_post_columns() | join(', ') }}
    from {{ ref('stg_' ~ platform ~ '_posts') }}
    where
        {{ in_hours() }}
        and parse_error is null
        and post_id is not null
        and created_at is not null
        and observed_at is not null
    {%- if not loop.last %}
    union all
    {%- endif %}
{%- endfor %}

),

renamed as (

    select
        {%- for column in post_columns() if column not in ['content_hash', 'created_hour', 'key_number'] %}
        {{ column }},
        {%- endfor %}
        {{ key_number(post_key()) }} as key_number,
        case
            when not gone then coalesce(content_hash, {{ md5_text("coalesce(title, '') || '|' || coalesce(text, '')") }})
        end as content_hash,
        {{ start_of('hour', 'created_at') }} as created_hour,
        case when not gone then observed_at end as first_seen_at,
        case when not gone then observed_at end as last_seen_at,
        case when gone then observed_at end as gone_at
    from observed

),

routed as (

    select
        *,
        -- where this run's rows of a key go together, even when they disagree on its time
        first_value(seen.created_at) over (
            partition by seen.{{ post_key() | join(', seen.') }} order by {{ winning_order(post_columns()) }}
        ) as belongs_at
    from renamed as seen

)

select * from routed
