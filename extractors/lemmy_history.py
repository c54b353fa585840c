"""The whole past of a Lemmy community: its posts and its comments, newest first, 50 a request.

An instance of 0.19.14 or later shows no more than 100 pages of comments from either end. What lies between is read
post by post: all comments of a post in one request, or, of one with 300 and more, 50 a request.
"""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from extractors.lemmy_api import PER_PAGE, TREE, Instance, Item, utc
from extractors.lemmy_feeds import LAST_PAGE, Feed, Numbered, comments_of, posts_of
from extractors.platform import Page, Platform, Record, State

DEEPEST = 60  # levels; Lemmy allows 50
NEVER = 4_000_000_000.0


def history(platform: Platform, instance: Instance, since: datetime, cursor: State | None) -> Iterator[Page]:
    """Always from that of the two lists whose frontier is the newer.

    The cursor: `next` and `at`, the mark and the frontier of each list; `newest` and `oldest`, between which progress
    is measured; what was cut: comments from `after` to `before`; `left`, posts whose comments are to be read one by
    one; `last`, the last posts listed; `old`, the next page of the oldest comments. Times are Unix seconds.
    """
    feeds: dict[str, Feed] = {"post": posts_of(instance), "comment": comments_of(instance)}
    state: State = dict(cursor or {"at": dict.fromkeys(feeds, NEVER), "next": {k: f.top for k, f in feeds.items()}})
    entered: set[str] = set()
    while True:
        if state.get("left"):
            page, records = _of_a_post(instance, state)
            yield _page(platform, instance, since, state, page, records)
            continue
        kind = _next(state, since, feeds)
        if kind is None:
            if not state.get("old"):
                return
            records, _ = instance.list("comment", "Old", page=state["old"])
            oldest = min((item.created for item in feeds["comment"].items(records, None)), default=since)
            state["old"] = state["old"] - 1 if oldest >= since else 0
            yield _page(platform, instance, since, state, Page(), records)
            continue
        feed, at = feeds[kind], state["at"][kind]
        if kind in entered:
            batch = feed.read(state["next"][kind])
        else:
            batch = feed.enter(datetime.fromtimestamp(at, UTC), state["next"][kind])
            entered.add(kind)
        state = {**state, "next": {**state["next"], kind: feed.next}}
        if isinstance(feed, Numbered) and feed.cut:
            yield from _cut(platform, instance, since, state, feed)
            continue
        batch += feed.featured
        feed.featured.clear()
        frontier = min((item.created.timestamp() for item in batch if not item.featured), default=at)
        state["at"] = {**state["at"], kind: frontier}
        if batch:
            own = batch[0].record.get("community") or {}
            born = utc(own.get("published_at") or own["published"]).timestamp() if own else 0.0
            state.setdefault("newest", max(item.created.timestamp() for item in batch))
            state.setdefault("oldest", max(born, since.timestamp()))
        if kind == "post" and (state["next"]["comment"] is not None or "before" in state):
            state["last"] = [_talk(item) for item in batch if _talk(item)[1]]
            state["left"] = _left(state, since)
        broken, feed.broken = feed.broken, []
        yield _page(platform, instance, since, state, Page(), [item.record for item in batch] + broken)


def _next(state: State, since: datetime, feeds: dict[str, Feed]) -> str | None:
    """The list to go on with. Posts older than `since` still lead to comments that were cut."""
    frontier, ends = since.timestamp(), {"comment": since.timestamp(), "post": since.timestamp()}
    if state.get("before", 0) > max(frontier, state.get("after", 0)):
        ends["post"] = -math.inf
    open = [kind for kind in feeds if state["next"][kind] is not None and state["at"][kind] >= ends[kind]]
    return max(open, key=lambda kind: float(state["at"][kind])) if open else None


def _cut(platform: Platform, instance: Instance, since: datetime, state: State, feed: Feed) -> Iterator[Page]:
    """No more pages of the newest comments: find where those of the oldest begin, which they may well overlap."""
    before = state["at"]["comment"]
    low, high, here = 0, LAST_PAGE + 1, LAST_PAGE
    while high - low > 1:
        records, _ = instance.list("comment", "Old", page=here)
        items = feed.items(records, None)
        if items and items[-1].created.timestamp() < before:  # the page's oldest
            low, found = here, records
        else:
            high = here
        here = (low + high) // 2
    newest = max((item.created.timestamp() for item in feed.items(found, None)), default=before) if low else 0
    state |= {"before": before, "after": newest if low == LAST_PAGE else before, "old": max(low - 1, 0)}
    state["left"] = _left(state, since)
    yield _page(platform, instance, since, state, Page(), found if low else [])


def _talk(item: Item) -> list[Any]:
    """Of a post: id, how many comments it is said to have, when it was created and when last commented."""
    counts = {**item.record.get("counts", {}), **item.record["post"]}
    active = counts.get("newest_comment_time_at") or counts.get("newest_comment_time")
    last = utc(active).timestamp() if active else item.created.timestamp()
    return [item.key[1:], counts.get("comments", 0), item.created.timestamp(), last]


def _left(state: State, since: datetime) -> list[list[Any]]:
    """Those of the last posts whose comments were cut: id, how many comments, the next page."""
    before, after = state.get("before", 0), max(state.get("after", 0), since.timestamp())
    talks = state.get("last", []) if after < before else []
    return [[id, count, 0] for id, count, created, active in talks if created < before and active > after]


def _of_a_post(instance: Instance, state: State) -> tuple[Page, list[Record]]:
    """The next request for comments of a post: in one piece, or its pages from the oldest, then from the newest."""
    (id, count, number), *others = state["left"]
    if number == 0 and count < TREE:
        records, _ = instance.list("comment", "Old", post_id=id, max_depth=DEEPEST, limit=None)
        following = 1 if len(records) >= TREE else 0
    else:
        sort = "Old" if number >= 0 else "New"
        records, _ = instance.list("comment", sort, post_id=id, page=abs(number) or 1)
        newest = max((item.created.timestamp() for item in comments_of(instance).items(records, None)), default=0.0)
        ended = len(records) < PER_PAGE or (sort == "Old" and newest >= state["before"])  # the rest is known
        following = 0 if ended else (number or 1) + (1 if number >= 0 else -1)
    note = None
    if following > LAST_PAGE:
        following = -1
    elif following < -LAST_PAGE // 2:
        following, note = 0, f"post {id} has more comments than {instance.community.instance} lists"
    state["left"] = [[id, count, following], *others] if following else others
    return Page(note=note), records


def _page(
    platform: Platform, instance: Instance, since: datetime, state: State, page: Page, records: list[Record]
) -> Page:
    for record in records:
        row = platform.row("posts", instance.community, record, instance.observed_at)
        if row.created_at is None or row.created_at >= since:
            page.posts.append(row)
            if isinstance(record, dict) and "comment" not in record:
                page.threads.append(platform.row("threads", instance.community, record, instance.observed_at))
    whole = max(int(state.get("newest", 0) - state.get("oldest", 0)), 0)
    done = int(state.get("newest", 0) - max(state["at"].values()))
    page.progress = (min(max(done, 0), whole), whole)
    page.state = {**state}
    return page


def behind(instance: Instance, start: datetime, before: datetime) -> list[Item]:
    """Comments created in `[start, before)` that the list of the community does not show, newest first."""
    feed = comments_of(instance)
    posts = [_talk(item) for item in instance.active(start)]
    state: State = {"last": posts, "before": before.timestamp()}
    state["left"] = _left(state, start)
    found: dict[str, Item] = {}
    while state["left"]:
        _, records = _of_a_post(instance, state)
        found |= {item.key: item for item in feed.items(records, None) if start <= item.created < before}
    return sorted(found.values(), key=lambda item: item.created, reverse=True)
