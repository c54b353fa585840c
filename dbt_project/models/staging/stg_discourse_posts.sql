with

loaded as (

    select * from {{ source('raw', 'discourse_posts') }}
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

        username as author_name,
        {{ absolute_url("replace(avatar_template, '{size}', '240')") }} as author_avatar,
        {{ json_object({
            'name': 'name', 'title': 'user_title', 'trust_level': 'trust_level', 'moderator': 'moderator', 'admin': 'admin'
        }) }} as author_profile,
        case when post_number = 1 then topic_title end as title,
        text,
        'https://' || instance || '/t/' || {{ as_text('topic_id') }} || '/' || {{ as_text('post_number') }} as url,
        {{ nothing('text') }} as canonical_url,
        payload,
        content_hash,
        source,
        run_id,
        quotes,
        links,
        parse_error,

        gone,
        user_id < 0 as author_is_bot,
        post_number = 1 as is_opening,
        reply_count,
        score,

        created_at,
        -- also set by a rebake; without a new version it says nothing
        case when version > 1 then updated_at end as platform_edited_at,
        {{ nothing('instant') }} as author_joined_at,
        observed_at,
        hour,
        loaded_at

    from loaded

)

select * from renamed
