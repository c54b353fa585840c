"""A window of a Discord community: which channels and threads can have something of it, their messages, what is gone.

All channels are read side by side, each only as far back as the hour at hand asks for, so that a page is fetched once
however many hours it spans. An hour that was read to its end can gain no message, since ids grow with time: a revisit
asks only for the channels that had some. A thread that no list shows any more is asked for by its id; only what
Discord itself says was deleted, or misses in a channel that shows other messages, is gone.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from extractors.discord_api import (
    FORUM,
    MEDIA,
    NO_INTENT,
    TEXT,
    WITH_MESSAGES,
    WITH_THREADS,
    Api,
    Closed,
    Vanished,
    begins,
    created_at,
    id_at,
)
from extractors.errors import Malformed
from extractors.memory import YOUNG, Reading, gone
from extractors.platform import HOUR, Page, Record, Row, State, Window, dumps, floor_hour, instant
from extractors.records import digest

if TYPE_CHECKING:
    from extractors.discord import Discord

ASK_AGAIN = timedelta(days=1)
"""After so long a channel that was closed to the bot is asked for once more."""
# These change without anybody having touched the message, and make no row.
VOLATILE = frozenset(("author", "member", "mentions", "referenced_message", "thread", "resolved", "interaction"))
SIGNED = re.compile(rb'((?<!\\)"https://(?:cdn\.discord|media\.discord|images-ext)[^"?\s\\]*)\?[^"\s\\]*')
"""Discord's own URLs in JSON: their queries are signatures that expire."""
WORDS = ("content", "attachments", "embeds", "components", "poll", "sticker_items", "message_snapshots")


@dataclass
class Place:
    """A channel or thread that is read downwards from `before`. `last`: no message has a greater id. `seen`: it has
    shown something. `ended`: there is nothing below. `doubtful`: what it does not show may be there all the same."""

    before: int
    last: int | None = None
    seen: bool = False
    ended: bool = False
    doubtful: bool = False
    vanished: bool = False

    @property
    def is_silent(self) -> bool:
        """An empty list may be a closed door."""
        return self.ended and not (self.seen or self.vanished)


class Crawl:
    """One crawl of one community."""

    def __init__(
        self, platform: "Discord", api: Api, window: Window, states: Mapping[datetime, State], refresh: bool
    ) -> None:
        self._platform, self._api, self._window, self._refresh = platform, api, window, refresh
        self._states = states
        memory = next((states[hour] for hour in sorted(states, reverse=True) if "threads" in states[hour]), {})
        self._threads: dict[str, str] = dict(memory.get("threads", {}))
        self._closed: dict[str, str] = dict(memory.get("closed", {}))
        self._settled = not refresh and all(states.get(hour, {}).get("settled") for hour in window.hours)
        self._places: dict[str, Place] = {}
        self._readings: dict[datetime, Reading] = {}
        self._began: datetime | None = None
        self._silent: bool | None = None  # whether every message of a person came without words
        self._note: str | None = None

    def pages(self) -> Iterator[Page]:
        """As the platform's `crawl` promises."""
        if not self._settled:
            yield from self._find_places()
        for hour in self._window.hours:
            known = {item[2] for item in self._states.get(hour, {}).get("posts", {}).values()}
            for channel in known:
                self._places.setdefault(channel, Place(id_at(hour + HOUR)))
            low = id_at(hour)
            for channel, place in list(self._places.items()):
                down = place.ended or place.before <= low
                if not down and (channel in known or place.last is None or place.last >= low):
                    yield from self._read(channel, place, low)
            yield from self._close(hour)

    def _find_places(self) -> Iterator[Page]:
        """All that may have messages of the window; yields what is new of it."""
        containers = self._api.containers()
        self._began = self._api.observed_at
        wanted = {channel["id"] for channel in containers}
        tags = tag_names(containers)
        listed = [channel for channel in containers if channel["type"] in WITH_MESSAGES]
        if any(map(kinds, containers)):  # before the archived ones, since a thread may move meanwhile
            listed += [thread for thread in self._api.active() if thread.get("parent_id") in wanted]
        for channel in containers:
            for kind in kinds(channel):
                if self._is_open(f"{channel['id']}/{kind}"):
                    try:
                        for threads in self._api.archived(channel["id"], kind, self._window.start):
                            listed += threads
                    except (Closed, Vanished):
                        self._close_off(f"{channel['id']}/{kind}")
        page = Page()
        for channel in listed:
            last = max(int(channel.get("last_message_id") or 0), int(channel["id"]))
            if self._is_open(channel["id"]):
                self._places[channel["id"]] = Place(id_at(self._window.end), last)
            row = thread_row(self._platform, self._api, channel, tags)
            mark = digest(row.payload)
            if self._refresh or self._threads.get(channel["id"]) != mark:
                page.threads.append(row)
            self._threads[channel["id"]] = mark
        yield page
        for thread in page.quarantined:
            self._threads.pop(thread, None)

    def _read(self, channel: str, place: Place, low: int) -> Iterator[Page]:
        """The channel's messages down to the id `low`."""
        if not self._is_open(channel):
            place.ended = place.doubtful = True
        while place.before > low and not place.ended:
            try:
                records = self._api.messages(channel, place.before)
            except Closed:
                self._close_off(channel)
                place.ended = place.doubtful = True
                return
            except Vanished:
                place.ended = place.vanished = True
                return
            now = self._api.observed_at
            rows = [self._platform.row("posts", self._api.community, record, now) for record in records]
            ids = [int(row.post_id) for row in rows if row.post_id]
            if records and not ids:
                url = self._platform.url(self._api.community)
                raise Malformed(url, self._api.community.key, "messages with ids", f"{str(records[0])[:80]}")
            place.doubtful |= len(ids) < len(rows)
            place.ended = not records or begins(records[-1], channel)
            place.seen |= bool(records)
            if ids:
                place.before = min(ids)
            page = Page(posts=[row for row, record in zip(rows, records, strict=True) if self._is_news(row, record)])
            yield page
            for reading in self._readings.values():
                reading.forget(page.quarantined)

    def _is_news(self, row: Row, record: Record) -> bool:
        if row.created_at is None or row.post_id is None:
            return True
        if row.created_at not in self._window:
            return False
        if record.get("type") in (0, 19) and not record["author"].get("bot"):
            self._silent = self._silent is not False and not any(record.get(name) for name in WORDS)
        reading = self._reading(floor_hour(row.created_at))
        return reading.changed(row.post_id, row.created_at, _fingerprint(record), row.thread_id)

    def _reading(self, hour: datetime) -> Reading:
        if hour not in self._readings:
            self._readings[hour] = Reading(self._states.get(hour, {}).get("posts", {}), self._refresh)
        return self._readings[hour]

    def _close(self, hour: datetime) -> Iterator[Page]:
        """The last page of an hour: what is gone of it, and its state."""
        reading, now, page = self._reading(hour), self._api.observed_at, Page()
        for post, item in list(reading.missing(now)):
            place = self._places[item[2]]
            if place.vanished or self._proves(item[2], place):
                page.posts.append(gone(item[2], post, instant(item[0]), now))
                if place.vanished and item[2] in self._threads:
                    del self._threads[item[2]]
                    page.threads.append(gone(item[2], None, created_at(item[2]), now))
            else:
                reading.items[post] = item
        doubtful = any(place.doubtful or place.is_silent for place in self._places.values())
        settled = self._settled or (not doubtful and self._began is not None and self._began >= hour + HOUR + YOUNG)
        state: State = {"settled": settled, "posts": reading.items}
        if hour + HOUR == self._window.end:
            state |= {"threads": dict(self._threads), "closed": dict(self._closed)}
        keep = reading.items or hour in self._states or "threads" in state
        yield Page(page.threads, page.posts, reached=hour, state=state if keep else None, note=self._hint())
        del self._readings[hour]

    def _proves(self, channel: str, place: Place) -> bool:
        """Whether what the place does not show is gone. If it showed nothing, it is asked for its newest message."""
        if place.is_silent and not place.doubtful:
            try:
                place.seen = bool(self._api.messages(channel, id_at(self._api.observed_at + HOUR), limit=1))
            except (Closed, Vanished):
                place.doubtful = True
        return place.seen and not place.doubtful

    def _hint(self) -> str | None:
        """What is to be done if every message of a person came without words."""
        if self._silent and self._note is None:
            if self._api.reads_words():
                self._silent = False
            else:
                self._note = NO_INTENT
        return self._note

    def _is_open(self, channel: str) -> bool:
        since = self._closed.get(channel)
        return since is None or self._api.observed_at - instant(since) >= ASK_AGAIN

    def _close_off(self, channel: str) -> None:
        self._closed[channel] = self._api.observed_at.isoformat()


def kinds(channel: Record) -> tuple[str, ...]:
    """Which lists of archived threads a channel has."""
    if channel["type"] not in WITH_THREADS:
        return ()
    return ("public", "private") if channel["type"] == TEXT else ("public",)


def tag_names(containers: list[Record]) -> dict[str, str]:
    """The names of the tags that forums offer, by their ids."""
    forums = [channel for channel in containers if channel["type"] in (FORUM, MEDIA)]
    return {tag["id"]: tag["name"] for forum in forums for tag in forum.get("available_tags") or []}


def thread_row(platform: "Discord", api: Api, record: Record, tags: Mapping[str, str]) -> Row:
    """A thread's or channel's row, with the names of its tags."""
    row = platform.row("threads", api.community, record, api.observed_at)
    names = [tags.get(tag, tag) for tag in record.get("applied_tags") or []]
    return row._replace(fields={**row.fields, "tags": names}) if row.error is None else row


def _fingerprint(record: Record) -> str:
    said = dumps({name: value for name, value in record.items() if name not in VOLATILE})
    return digest(SIGNED.sub(rb"\1", said) if b'"https://' in said else said)
