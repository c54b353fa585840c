{% macro generate_schema_name(custom_schema_name, node) %}{{ custom_schema_name or target.schema }}{% endmacro %}

{% macro in_hours(column) %}
{{ column }} in (
    {%- for hour in var('hours') %}timestamptz '{{ hour | replace('T', ' ') }}:00:00+00'{{ ', ' if not loop.last }}
    {%- else %}null{% endfor %})
{% endmacro %}
