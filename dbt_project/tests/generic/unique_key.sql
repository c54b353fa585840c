{# No two rows have the same `key`. In a normal run it looks only at the partitions that the new `rows` touch, each on its own;
   with `--vars 'whole: true'` at the whole table. Without `partition` it looks at everything: such a test is tagged daily. #}
{% test unique_key(model, key, partition=none, rows=none) %}
    {%- set touched = partition and not var('whole', false) -%}
    {%- set key = key + [partition] if touched and partition not in key else key -%}
    select {{ key | join(', ') }}, count(*) as copies
    from {{ model }}
    where
        {% if touched -%}
        {{ in_partitions(partition, hours_of(rows, partition)) }}
        {%- else -%}
        {{ passing_number(key) }} in (
            select {{ passing_number(key) }} from {{ model }} group by 1 having count(*) > 1
        )
        {%- endif %}
    group by {{ key | join(', ') }}
    having count(*) > 1
{% endtest %}
