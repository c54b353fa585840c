with

loaded as (

    select * from {{ source('raw', 'lemmy_threads') }}
    where {{ every_partition('hour') }}

),

renamed as (

    select
        platform,
        instance,
        community,
        thread_id,
        {{ as_text('creator_id') }} as author_id,

        coalesce(creator_display_name, creator_name) as author_name,
        name as title,
        text,
        'https://' || instance || '/post/' || {{ as_text('id') }} as url,
        ap_id as canonical_url,
        payload,
        content_hash,
        source,
        run_id,
        {{ nothing('texts') }} as tags,
        parse_error,

        gone or coalesce(deleted, false) or coalesce(removed, false) as gone,
        locked as is_closed,
        featured_community or featured_local as is_pinned,
        {{ nothing('boolean') }} as is_archived,
        comments as reply_count,
        {{ nothing('integer') }} as view_count,
        {{ as_number('score') }} as score,

        created_at,
        coalesce(newest_comment_time, created_at) as last_activity_at,
        observed_at,
        hour,
        loaded_at

    from loaded

)

select * from renamed
