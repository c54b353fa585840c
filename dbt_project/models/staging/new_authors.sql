{{ config(materialized='table') }}

-- What this run's hours show of authors, by name and community, each as a state (see macros/authors.sql).
with

observed as (
{% for platform in var('platforms') %}
    select
        {{ author_columns() | reject('in', ['key_number', 'shown_by', 'author_seen_at']) | join(', ') }},
        post_id, created_at, {{ nothing('instant') }} as author_seen_at, 'post' as shown_by
    from {{ ref('stg_' ~ platform ~ '_posts') }}
    where
        {{ in_hours() }}
        and not gone
        and parse_error is null
        and author_id is not null
        and post_id is not null
        and created_at is not null
        and observed_at is not null
    {%- if not loop.last %}
    union all
    {%- endif %}
{%- endfor %}
{%- for platform in var('platforms_with_profiles') %}
    union all
    select
        {{ author_columns() | reject('in', ['key_number', 'shown_by', 'author_seen_at']) | join(', ') }},
        {{ nothing('text') }} as post_id, {{ nothing('instant') }} as created_at, author_seen_at, 'profile' as shown_by
    from {{ ref('stg_' ~ platform ~ '_authors') }}
    where {{ in_hours() }} and parse_error is null and author_id is not null and observed_at is not null
{%- endfor %}

),

states as (

    select
        platform,
        instance,
        community,
        author_id,
        {{ key_number(author_key()) }} as key_number,
        coalesce(author_name, '') as author_name,
        shown_by,
        author_avatar,
        author_profile,
        source,
        run_id,
        author_is_bot,
        author_joined_at,
        author_seen_at,
        observed_at,
        post_id as first_post_id,
        post_id as last_post_id,
        created_at as first_post_at,
        created_at as last_post_at,
        observed_at as first_seen_at,
        observed_at as last_seen_at
    from observed

),

joined as (

    {{ joined_author_names('states') }}

)

select * from joined
