{{ config(
    meta={'rows': 'new_authors', 'partition': none, 'side': 'any'},
    cluster_by=['key_number'],
) }}

{%- set key = author_key() | join(', ') %}
{%- set all_rows = 'rows between unbounded preceding and unbounded following' %}

with

-- whatever is known of the authors that this run saw; of all of them once a day
states as (

    select {{ author_name_columns() | join(', ') }}
    from {{ ref('author_names') }} as known
    {%- if not var('whole', false) %}
    where known.key_number in (select fresh.key_number from {{ ref('new_authors') }} as fresh)
    {%- endif %}

),

names as (

    select
        {{ key }},
        author_name,
        min(coalesce(first_post_at, first_seen_at)) as first_used_at
    from states
    where author_name <> ''
    group by {{ key }}, author_name

),

listed as (

    select
        {{ key }},
        array_agg(author_name order by first_used_at, author_name) as names
    from names
    group by {{ key }}

),

joined as (

    select
        {{ key }},
        key_number,
        author_name,
        source,
        run_id,
        observed_at,
        -- a profile says more of its author than a post does
        {%- for column in ['author_avatar', 'author_profile', 'author_is_bot', 'author_joined_at'] %}
        first_value({{ column }} ignore nulls) over (
            partition by {{ key }}
            order by case when shown_by = 'profile' then 1 else 0 end desc, {{ author_order() }}
            {{ all_rows }}
        ) as {{ column }},
        {%- endfor %}
        min(first_post_at) over (partition by {{ key }}) as first_post_at,
        max(last_post_at) over (partition by {{ key }}) as last_post_at,
        max(author_seen_at) over (partition by {{ key }}) as author_seen_at,
        min(first_seen_at) over (partition by {{ key }}) as first_seen_at,
        max(last_seen_at) over (partition by {{ key }}) as last_seen_at
    from states
    where true
    qualify row_number() over (
        partition by {{ key }}
        order by
            case when states.author_name = '' then 0 else 1 end desc,
            {{ source_rank('states.source') }} desc, states.observed_at desc, states.last_post_at desc,
            states.run_id desc, states.author_name desc, states.community desc, states.shown_by desc
    ) = 1

)

select
    joined.platform,
    joined.instance,
    joined.author_id,
    joined.key_number,

    joined.author_name,
    listed.names,
    joined.author_avatar as avatar,
    joined.author_profile as profile,
    joined.source,
    joined.run_id,

    joined.author_is_bot as is_bot,

    joined.author_joined_at as joined_at,
    joined.first_post_at,
    joined.last_post_at,
    -- a later post proves presence where the platform does not say more
    coalesce(greatest(joined.author_seen_at, joined.last_post_at), joined.author_seen_at, joined.last_post_at) as last_active_at,
    joined.observed_at,
    joined.first_seen_at,
    joined.last_seen_at
from joined
left join listed
    on {{ same_key('joined', 'listed', author_key()) }}
