-- depends_on: {{ ref('posts') }}
{{ config(unique_key=['commit_id', 'community']) }}
select * from {{ source('raw', 'observations') }} where {{ in_hours('hour') }}
