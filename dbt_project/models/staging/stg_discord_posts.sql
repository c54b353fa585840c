with

loaded as (

    select * from {{ source('raw', 'discord_posts') }}
    where {{ every_partition('hour') }}

),

renamed as (

    select
        platform,
        instance,
        community,
        thread_id,
        post_id,
        author_id,

        coalesce(author_global_name, author_username) as author_name,
        'https://cdn.discordapp.com/avatars/' || author_id || '/' || author_avatar || '.png' as author_avatar,
        {{ json_object({'username': 'author_username', 'discriminator': 'author_discriminator'}) }} as author_profile,
        {{ nothing('text') }} as title,
        text,
        'https://discord.com/channels/' || guild_id || '/' || thread_id || '/' || post_id as url,
        {{ nothing('text') }} as canonical_url,
        payload,
        content_hash,
        source,
        run_id,
        quotes,
        links,
        parse_error,

        gone,
        coalesce(author_bot, false) or webhook_id is not null as author_is_bot,
        -- a forum's thread bears the id of its first message; one made of a message begins with a stand-in for it
        post_id = thread_id or type = 21 as is_opening,
        {{ nothing('integer') }} as reply_count,
        {{ as_number('reaction_count') }} as score,

        created_at,
        edited_timestamp as platform_edited_at,
        -- ids tell when an account was made
        author_created_at as author_joined_at,
        observed_at,
        hour,
        loaded_at

    from loaded

)

select * from renamed
