{#
    Every difference between SQL dialects lives in this file, and nowhere else.
    To add a warehouse, implement each macro under its prefix.
#}

{# A literal of an instant, from an ISO text in UTC. #}
{% macro instant(iso) %}{{ return(adapter.dispatch('instant', 'threadlake')(iso)) }}{% endmacro %}
{% macro duckdb__instant(iso) %}{{ return("timestamptz '" ~ iso ~ "'") }}{% endmacro %}
{% macro bigquery__instant(iso) %}{{ return("timestamp '" ~ iso ~ "'") }}{% endmacro %}

{# The UTC hour or month (`part`) in which an instant falls, as an instant. #}
{% macro start_of(part, column) %}{{ return(adapter.dispatch('start_of', 'threadlake')(part, column)) }}{% endmacro %}
{% macro duckdb__start_of(part, column) %}{{ return("date_trunc('" ~ part ~ "', " ~ column ~ ")") }}{% endmacro %}
{% macro bigquery__start_of(part, column) %}{{ return("timestamp_trunc(" ~ column ~ ", " ~ part ~ ")") }}{% endmacro %}

{# An instant as text that `instant` reads. #}
{% macro instant_text(column) %}{{ return(adapter.dispatch('instant_text', 'threadlake')(column)) }}{% endmacro %}
{% macro duckdb__instant_text(column) %}{{ return("cast(" ~ column ~ " as varchar)") }}{% endmacro %}
{% macro bigquery__instant_text(column) %}{{ return("format_timestamp('%Y-%m-%d %H:%M:%S+00', " ~ column ~ ")") }}{% endmacro %}

{# A whole number made of a text: the first 60 bits of its MD5. #}
{% macro number_of_text(text) %}{{ return(adapter.dispatch('number_of_text', 'threadlake')(text)) }}{% endmacro %}
{% macro duckdb__number_of_text(text) %}{{ return("cast('0x' || substr(md5(" ~ text ~ "), 1, 15) as bigint)") }}{% endmacro %}
{% macro bigquery__number_of_text(text) %}
    {{ return("cast('0x' || substr(to_hex(md5(" ~ text ~ ")), 1, 15) as int64)") }}
{% endmacro %}

{# A value as text. #}
{% macro as_text(column) %}{{ return(adapter.dispatch('as_text', 'threadlake')(column)) }}{% endmacro %}
{% macro duckdb__as_text(column) %}{{ return("cast(" ~ column ~ " as varchar)") }}{% endmacro %}
{% macro bigquery__as_text(column) %}{{ return("cast(" ~ column ~ " as string)") }}{% endmacro %}

{# A value as a floating point number. #}
{% macro as_number(column) %}{{ return(adapter.dispatch('as_number', 'threadlake')(column)) }}{% endmacro %}
{% macro duckdb__as_number(column) %}{{ return("cast(" ~ column ~ " as double)") }}{% endmacro %}
{% macro bigquery__as_number(column) %}{{ return("cast(" ~ column ~ " as float64)") }}{% endmacro %}

{# Nothing, as a text, an integer, a number, a boolean, an instant or a list of texts: what a platform does not have. #}
{% macro nothing(kind) %}{{ return(adapter.dispatch('nothing', 'threadlake')(kind)) }}{% endmacro %}
{% macro duckdb__nothing(kind) %}
    {%- set types = {
        'text': 'varchar', 'boolean': 'boolean', 'integer': 'bigint', 'number': 'double', 'instant': 'timestamptz', 'texts': 'varchar[]'
    } -%}
    {{ return("cast(null as " ~ types[kind] ~ ")") }}
{% endmacro %}
{% macro bigquery__nothing(kind) %}
    {%- set types = {
        'text': 'string', 'boolean': 'bool', 'integer': 'int64', 'number': 'float64', 'instant': 'timestamp', 'texts': 'array<string>'
    } -%}
    {{ return("cast(null as " ~ types[kind] ~ ")") }}
{% endmacro %}

{# A contract's columns with their types as the warehouse calls them; in YAML stand DuckDB's. #}
{% macro bigquery_types(columns) %}
    {%- set types = {
        'varchar': 'string', 'boolean': 'bool', 'integer': 'int64', 'bigint': 'int64', 'double': 'float64', 'timestamptz': 'timestamp'
    } -%}
    {%- set named = {} -%}
    {%- for name, column in columns.items() -%}
        {%- set kind = column.data_type | lower -%}
        {%- set type = 'array<' ~ types.get(kind[:-2], kind[:-2]) ~ '>' if kind.endswith('[]') else types.get(kind, kind) -%}
        {%- do named.update({name: dict(column, data_type=type)}) -%}
    {%- endfor -%}
    {{ return(named) }}
{% endmacro %}

{# The JSON text of an object, from its names and the columns that hold its values. #}
{% macro json_object(columns) %}{{ return(adapter.dispatch('json_object', 'threadlake')(columns)) }}{% endmacro %}
{% macro duckdb__json_object(columns) %}
    {%- set parts = [] -%}
    {%- for name, column in columns.items() -%}{%- do parts.append("'" ~ name ~ "', " ~ column) -%}{%- endfor -%}
    {{ return("cast(json_object(" ~ parts | join(", ") ~ ") as varchar)") }}
{% endmacro %}
{% macro bigquery__json_object(columns) %}
    {%- set parts = [] -%}
    {%- for name, column in columns.items() -%}{%- do parts.append(column ~ " as " ~ adapter.quote(name)) -%}{%- endfor -%}
    {{ return("to_json_string(struct(" ~ parts | join(", ") ~ "))") }}
{% endmacro %}

{# An instant from seconds since 1970. #}
{% macro from_epoch(column) %}{{ return(adapter.dispatch('from_epoch', 'threadlake')(column)) }}{% endmacro %}
{% macro duckdb__from_epoch(column) %}{{ return("to_timestamp(" ~ column ~ ")") }}{% endmacro %}
{% macro bigquery__from_epoch(column) %}{{ return("timestamp_seconds(" ~ column ~ ")") }}{% endmacro %}

{# Whether an instant is a whole hour out of these, as numbers since 1970: too many to be literals of a statement. #}
{% macro in_hour_numbers(column, numbers) %}{{ return(adapter.dispatch('in_hour_numbers', 'threadlake')(column, numbers)) }}{% endmacro %}
{% macro duckdb__in_hour_numbers(column, numbers) %}
    {{ return("epoch_ms(" ~ column ~ ") // 3600000 in (select cast(number as bigint) from unnest(string_split('" ~ numbers | join(",") ~ "', ',')) as numbers (number))") }}
{% endmacro %}
{% macro bigquery__in_hour_numbers(column, numbers) %}
    {{ return("cast(div(unix_seconds(" ~ column ~ "), 3600) as string) in unnest(split('" ~ numbers | join(",") ~ "'))") }}
{% endmacro %}

{# The moment of the statement. #}
{% macro moment() %}{{ return(adapter.dispatch('moment', 'threadlake')()) }}{% endmacro %}
{% macro duckdb__moment() %}{{ return("now()") }}{% endmacro %}
{% macro bigquery__moment() %}{{ return("current_timestamp()") }}{% endmacro %}

{# The MD5 of a text, in hexadecimal. #}
{% macro md5_text(expression) %}{{ return(adapter.dispatch('md5_text', 'threadlake')(expression)) }}{% endmacro %}
{% macro duckdb__md5_text(expression) %}{{ return("md5(" ~ expression ~ ")") }}{% endmacro %}
{% macro bigquery__md5_text(expression) %}{{ return("to_hex(md5(" ~ expression ~ "))") }}{% endmacro %}

{# A number that is equal for equal keys and hardly ever for others, good for one statement only: what a whole table is
   grouped by, because tens of millions of keys themselves need several times the memory. #}
{% macro passing_number(key) %}{{ return(adapter.dispatch('passing_number', 'threadlake')(key)) }}{% endmacro %}
{% macro duckdb__passing_number(key) %}{{ return("hash(" ~ key | join(", ") ~ ")") }}{% endmacro %}
{% macro bigquery__passing_number(key) %}
    {%- set parts = [] -%}
    {%- for column in key -%}{%- do parts.append("coalesce(cast(" ~ column ~ " as string), '')") -%}{%- endfor -%}
    {{ return("farm_fingerprint(" ~ parts | join(" || '|' || ") ~ ")") }}
{% endmacro %}

{# A condition on the rows `known` of a relation, for one that reads few columns and leaves few rows. DuckDB reads all columns
   that a statement names of all rows it looks at, unless the few are found first: 5.4 s against 0.9 s of one core for
   2,500 of 50 million (2026-11). #}
{% macro narrowed(relation, condition) %}{{ return(adapter.dispatch('narrowed', 'threadlake')(relation, condition)) }}{% endmacro %}
{% macro duckdb__narrowed(relation, condition) %}
    {{ return("known.rowid in (select known.rowid from " ~ relation ~ " as known where " ~ condition ~ ")") }}
{% endmacro %}
{% macro bigquery__narrowed(relation, condition) %}{{ return(condition) }}{% endmacro %}

{# A condition on a partition column that holds for every row, and one that holds for none. BigQuery refuses a statement on a
   table that requires a filter of its partitions when it names none. #}
{% macro every_partition(column) %}{{ return(adapter.dispatch('every_partition', 'threadlake')(column)) }}{% endmacro %}
{% macro duckdb__every_partition(column) %}{{ return("true") }}{% endmacro %}
{% macro bigquery__every_partition(column) %}{{ return(column ~ " >= timestamp '0001-01-01 00:00:00+00'") }}{% endmacro %}

{% macro no_partition(column) %}{{ return(adapter.dispatch('no_partition', 'threadlake')(column)) }}{% endmacro %}
{% macro duckdb__no_partition(column) %}{{ return("false") }}{% endmacro %}
{% macro bigquery__no_partition(column) %}{{ return(column ~ " = timestamp '0001-01-01 00:00:00+00'") }}{% endmacro %}

{# How many partitions one statement may write; none where there is no limit. BigQuery's is 4,000, of which some are left for
   rows whose time another observation corrects. #}
{% macro most_partitions() %}{{ return(adapter.dispatch('most_partitions', 'threadlake')()) }}{% endmacro %}
{% macro duckdb__most_partitions() %}{{ return(none) }}{% endmacro %}
{% macro bigquery__most_partitions() %}{{ return(var('most_partitions', 3600)) }}{% endmacro %}

{# Statements as one transaction: all of them, or none. #}
{% macro together(statements) %}{{ return(adapter.dispatch('together', 'threadlake')(statements)) }}{% endmacro %}
{# dbt begins one for each model by itself. #}
{% macro duckdb__together(statements) %}{{ return(statements | join(';\n')) }}{% endmacro %}
{% macro bigquery__together(statements) %}
    {{ return("begin transaction;\n" ~ statements | join(";\n") ~ ";\ncommit transaction;") }}
{% endmacro %}

{# Runs statements in one transaction. #}
{% macro run_together(statements) %}{{ return(adapter.dispatch('run_together', 'threadlake')(statements)) }}{% endmacro %}
{% macro duckdb__run_together(statements) %}
    {%- call statement('together', auto_begin=true) -%}{{ together(statements) }}{%- endcall -%}
    {%- do adapter.commit() -%}
{% endmacro %}
{% macro bigquery__run_together(statements) %}
    {%- call statement('together') -%}{{ together(statements) }}{%- endcall -%}
{% endmacro %}

{# -- what marts need: days of the report's time zone, sums, sets, words ------------------------------------------- #}

{# The calendar day of an instant in the report's time zone, as a date. #}
{% macro local_day(column) %}{{ return(adapter.dispatch('local_day', 'threadlake')(column)) }}{% endmacro %}
{% macro duckdb__local_day(column) %}{{ return("cast(" ~ column ~ " at time zone '" ~ report_zone() ~ "' as date)") }}{% endmacro %}
{% macro bigquery__local_day(column) %}{{ return("date(" ~ column ~ ", '" ~ report_zone() ~ "')") }}{% endmacro %}

{# The hour of the day, 0 to 23, of an instant in the report's time zone. #}
{% macro local_hour_of_day(column) %}{{ return(adapter.dispatch('local_hour_of_day', 'threadlake')(column)) }}{% endmacro %}
{% macro duckdb__local_hour_of_day(column) %}
    {{ return("extract(hour from (" ~ column ~ " at time zone '" ~ report_zone() ~ "'))") }}
{% endmacro %}
{% macro bigquery__local_hour_of_day(column) %}
    {{ return("extract(hour from " ~ column ~ " at time zone '" ~ report_zone() ~ "')") }}
{% endmacro %}

{# The instant at which the hour of an instant begins in the report's time zone, which may be half an hour off ours. When
   clocks are set back, two hours of one name stay two. #}
{% macro local_hour(column) %}{{ return(adapter.dispatch('local_hour', 'threadlake')(column)) }}{% endmacro %}
{% macro duckdb__local_hour(column) %}
    {%- set local = "(" ~ column ~ " at time zone '" ~ report_zone() ~ "')" -%}
    {{ return("(" ~ column ~ " - (" ~ local ~ " - date_trunc('hour', " ~ local ~ ")))") }}
{% endmacro %}
{% macro bigquery__local_hour(column) %}
    {{ return("timestamp_trunc(" ~ column ~ ", hour, '" ~ report_zone() ~ "')") }}
{% endmacro %}

{# The day of the week of a date: Monday is 1, Sunday is 7. #}
{% macro weekday_of(day) %}{{ return(adapter.dispatch('weekday_of', 'threadlake')(day)) }}{% endmacro %}
{% macro duckdb__weekday_of(day) %}{{ return("extract(isodow from " ~ day ~ ")") }}{% endmacro %}
{% macro bigquery__weekday_of(day) %}{{ return("mod(extract(dayofweek from " ~ day ~ ") + 5, 7) + 1") }}{% endmacro %}

{# A date as text. #}
{% macro day_text(day) %}{{ return(adapter.dispatch('day_text', 'threadlake')(day)) }}{% endmacro %}
{% macro duckdb__day_text(day) %}{{ return("cast(" ~ day ~ " as varchar)") }}{% endmacro %}
{% macro bigquery__day_text(day) %}{{ return("cast(" ~ day ~ " as string)") }}{% endmacro %}

{# Whole seconds from one instant to another. #}
{% macro seconds_between(first, last) %}{{ return(adapter.dispatch('seconds_between', 'threadlake')(first, last)) }}{% endmacro %}
{% macro duckdb__seconds_between(first, last) %}{{ return("date_sub('second', " ~ first ~ ", " ~ last ~ ")") }}{% endmacro %}
{% macro bigquery__seconds_between(first, last) %}{{ return("timestamp_diff(" ~ last ~ ", " ~ first ~ ", second)") }}{% endmacro %}

{# An instant some minutes later. #}
{% macro minutes_later(column, minutes) %}{{ return(adapter.dispatch('minutes_later', 'threadlake')(column, minutes)) }}{% endmacro %}
{% macro duckdb__minutes_later(column, minutes) %}{{ return("(" ~ column ~ " + interval '" ~ minutes ~ " minutes')") }}{% endmacro %}
{% macro bigquery__minutes_later(column, minutes) %}
    {{ return("timestamp_add(" ~ column ~ ", interval " ~ minutes ~ " minute)") }}
{% endmacro %}

{# The sum of integers, as an integer. #}
{% macro total(expression) %}{{ return(adapter.dispatch('total', 'threadlake')(expression)) }}{% endmacro %}
{% macro duckdb__total(expression) %}{{ return("cast(coalesce(sum(" ~ expression ~ "), 0) as bigint)") }}{% endmacro %}
{% macro bigquery__total(expression) %}{{ return("coalesce(sum(" ~ expression ~ "), 0)") }}{% endmacro %}

{# A small number as the integer that columns have. #}
{% macro as_integer(expression) %}{{ return(adapter.dispatch('as_integer', 'threadlake')(expression)) }}{% endmacro %}
{% macro duckdb__as_integer(expression) %}{{ return("cast(" ~ expression ~ " as bigint)") }}{% endmacro %}
{% macro bigquery__as_integer(expression) %}{{ return("cast(" ~ expression ~ " as int64)") }}{% endmacro %}

{# The different texts of a group that are not null, in order, as a list; an empty one where there is none. #}
{% macro set_of(column) %}{{ return(adapter.dispatch('set_of', 'threadlake')(column)) }}{% endmacro %}
{% macro duckdb__set_of(column) %}
    {{ return("coalesce(array_agg(distinct " ~ column ~ " order by " ~ column ~ ") filter (where " ~ column ~ " is not null), [])") }}
{% endmacro %}
{% macro bigquery__set_of(column) %}
    {{ return("coalesce(array_agg(distinct " ~ column ~ " ignore nulls order by " ~ column ~ "), [])") }}
{% endmacro %}

{# Continues a FROM: a row for each member of a list, which is then called `name`. #}
{% macro each_of(list, name) %}{{ return(adapter.dispatch('each_of', 'threadlake')(list, name)) }}{% endmacro %}
{% macro duckdb__each_of(list, name) %}{{ return("cross join unnest(" ~ list ~ ") as each_" ~ name ~ "(" ~ name ~ ")") }}{% endmacro %}
{% macro bigquery__each_of(list, name) %}{{ return("cross join unnest(" ~ list ~ ") as " ~ name) }}{% endmacro %}

{# The whole numbers, or the instants an hour apart, from first to last, as a list. #}
{% macro numbers_between(first, last) %}{{ return(adapter.dispatch('numbers_between', 'threadlake')(first, last)) }}{% endmacro %}
{% macro duckdb__numbers_between(first, last) %}{{ return("generate_series(" ~ first ~ ", " ~ last ~ ")") }}{% endmacro %}
{% macro bigquery__numbers_between(first, last) %}{{ return("generate_array(" ~ first ~ ", " ~ last ~ ")") }}{% endmacro %}
{% macro hours_between(first, last) %}{{ return(adapter.dispatch('hours_between', 'threadlake')(first, last)) }}{% endmacro %}
{% macro duckdb__hours_between(first, last) %}
    {{ return("generate_series(" ~ first ~ ", " ~ last ~ ", interval '1 hour')") }}
{% endmacro %}
{% macro bigquery__hours_between(first, last) %}
    {{ return("generate_timestamp_array(" ~ first ~ ", " ~ last ~ ", interval 1 hour)") }}
{% endmacro %}

{# A literal of a text, such as a regular expression; both warehouses have RE2. #}
{% macro pattern(text) %}{{ return(adapter.dispatch('pattern', 'threadlake')(text)) }}{% endmacro %}
{% macro duckdb__pattern(text) %}{{ return("'" ~ text | replace("'", "''") ~ "'") }}{% endmacro %}
{% macro bigquery__pattern(text) %}{{ return("'" ~ text | replace("\\", "\\\\") | replace("'", "\\'") ~ "'") }}{% endmacro %}

{# Whether a text holds a match; its first match, or that of the group in it; all of them, as a list; the text without them. #}
{% macro matches(text, regex) %}{{ return(adapter.dispatch('matches', 'threadlake')(text, regex)) }}{% endmacro %}
{% macro duckdb__matches(text, regex) %}{{ return("regexp_matches(" ~ text ~ ", " ~ pattern(regex) ~ ")") }}{% endmacro %}
{% macro bigquery__matches(text, regex) %}{{ return("regexp_contains(" ~ text ~ ", " ~ pattern(regex) ~ ")") }}{% endmacro %}
{% macro first_match(text, regex) %}{{ return(adapter.dispatch('first_match', 'threadlake')(text, regex)) }}{% endmacro %}
{% macro duckdb__first_match(text, regex) %}{{ return("nullif(regexp_extract(" ~ text ~ ", " ~ pattern(regex) ~ ", 1), '')") }}{% endmacro %}
{% macro bigquery__first_match(text, regex) %}{{ return("nullif(regexp_extract(" ~ text ~ ", " ~ pattern(regex) ~ "), '')") }}{% endmacro %}
{% macro all_matches(text, regex) %}{{ return(adapter.dispatch('all_matches', 'threadlake')(text, regex)) }}{% endmacro %}
{% macro default__all_matches(text, regex) %}{{ return("regexp_extract_all(" ~ text ~ ", " ~ pattern(regex) ~ ")") }}{% endmacro %}
{% macro without_matches(text, regex) %}{{ return(adapter.dispatch('without_matches', 'threadlake')(text, regex)) }}{% endmacro %}
{% macro duckdb__without_matches(text, regex) %}
    {{ return("regexp_replace(" ~ text ~ ", " ~ pattern(regex) ~ ", ' ', 'g')") }}
{% endmacro %}
{% macro bigquery__without_matches(text, regex) %}{{ return("regexp_replace(" ~ text ~ ", " ~ pattern(regex) ~ ", ' ')") }}{% endmacro %}

{# What a column of BigQuery is partitioned by: the hours, days or months of instants, the months of days, or whole numbers such as years. #}
{% macro partitions(column, every) %}
    {%- if every == 'number' -%}{{ return("range_bucket(" ~ column ~ ", generate_array(1970, 2200, 1))") }}{%- endif -%}
    {{ return(("date_trunc(" if column == 'day' else "timestamp_trunc(") ~ column ~ ", " ~ every ~ ")") }}
{% endmacro %}
