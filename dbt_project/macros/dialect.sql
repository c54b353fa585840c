{#
    Every difference between SQL dialects lives in this file, and nowhere else.
    To add a warehouse, implement each macro under its prefix.
#}

{# A literal of an instant, from an ISO text in UTC. #}
{% macro instant(iso) %}{{ return(adapter.dispatch('instant', 'threadlake')(iso)) }}{% endmacro %}
{% macro duckdb__instant(iso) %}{{ return("timestamptz '" ~ iso ~ "'") }}{% endmacro %}

{# The UTC hour or month (`part`) in which an instant falls, as an instant. #}
{% macro start_of(part, column) %}{{ return(adapter.dispatch('start_of', 'threadlake')(part, column)) }}{% endmacro %}
{% macro duckdb__start_of(part, column) %}{{ return("date_trunc('" ~ part ~ "', " ~ column ~ ")") }}{% endmacro %}

{# An instant as text that `instant` reads. #}
{% macro instant_text(column) %}{{ return(adapter.dispatch('instant_text', 'threadlake')(column)) }}{% endmacro %}
{% macro duckdb__instant_text(column) %}{{ return("cast(" ~ column ~ " as varchar)") }}{% endmacro %}

{# A value as text. #}
{% macro as_text(column) %}{{ return(adapter.dispatch('as_text', 'threadlake')(column)) }}{% endmacro %}
{% macro duckdb__as_text(column) %}{{ return("cast(" ~ column ~ " as varchar)") }}{% endmacro %}

{# A value as a floating point number. #}
{% macro as_number(column) %}{{ return(adapter.dispatch('as_number', 'threadlake')(column)) }}{% endmacro %}
{% macro duckdb__as_number(column) %}{{ return("cast(" ~ column ~ " as double)") }}{% endmacro %}

{# Nothing, as a text, an integer, a number, an instant or a list of texts: what a platform does not have. #}
{% macro nothing(kind) %}{{ return(adapter.dispatch('nothing', 'threadlake')(kind)) }}{% endmacro %}
{% macro duckdb__nothing(kind) %}
    {%- set types = {
        'text': 'varchar', 'integer': 'bigint', 'number': 'double', 'instant': 'timestamptz', 'texts': 'varchar[]'
    } -%}
    {{ return("cast(null as " ~ types[kind] ~ ")") }}
{% endmacro %}

{# An instant from seconds since 1970. #}
{% macro from_epoch(column) %}{{ return(adapter.dispatch('from_epoch', 'threadlake')(column)) }}{% endmacro %}
{% macro duckdb__from_epoch(column) %}{{ return("to_timestamp(" ~ column ~ ")") }}{% endmacro %}

{# The moment of the statement. #}
{% macro moment() %}{{ return(adapter.dispatch('moment', 'threadlake')()) }}{% endmacro %}
{% macro duckdb__moment() %}{{ return("now()") }}{% endmacro %}

{# The MD5 of a text, in hexadecimal. #}
{% macro md5_text(expression) %}{{ return(adapter.dispatch('md5_text', 'threadlake')(expression)) }}{% endmacro %}
{% macro duckdb__md5_text(expression) %}{{ return("md5(" ~ expression ~ ")") }}{% endmacro %}

{# A number that is equal for equal keys and hardly ever for others: what a whole table is grouped by. #}
{% macro key_number(key) %}{{ return(adapter.dispatch('key_number', 'threadlake')(key)) }}{% endmacro %}
{% macro duckdb__key_number(key) %}{{ return("hash(" ~ key | join(", ") ~ ")") }}{% endmacro %}

{# Runs statements in one transaction: all of them, or none. #}
{% macro run_together(statements) %}{{ return(adapter.dispatch('run_together', 'threadlake')(statements)) }}{% endmacro %}
{% macro duckdb__run_together(statements) %}
    {%- call statement('together', auto_begin=true) -%}{{ statements | join(';\n') }}{%- endcall -%}
    {%- do adapter.commit() -%}
{% endmacro %}
