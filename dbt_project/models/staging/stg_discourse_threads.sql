with

loaded as (

    select * from {{ source('raw', 'discourse_threads') }}
    where {{ every_partition('hour') }}

),

renamed as (

    select
        platform,
        instance,
        community,
        thread_id,
        {{ as_text('user_id') }} as author_id,

        {{ nothing('text') }} as author_name,
        title,
        text,
        'https://' || instance || '/t/' || {{ as_text('id') }} as url,
        {{ nothing('text') }} as canonical_url,
        payload,
        content_hash,
        source,
        run_id,
        tags,
        parse_error,

        gone,
        closed as is_closed,
        pinned or pinned_globally as is_pinned,
        archived as is_archived,
        posts_count - 1 as reply_count,
        views as view_count,
        {{ as_number('like_count') }} as score,

        created_at,
        coalesce(last_posted_at, bumped_at) as last_activity_at,
        observed_at,
        hour,
        loaded_at

    from loaded

)

select * from renamed
