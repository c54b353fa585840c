"""One thread of a 4chan board: what an answer shows of it, compared with what the last reading knew."""

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from extractors.errors import Malformed
from extractors.http import Response
from extractors.memory import Reading, gone
from extractors.platform import Community, Page, Row, State, instant
from extractors.records import digest

if TYPE_CHECKING:
    from extractors.fourchan import Fourchan

COUNTERS = frozenset({"replies", "images", "unique_ips", "bumplimit", "imagelimit", "tail_size"})


def read(
    platform: "Fourchan",
    community: Community,
    no: str,
    response: Response,
    known: State | None,
    entry: State | None,
    *,
    refresh: bool,
    outlived: bool = False,
) -> tuple[Page, State | None]:
    """The page of the thread, and what to remember of it; None once there is nothing more to expect of it. `entry`: its
    entry in the index; `outlived`: a thread that stood behind it still stands."""
    now, page = response.observed_at, Page()
    posts = orjson.loads(known["posts"]) if known else {}
    thread_id = f"{community.name}/{no}"
    if response.not_modified and known and (entry or not known["absent"]):
        seen = known | (entry or {}) | {"posts": posts, "absent": entry is None}
        if _behind(entry, posts) and known["last_modified"]:  # once, since some counts stay wrong
            seen["last_modified"] = None
        return page, seen
    # Pruning takes the last first, so one that others outlived was deleted; one that is served without standing
    # in the index, twice in a row, was hidden from everybody.
    if response.status == 404 or response.not_modified:
        if posts and (outlived or response.not_modified):
            _vanish(page, community, no, posts, now)
        return page, None
    body = response.json()
    records = body.get("posts") if isinstance(body, dict) else None
    if not isinstance(records, list) or not records or not all(isinstance(record, dict) for record in records):
        raise Malformed(response.url, community.key, 'an object with "posts"', f"{response.body[:80]!r}")
    reading = Reading(posts, refresh)
    for record in records:
        row = platform.row("posts", community, record, now)
        if row.thread_id is None or row.post_id is None or row.created_at is None:
            page.posts.append(row._replace(thread_id=thread_id))
            page.quarantined.add("")
            reading.whole = False
            continue
        if reading.changed(str(record["no"]), row.created_at, _fingerprint(row)):
            page.posts.append(row)
    opening = {**records[0], **{k: v for k, v in (entry or {}).items() if k in ("last_modified", "page")}}
    head = platform.row("threads", community, records[0], now)
    page.threads.append(head._replace(fields={**head.fields, **opening}) if head.error is None else head)
    # a sticky drops its oldest replies, which is no deletion
    oldest = min((int(post) for post in reading.items if post != no), default=0) if records[0].get("sticky") else 0
    for post, item in reading.missing(now):
        if int(post) > oldest:
            page.posts.append(gone(thread_id, f"{community.name}/{post}", instant(item[0]), now))
    archived = bool(records[0].get("archived"))
    if entry is None and known and known["absent"] and not archived:
        page = Page()
        _vanish(page, community, no, posts, now)
        return page, None
    seen = {**(entry or known or {"last_modified": 0}), "posts": reading.items, "absent": entry is None}
    since = response.headers.get("Last-Modified")
    missed = len(reading.items) > len(records)  # posts too young to be called gone
    if missed or _behind(entry, records):
        seen["last_modified"] = None
    return page, seen | {"since": None if missed else since, "archived": archived}


def _behind(entry: State | None, posts: Collection[Any]) -> bool:
    """Whether a cache gave a thread that is older than the index."""
    return entry is not None and len(posts) <= entry["replies"]


def _fingerprint(row: Row) -> str:
    if row.post_id is not None and row.fields.get("resto"):
        return digest(row.payload)
    return digest({name: value for name, value in row.fields.items() if name not in COUNTERS})


def _vanish(page: Page, community: Community, no: str, posts: dict[str, list[Any]], now: datetime) -> None:
    """Say of a thread and all its posts that they are gone."""
    thread_id = f"{community.name}/{no}"
    page.threads.append(gone(thread_id, None, instant(posts[min(posts, key=int)][0]), now))
    page.posts += [gone(thread_id, f"{community.name}/{post}", instant(item[0]), now) for post, item in posts.items()]
