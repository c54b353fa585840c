with

loaded as (

    select * from {{ source('raw', 'mods_de_posts') }}
    where {{ every_partition('hour') }}

),

renamed as (

    select
        platform,
        instance,
        community,
        thread_id,
        post_id,
        {{ as_text('user_id') }} as author_id,

        user_name as author_name,
        'http://forum.mods.de/bb/' || replace(nullif(avatar, ''), './', '') as author_avatar,
        {{ json_object({'group_id': 'user_group_id', 'locked': 'user_locked'}) }} as author_profile,
        case when is_opening then in_thread else nullif(message_title, '') end as title,
        text,
        'http://forum.mods.de/bb/thread.php?TID=' || thread_id || '&PID=' || post_id || '#reply_' || post_id as url,
        {{ nothing('text') }} as canonical_url,
        payload,
        content_hash,
        source,
        run_id,
        quotes,
        links,
        parse_error,

        gone,
        {{ nothing('boolean') }} as author_is_bot,
        is_opening,
        {{ nothing('integer') }} as reply_count,
        {{ nothing('number') }} as score,

        created_at,
        {{ from_epoch('message_edited_lastedit_date_timestamp') }} as platform_edited_at,
        {{ nothing('instant') }} as author_joined_at,
        observed_at,
        hour,
        loaded_at

    from loaded

)

select * from renamed
