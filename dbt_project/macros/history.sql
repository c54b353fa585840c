{# The move of old rows to the history tables. Which rows: those created before the boundary in `history_boundary`. #}

{# Where the boundary should stand now: a month's begin 384 to 415 days back, so that `posts` spans fewer than the 10,000
   hour partitions BigQuery allows (416 days), with some left for posts whose clock is ahead. As text of an instant. #}
{% macro boundary_for_now() %}
    {%- set now = run_started_at if var('now', none) is none else modules.datetime.datetime.fromisoformat(var('now')) -%}
    {%- set day = now - modules.datetime.timedelta(days=384) -%}
    {{ return(day.strftime('%Y-%m-01 00:00:00+00')) }}
{% endmacro %}

{# The strategy of `history_boundary`: when the boundary is due to advance, copies what it passes to history, advances it, and
   deletes what was copied. It is one transaction: all of it happens, or nothing. #}
{% macro get_incremental_move_to_history_sql(arguments) %}
    {%- set boundary = arguments.target_relation -%}
    {%- set due = run_query(
        "select " ~ instant_text('due.boundary') ~ " as due, " ~ instant_text('stands.boundary') ~ " as stood from " ~ arguments.temp_relation ~ " as due inner join " ~ boundary
        ~ " as stands on due.boundary > stands.boundary"
    ) -%}
    {%- set moves = [] -%}
    {%- for name in ['posts', 'threads'] -%}
        {%- set recent = load_relation(api.Relation.create(boundary.database, boundary.schema, name)) -%}
        {%- set history = load_relation(api.Relation.create(boundary.database, boundary.schema, name ~ '_history')) -%}
        {%- if recent and history -%}{%- do moves.append((recent, history)) -%}{%- endif -%}
    {%- endfor -%}
    {%- if due | length == 0 or moves | length < 2 -%}
        {# Nothing to do; or a first run that was cut off before all four tables stood: the next one moves. #}
        select 1
    {%- else -%}
        {%- set instant_due = instant(due.columns[0].values()[0]) -%}
        {%- set statements = [] -%}
        {%- for recent, history in moves -%}
            {%- set columns = get_quoted_csv(adapter.get_columns_in_relation(recent) | map(attribute='name')) -%}
            {%- do statements.append(
                "insert into " ~ history ~ " (" ~ columns ~ ") select " ~ columns ~ " from " ~ recent ~ " where created_hour < " ~ instant_due
            ) -%}
        {%- endfor -%}
        {%- do statements.append("update " ~ boundary ~ " set boundary = " ~ instant_due ~ " where boundary < " ~ instant_due) -%}
        {%- for recent, history in moves -%}
            {%- for before in steps(due.columns[1].values()[0], due.columns[0].values()[0]) -%}
                {%- do statements.append("delete from " ~ recent ~ " where created_hour < " ~ instant(before)) -%}
            {%- endfor -%}
        {%- endfor -%}
        {{ together(statements) }}
    {%- endif -%}
{% endmacro %}

{# The instants from one to another, the last included, between which no more hours lie than one statement may write. #}
{% macro steps(first, last) %}
    {%- set found = [] -%}
    {%- if most_partitions() -%}
        {%- set begin = modules.datetime.datetime.fromisoformat(first) -%}
        {%- set hours = (modules.datetime.datetime.fromisoformat(last) - begin).total_seconds() // 3600 -%}
        {%- for number in range(1, (hours // most_partitions()) | int + 1) -%}
            {%- set step = begin + modules.datetime.timedelta(hours=number * most_partitions()) -%}
            {%- do found.append(step.strftime('%Y-%m-%d %H:%M:%S+00')) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(found + [last]) }}
{% endmacro %}
