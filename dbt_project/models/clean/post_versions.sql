{{ config(
    meta={'rows': 'new_posts', 'partition': 'created_hour', 'side': 'any', 'every': 'day'},
    require_partition_filter=true,
    cluster_by=['platform', 'community', 'key_number'],
) }}

with

fresh as (

    select {{ (version_columns() + ['first_seen_at', 'last_seen_at']) | join(', ') }}
    from {{ ref('new_posts') }}
    where last_seen_at is not null

),

states as (

    select * from fresh
    {% if is_incremental() %}
    union all
    select {{ (version_columns() + ['first_seen_at', 'last_seen_at']) | join(', ') }}
    {{ known(this, 'fresh') }}
    {% endif %}

),

finished as (

    {{ finished_versions('states') }}

)

select
    {{ (version_columns() + ['first_seen_at', 'last_seen_at']) | join(',\n    ') }}
from finished
