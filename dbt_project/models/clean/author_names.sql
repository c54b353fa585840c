{{ config(
    meta={'rows': 'new_authors', 'partition': none, 'side': 'any'},
    cluster_by=['key_number'],
) }}

with

fresh as (

    select {{ author_name_columns() | join(', ') }}
    from {{ ref('new_authors') }}

),

states as (

    select * from fresh
    {% if is_incremental() %}
    union all
    select {{ author_name_columns() | join(', ') }}
    {{ known(this, 'fresh') }}
    {% endif %}

),

joined as (

    {{ joined_author_names('states') }}

)

select
    {{ author_name_columns() | join(',\n    ') }}
from joined
