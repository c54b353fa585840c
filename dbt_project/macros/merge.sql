{#
    How observations become clean rows.

    A row of `new_posts`, `new_threads` and of the clean tables is a state: what is known of one key from some of its
    observations. `latest` joins states. It is associative, commutative and idempotent, so the order in which observations
    arrive, in what pieces and how often makes no difference.
#}

{% macro post_key() %}{{ return(['platform', 'instance', 'post_id']) }}{% endmacro %}

{% macro thread_key() %}{{ return(['platform', 'instance', 'thread_id']) }}{% endmacro %}

{# What a post has from the observation that wins. #}
{% macro post_columns() %}
    {{ return([
        'platform', 'instance', 'community', 'thread_id', 'post_id', 'author_id', 'key_number',
        'author_name', 'title', 'text', 'url', 'canonical_url', 'payload', 'content_hash', 'source', 'run_id', 'quotes', 'links',
        'is_opening', 'reply_count', 'score',
        'created_at', 'created_hour', 'platform_edited_at', 'observed_at',
    ]) }}
{% endmacro %}

{# What a thread has from the observation that wins. #}
{% macro thread_columns() %}
    {{ return([
        'platform', 'instance', 'community', 'thread_id', 'author_id', 'key_number',
        'author_name', 'title', 'text', 'url', 'canonical_url', 'payload', 'content_hash', 'source', 'run_id', 'tags',
        'is_closed', 'is_pinned', 'is_archived', 'reply_count', 'view_count', 'score',
        'created_at', 'created_hour', 'last_activity_at', 'observed_at',
    ]) }}
{% endmacro %}

{# What is added up over all observations of a key. #}
{% macro seen_columns() %}{{ return(['first_seen_at', 'last_seen_at', 'gone_at']) }}{% endmacro %}

{# The columns that staging gives to `new_posts` and `new_threads`. #}
{% macro observed_post_columns() %}{{ return(observed(post_columns())) }}{% endmacro %}
{% macro observed_thread_columns() %}{{ return(observed(thread_columns())) }}{% endmacro %}
{% macro observed(columns) %}{{ return(columns | reject('in', ['created_hour', 'key_number']) | list + ['gone']) }}{% endmacro %}

{# The columns of the clean tables, in their order: ids, texts, numbers, times. #}
{% macro clean_post_columns() %}
    {{ return([
        'platform', 'instance', 'community', 'thread_id', 'post_id', 'author_id', 'key_number',
        'author_name', 'title', 'text', 'url', 'canonical_url', 'payload', 'content_hash', 'source', 'run_id', 'quotes', 'links',
        'is_opening', 'version_count', 'reply_count', 'score',
        'created_at', 'created_hour', 'platform_edited_at', 'edited_at',
        'observed_at', 'first_seen_at', 'last_seen_at', 'gone_at', 'deleted_at',
    ]) }}
{% endmacro %}

{% macro clean_thread_columns() %}{{ return(thread_columns() + seen_columns() + ['deleted_at']) }}{% endmacro %}

{# The order in which states of one key win: the living before the gone, the later edit, where `columns` has its time (it only
   grows), api before archive and export, then the last observed. The rest decides ties, and is the same wherever it is
   computed. #}
{% macro winning_order(columns) -%}
    case when seen.last_seen_at is null then 0 else 1 end desc,
    {% if 'platform_edited_at' in columns -%}
    {{ edit_time('seen.platform_edited_at') }} desc,
    {% endif -%}
    {{ source_rank('seen.source') }} desc,
    seen.observed_at desc,
    seen.run_id desc,
    seen.content_hash desc,
    {{ tie_break() }} desc,
    seen.created_at desc
{%- endmacro %}

{# All that can differ between two observations made at the same moment by the same run. #}
{% macro tie_break() -%}
    {%- set parts = [] -%}
    {%- for column in ['payload', 'community', 'thread_id', 'source', 'title', 'text'] -%}
        {%- do parts.append("coalesce(seen." ~ column ~ ", '')") -%}
    {%- endfor -%}
    {{ md5_text(parts | join(" || '|' || ")) }}
{%- endmacro %}

{% macro source_rank(column) -%}
    case when {{ column }} = 'api' then 1 else 0 end
{%- endmacro %}

{# When it was last edited, as something to compare: what was never edited is older than any edit. #}
{% macro edit_time(column) -%}
    coalesce({{ column }}, {{ instant('1970-01-01 00:00:00+00') }})
{%- endmacro %}

{# Joins all states of a key, from the relation or CTE `states`, into one. #}
{% macro latest(states, key, columns) -%}
    select
        {%- for column in columns %}
        seen.{{ column }},
        {%- endfor %}
        min(seen.first_seen_at) over (partition by seen.{{ key | join(', seen.') }}) as first_seen_at,
        max(seen.last_seen_at) over (partition by seen.{{ key | join(', seen.') }}) as last_seen_at,
        max(seen.gone_at) over (partition by seen.{{ key | join(', seen.') }}) as gone_at
    from {{ states }} as seen
    where true
    qualify row_number() over (partition by seen.{{ key | join(', seen.') }} order by {{ winning_order(columns) }}) = 1
{%- endmacro %}

{# When it was deleted: seen gone after the winner was observed. Seen and gone at the same moment counts as there. #}
{% macro deleted_at() -%}
    case when last_seen_at is null or gone_at > observed_at then gone_at end
{%- endmacro %}

{# The rows of `posts` from joined states and from `post_versions` (a relation or CTE each). #}
{% macro finished_posts(states, versions) -%}
    select
        {%- for column in post_columns() + seen_columns() %}
        states.{{ column }},
        {%- endfor %}
        coalesce(versions.version_count, 0) as version_count,
        coalesce(
            states.platform_edited_at, case when versions.version_count > 1 then versions.last_version_at end
        ) as edited_at,
        {{ deleted_at() }} as deleted_at
    from {{ states }} as states
    left join (
        select
            {{ post_key() | join(', ') }},
            count(distinct content_hash) as version_count,
            max(first_seen_at) as last_version_at
        from {{ versions }}
        group by {{ post_key() | join(', ') }}
    ) as versions
        on {{ same_key('states', 'versions', post_key()) }}
{%- endmacro %}

{# The rows of `threads` from joined states. #}
{% macro finished_threads(states) -%}
    select
        {{ (thread_columns() + seen_columns()) | join(',\n        ') }},
        {{ deleted_at() }} as deleted_at
    from {{ states }}
{%- endmacro %}

{# What a version of a post has from the observation that wins. #}
{% macro version_columns() %}
    {{ return([
        'platform', 'instance', 'community', 'thread_id', 'post_id', 'key_number',
        'title', 'text', 'payload', 'content_hash', 'source', 'run_id',
        'created_at', 'created_hour', 'platform_edited_at', 'observed_at',
    ]) }}
{% endmacro %}

{# The versions of posts, from states that are one content each, as the platform or as others have it. What others have counts
   where the platform was never read, or when it was edited later than all that the platform showed; of equal words of theirs
   only those of the latest edit are added up, because earlier ones may have been dropped before. All versions of a key stand
   in the partition of its last one. #}
{% macro finished_versions(states) -%}
    {%- set version = 'partition by seen.' ~ post_key() | join(', seen.') ~ ', seen.content_hash, ' ~ source_rank('seen.source') -%}
    select
        {%- for column in version_columns() if column not in ['created_at', 'created_hour'] %}
        versions.{{ column }},
        {%- endfor %}
        first_value(versions.created_at) over (
            partition by {{ post_key() | join(', ') }} order by versions.place
        ) as created_at,
        first_value(versions.created_hour) over (
            partition by {{ post_key() | join(', ') }} order by versions.place
        ) as created_hour,
        versions.first_seen_at,
        versions.last_seen_at
    from (
        select
            {%- for column in version_columns() %}
            seen.{{ column }},
            {%- endfor %}
            {%- for name, column in [('min', 'first_seen_at'), ('max', 'last_seen_at')] %}
            {{ name }}(seen.{{ column }}) over ({{ version }}, seen.others_edited_at) as {{ column }},
            {%- endfor %}
            row_number() over (
                partition by seen.{{ post_key() | join(', seen.') }} order by {{ winning_order(version_columns()) }}
            ) as place,
            row_number() over ({{ version }} order by {{ winning_order(version_columns()) }}) as place_in_version
        from (
            select
                {{ version_columns() | join(', ') }},
                first_seen_at,
                last_seen_at,
                case when {{ source_rank('source') }} = 0 then {{ edit_time('platform_edited_at') }} end as others_edited_at
            from {{ states }}
            where last_seen_at is not null
            qualify
                {{ source_rank('source') }} = 1
                or coalesce({{ edit_time('platform_edited_at') }} > max(
                    case when {{ source_rank('source') }} = 1 then {{ edit_time('platform_edited_at') }} end
                ) over (partition by {{ post_key() | join(', ') }}), true)
        ) as seen
    ) as versions
    where versions.place_in_version = 1
{%- endmacro %}

{% macro same_key(left, right, key) -%}
    {%- for column in key -%}
        {{ left }}.{{ column }} = {{ right }}.{{ column }}{{ ' and ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{# The rows of a relation that `fresh` rows may change: those with their numbers, in the touched partitions only.
   Rows of another key with the same number come along, and are written back as they were. #}
{% macro known(relation, fresh, side=none) -%}
    from {{ relation }} as known
    where {{ narrowed(relation, has_number(fresh, side)) }}
{%- endmacro %}

{% macro has_number(fresh, side=none) -%}
    {{ in_touched(side) }} and known.key_number in (select fresh.key_number from {{ fresh }} as fresh)
{%- endmacro %}

{% macro has_number_in(fresh, hours) -%}
    {{ in_partitions('known.' ~ config.get('meta').partition, hours) }} and known.key_number in (select fresh.key_number from {{ fresh }} as fresh)
{%- endmacro %}

{# A number made of a key, kept in the row: comparing numbers is what makes finding few rows among tens of millions cheap. The
   same on every warehouse; two keys may share one. #}
{% macro key_number(key) -%}
    {{ number_of_text(key | join(" || '|' || ")) }}
{%- endmacro %}
