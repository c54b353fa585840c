with

source as (

    select * from {{ source('raw', 'discourse_posts') }}

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
        case when post_number = 1 then topic_title end as title,
        text,
        'https://' || instance || '/t/' || {{ as_text('topic_id') }} || '/' || {{ as_text('post_number') }} as url,
        payload,
        content_hash,
        source,
        run_id,
        quotes,
        links,
        parse_error,

        gone,
        post_number = 1 as is_opening,
        reply_count,
        score,

        created_at,
        -- also set by a rebake; without a new version it says nothing
        case when version > 1 then updated_at end as platform_edited_at,
        observed_at,
        hour,
        loaded_at

    from source

)

select * from renamed
