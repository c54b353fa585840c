{{ config(incremental_strategy='append') }}

-- Emptied by `marts_built`, when all marts have what these hours changed.
with

fresh as (

    select 'posts' as kind, platform, instance, created_hour as hour from {{ ref('new_posts') }}
    union distinct
    select 'threads' as kind, platform, instance, created_hour as hour from {{ ref('new_threads') }}
    union distinct
    select 'observations' as kind, platform, instance, hour
    from {{ ref('stg_observations') }}
    where {{ in_hours() }} and platform is not null and instance is not null and hour is not null

)

select kind, platform, instance, hour
from fresh
{%- if is_incremental() %}
where not exists (
    select 1 from {{ this }} as known
    where {{ same_key('known', 'fresh', ['kind', 'platform', 'instance', 'hour']) }}
)
{%- endif %}
