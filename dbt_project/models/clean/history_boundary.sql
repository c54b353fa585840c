{{ config(incremental_strategy='move_to_history') }}

with

due as (

    select {{ instant(boundary_for_now()) }} as boundary
    {% if is_incremental() %}
    union all
    select boundary from {{ this }}
    {% endif %}

)

-- it never moves back
select max(boundary) as boundary from due
