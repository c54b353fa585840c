{{ follows('words') }}

with

posts as (

    select platform, instance, community, post_id, text, created_hour as hour, {{ local_day('created_at') }} as day
    from {{ ref('posts') }} as known
    where
        {%- if only_changed() %}
        {{ in_partitions('known.created_hour', changed_hours_of('posts')) }}
        {%- else %}
        {{ every_partition('known.created_hour') }}
        {%- endif %}
        and {{ local_day('created_at') }} >= {{ day_before(13) }}

),

words as (

    select distinct posts.platform, posts.instance, posts.community, posts.post_id, posts.hour, posts.day, word
    from posts {{ each_of(words_of('posts.text'), 'word') }}
    where
        length(word) between {{ var('shortest_word') }} and {{ var('longest_word') }}
        and word not in ({% for word in var('stop_words').split() %}{{ pattern(word) }}{{ ', ' if not loop.last }}{% endfor %})

)

select
    platform,
    instance,
    community,

    word,

    count(*) as posts,

    day,
    hour
from words
group by platform, instance, community, word, day, hour
