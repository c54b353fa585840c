with

loaded as (

    select * from {{ source('raw', 'discord_threads') }}
    where {{ every_partition('hour') }}

),

renamed as (

    select
        platform,
        instance,
        community,
        thread_id,
        owner_id as author_id,

        {{ nothing('text') }} as author_name,
        name as title,
        text,
        'https://discord.com/channels/' || guild_id || '/' || thread_id as url,
        {{ nothing('text') }} as canonical_url,
        payload,
        content_hash,
        source,
        run_id,
        tags,
        parse_error,

        gone,
        locked as is_closed,
        pinned as is_pinned,
        archived as is_archived,
        message_count as reply_count,
        {{ nothing('integer') }} as view_count,
        {{ nothing('number') }} as score,

        created_at,
        last_message_at as last_activity_at,
        observed_at,
        hour,
        loaded_at

    from loaded

)

select * from renamed
