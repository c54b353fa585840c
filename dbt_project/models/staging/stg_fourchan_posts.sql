with

loaded as (

    select * from {{ source('raw', 'fourchan_posts') }}
    where {{ every_partition('hour') }}

),

renamed as (

    select
        platform,
        instance,
        community,
        thread_id,
        post_id,
        coalesce(trip, id) as author_id,

        {{ unescaped('name') }} as author_name,
        {{ nothing('text') }} as author_avatar,
        {{ nothing('text') }} as author_profile,
        {{ unescaped('sub') }} as title,
        text,
        'https://boards.4chan.org/' || replace(thread_id, '/', '/thread/') || '#p' || {{ as_text(adapter.quote('no')) }} as url,
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
        resto = 0 as is_opening,
        {{ nothing('integer') }} as reply_count,
        {{ nothing('number') }} as score,

        created_at,
        {{ nothing('instant') }} as platform_edited_at,
        {{ nothing('instant') }} as author_joined_at,
        observed_at,
        hour,
        loaded_at

    from loaded

)

select * from renamed
