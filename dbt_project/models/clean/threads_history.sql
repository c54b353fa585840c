{{ config(
    meta={'rows': 'new_threads', 'partition': 'created_hour', 'side': 'history', 'every': 'month', 'words': ['title']},
    require_partition_filter=true,
    cluster_by=['platform', 'community', 'key_number'],
) }}

with

fresh as (

    select {{ (thread_columns() + seen_columns()) | join(', ') }}
    from {{ ref('new_threads') }}
    where {{ on_side('belongs_at', 'history') }}

),

states as (

    select * from fresh
    {% if is_incremental() %}
    union all
    select {{ (thread_columns() + seen_columns()) | join(', ') }}
    {{ known(this, 'fresh') }}
    {% endif %}

),

joined as (

    {{ latest('states', thread_key(), thread_columns()) }}

),

finished as (

    {{ finished_threads('joined') }}

)

select
    {{ clean_thread_columns() | join(',\n    ') }}
from finished
