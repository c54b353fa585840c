{{ config(
    materialized='table',
    post_hook=[
        "delete from {{ ref('changed_hours') }} where true",
        "delete from {{ ref('changed_days') }} where true",
        "delete from {{ ref('changed_years') }} where true",
    ],
) }}
-- Behind all others: when it is made, they all have what changed.
{%- for model in [
    'activity_by_hour', 'activity_by_day', 'activity_by_weekday_hour', 'activity_by_year', 'communities', 'posters_by_day',
    'posters_by_year', 'posters', 'poster_development', 'quotes', 'quote_graph', 'posted_links', 'links', 'domains',
    'domain_posters', 'thread_days', 'thread_lives', 'changes', 'changes_by_year', 'words_by_hour', 'trending_words',
    'trending_threads', 'observed_hours', 'coverage', 'changed_days', 'changed_years',
] %}
-- depends_on: {{ ref(model) }}
{%- endfor %}

select '{{ mart_settings() }}' as settings, {{ moment() }} as built_at
