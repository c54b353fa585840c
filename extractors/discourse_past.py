"""What a forum says of itself, and its whole past: its topics, 30 a request, then its posts by id, 50 a request.

Topics come first because they are few, so that whoever reads the first posts finds their topics. One that is bumped
while the list is read may be missed; the hourly crawl reads it, because of the post that bumped it.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from extractors.discourse_pages import TOPICS_PER_PAGE, Pages
from extractors.discourse_topics import Topics
from extractors.errors import NotFound, NotPublic, Refused
from extractors.http import Http
from extractors.platform import About, Community, Page, Platform, State, instant

KEY_PREFIX = "DISCOURSE_KEY_"


def key_variable(host: str) -> str | None:
    """The environment variable for a host's key, which no other host has: `.` as `_`, `-` as `__`. None for names that
    hold anything else, such as a port."""
    label = "[a-z0-9]+(-+[a-z0-9]+)*"
    if not re.fullmatch(rf"{label}(\.{label})*", host):
        return None
    return KEY_PREFIX + host.replace("-", "__").replace(".", "_").upper()


def about(platform: Platform, community: Community, http: Http, pages: Pages) -> About:
    """Its title and size; two requests."""
    try:
        answer = http.get(f"{platform.url(community)}about.json", pace=pages.pace)
        found: Any = answer.json() if answer.status == 200 else None
        if not isinstance(found, dict) or not isinstance(found.get("about"), dict):
            advice = "paste the address of the forum's own pages; only Discourse forums can be tracked by their host"
            raise NotFound(answer.url, community.key, "a Discourse forum", "no /about.json of one", advice)
        place = "".join(urlsplit(answer.url)[1:3]).removesuffix("/about.json").lower()
        moved = Community(f"discourse:{place}", place)
        if moved == community:
            pages.get(None)
    except NotPublic:
        raise
    except Refused as problem:
        variable = key_variable(community.host)
        advice = "it shows nothing without a login"
        advice += f": put a user API key into {variable}" if variable else ", and no key can be set for such a name"
        raise Refused(problem.url, community.key, "a forum that everybody may read", problem.came, advice) from None
    stats = found["about"].get("stats") or {}
    count = stats.get("posts_count", stats.get("post_count"))  # newer, older
    return About(moved, str(found["about"].get("title") or place), count if type(count) is int else None)


def history(
    platform: Platform, community: Community, since: datetime, pages: Pages, topics: Topics, cursor: State | None
) -> Iterator[Page]:
    """The cursor is the number of the next page of topics, then the id below which posts are still to be read."""
    state: State = cursor or {"topics": 0}
    while "topics" in state:
        batch = pages.topics(state["topics"])
        bumped = [instant(topic["bumped_at"]) for topic in batch if topic.get("bumped_at")]
        ended = len(batch) < TOPICS_PER_PAGE or max(bumped, default=since) < since
        state = {"before": None} if ended else {"topics": state["topics"] + 1}
        yield Page(threads=[topics.listed(topic) for topic in batch], state=state)
    before = state["before"]
    if before is not None:
        pages.resume(before, state["modern"])
    top: int | None = state.get("top")
    while not pages.ended:
        fresh = pages.fresh(pages.get(before))
        before = pages.before
        top = top or (fresh[0]["id"] if fresh else before)
        page = Page(posts=pages.broken(platform))
        newest = datetime.min.replace(tzinfo=UTC)
        for record in fresh:
            row = platform.row("posts", community, record, pages.observed_at)
            newest = max(newest, row.created_at or since)
            if row.created_at is None or row.created_at >= since:
                page.posts.append(row)
        page.state = {"before": before, "modern": pages.modern, "top": top}
        page.progress = (top - max(before - 1, 0), top)
        yield page
        if len(fresh) > 1 and newest < since:
            return
