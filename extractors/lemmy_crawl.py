"""A window of a Lemmy community: its posts and comments, which of them changed since the last reading, what is gone."""

import heapq
from collections.abc import Iterator, Mapping
from datetime import datetime

from extractors import lemmy_history
from extractors.errors import CrawlError, Malformed
from extractors.lemmy_api import Instance, Item, Mark
from extractors.lemmy_feeds import Feed, Numbered, comments_of, posts_of
from extractors.lemmy_threads import Threads
from extractors.memory import Reading, gone
from extractors.platform import HOUR, Page, Platform, State, Window, floor_hour, instant
from extractors.records import digest

AT_A_TIME = 500  # rows
FEW = 10  # of what an hour lacks, so many are asked for by their ids
# These move on almost every reading, and make neither a row nor a version.
COUNTERS = frozenset((
    "score", "upvotes", "downvotes", "comments", "child_count", "newest_comment_time_at",
    "newest_comment_time_necro_at", "hot_rank", "hot_rank_active", "controversy_rank", "scaled_rank", "report_count",
    "unresolved_report_count",
))  # fmt: skip


def crawl(
    platform: Platform, instance: Instance, window: Window, states: Mapping[datetime, State], *, refresh: bool
) -> Iterator[Page]:
    """Its posts and comments together, newest first; an hour is closed with the first that is older."""
    feeds = (posts_of(instance), comments_of(instance))
    threads = Threads(platform, instance, window)
    begin: dict[str, Mark] = states.get(window.hours[0], {}).get("marks", {})
    streams = [_all(feed, window, begin.get(feed.kind)) for feed in feeds]
    items = heapq.merge(*streams, key=lambda item: item.created, reverse=True)
    page, ahead = Page(), None
    try:
        ahead = next(items, None)
        for hour in window.hours:
            reading = Reading(states.get(hour, {}).get("items", {}), refresh)
            marks: dict[str, Mark] = {}
            while ahead and ahead.created >= hour:
                marks.setdefault(ahead.key[0], ahead.mark)
                if _changed(reading, ahead):
                    page.posts.append(platform.row("posts", instance.community, ahead.record, ahead.observed_at))
                    page.threads += threads.touch(ahead)
                elif ahead.key[0] == "p" and ahead.thread in threads:
                    page.threads += threads.touch(ahead)
                if len(page.posts) >= AT_A_TIME:
                    yield page
                    reading.forget(page.quarantined)
                    page = Page()
                ahead = next(items, None)
            for feed in feeds:
                page.posts += [
                    platform.row("posts", instance.community, record, instance.observed_at) for record in feed.broken
                ]
            yield page
            reading.forget(page.quarantined)
            reading.whole = not any(feed.broken for feed in feeds)
            page = Page()
            _vanished(platform, instance, feeds, reading, threads, page)
            page.threads += threads.rows(hour, window.end >= floor_hour(instance.observed_at) - HOUR)
            yield page
            if page.quarantined:
                reading.forget([key for key, item in reading.items.items() if page.quarantined & {item[2], key}])
            named = {{"p": "post", "c": "comment"}[kind]: mark for kind, mark in marks.items() if mark is not None}
            keep = reading.items or hour in states
            yield Page(reached=hour, state={"marks": named, "items": reading.items} if keep else None)
            page = Page()
    except CrawlError:
        yield page  # what came before the error is kept
        raise


def _vanished(
    platform: Platform,
    instance: Instance,
    feeds: tuple[Feed, Feed],
    reading: Reading,
    threads: Threads,
    page: Page,
) -> None:
    """What the hour no longer lists. A post may be featured by now, and numbered pages move on while they are
    read, so a few are asked for by their ids."""
    missing = list(reading.missing(instance.observed_at))
    for key, (created, _, thread, *_) in missing:
        feed = feeds[key[0] == "c"]
        if feed.empty:
            raise Malformed(instance.url, None, f"{key} or another {feed.kind}", "an empty list")
        asked = len(missing) <= FEW and (feed.kind == "post" or isinstance(feed, Numbered))
        record = instance.one(feed.kind, key[1:]) if asked else None
        item = feed.item(record) if record else None
        if item is None:
            page.posts.append(gone(thread, key, instant(created), instance.observed_at))
            if feed.kind == "post":
                page.threads.append(gone(thread, None, instant(created), instance.observed_at))
        elif _changed(reading, item):
            page.posts.append(platform.row("posts", instance.community, item.record, item.observed_at))
            page.threads += threads.touch(item)


def _all(feed: Feed, window: Window, mark: Mark) -> Iterator[Item]:
    """What a feed has of a window; where an instance shows no more pages, by way of the posts."""
    oldest = window.end
    for item in feed.down(window.start, window.end, mark):
        oldest = item.created
        yield item
    if isinstance(feed, Numbered) and feed.cut:
        yield from lemmy_history.behind(feed.instance, window.start, oldest)


def _changed(reading: Reading, item: Item) -> bool:
    """Remember the item; whether its row must be written."""
    own = item.record["post" if item.key[0] == "p" else "comment"]
    if not COUNTERS.isdisjoint(own):  # 1.0, where they do not stand beside
        own = {name: value for name, value in own.items() if name not in COUNTERS}
    return reading.changed(item.key, item.created, digest(own), item.thread)
