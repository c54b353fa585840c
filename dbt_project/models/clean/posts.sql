{{ config(
    unique_key=post_key(),
    meta={'rows': 'new_posts', 'partition': 'created_hour', 'side': 'recent'},
) }}

with

fresh as (

    select {{ (post_columns() + seen_columns()) | join(', ') }}
    from {{ ref('new_posts') }}
    where {{ on_side('belongs_at', 'recent') }}

),

states as (

    select * from fresh
    {% if is_incremental() %}
    union all
    select {{ (post_columns() + seen_columns()) | join(', ') }}
    {{ known('fresh', post_key()) }}
    {% endif %}

),

joined as (

    {{ latest('states', post_key(), post_columns()) }}

),

versions as (

    select *
    from {{ ref('post_versions') }} as known
    where
        {{ in_touched(side='any') }}
        and exists (select 1 from fresh where {{ same_key('fresh', 'known', post_key()) }})

),

finished as (

    {{ finished_posts('joined', 'versions') }}

)

select
    {{ clean_post_columns() | join(',\n    ') }}
from finished
