{{ follows('years') }}

select
    known.platform,
    known.instance,
    known.community,
    known.author_id,

    known.domain,
    known.kind,

    count(*) as links,
    known.year
from {{ ref('posted_links') }} as known
where known.author_id is not null and {{ in_changed() }}
group by known.platform, known.instance, known.community, known.author_id, known.domain, known.kind, known.year
having count(*) >= {{ var('minimal_links') }}
