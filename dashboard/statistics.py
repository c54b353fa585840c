"""The statistics: a view over each mart, with the chart that fits it. Times are those of the marts: days and
weekdays are the report's time zone's, instants are UTC.
"""

from collections.abc import Sequence
from typing import Any

from dashboard import charts
from dashboard.queries import COMMUNITY, PLATFORM
from dashboard.reader import Row
from dashboard.views import Asked, Filter, View

YEAR = Filter("year", "year = $year", "number", "Year")
FROM_DAY, TO_DAY = (
    Filter("since", "day >= cast($since as date)", "time", "From"),
    Filter("until", "day < cast($until as date)", "time", "Until"),
)
AUTHOR = Filter("author", "author_id = $author", label="Author's id")
INSTANCE = Filter("instance", "instance = $instance", label="Instance")
KIND = Filter("kind", "kind = $kind", "choice", "Kind", ("link", "image", "video"))
MEASURES = ("posts", "edits", "deletions", "threads", "mean_length")
MEASURE = Filter("measure", "", "choice", "Chart of", MEASURES, default="posts")
SUMS = """
    cast(sum(posts) as int64) as posts, cast(sum(edits) as int64) as edits,
    cast(sum(deletions) as int64) as deletions, cast(sum(threads) as int64) as threads,
    sum(text_length) / nullif(sum(texts), 0) as mean_length
"""
NAMES = "(select platform, instance, author_id, author_name from clean.authors)"
DELAYS = {
    0: "< 1 min",
    60: "1 min",
    300: "5 min",
    3600: "1 h",
    21600: "6 h",
    86400: "1 day",
    604800: "1 week",
    2592000: "30 days",
}


def _measure(asked: Asked) -> str:
    return asked.texts.get("measure", "posts")


def _named(rows: Sequence[Row], *columns: str) -> list[dict[str, Any]]:
    """Rows with a `name` of the first of these columns that has one."""
    return [{**row, "name": next((row[one] for one in columns if row.get(one)), "Anonymous")} for row in rows]


def _reversed(rows: Sequence[Row]) -> list[Row]:
    return list(reversed(rows))


HOURS = View(
    "hours",
    "By hour",
    "A row is an hour of a community; the authors of hours cannot be added up.",
    """
    select platform, instance, community, hour, posts, edits, deletions, threads, authors,
        text_length / nullif(texts, 0) as mean_length
    from marts.activity_by_hour where {where}
    """,
    key=("platform", "instance", "community"),
    order="-hour",
    filters=(
        MEASURE,
        PLATFORM,
        COMMUNITY,
        Filter("since", "hour >= $since", "time", "From"),
        Filter("until", "hour < $until", "time", "Until"),
    ),
    needs=("marts.activity_by_hour",),
    hidden=("platform", "instance"),
    chart_rows=1000,
    chart_order="-hour",
    chart=lambda rows, asked: charts.lines(
        _reversed(rows), "hour", _measure(asked), "community", _measure(asked).replace("_", " ")
    ),
)

DAYS = View(
    "days",
    "By day",
    "A row is a day of all chosen communities.",
    f"select day, {SUMS} from marts.activity_by_day where {{where}} group by day",
    key=("day",),
    order="-day",
    filters=(MEASURE, PLATFORM, COMMUNITY, YEAR, FROM_DAY, TO_DAY),
    needs=("marts.activity_by_day",),
    chart_rows=366 * 4,
    chart_order="-day",
    chart=lambda rows, asked: charts.calendar(
        _reversed(rows), "day", _measure(asked), _measure(asked).replace("_", " ")
    ),
)

WEEKDAYS = View(
    "weekdays",
    "By weekday and hour",
    "A row is an hour of the week, Monday is 1, in all chosen communities.",
    f"select weekday, hour_of_day, {SUMS} from marts.activity_by_weekday_hour where {{where}} group by 1, 2",
    key=("weekday", "hour_of_day"),
    order="weekday",
    filters=(MEASURE, PLATFORM, COMMUNITY, YEAR),
    needs=("marts.activity_by_weekday_hour",),
    chart=lambda rows, asked: charts.week(
        rows, "weekday", "hour_of_day", _measure(asked), _measure(asked).replace("_", " ")
    ),
)

YEARS = View(
    "years",
    "By year",
    "A row is a year of a community, with how many wrote in it.",
    """
    select platform, instance, community, year, posts, edits, deletions, threads, authors, active_days,
        text_length / nullif(texts, 0) as mean_length
    from marts.activity_by_year where {where}
    """,
    key=("platform", "instance", "community"),
    order="-year",
    filters=(MEASURE, PLATFORM, COMMUNITY, YEAR),
    needs=("marts.activity_by_year",),
    hidden=("platform", "instance"),
    chart_order="year",
    chart=lambda rows, asked: charts.stacked(
        rows, "year", _measure(asked), "community", _measure(asked).replace("_", " ")
    ),
)

COMMUNITIES = View(
    "community-totals",
    "Communities compared",
    "A row is a community, everything of it that is known.",
    """
    select platform, instance, community, posts, authors, threads, edits, deletions, text_length / nullif(texts, 0)
    as mean_length,
        hours_complete, hours_not_complete, first_post_at, last_post_at
    from marts.communities where {where}
    """,
    key=("platform", "instance", "community"),
    order="-posts",
    filters=(PLATFORM,),
    needs=("marts.communities",),
    hidden=("platform", "instance"),
    chart=lambda rows, asked: charts.ranks(rows, "community", "posts", "posts"),
)

ACTIVE = View(
    "active-posters",
    "Active posters",
    "A row is a community; whoever wrote on several days of the period counts once.",
    """
    select platform, instance, community, count(distinct author_id) as posters, cast(sum(posts) as int64) as posts,
        count(distinct day) as days, min(day) as first_day, max(day) as last_day
    from marts.posters_by_day where {where} group by platform, instance, community
    """,
    overall="""
    select platform, instance, community, people.posters, people.posts, days.days, days.first_day, days.last_day
    from (
        select platform, instance, community, count(distinct author_id) as posters, cast(sum(posts) as int64) as posts
        from marts.posters_by_year where active_days > 0 and {where} group by platform, instance, community
    ) as people
    join (
        select platform, instance, community, count(*) as days, min(day) as first_day, max(day) as last_day
        from marts.activity_by_day where authors > 0 and {where} group by platform, instance, community
    ) as days using (platform, instance, community)
    """,
    key=("platform", "instance", "community"),
    order="-posters",
    filters=(PLATFORM, COMMUNITY, YEAR, FROM_DAY, TO_DAY),
    needs=("marts.posters_by_day", "marts.posters_by_year", "marts.activity_by_day"),
    hidden=("platform", "instance"),
    chart=lambda rows, asked: charts.ranks(rows, "community", "posters", "posters"),
)

POSTERS = View(
    "posters",
    "Posters",
    "A row is somebody in a community, over all years or those chosen.",
    f"""
    select found.platform, found.instance, found.community, found.author_id, names.author_name, found.posts,
    found.edits,
        found.deletions, found.mean_length, found.threads, found.times_quoted, found.times_quoting, found.active_days,
        found.first_post_at, found.last_post_at
    from (
        select platform, instance, community, author_id, {SUMS}, cast(sum(times_quoted) as int64) as times_quoted,
            cast(sum(times_quoting) as int64) as times_quoting, cast(sum(active_days) as int64) as active_days,
            min(first_post_at) as first_post_at, max(last_post_at) as last_post_at
        from marts.posters_by_year where {{where}} group by platform, instance, community, author_id
    ) as found
    left join {NAMES} as names
        on found.platform = names.platform and found.instance = names.instance and found.author_id = names.author_id
    """,
    key=("platform", "instance", "community", "author_id"),
    order="-posts",
    overall="""
    select platform, instance, community, author_id, author_name, posts, edits, deletions, mean_length, threads,
        times_quoted, times_quoting, active_days, first_post_at, last_post_at
    from marts.posters where {where}
    """,
    filters=(
        PLATFORM,
        INSTANCE,
        COMMUNITY,
        YEAR,
        AUTHOR,
        Filter("min_posts", "posts >= $min_posts", "number", "Posts at least", outer=True),
    ),
    needs=("marts.posters_by_year", "marts.posters", "clean.authors"),
    hidden=("platform", "instance", "author_id"),
    chart_rows=25,
    chart=lambda rows, asked: charts.ranks(
        _named(rows, "author_name", "author_id"), "name", _counted(asked), _counted(asked).replace("_", " ")
    ),
)


def _counted(asked: Asked) -> str:
    """The column that a ranking is drawn of: the one it is sorted by, if it is a number."""
    column = asked.sort.removeprefix("-")
    numbers = ("posts", "edits", "deletions", "mean_length", "threads", "times_quoted", "times_quoting", "active_days")
    return column if column in numbers else "posts"


POSTER_YEARS = View(
    "poster-years",
    "A poster over the years",
    "A row is a year of somebody in a community, from the first to the last, silent years too.",
    f"""
    select found.platform, found.instance, found.community, found.author_id, names.author_name, found.year,
    found.posts, found.edits,
        found.mean_length, found.threads, found.times_quoted, found.times_quoting, found.active_days
    from (select * from marts.poster_development where {{where}}) as found
    left join {NAMES} as names
        on found.platform = names.platform and found.instance = names.instance and found.author_id = names.author_id
    """,
    key=("platform", "instance", "community", "author_id"),
    order="-year",
    filters=(PLATFORM, INSTANCE, COMMUNITY, AUTHOR, YEAR),
    needs=("marts.poster_development", "clean.authors"),
    hidden=("platform", "instance", "author_id"),
    chart_order="year",
    chart=lambda rows, asked: (
        charts.stacked(rows, "year", "posts", "community", "posts") if "author" in asked.values else None
    ),
)

QUOTES = View(
    "quote-graph",
    "Who quotes whom",
    "A row is somebody who answered or quoted somebody; intensity is against the strongest pair.",
    f"""
    select found.platform, found.instance, found.community, found.author_id, froms.author_name, found.quoted_author_id,
        tos.author_name as quoted_author_name, found.quotes, found.quotes / max(found.quotes) over () as intensity,
        found.first_at, found.last_at
    from (
        select platform, instance, community, author_id, quoted_author_id, cast(sum(quotes) as int64) as quotes,
            min(first_at) as first_at, max(last_at) as last_at
        from marts.quote_graph where {{where}} group by platform, instance, community, author_id, quoted_author_id
    ) as found
    left join {NAMES} as froms
        on found.platform = froms.platform and found.instance = froms.instance and found.author_id = froms.author_id
    left join {NAMES} as tos
        on found.platform = tos.platform and found.instance = tos.instance and found.quoted_author_id = tos.author_id
    """,
    key=("platform", "instance", "community", "author_id", "quoted_author_id"),
    order="-quotes",
    filters=(
        PLATFORM,
        COMMUNITY,
        YEAR,
        Filter("author", "author_id = $author or quoted_author_id = $author", label="Author's id"),
        Filter("min_quotes", "quotes >= $min_quotes", "number", "Quotes at least", outer=True),
    ),
    needs=("marts.quote_graph", "clean.authors"),
    hidden=("platform", "instance", "author_id", "quoted_author_id"),
    chart_rows=70,
    chart_order="-quotes",
    chart=lambda rows, asked: charts.graph(_edges(rows), "from", "to", "quotes", "quotes"),
)


def _edges(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [
        {
            "from": row["author_name"] or row["author_id"],
            "to": row["quoted_author_name"] or row["quoted_author_id"],
            "quotes": row["quotes"],
        }
        for row in rows
    ]


DOMAINS = View(
    "link-domains",
    "Domains",
    "A row is a domain that links, images or videos of the chosen communities lead to.",
    """
    select domain, kind, cast(sum(links) as int64) as links, count(distinct community) as communities,
        min(first_posted_at) as first_posted_at, max(last_posted_at) as last_posted_at
    from marts.domains where {where} group by domain, kind
    """,
    key=("domain", "kind"),
    order="-links",
    filters=(PLATFORM, COMMUNITY, YEAR, KIND, Filter("domain", "domain = $domain", label="Domain")),
    needs=("marts.domains",),
    chart_rows=25,
    chart_order="-links",
    chart=lambda rows, asked: charts.ranks(rows, "domain", "links", "links"),
)

LINKS = View(
    "links",
    "Links",
    "A row is an address, with in how many posts it stands.",
    """
    select url, domain, kind, cast(sum(posts) as int64) as posts, min(first_posted_at) as first_posted_at,
        max(last_posted_at) as last_posted_at
    from marts.links where {where} group by url, domain, kind
    """,
    key=("url", "domain", "kind"),
    order="-posts",
    filters=(PLATFORM, COMMUNITY, YEAR, KIND, Filter("domain", "domain = $domain", label="Domain")),
    needs=("marts.links",),
    chart_rows=25,
    chart_order="-posts",
    chart=lambda rows, asked: charts.ranks(rows, "url", "posts", "posts"),
)

DOMAIN_POSTERS = View(
    "domain-posters",
    "Who posts which domain",
    "A row is somebody and a domain that they linked to.",
    f"""
    select found.platform, found.instance, found.community, found.author_id, names.author_name, found.domain,
    found.kind, found.links
    from (
        select platform, instance, community, author_id, domain, kind, cast(sum(links) as int64) as links
        from marts.domain_posters where {{where}} group by platform, instance, community, author_id, domain, kind
    ) as found
    left join {NAMES} as names
        on found.platform = names.platform and found.instance = names.instance and found.author_id = names.author_id
    """,
    key=("platform", "instance", "community", "author_id", "domain", "kind"),
    order="-links",
    filters=(PLATFORM, COMMUNITY, YEAR, KIND, AUTHOR, Filter("domain", "domain = $domain", label="Domain")),
    needs=("marts.domain_posters", "clean.authors"),
    hidden=("platform", "instance", "author_id"),
    chart_rows=150,
    chart_order="-links",
    chart=lambda rows, asked: charts.heat(_crossed(rows), "domain", "name", "links", "links"),
)


def _crossed(rows: Sequence[Row], most: int = 14) -> list[dict[str, Any]]:
    """Of the strongest pairs, those of the first few domains and people."""
    named = _named(rows, "author_name", "author_id")
    domains = list(dict.fromkeys(row["domain"] for row in named))[:most]
    people = list(dict.fromkeys(row["name"] for row in named))[:most]
    return [
        {**row, "domain": row["domain"][:18]} for row in named if row["domain"] in domains and row["name"] in people
    ]


LIVES = View(
    "thread-lives",
    "Lives of threads",
    "A row is a thread: how long it lived, who took part, how soon somebody answered.",
    """
    select platform, instance, community, thread_id, title, posts, replies, participants,
        lifetime_seconds / 3600.0 as hours_lived, seconds_to_first_reply / 60.0 as minutes_to_first_reply, deletions,
        is_over, hour_of_death, created_at, last_post_at
    from marts.thread_lives where {where}
    """,
    key=("platform", "instance", "thread_id"),
    order="-replies",
    filters=(
        PLATFORM,
        COMMUNITY,
        YEAR,
        Filter("over", "is_over = $over", "switch", "Over"),
        Filter("min_replies", "replies >= $min_replies", "number", "Replies at least"),
    ),
    needs=("marts.thread_lives",),
    hidden=("platform", "instance", "thread_id"),
    chart_rows=20,
    chart=lambda rows, asked: charts.ranks(
        _named(rows, "title", "thread_id"), "name", _of_life(asked), _of_life(asked).replace("_", " ")
    ),
)


def _of_life(asked: Asked) -> str:
    column = asked.sort.removeprefix("-")
    return (
        column
        if column in ("posts", "replies", "participants", "hours_lived", "minutes_to_first_reply", "deletions")
        else "replies"
    )


DEATHS = View(
    "thread-deaths",
    "When threads die",
    "A row is an hour of the day in which the last post of threads was written that are over.",
    """
    select hour_of_death as hour_of_day, count(*) as threads, avg(lifetime_seconds) / 3600.0 as mean_hours_lived,
        avg(replies) as mean_replies
    from marts.thread_lives where hour_of_death is not null and {where} group by hour_of_death
    """,
    key=("hour_of_day",),
    order="hour_of_day",
    filters=(PLATFORM, COMMUNITY, YEAR),
    needs=("marts.thread_lives",),
    chart_order="hour_of_day",
    chart=lambda rows, asked: charts.bars(rows, "hour_of_day", "threads", "threads"),
)

CHANGES = View(
    "changes",
    "Edits and deletions",
    "A row is a class of delay, by its beginning in seconds: after so long posts were edited or seen gone.",
    """
    select kind, delay_from, cast(sum(posts) as int64) as posts, sum(delay_sum) / sum(posts) as mean_delay_seconds,
        sum(posts) / sum(sum(posts)) over (partition by kind) as share
    from marts.changes where {where} group by kind, delay_from
    """,
    key=("kind", "delay_from"),
    order="kind",
    filters=(
        PLATFORM,
        COMMUNITY,
        YEAR,
        FROM_DAY,
        TO_DAY,
        Filter("change", "kind = $change", "choice", "Kind", ("edit", "deletion")),
    ),
    needs=("marts.changes",),
    chart_order="delay_from",
    chart=lambda rows, asked: charts.stacked(
        [{**row, "delay": DELAYS.get(row["delay_from"], f"{row['delay_from']} s")} for row in rows],
        "delay",
        "posts",
        "kind",
        "posts",
    ),
)

CHANGES_BY_YEAR = View(
    "changes-by-year",
    "Share of edits and deletions",
    "A row is a year of a community: which share of its posts was edited or deleted.",
    """
    select platform, instance, community, kind, year, cast(sum(posts) as int64) as posts, max(of_posts) as of_posts,
        sum(share_of_posts) as share
    from marts.changes_by_year where {where} group by platform, instance, community, kind, year
    """,
    key=("platform", "instance", "community", "kind"),
    order="-year",
    filters=(PLATFORM, COMMUNITY, YEAR, Filter("change", "kind = $change", "choice", "Kind", ("edit", "deletion"))),
    needs=("marts.changes_by_year",),
    hidden=("platform", "instance"),
    chart=lambda rows, asked: charts.stacked(rows, "community", "posts", "kind", "posts"),
)

WORDS = View(
    "trending-words",
    "Trending words",
    "A row is a word of a community that stands in more posts this week than the week before.",
    """
    select platform, instance, community, word, posts, posts_before, score, trend_rank, as_of
    from marts.trending_words where {where}
    """,
    key=("platform", "instance", "community", "word"),
    order="-score",
    filters=(PLATFORM, COMMUNITY),
    needs=("marts.trending_words",),
    hidden=("platform", "instance"),
    chart_rows=25,
    chart_order="-score",
    chart=lambda rows, asked: charts.ranks(rows, "word", "posts", "posts"),
)

TRENDING = View(
    "trending-threads",
    "Trending threads",
    "A row is a thread that drew more posts this week than the week before.",
    """
    select platform, instance, community, thread_id, title, posts, posts_before, score, trend_rank, as_of
    from marts.trending_threads where {where}
    """,
    key=("platform", "instance", "community", "thread_id"),
    order="-score",
    filters=(PLATFORM, COMMUNITY),
    needs=("marts.trending_threads",),
    hidden=("platform", "instance", "thread_id"),
    chart_rows=25,
    chart_order="-score",
    chart=lambda rows, asked: charts.ranks(_named(rows, "title", "thread_id"), "name", "posts", "posts"),
)

COVERAGE = View(
    "coverage",
    "Coverage",
    "A row is an hour of a community: complete, incomplete, failed or missing.",
    """
    select platform, instance, community, hour, state, readings, failures, posts, error, first_complete_at,
    last_observed_at
    from marts.coverage where {where}
    """,
    key=("platform", "instance", "community"),
    order="-hour",
    filters=(
        PLATFORM,
        COMMUNITY,
        Filter("state", "state = $state", "choice", "State", ("complete", "incomplete", "failed", "missing")),
        Filter("since", "hour >= $since", "time", "From"),
        Filter("until", "hour < $until", "time", "Until"),
    ),
    needs=("marts.coverage",),
    hidden=("platform", "instance"),
    chart_rows=2000,
    chart_order="-hour",
    chart=lambda rows, asked: charts.states(_reversed(rows), "hour", "community", "state"),
)

GROUPS = (
    ("Activity", (HOURS, DAYS, WEEKDAYS, YEARS, COMMUNITIES)),
    ("People", (POSTERS, ACTIVE, POSTER_YEARS, QUOTES)),
    ("Links", (DOMAINS, LINKS, DOMAIN_POSTERS)),
    ("Threads and trends", (WORDS, TRENDING, LIVES, DEATHS)),
    ("Edits, deletions, coverage", (CHANGES, CHANGES_BY_YEAR, COVERAGE)),
)
STATISTICS = tuple(view for _, views in GROUPS for view in views)
