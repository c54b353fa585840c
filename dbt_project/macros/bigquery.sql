{#
    Where dbt's adapter for BigQuery does something else than this project needs: incremental tables and contracts.

    Its own incremental materialization knows two strategies, and makes a new table in one statement, which writes 4,000
    partitions at most. Here a new table is made empty, and then filled in pieces, so a past of any length fits.
#}
{% materialization incremental, adapter='bigquery' %}
    {%- set existing = load_relation(this) -%}
    {%- if existing is not none and (should_full_refresh() or not existing.is_table) -%}
        {%- do adapter.drop_relation(existing) -%}
        {%- set existing = none -%}
    {%- endif -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set fresh = make_temp_relation(this).incorporate(type='table') -%}
    {{ run_hooks(pre_hooks) }}

    {%- if config.get('contract').enforced -%}{%- do get_assert_columns_equivalent(compiled_code) -%}{%- endif -%}
    {%- call statement('fresh') -%}
        create or replace table {{ fresh }}
        {{ bigquery_table_options(config, model, true) }}
        as (
            {{ compiled_code }}
        )
    {%- endcall -%}
    {%- if existing is none -%}
        {%- call statement('empty') -%}{{ empty_table(target_relation, fresh) }}{%- endcall -%}
        {%- if (config.get('meta') or {}).words -%}
            {%- call statement('words') -%}
                create search index if not exists {{ this.identifier }}_words
                on {{ (target_relation | string).replace('`.`', '.') }} ({{ config.get('meta').words | join(', ') }})
            {%- endcall -%}
        {%- endif -%}
    {%- endif -%}
    {%- set columns = process_schema_changes(
        incremental_validate_on_schema_change(config.get('on_schema_change'), default='ignore'), fresh, target_relation
    ) or adapter.get_columns_in_relation(target_relation) -%}
    {%- set strategy = 'first_rows' if existing is none else config.get('incremental_strategy') -%}
    {%- set write = context['get_incremental_' ~ strategy ~ '_sql'] -%}
    {%- call statement('main') -%}
        {{ write({'target_relation': target_relation, 'temp_relation': fresh, 'unique_key': config.get('unique_key'),
            'dest_columns': columns, 'incremental_predicates': config.get('incremental_predicates')}) }}
    {%- endcall -%}
    {%- do adapter.drop_relation(fresh) -%}

    {{ run_hooks(post_hooks) }}
    {%- do apply_grants(target_relation, config.get('grants'), should_revoke(existing, full_refresh_mode=false)) -%}
    {%- do persist_docs(target_relation, model) -%}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{# A table as the model's contract and configuration say, without rows. #}
{% macro empty_table(relation, fresh) -%}
    create table {{ relation }}
    {%- if config.get('contract').enforced %}
        {{ get_table_columns_and_constraints() }}
    {%- endif %}
    {%- set meta = config.get('meta') or {} %}
    {%- if meta.every %}
    partition by {{ partitions(meta.partition, meta.every) }}
    {%- endif %}
    {{ cluster_by(config.get('cluster_by')) }}
    {{ bigquery_table_options(config, model, false) }}
    {%- if not config.get('contract').enforced %}
    as (select * from {{ fresh }} limit 0)
    {%- endif %}
{%- endmacro %}

{# The first rows of a table, in as many statements as they have to be. #}
{% macro get_incremental_first_rows_sql(arguments) -%}
    {%- set columns = get_quoted_csv(arguments.dest_columns | map(attribute='name')) -%}
    {%- set statements = [] -%}
    {%- for piece in insert_pieces(arguments.temp_relation) -%}
        {%- do statements.append(
            "insert into " ~ arguments.target_relation ~ " (" ~ columns ~ ") select " ~ columns ~ " from " ~ arguments.temp_relation
            ~ " where " ~ piece
        ) -%}
    {%- endfor -%}
    {{ together(statements) if statements | length > 1 else statements[0] }}
{%- endmacro %}

{# Contracts name types as DuckDB does; dbt would hand them to BigQuery as they are. #}
{% macro bigquery__get_empty_schema_sql(columns) %}
    {{ return(default__get_empty_schema_sql(bigquery_types(columns))) }}
{% endmacro %}

{% macro bigquery__get_table_columns_and_constraints() -%}
    ({{ adapter.render_raw_columns_constraints(raw_columns=bigquery_types(model['columns'])) | join(', ') }})
{%- endmacro %}
