with

loaded as (

    select * from {{ source('raw', 'fourchan_threads') }}
    where {{ every_partition('hour') }}

),

renamed as (

    select
        platform,
        instance,
        community,
        thread_id,
        coalesce(trip, id) as author_id,

        {{ unescaped('name') }} as author_name,
        {{ unescaped('sub') }} as title,
        text,
        'https://boards.4chan.org/' || replace(thread_id, '/', '/thread/') as url,
        {{ nothing('text') }} as canonical_url,
        payload,
        content_hash,
        source,
        run_id,
        case when tag is not null then [tag] end as tags,
        parse_error,

        gone,
        case when not gone then coalesce(closed, 0) = 1 end as is_closed,
        case when not gone then coalesce(sticky, 0) = 1 end as is_pinned,
        case when not gone then coalesce(archived, 0) = 1 end as is_archived,
        replies as reply_count,
        {{ nothing('integer') }} as view_count,
        {{ nothing('number') }} as score,

        created_at,
        {{ from_epoch('last_modified') }} as last_activity_at,
        observed_at,
        hour,
        loaded_at

    from loaded

)

select * from renamed
