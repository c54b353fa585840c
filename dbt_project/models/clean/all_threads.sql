{{ config(materialized='view') }}

-- The boundary decides, so that while rows move none is shown twice or not at all.
select {{ clean_thread_columns() | reject('equalto', 'key_number') | join(', ') }}
from {{ ref('threads') }}
where {{ on_side('created_at', 'recent') }} and {{ every_partition('created_hour') }}

union all

select {{ clean_thread_columns() | reject('equalto', 'key_number') | join(', ') }}
from {{ ref('threads_history') }}
where {{ on_side('created_at', 'history') }} and {{ every_partition('created_hour') }}
