{{ config(materialized='table', pre_hook="{{ forget_other_settings() }}") }}

with

-- an hour of ours may lie in two days of a time zone that is half an hour off
days as (

    select platform, instance, {{ local_day('hour') }} as day from {{ ref('changed_hours') }} where kind = 'posts'
    union distinct
    select platform, instance, {{ local_day(minutes_later('hour', 59)) }} as day
    from {{ ref('changed_hours') }}
    where kind = 'posts'

)

select platform, instance, day, extract(year from day) as year
from days
