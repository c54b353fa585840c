{{ config(materialized='view') }}

-- The boundary decides, so that while rows move none is shown twice or not at all.
select {{ clean_post_columns() | reject('equalto', 'key_number') | join(', ') }}
from {{ ref('posts') }}
where {{ on_side('created_at', 'recent') }} and {{ every_partition('created_hour') }}

union all

select {{ clean_post_columns() | reject('equalto', 'key_number') | join(', ') }}
from {{ ref('posts_history') }}
where {{ on_side('created_at', 'history') }} and {{ every_partition('created_hour') }}
