with

loaded as (

    select * from {{ source('raw', 'mods_de_authors') }}
    where {{ every_partition('hour') }}

),

renamed as (

    select
        platform,
        instance,
        community,
        post_id as author_id,

        name as author_name,
        {{ nothing('text') }} as author_avatar,
        {{ json_object({
            'rank': 'rank', 'bars': 'bars', 'status': 'status', 'account': 'account', 'locked': 'is_locked',
            'locked_until': 'locked_until'
        }) }} as author_profile,
        payload,
        content_hash,
        source,
        run_id,
        parse_error,

        {{ nothing('boolean') }} as author_is_bot,

        registered as author_joined_at,
        last_seen as author_seen_at,
        observed_at,
        hour,
        loaded_at

    from loaded

)

select * from renamed
