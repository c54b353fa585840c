{# No two rows have the same `key`. In a normal run it looks only at the partitions that the new `rows` touch, each on its own,
   and there, where a `number` of the key is given, only at the keys of the new rows: no other can have changed. With
   `--vars 'whole: true'` it looks at the whole table. Of a mart it looks at the days or years that are `changed`. Without any
   of these it always looks at the whole table: such a test is tagged daily. #}
{% test unique_key(model, key, partition=none, rows=none, number=none, changed=none) %}
    {%- if changed -%}{%- do ref('changed_' ~ changed) -%}{%- endif -%}
    {%- set touched = partition and not var('whole', false) -%}
    {%- set key = key + [partition] if touched and partition not in key else key -%}
    select {{ key | join(', ') }}, count(*) as copies
    from {{ model }} as known
    where
        {% if touched -%}
        {{ in_partitions('known.' ~ partition, hours_of(rows, partition)) }}
        {%- if number %}
        and known.{{ number }} in (select {{ number }} from {{ rows }})
        {%- endif %}
        {%- elif changed and not var('whole', false) -%}
        {{ changed_rows(changed) }}
        {%- else -%}
        {%- set everywhere = every_partition(partition or 'hour') if partition or 'hour' in key else 'true' -%}
        {{ everywhere }} and {{ passing_number(key) }} in (
            select {{ passing_number(key) }} from {{ model }} where {{ everywhere }} group by 1 having count(*) > 1
        )
        {%- endif %}
    group by {{ key | join(', ') }}
    having count(*) > 1
{% endtest %}
