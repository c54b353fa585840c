"""The statements over clean posts and threads: the views of them, and what the pages of one thread, poster or community
ask. What is counted ahead by the marts stands in `statistics.py`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from dashboard.reader import BEGINNING, Reader, Row
from dashboard.views import Filter, View

PLATFORM = Filter("platform", "platform = $platform", label="Platform")
COMMUNITY = Filter("community", "community = $community", label="Community")
SINCE = Filter("since", "created_at >= $since and created_hour >= $since - interval 1 hour", "time", "From")
UNTIL = Filter("until", "created_at < $until and created_hour <= $until", "time", "Until")
AUTHOR = Filter("author", "author_id = $author", label="Author's id")
DELETED = Filter("deleted", "(deleted_at is not null) = $deleted", "switch", "Deleted")
EDITED = Filter("edited", "(edited_at is not null) = $edited", "switch", "Edited")
EVERY_HOUR = f"created_hour >= {BEGINNING}"
POST = """
    platform, instance, community, thread_id, post_id, author_id, author_name, title, text, url, content_hash, source,
    run_id, quotes, links, is_opening, version_count, reply_count, score, created_at, created_hour, platform_edited_at,
    edited_at, observed_at, first_seen_at, last_seen_at, gone_at, deleted_at
"""
THREAD = """
    platform, instance, community, thread_id, author_id, author_name, title, text, url, content_hash, source, run_id,
    tags, is_closed, is_pinned, is_archived, reply_count, view_count, score, created_at, created_hour, last_activity_at,
    observed_at, first_seen_at, last_seen_at, gone_at, deleted_at
"""
WHO = """
    platform, instance, author_id, author_name, names, avatar, profile, source, run_id, is_bot, joined_at,
    first_post_at, last_post_at, last_active_at, observed_at, first_seen_at, last_seen_at
"""
"""All columns but the payload, which BigQuery would bill, and what only merges need."""
THREAD_PAGE = 200  # posts of a conversation on one page
VERSIONS = 20  # earlier contents of a post that are shown

POSTS = View(
    "posts",
    "Posts",
    "A row is a post in its latest state; edited and deleted ones say when that was noticed.",
    """
    select platform, instance, community, thread_id, post_id, author_id, author_name,
        substr(text, 1, 400) as text, url, is_opening, version_count, score, created_at, edited_at, deleted_at
    from clean.all_posts where {where}
    """,
    key=("platform", "instance", "post_id"),
    order="-created_at",
    filters=(
        PLATFORM,
        Filter("instance", "instance = $instance"),
        COMMUNITY,
        Filter("thread", "thread_id = $thread", label="Thread's id"),
        AUTHOR,
        SINCE,
        UNTIL,
        DELETED,
        EDITED,
    ),
    needs=("clean.all_posts",),
    hidden=("platform", "instance", "thread_id", "author_id", "url", "is_opening", "version_count"),
)

THREADS = View(
    "threads",
    "Threads",
    "A row is a thread in its latest state, replies as its platform counts them.",
    """
    select platform, instance, community, thread_id, author_id, author_name,
        coalesce(nullif(title, ''), substr(text, 1, 120)) as title, url, reply_count, view_count, score,
        is_closed, is_pinned, is_archived, created_at, last_activity_at, deleted_at
    from clean.all_threads where {where}
    """,
    key=("platform", "instance", "thread_id"),
    order="-last_activity_at",
    filters=(PLATFORM, Filter("instance", "instance = $instance"), COMMUNITY, AUTHOR, SINCE, UNTIL, DELETED),
    needs=("clean.all_threads",),
    hidden=(
        "platform",
        "instance",
        "thread_id",
        "author_id",
        "url",
        "is_closed",
        "is_pinned",
        "is_archived",
        "view_count",
    ),
)

VERSIONS_OF_POSTS = View(
    "versions",
    "Versions of posts",
    "A row is a content that a post had, with the first and the last time it was seen so.",
    f"""
    select platform, instance, community, thread_id, post_id, content_hash, source, title, text,
        created_at, platform_edited_at, first_seen_at, last_seen_at
    from clean.post_versions where {EVERY_HOUR} and {{where}}
    """,
    key=("platform", "instance", "post_id", "content_hash", "source"),
    order="-first_seen_at",
    filters=(
        PLATFORM,
        Filter("instance", "instance = $instance"),
        COMMUNITY,
        Filter("thread", "thread_id = $thread"),
        Filter("post", "post_id = $post"),
        SINCE,
        UNTIL,
    ),
    needs=("clean.post_versions",),
)

AUTHORS = View(
    "authors",
    "Authors",
    "A row is an author of one instance as last observed, with all names that were seen.",
    f"select {WHO} from clean.authors where {{where}}",
    key=("platform", "instance", "author_id"),
    order="author_name",
    filters=(
        PLATFORM,
        Filter("instance", "instance = $instance"),
        AUTHOR,
        Filter("name", "strpos(lower(author_name), lower($name)) > 0", label="Name contains"),
    ),
    needs=("clean.authors",),
)

OBSERVATIONS = View(
    "observations",
    "Observations",
    "A row is what one crawl got of one community in one hour, and what it could not get.",
    f"""
    select commit_id, community, platform, source, hour, complete, posts, threads, gone, parse_errors, requests,
        not_modified, bytes, waited, error, note, observed_at, merged_at
    from clean.observations where hour >= {BEGINNING} and {{where}}
    """,
    key=("commit_id", "community"),
    order="-hour",
    filters=(
        PLATFORM,
        COMMUNITY,
        Filter("since", "hour >= $since", "time", "From"),
        Filter("until", "hour < $until", "time", "Until"),
        Filter("complete", "complete = $complete", "switch", "Complete"),
    ),
    needs=("clean.observations",),
    hidden=("commit_id", "platform", "source", "not_modified", "bytes", "waited", "merged_at"),
)

VIEWS = (POSTS, THREADS, VERSIONS_OF_POSTS, AUTHORS, OBSERVATIONS)


def communities(reader: Reader) -> list[Row]:
    """Every community of which there are posts, the busiest first."""
    if not reader.columns("marts.communities"):
        return []
    return reader.query("""
        select platform, instance, community, posts, edited_posts as edited, deletions as deleted, authors, threads,
            first_post_at as first_at, last_post_at as last_at
        from marts.communities where posts > 0 order by posts desc, community
    """)


def recent(reader: Reader, now: datetime, hours: int, community: str | None = None) -> list[Row]:
    """Posts, edits and deletions of each community in the last hours, and of as many hours before."""
    late = f"case when created_at >= $now - interval {hours} hour then 1 end"
    return reader.query(
        f"""
        select community, min(platform) as platform, count({late}) as posts, count(*) - count({late}) as posts_before,
            count(distinct case when {late} is not null then author_id end) as posters,
            count(case when {late} is not null then edited_at end) as edited,
            count(case when {late} is not null then deleted_at end) as deleted
        from clean.all_posts
        where created_hour >= $now - interval {2 * hours + 1} hour and created_at >= $now - interval {2 * hours} hour
            and created_at < $now {"and community = $community" if community else ""}
        group by community order by posts desc, community
        """,
        {"now": now, "community": community},
    )


def busiest_threads(
    reader: Reader, now: datetime, hours: int, limit: int = 10, community: str | None = None
) -> list[Row]:
    """The threads with most posts in the last hours."""
    return reader.query(
        f"""
        select found.*, coalesce(nullif(threads.title, ''), substr(threads.text, 1, 120)) as title
        from (
            select platform, instance, community, thread_id, count(*) as posts,
                count(distinct author_id) as posters, max(created_at) as last_at
            from clean.all_posts
            where created_hour >= $now - interval {hours + 1} hour and created_at >= $now - interval {hours} hour
                and created_at < $now {"and community = $community" if community else ""}
            group by platform, instance, community, thread_id order by posts desc, thread_id limit {limit}
        ) as found
        left join clean.all_threads as threads using (platform, instance, thread_id)
        order by posts desc, thread_id
        """,
        {"now": now, "community": community},
    )


def by_hour(reader: Reader, now: datetime, hours: int, community: str | None = None) -> list[Row]:
    """Posts by community and hour of the last hours."""
    return reader.query(
        f"""
        select community, created_hour as hour, count(*) as posts
        from clean.all_posts
        where created_hour >= $now - interval {hours} hour and created_hour <= $now
            {"and community = $community" if community else ""}
        group by community, created_hour order by hour, community
        """,
        {"now": now, "community": community},
    )


def last_observed(reader: Reader) -> list[Row]:
    """When each community was last looked at and which hour of it was last read as a whole, the stalest first."""
    if not reader.columns("marts.communities"):
        return []
    return reader.query("""
        select platform, community, state, error, last_observed_at as observed_at, last_complete_hour as complete_hour,
            hours_complete, hours_not_complete
        from marts.communities where last_observed_at is not null order by complete_hour nulls first, community
    """)


# -- a thread ---------------------------------------------------------------------------------------------------------


def thread(reader: Reader, platform: str, instance: str, thread_id: str) -> Row | None:
    found = reader.query(
        f"select {THREAD} from clean.all_threads "
        "where platform = $platform and instance = $instance and thread_id = $thread limit 1",
        {"platform": platform, "instance": instance, "thread": thread_id},
    )
    return found[0] if found else None


def posts_of_thread(reader: Reader, row: Row, after: tuple[datetime, str] | None, limit: int) -> list[Row]:
    """In the order in which they were written, from the one after `after`. The thread's own hour bounds the search."""
    later = "and (created_at > $at or (created_at = $at and post_id > $id))" if after else ""
    return reader.query(
        f"""
        select platform, instance, community, thread_id, post_id, author_id, author_name, title, text, url, quotes,
        links,
            is_opening, version_count, reply_count, score, created_at, edited_at, deleted_at, source
        from clean.all_posts
        where platform = $platform and instance = $instance and thread_id = $thread_id and created_hour >= $hour {later}
        order by created_at, post_id limit {limit}
        """,
        {
            **{name: row[name] for name in ("platform", "instance", "thread_id")},
            "hour": after[0].replace(minute=0, second=0, microsecond=0) if after else row["created_hour"],
            "at": after[0] if after else None,
            "id": after[1] if after else None,
        },
    )


def versions_of(reader: Reader, posts: Sequence[Row]) -> dict[str, list[Row]]:
    """The contents that these posts of one thread had, the earliest first."""
    edited = [post["post_id"] for post in posts if post["version_count"] > 1]
    if not edited:
        return {}
    rows = reader.query(
        f"""
        select post_id, title, text, source, first_seen_at, last_seen_at
        from clean.post_versions
        where platform = $platform and instance = $instance and {reader.dialect.among("post_id", "ids")}
            and created_hour >= $hour
        order by post_id, first_seen_at, content_hash
        """,
        {
            **{name: posts[0][name] for name in ("platform", "instance")},
            "ids": edited,
            "hour": min(post["created_at"] for post in posts).replace(minute=0, second=0, microsecond=0),
        },
    )
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["post_id"], []).append(row)
    return {post_id: versions[-VERSIONS:] for post_id, versions in found.items()}


def post(reader: Reader, platform: str, instance: str, post_id: str) -> Row | None:
    """By its id, or by the name under which others quote it."""
    url = f"https://{instance}/t/{post_id}" if platform == "discourse" and "/" in post_id else None
    which = "url = $url" if url else "post_id = $post"
    found = reader.query(
        f"select {POST} from clean.all_posts where platform = $platform and instance = $instance and {which} limit 1",
        {"platform": platform, "instance": instance, "post": post_id, "url": url},
    )
    return found[0] if found else None


# -- a poster ---------------------------------------------------------------------------------------------------------


def poster(reader: Reader, platform: str, instance: str, author_id: str) -> Row | None:
    """What is known of an author; also of one whom only posts show."""
    told: dict[str, Any] = {"platform": platform, "instance": instance, "author": author_id}
    where = "platform = $platform and instance = $instance and author_id = $author"
    totals = reader.query(
        f"""
        select count(*) as posts, count(edited_at) as edited, count(deleted_at) as deleted,
            sum(case when is_opening then 1 else 0 end) as threads, count(distinct cast(created_at as date)) as days,
            sum(length(text)) as characters, min(created_at) as first_at, max(created_at) as last_at
        from clean.all_posts where {where}
        """,
        told,
    )[0]
    known = reader.query(f"select {WHO} from clean.authors where {where} limit 1", told) if _has_authors(reader) else []
    if not totals["posts"] and not known:
        return None
    last = reader.query(f"select author_name from clean.all_posts where {where} order by created_at desc limit 1", told)
    return {
        "platform": platform,
        "instance": instance,
        "author_id": author_id,
        **totals,
        "author_name": last[0]["author_name"] if last else None,
        "profile": known[0] if known else None,
    }


def communities_of(reader: Reader, row: Row) -> list[Row]:
    """Where somebody writes."""
    return reader.query(
        """
        select community, count(*) as posts, count(deleted_at) as deleted, min(created_at) as first_at,
            max(created_at) as last_at
        from clean.all_posts where platform = $platform and instance = $instance and author_id = $author_id
        group by community order by posts desc, community
        """,
        row,
    )


def _has_authors(reader: Reader) -> bool:
    return bool(reader.columns("clean.authors"))


def page_before(reader: Reader, row: Row) -> str | None:
    """The `after` of the page of its thread on which a post stands; None for the first page."""
    found = reader.query(
        f"""
        select created_at, post_id from (
            select created_at, post_id, row_number() over (order by created_at, post_id) as place
            from clean.all_posts
            where platform = $platform and instance = $instance and thread_id = $thread_id
        ) as placed
        where mod(place, {THREAD_PAGE}) = 0 and (created_at < $at or (created_at = $at and post_id < $id))
        order by place desc limit 1
        """,
        {
            **{name: row[name] for name in ("platform", "instance", "thread_id")},
            "at": row["created_at"],
            "id": row["post_id"],
        },
    )
    return f"{found[0]['created_at'].isoformat()} {found[0]['post_id']}" if found else None


def coverage(reader: Reader, now: datetime, days: int) -> list[Row]:
    """What became of each hour of each community in the last days."""
    if not reader.columns("marts.coverage"):
        return []
    return reader.query(
        "select community, hour, state from marts.coverage "
        "where hour >= $since and hour <= $now order by hour, community",
        {"now": now, "since": now - timedelta(days=days)},
    )
