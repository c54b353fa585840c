{#
    Puts together again what stands in two places.

    When two observations of a key disagree on when it was created, the hour of the second does not lead to the row of the
    first, and the key ends up in two partitions or in two tables. A merge cannot see that without reading everything, so
    once a day this looks for such keys and joins their states where the winner belongs. One transaction.
#}
{% macro heal() %}
    {%- if not execute -%}{{ return('') }}{%- endif -%}
    {%- set clean = {} -%}
    {%- for name in ['history_boundary', 'posts', 'posts_history', 'post_versions', 'threads', 'threads_history'] -%}
        {%- set relation = load_relation(api.Relation.create(target.database, 'clean', name)) -%}
        {%- if relation is none -%}{{ return('') }}{%- endif -%}
        {%- do clean.update({name: relation}) -%}
    {%- endfor -%}

    {%- set statements = [] -%}
    {%- do statements.append(stray_keys('stray_posts', post_key(), [clean.posts, clean.posts_history, clean.post_versions])) -%}
    {%- do statements.append(stray_keys('stray_threads', thread_key(), [clean.threads, clean.threads_history])) -%}

    {%- set changed = load_relation(api.Relation.create(target.database, 'clean', 'changed_hours')) -%}
    {%- if changed is not none -%}
        {%- for kind, relations in [('posts', [clean.posts, clean.posts_history]), ('threads', [clean.threads, clean.threads_history])] -%}
            {%- set key = post_key() if kind == 'posts' else thread_key() -%}
            {%- for relation in relations -%}
                {%- do statements.append(changed_by_healing(changed, kind, relation, key)) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}

    {%- set post_states = join_states('stray_posts', post_key(), post_columns(), [clean.posts, clean.posts_history]) -%}
    {%- set thread_states = join_states('stray_threads', thread_key(), thread_columns(), [clean.threads, clean.threads_history]) -%}
    {%- set version_states -%}
        (
            select known.* from {{ clean.post_versions }} as known
            inner join stray_posts as stray on {{ same_key('stray', 'known', post_key()) }}
            where {{ every_partition('known.created_hour') }}
        )
    {%- endset -%}
    {%- do statements.append("create or replace temporary table whole_versions as " ~ finished_versions(version_states)) -%}
    {%- do statements.append("create or replace temporary table whole_posts as " ~ finished_posts(post_states, 'whole_versions')) -%}
    {%- do statements.append("create or replace temporary table whole_threads as " ~ finished_threads(thread_states)) -%}

    {%- do statements.append(replace_rows(clean.post_versions, post_key(), 'stray_posts', 'whole_versions')) -%}
    {%- for recent, history, key, stray, whole in [
        (clean.posts, clean.posts_history, post_key(), 'stray_posts', 'whole_posts'),
        (clean.threads, clean.threads_history, thread_key(), 'stray_threads', 'whole_threads'),
    ] -%}
        {%- for relation, side in [(recent, '>='), (history, '<')] -%}
            {%- set here = "created_at " ~ side ~ " (select boundary from " ~ clean.history_boundary ~ ")" -%}
            {%- do statements.append(replace_rows(relation, key, stray, whole, here)) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- do run_together(statements) -%}
{% endmacro %}

{# A temporary table of the keys that stand in more than one hour of `relations`. Two keys that share a
   number do no harm. #}
{% macro stray_keys(name, key, relations) -%}
    create or replace temporary table {{ name }} as
    with
    places as (
        {%- for relation in relations %}
        select {{ key | join(', ') }}, key_number, created_hour from {{ relation }}
        where {{ every_partition('created_hour') }}
        {%- if not loop.last %} union all {% endif -%}
        {%- endfor %}
    ),
    numbers as (
        select key_number
        from places
        group by key_number
        having min(created_hour) < max(created_hour)
    )
    select distinct {{ key | join(', ') }}
    from places
    where key_number in (select key_number from numbers)
{%- endmacro %}

{# Tells the marts in which hours the rows stood that are put together. #}
{% macro changed_by_healing(changed, kind, relation, key) -%}
    insert into {{ changed }} (kind, platform, instance, hour)
    select distinct '{{ kind }}', known.platform, known.instance, known.created_hour
    from {{ relation }} as known
    inner join stray_{{ kind }} as stray on {{ same_key('stray', 'known', key) }}
    where not exists (
        select 1 from {{ changed }} as told
        where
            told.kind = '{{ kind }}' and told.platform = known.platform and told.instance = known.instance
            and told.hour = known.created_hour
    )
{%- endmacro %}

{# The joined states of the keys in `stray`, as a subquery. #}
{% macro join_states(stray, key, columns, relations) -%}
    {%- set states -%}
        (
            {%- for relation in relations %}
            select known.{{ (columns + seen_columns()) | join(', known.') }}
            from {{ relation }} as known
            inner join {{ stray }} as stray on {{ same_key('stray', 'known', key) }}
            where {{ every_partition('known.created_hour') }}
            {%- if not loop.last %} union all {% endif -%}
            {%- endfor %}
        )
    {%- endset -%}
    ({{ latest(states, key, columns) }})
{%- endmacro %}

{# Replaces the rows of the keys in `stray` by those rows of `whole` that belong `here`. #}
{% macro replace_rows(relation, key, stray, whole, here='true') -%}
    {%- set columns = get_quoted_csv(adapter.get_columns_in_relation(relation) | map(attribute='name')) -%}
    delete from {{ relation }} as known
    where {{ every_partition('known.created_hour') }} and exists (select 1 from {{ stray }} as stray where {{ same_key('stray', 'known', key) }});
    insert into {{ relation }} ({{ columns }}) select {{ columns }} from {{ whole }} where {{ here }}
{%- endmacro %}
