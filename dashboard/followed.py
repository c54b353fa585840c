"""Who is tracked, as the page and the API show and change it."""

from typing import Any

from dashboard import queries
from dashboard.reader import NothingPublished, Reader
from extractors.plan import health
from extractors.platform import HOUR
from orchestration.communities import EVERYTHING, span, state, track, untrack
from orchestration.pipeline import Pipeline

DAYS = 9  # of receipts in which a community's health shows


def communities(pipeline: Pipeline, reader: Reader) -> list[dict[str, Any]]:
    """Everybody tracked, and everybody of whom there are posts."""
    try:
        counted = {row["community"]: row for row in queries.communities(reader)}
    except NothingPublished:
        counted = {}
    now, rows = pipeline.settings.now(), []
    for platform in pipeline.platforms:
        tracked = pipeline.lake.tracked(platform.name)
        commits = pipeline.lake.commits(platform.name, now - 24 * DAYS * HOUR) if tracked else []
        for one in tracked:
            last, posts = health(commits, one.key), counted.pop(one.key, {})
            rows.append(
                {
                    "community": one.key,
                    "platform": platform.name,
                    "instance": one.instance,
                    "title": one.title,
                    "tracked": True,
                    "since": None if one.since <= EVERYTHING else one.since,
                    "every": span(one.every),
                    "url": platform.url(one.community),
                    "last_success_at": last.succeeded_at,
                    "failures": last.failures,
                    "posts": posts.get("posts", 0),
                    "last_post_at": posts.get("last_at"),
                    "state": state(pipeline, one, last),
                }
            )
    for key, posts in counted.items():
        rows.append(
            {
                "community": key,
                "platform": posts["platform"],
                "instance": posts["instance"],
                "title": "",
                "tracked": False,
                "since": None,
                "every": None,
                "url": None,
                "last_success_at": None,
                "failures": 0,
                "posts": posts["posts"],
                "last_post_at": posts["last_at"],
                "state": "tracked no more",
            }
        )
    return rows


def add(pipeline: Pipeline, url: str, since: str, every: str) -> str:
    """Ask its platform, and track it. Raises ValueError and CrawlError, in a sentence."""
    if not 0 < len(url) <= 500:
        raise ValueError("The address of a community is needed, as from the browser.")
    tracked, about = track(pipeline, url.strip(), since.strip(), every.strip())
    return f"{tracked.key} is tracked: {about.title}"


def drop(pipeline: Pipeline, key: str) -> str:
    """Track it no more; what was fetched stays. Raises ValueError."""
    untrack(pipeline, key)
    return f"{key} is tracked no more; what was fetched of it stays"
