{{ config(
    incremental_strategy='append',
    meta={'rows': 'stg_observations', 'partition': 'hour', 'side': 'any', 'every': 'month'},
    require_partition_filter=true,
    cluster_by=['source', 'platform', 'community'],
) }}
-- An hour is merged when everything clean is; what marts lack of it stands in changed_hours.
{%- for model in [
    'posts', 'posts_history', 'post_versions', 'threads', 'threads_history', 'thread_snapshots', 'history_boundary',
    'author_names', 'authors', 'changed_hours'
] %}
-- depends_on: {{ ref(model) }}
{%- endfor %}

with

fresh as (

    select *
    from {{ ref('stg_observations') }}
    where {{ in_hours() }} and commit_id is not null and community is not null and hour is not null

),

once as (

    select *
    from fresh
    where true
    qualify row_number() over (partition by commit_id, community order by observed_at desc, run_id desc, loaded_at desc) = 1

)

select
    commit_id,
    platform,
    instance,
    community,
    run_id,

    source,
    note,
    error,
    first_id,
    last_id,

    complete,
    posts,
    threads,
    gone,
    parse_errors,
    requests,
    not_modified,
    bytes,
    waited,

    hour,
    observed_at,
    loaded_at,
    {{ moment() }} as merged_at
from once
{%- if is_incremental() %}
-- what was merged stays as it is
where not exists (
    select 1
    from {{ this }} as known
    where
        {{ in_touched() }}
        and known.commit_id = once.commit_id
        and known.community = once.community
)
{%- endif %}
