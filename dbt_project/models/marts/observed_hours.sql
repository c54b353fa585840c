{{ follows('observations') }}

{%- set whole = "(known.complete and known.observed_at >= " ~ minutes_later('known.hour', 60) ~ ")" %}
{%- set key = "known.platform, known.instance, known.community, known.hour" %}

with

-- a chunk of a past, or an imported file, says nothing of the hour
readings as (

    select known.*, {{ whole }} as whole
    from {{ ref('observations') }} as known
    where known.source = 'api' and {{ every_partition('known.hour') }} and {{ in_changed() }}

)

select
    known.platform,
    known.instance,
    known.community,

    case
        when count(case when known.whole then 1 end) > 0 then 'complete'
        when count(known.error) > 0 then 'failed'
        else 'incomplete'
    end as state,
    max(last_error) as error,

    count(*) as readings,
    count(known.error) as failures,
    {{ total('known.posts') }} as posts,
    {{ total('known.gone') }} as gone,
    {{ total('known.parse_errors') }} as parse_errors,
    {{ total('known.requests') }} as requests,

    known.hour,
    min(case when known.whole then known.observed_at end) as first_complete_at,
    max(known.observed_at) as last_observed_at
from (
    select
        known.*,
        first_value(known.error) over (
            partition by {{ key }}
            order by case when known.error is null then 1 else 0 end, known.observed_at desc, known.run_id desc, known.error
        ) as last_error
    from readings as known
) as known
group by {{ key }}
