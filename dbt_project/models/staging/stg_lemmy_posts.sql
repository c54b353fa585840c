with

loaded as (

    select * from {{ source('raw', 'lemmy_posts') }}
    where {{ every_partition('hour') }}

),

renamed as (

    select
        platform,
        instance,
        community,
        thread_id,
        post_id,
        {{ as_text('creator_id') }} as author_id,

        coalesce(creator_display_name, creator_name) as author_name,
        creator_avatar as author_avatar,
        {{ json_object({
            'name': 'creator_name', 'actor_id': 'creator_actor_id', 'bio': 'creator_bio', 'banned': 'creator_banned',
            'moderator': 'creator_is_moderator'
        }) }} as author_profile,
        name as title,
        text,
        'https://' || instance || case when post_id like 'p%' then '/post/' else '/comment/' end || {{ as_text('id') }} as url,
        ap_id as canonical_url,
        payload,
        content_hash,
        source,
        run_id,
        quotes,
        links,
        parse_error,

        -- a comment that was deleted stays listed, without its words
        gone or coalesce(deleted, false) or coalesce(removed, false) as gone,
        creator_bot_account as author_is_bot,
        post_id like 'p%' as is_opening,
        coalesce(child_count, comments) as reply_count,
        {{ as_number('score') }} as score,

        created_at,
        updated as platform_edited_at,
        creator_published as author_joined_at,
        observed_at,
        hour,
        loaded_at

    from loaded

)

select * from renamed
