{#
    How statements stay within the partitions that new rows touch, and how they write.

    A warehouse prunes by literals, so the hours of the new rows are asked for first and written into the statement.
#}

{# The hours this run merges, as a condition on raw rows; everything in raw when the run names none. #}
{% macro in_hours(column='hour') -%}
    {%- set hours = var('hours', none) -%}
    {%- if hours is none -%}
        {{ every_partition(column) }}
    {%- else -%}
        {%- set instants = [] -%}
        {%- for hour in hours | sort -%}
            {%- if not modules.re.fullmatch('[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}', hour) -%}
                {{ exceptions.raise_compiler_error("hours: '" ~ hour ~ "' is not an hour like 2026-11-22T13") }}
            {%- endif -%}
            {%- do instants.append(hour | replace('T', ' ') ~ ':00:00+00') -%}
        {%- endfor -%}
        {{ in_spans(column, instants) }}
    {%- endif -%}
{%- endmacro %}

{# On which side of the boundary a time is: `posts` and `threads` on the recent one, their history on the other. #}
{% macro on_side(column, side) -%}
    {{ column }} {{ '<' if side == 'history' else '>=' }} (select boundary from {{ ref('history_boundary') }})
{%- endmacro %}

{# A condition on `known` rows: those in the partitions that the new rows of this run touch, by name. The model says in its
   `meta` where new rows come from (`rows`), what both are partitioned by (`partition`, if at all, `every` hour or month), and on
   which `side` of the boundary it is. #}
{% macro in_touched(side=none) %}
    {%- if not execute -%}{{ return('false') }}{%- endif -%}
    {%- set meta = config.get('meta') -%}
    {%- if meta.partition is none -%}{{ return('true') }}{%- endif -%}
    {%- set hours = hours_of(ref(meta.rows), meta.partition, side or meta.side) -%}
    {{ return(in_partitions('known.' ~ meta.partition, hours)) }}
{% endmacro %}

{# The values of `partition` in this run's new `rows`, as texts of instants, in order. #}
{% macro hours_of(rows, partition, side='any') %}
    {%- if not execute or load_relation(rows) is none -%}{{ return([]) }}{%- endif -%}
    {%- set question -%}
        select distinct {{ partition }} as touched, {{ instant_text(partition) }} as touched_text from {{ rows }}
        where {{ in_hours() if partition == 'hour' else 'true' }}
        {%- if side != 'any' %} and {{ on_side('created_at', side) }}{% endif %}
        order by 1
    {%- endset -%}
    {{ return(asked_once(question).columns[1].values() | list) }}
{% endmacro %}

{# What a question finds that is asked once for a model, however often its SQL needs the answer: BigQuery takes a second for
   each. dbt makes `model` anew for each. #}
{% macro asked_once(question) %}
    {%- set known = model.setdefault('answers', {}) -%}
    {%- if question not in known -%}{%- do known.update({question: run_query(question)}) -%}{%- endif -%}
    {{ return(known[question]) }}
{% endmacro %}

{# A condition that names partitions as literals. Beyond 2,000 of them it names the span from the first to the last: the
   text of a statement is limited, and so many hours are a history's, which lie together. #}
{% macro in_partitions(column, hours) -%}
    {%- if hours | length == 0 -%}
        {{ no_partition(column) }}
    {%- elif hours | length > 2000 -%}
        {{ column }} between {{ instant(hours | first) }} and {{ instant(hours | last) }}
    {%- else -%}
        {{ column }} in (
            {%- for hour in hours %}{{ instant(hour) }}{{ ', ' if not loop.last }}{% endfor -%}
        )
    {%- endif -%}
{%- endmacro %}

{# The same of many hours, exactly, as text of instants in order: those that follow one another are named as a span. #}
{% macro in_spans(column, hours) -%}
    {%- if hours | length <= 48 -%}
        {{ in_partitions(column, hours) }}
    {%- else -%}
        {%- set spans = [] -%}
        {%- set hour = modules.datetime.timedelta(hours=1) -%}
        {%- for text in hours -%}
            {%- set moment = modules.datetime.datetime.fromisoformat(text) -%}
            {%- if spans and moment - spans[-1][-1] <= hour -%}
                {%- do spans[-1].append(moment) -%}
            {%- else -%}
                {%- do spans.append([moment]) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- if spans | length <= 100 -%}
        (
            {%- for span in spans -%}
                {{ column }} between {{ instant(span[0].strftime('%Y-%m-%d %H:00:00+00')) }} and {{ instant(span[-1].strftime('%Y-%m-%d %H:00:00+00')) }}
                {{- ' or ' if not loop.last }}
            {%- endfor -%}
        )
        {%- else -%}
            {%- set numbers = [] -%}
            {%- for span in spans -%}
                {%- for moment in span -%}{%- do numbers.append((moment.timestamp() / 3600) | int) -%}{%- endfor -%}
            {%- endfor -%}
            {{ column }} between {{ instant(hours | first) }} and {{ instant(hours | last) }} and {{ in_hour_numbers(column, numbers) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# The strategy of the clean tables: replaces what the model read of its own table (see `known`) by what it returns. DuckDB's
   MERGE rewrites every column of a row group: at 50 million rows 11.2 s against 0.6 s (2026-11). On BigQuery it comes in as
   many statements as its limit of partitions asks for, all in one transaction. #}
{% macro get_incremental_replace_keys_sql(arguments) -%}
    {%- set target = arguments.target_relation -%}
    {%- set fresh = arguments.temp_relation -%}
    {%- set columns = get_quoted_csv(arguments.dest_columns | map(attribute='name')) -%}
    {%- set meta = config.get('meta') -%}
    {%- set statements = [] -%}
    {%- if meta.partition is not none and most_partitions() -%}
        {%- set pieces = in_pieces(hours_of(ref(meta.rows), meta.partition, meta.side)) -%}
        {%- for hours in pieces -%}
            {%- do statements.append("delete from " ~ target ~ " as known where " ~ has_number_in(fresh, hours)) -%}
        {%- endfor -%}
    {%- else -%}
        {%- do statements.append("delete from " ~ target ~ " as known where " ~ has_number(fresh)) -%}
    {%- endif -%}
    {%- for piece in insert_pieces(fresh) -%}
        {%- do statements.append("insert into " ~ target ~ " (" ~ columns ~ ") select " ~ columns ~ " from " ~ fresh ~ " where " ~ piece) -%}
    {%- endfor -%}
    {{ together(statements) }}
{%- endmacro %}

{# Hours in pieces that one statement may write. #}
{% macro in_pieces(hours) %}
    {%- if not most_partitions() or hours | length <= most_partitions() -%}{{ return([hours]) }}{%- endif -%}
    {{ return(hours | batch(most_partitions()) | list) }}
{% endmacro %}

{# Conditions on the rows of `fresh`: together all of them, each in no more partitions than one statement may write. #}
{% macro insert_pieces(fresh) %}
    {%- set meta = config.get('meta') or {} -%}
    {%- set column = meta.partition -%}
    {%- set pieces = in_pieces(hours_in(fresh, column)) if most_partitions() and meta.every in ['hour', 'day'] else [] -%}
    {%- set conditions = [] -%}
    {%- for hours in pieces if pieces | length > 1 -%}
        {%- do conditions.append(column ~ " between " ~ instant(hours | first) ~ " and " ~ instant(hours | last)) -%}
    {%- endfor -%}
    {{ return(conditions or ['true']) }}
{% endmacro %}

{# The values of a column of a relation, as texts of instants, in order. #}
{% macro hours_in(relation, column) %}
    {%- set question = "select distinct " ~ column ~ ", " ~ instant_text(column) ~ " as found from " ~ relation ~ " order by 1" -%}
    {{ return(run_query(question).columns[1].values() | list) }}
{% endmacro %}
