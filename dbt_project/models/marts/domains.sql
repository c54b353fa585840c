{{ follows('years') }}

select
    known.platform,
    known.instance,
    known.community,

    known.domain,
    known.kind,

    count(*) as links,
    count(distinct known.url) as urls,
    count(distinct known.author_id) as authors,
    known.year,

    min(known.created_at) as first_posted_at,
    max(known.created_at) as last_posted_at
from {{ ref('posted_links') }} as known
where {{ in_changed() }}
group by known.platform, known.instance, known.community, known.domain, known.kind, known.year
