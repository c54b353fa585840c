{{ follows('years') }}

with

edges as (

    select
        known.platform, known.instance, known.community, known.author_id, known.quoted_author_id, known.year,
        count(*) as quotes,
        min(known.created_at) as first_at,
        max(known.created_at) as last_at
    from {{ ref('quotes') }} as known
    where known.author_id is not null and known.quoted_author_id is not null and {{ in_changed() }}
    group by
        known.platform, known.instance, known.community, known.author_id, known.quoted_author_id, known.year

),

compared as (

    select
        edges.*,
        max(edges.quotes) over (partition by edges.platform, edges.instance, edges.community, edges.year) as strongest
    from edges

)

select
    platform,
    instance,
    community,
    author_id,
    quoted_author_id,

    quotes,
    quotes / strongest as intensity,
    year,

    first_at,
    last_at
from compared
where quotes >= {{ var('minimal_quotes') }}
