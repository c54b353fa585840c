{# A short text of 4chan's, such as a subject or a name, without its HTML escapes: it uses these five. #}
{% macro unescaped(column) -%}
    {%- set expression = namespace(sql=column) -%}
    {%- for escape, character in [('&quot;', '"'), ('&#039;', "'"), ('&lt;', '<'), ('&gt;', '>'), ('&amp;', '&')] -%}
        {%- set expression.sql = "replace(" ~ expression.sql ~ ", " ~ pattern(escape) ~ ", " ~ pattern(character) ~ ")" -%}
    {%- endfor -%}
    {{ return(expression.sql) }}
{%- endmacro %}

{# A URL as a site writes it, with or without its own scheme and host, in full. #}
{% macro absolute_url(expression) -%}
    case
        when {{ expression }} like '//%' then 'https:' || {{ expression }}
        when {{ expression }} like '/%' then 'https://' || instance || {{ expression }}
        else {{ expression }}
    end
{%- endmacro %}
