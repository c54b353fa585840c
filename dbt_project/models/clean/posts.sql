{{ config(
    meta={'rows': 'new_posts', 'partition': 'created_hour', 'side': 'recent', 'every': 'hour', 'words': ['title', 'text']},
    require_partition_filter=true,
    cluster_by=['platform', 'community', 'key_number'],
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
    {{ known(this, 'fresh') }}
    {% endif %}

),

joined as (

    {{ latest('states', post_key(), post_columns()) }}

),

versions as (

    select platform, instance, post_id, content_hash, first_seen_at
    {{ known(ref('post_versions'), 'fresh', side='any') }}

),

finished as (

    {{ finished_posts('joined', 'versions') }}

)

select
    {{ clean_post_columns() | join(',\n    ') }}
from finished
