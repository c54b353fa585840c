{{ config(
    meta={'rows': 'new_threads', 'partition': 'snapshot_hour', 'side': 'any', 'every': 'month'},
    require_partition_filter=true,
    cluster_by=['platform', 'community', 'key_number'],
) }}

{%- set columns = [
    'platform', 'instance', 'community', 'thread_id', 'key_number',
    'source', 'run_id',
    'reply_count', 'view_count', 'score',
    'last_activity_at', 'observed_at', 'snapshot_hour',
] %}

with

fresh as (

    select {{ columns | join(', ') }}
    from {{ ref('new_threads') }}
    where last_seen_at is not null

),

states as (

    select * from fresh
    {% if is_incremental() %}
    union all
    select {{ columns | join(', ') }}
    {{ known(this, 'fresh') }}
    {% endif %}

),

latest as (

    select *
    from states
    where true
    qualify row_number() over (
        partition by platform, instance, thread_id, snapshot_hour
        order by
            {{ source_rank('source') }} desc, observed_at desc, run_id desc,
            -- ties: what is shown decides, so that the order of arrival does not
            source desc, community desc, reply_count desc, view_count desc, score desc, last_activity_at desc
    ) = 1

)

select
    {{ columns | join(',\n    ') }}
from latest
