{# All rows are on their side of the boundary between posts and history, so that none is in both tables or in neither. In a
   normal run it looks only at the partitions that the new `rows` touch; with `--vars 'whole: true'` at the whole table. #}
{% test on_side_of_boundary(model, side, rows) %}
    select platform, instance, thread_id, created_at
    from {{ model }}
    where
        not ({{ on_side('created_at', side) }})
        and {{ every_partition('created_hour') if var('whole', false) else in_partitions('created_hour', hours_of(rows, 'created_hour')) }}
{% endtest %}
