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

{# A whole number made of a text: the first 60 bits of its MD5. #}
{% macro number_of_text(text) %}{{ return(adapter.dispatch('number_of_text', 'threadlake')(text)) }}{% endmacro %}
{% macro duckdb__number_of_text(text) %}{{ return("cast('0x' || substr(md5(" ~ text ~ "), 1, 15) as bigint)") }}{% endmacro %}

{# A value as text. #}
{% macro as_text(column) %}{{ return(adapter.dispatch('as_text', 'threadlake')(column)) }}{% endmacro %}
{% macro duckdb__as_text(column) %}{{ return("cast(" ~ column ~ " as varchar)") }}{% endmacro %}

{# A value as a floating point number. #}
{% macro as_number(column) %}{{ return(adapter.dispatch('as_number', 'threadlake')(column)) }}{% endmacro %}
{% macro duckdb__as_number(column) %}{{ return("cast(" ~ column ~ " as double)") }}{% endmacro %}

{# Nothing, as a text, an integer, a number, a boolean, an instant or a list of texts: what a platform does not have. #}
{% macro nothing(kind) %}{{ return(adapter.dispatch('nothing', 'threadlake')(kind)) }}{% endmacro %}
{% macro duckdb__nothing(kind) %}
    {%- set types = {
        'text': 'varchar', 'boolean': 'boolean', 'integer': 'bigint', 'number': 'double', 'instant': 'timestamptz', 'texts': 'varchar[]'
    } -%}
    {{ return("cast(null as " ~ types[kind] ~ ")") }}
{% endmacro %}

{# The JSON text of an object, from its names and the columns that hold its values. #}
{% macro json_object(columns) %}{{ return(adapter.dispatch('json_object', 'threadlake')(columns)) }}{% endmacro %}
{% macro duckdb__json_object(columns) %}
    {%- set parts = [] -%}
    {%- for name, column in columns.items() -%}{%- do parts.append("'" ~ name ~ "', " ~ column) -%}{%- endfor -%}
    {{ return("cast(json_object(" ~ parts | join(", ") ~ ") as varchar)") }}
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

{# A number that is equal for equal keys and hardly ever for others, good for one statement only: what a whole table is
   grouped by, because tens of millions of keys themselves need several times the memory. #}
{% macro passing_number(key) %}{{ return(adapter.dispatch('passing_number', 'threadlake')(key)) }}{% endmacro %}
{% macro duckdb__passing_number(key) %}{{ return("hash(" ~ key | join(", ") ~ ")") }}{% endmacro %}

{# A condition on the rows `known` of a relation, for one that reads few columns and leaves few rows. DuckDB reads all columns
   that a statement names of all rows it looks at, unless the few are found first: 5.4 s against 0.9 s of one core for
   2,500 of 50 million (2026-11). #}
{% macro narrowed(relation, condition) %}{{ return(adapter.dispatch('narrowed', 'threadlake')(relation, condition)) }}{% endmacro %}
{% macro duckdb__narrowed(relation, condition) %}
    {{ return("known.rowid in (select known.rowid from " ~ relation ~ " as known where " ~ condition ~ ")") }}
{% endmacro %}

{# Runs statements in one transaction: all of them, or none. #}
{% macro run_together(statements) %}{{ return(adapter.dispatch('run_together', 'threadlake')(statements)) }}{% endmacro %}
{% macro duckdb__run_together(statements) %}
    {%- call statement('together', auto_begin=true) -%}{{ statements | join(';\n') }}{%- endcall -%}
    {%- do adapter.commit() -%}
{% endmacro %}
