with

loaded as (

    select * from {{ source('raw', 'observations') }}
    where {{ every_partition('hour') }}

),

renamed as (

    select
        commit_id,
        platform,
        instance,
        community,
        run_id,

        source,
        note,
        error,
        first_id,
        last_id,

        complete,
        posts,
        threads,
        gone,
        parse_errors,
        requests,
        not_modified,
        bytes,
        waited,

        hour,
        observed_at,
        loaded_at

    from loaded

)

select * from renamed
