{{ config(materialized='view') }}

with

spans as (

    select platform, instance, community, min(hour) as first_hour, max(hour) as last_hour
    from {{ ref('observed_hours') }}
    group by platform, instance, community

),

hours as (

    select spans.platform, spans.instance, spans.community, hour
    from spans {{ each_of(hours_between('spans.first_hour', 'spans.last_hour'), 'hour') }}

)

select
    hours.platform,
    hours.instance,
    hours.community,

    coalesce(known.state, 'missing') as state,
    known.error,

    coalesce(known.readings, 0) as readings,
    coalesce(known.failures, 0) as failures,
    coalesce(known.posts, 0) as posts,

    {{ local_day('hours.hour') }} as day,
    hours.hour,
    known.first_complete_at,
    known.last_observed_at
from hours
left join {{ ref('observed_hours') }} as known
    on {{ same_key('hours', 'known', ['platform', 'instance', 'community', 'hour']) }}
