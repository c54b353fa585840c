with

loaded as (

    select * from {{ source('raw', 'mods_de_threads') }}
    where {{ every_partition('hour') }}

),

renamed as (

    select
        platform,
        instance,
        community,
        thread_id,
        {{ as_text('firstpost_post_user_id') }} as author_id,

        firstpost_post_user as author_name,
        title,
        text,
        'http://forum.mods.de/bb/thread.php?TID=' || thread_id as url,
        {{ nothing('text') }} as canonical_url,
        payload,
        content_hash,
        source,
        run_id,
        tags,
        parse_error,

        gone,
        flags_is_closed as is_closed,
        flags_is_sticky or flags_is_important or flags_is_announcement or flags_is_global as is_pinned,
        {{ nothing('boolean') }} as is_archived,
        number_of_replies as reply_count,
        number_of_hits as view_count,
        {{ nothing('number') }} as score,

        created_at,
        coalesce({{ from_epoch('lastpost_post_date_timestamp') }}, created_at) as last_activity_at,
        observed_at,
        hour,
        loaded_at

    from loaded

)

select * from renamed
