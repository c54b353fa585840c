{#
    How observations become authors.

    A row of `new_authors` and `author_names` is a state: what posts, or profiles, of one community have shown of one author
    under one name. Joining states is associative, commutative and idempotent, as it is for posts.
#}

{% macro author_key() %}{{ return(['platform', 'instance', 'author_id']) }}{% endmacro %}

{% macro author_name_key() %}
    {{ return(['platform', 'instance', 'community', 'author_id', 'author_name', 'shown_by']) }}
{% endmacro %}

{# What a state has from the observation that wins, in its order: ids, texts, numbers, times. #}
{% macro author_columns() %}
    {{ return([
        'platform', 'instance', 'community', 'author_id', 'key_number',
        'author_name', 'shown_by', 'author_avatar', 'author_profile', 'source', 'run_id',
        'author_is_bot',
        'author_joined_at', 'author_seen_at', 'observed_at',
    ]) }}
{% endmacro %}

{% macro author_name_columns() %}
    {{ return(author_columns() + [
        'first_post_id', 'last_post_id', 'first_post_at', 'last_post_at', 'first_seen_at', 'last_seen_at',
    ]) }}
{% endmacro %}

{# The order in which states win: what the platform itself said before what archives and exports say, then the last
   observed. The rest decides ties, and is the same wherever it is computed. #}
{% macro author_order() -%}
    {{ source_rank('source') }} desc, observed_at desc, run_id desc,
    coalesce(author_profile, '') desc, coalesce(author_avatar, '') desc, source desc
{%- endmacro %}

{# Joins all states of a name, from the relation or CTE `states`, into one. #}
{% macro joined_author_names(states) -%}
    {%- set key = author_name_key() | join(', ') -%}
    select
        {%- for column in author_columns() %}
        {{ column }},
        {%- endfor %}
        first_value(first_post_id) over (partition by {{ key }} order by first_post_at, first_post_id) as first_post_id,
        first_value(last_post_id) over (partition by {{ key }} order by last_post_at desc, last_post_id desc) as last_post_id,
        min(first_post_at) over (partition by {{ key }}) as first_post_at,
        max(last_post_at) over (partition by {{ key }}) as last_post_at,
        min(first_seen_at) over (partition by {{ key }}) as first_seen_at,
        max(last_seen_at) over (partition by {{ key }}) as last_seen_at
    from {{ states }}
    where true
    qualify row_number() over (partition by {{ key }} order by {{ author_order() }}) = 1
{%- endmacro %}
