{{ config(unique_key=['platform', 'instance', 'post_id']) }}
with rows as (
    select * from {{ ref('stg_fourchan__posts') }} where {{ in_hours('hour') }}
    union all
    select * from {{ ref('stg_discourse__posts') }} where {{ in_hours('hour') }}
    {% if is_incremental() %}
    union all
    select * from {{ this }}
    {% endif %}
)
select * from rows
qualify row_number() over (partition by platform, instance, post_id order by observed_at desc, run_id desc, hash(payload) desc) = 1
