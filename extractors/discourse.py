"""Discourse forums, from `/posts.json` (50 posts a page, newest first, with raw) and `/latest.json` (30 topics a page).

A window is read from its end downwards; an old one is found by bisecting over the ids, which grow with time. The
requests stand in discourse_pages.py, thread rows in discourse_topics.py, the whole past in discourse_past.py.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from html import unescape
from itertools import accumulate
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pyarrow as pa

from extractors import discourse_past, discourse_redaction
from extractors.discourse_pages import Pages, created_of
from extractors.discourse_topics import Topics
from extractors.http import Http
from extractors.memory import Reading, gone
from extractors.pace import Pace
from extractors.platform import (
    HOST,
    HOUR,
    About,
    Community,
    Entity,
    Page,
    Parsed,
    Platform,
    Record,
    Source,
    State,
    Window,
    Words,
    floor_hour,
    instant,
    whole,
)  # fmt: skip
from extractors.records import TEXTS, TIMESTAMP, columns, digest
from extractors.text import plain_texts, urls

if TYPE_CHECKING:
    from extractors.erasure import Those

PACE = Pace(requests=20, seconds=10, in_flight=2)  # of 50 in 10 s and 200 in 60 s that a site allows an address
KEY_PACE = Pace(requests=20, seconds=60)  # what a user's API key is allowed
FOLDER = r"(?:/[a-z0-9_-]+)*?"  # of a forum that does not have its host for itself
KEY = re.compile(rf"^(?:discourse:({HOST}{FOLDER})|({HOST}))$", re.IGNORECASE)
PATH = re.compile(rf"^({FOLDER})/(?:$|t/|c/|u/|latest|top|categories|posts|tag|about)", re.IGNORECASE)
QUOTE = re.compile(r'<aside class="quote[^>]*?data-post="(\d+)"[^>]*?data-topic="(\d+)"')
LINK = re.compile(r'<a (?:[^>]*? )?href="(https?://[^"]+)"')
# These move on almost every reading; they are kept with whatever else changed, and make neither a row nor a version.
COUNTERS = frozenset((
    "score", "reads", "readers_count", "incoming_link_count", "reply_count", "quote_count", "reactions",
    "reaction_users_count", "actions_summary", "current_user_reaction", "current_user_used_main_reaction",
    "link_counts", "updated_at", "trust_level", "avatar_template", "user_title", "flair_name", "flair_url",
    "flair_bg_color", "flair_color", "flair_group_id", "primary_group_name", "posts_count", "can_view_edit_history",
    "badges_granted",
))  # fmt: skip
STRINGS = (
    "name username display_username avatar_template cooked raw topic_slug topic_title user_title edit_reason "
    "action_code primary_group_name"
)
INTEGERS = (
    "id post_number post_type reply_count reply_to_post_number quote_count incoming_link_count reads readers_count "
    "topic_id category_id version user_id trust_level"
)
BOOLEANS = "moderator admin staff hidden user_deleted wiki"
TOPIC_STRINGS = "title fancy_title slug image_url archetype last_poster_username featured_link"
TOPIC_INTEGERS = "id posts_count reply_count highest_post_number views like_count op_like_count category_id user_id"
TOPIC_BOOLEANS = "pinned pinned_globally visible closed archived has_summary"


class Discourse(Platform):
    """One community a forum, named by its host, and the folder there if it is in one. `keyed`: whether an instance is
    read with an API key, whose pace is slower."""

    name = "discourse"
    threads = columns(
        {pa.string(): TOPIC_STRINGS, pa.int64(): TOPIC_INTEGERS, pa.bool_(): TOPIC_BOOLEANS,
         TIMESTAMP: "last_posted_at bumped_at", TEXTS: "tags"}
    )  # fmt: skip
    posts = columns(
        {
            pa.string(): STRINGS,
            pa.int64(): INTEGERS,
            pa.float64(): "score",
            pa.bool_(): BOOLEANS,
            TIMESTAMP: "updated_at",
        }
    )
    memory = "hour"
    writer, called = ("user_id",), ("username", "name")

    def __init__(self, keyed: Callable[[str], bool] = lambda instance: False, pace: Pace = PACE) -> None:
        self.keyed = keyed
        self.pace = pace

    def community(self, url: str) -> Community | None:
        key = KEY.match(url)
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        path = PATH.match(parts.path or "/")
        if not key and (not path or parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc):
            return None
        place = key[1] or key[2] if key else parts.netloc + (path[1] if path else "")
        return Community(f"discourse:{place.lower()}", place.lower())

    def url(self, community: Community) -> str:
        return f"https://{community.name}/"

    def crawl(
        self, community: Community, window: Window, http: Http, states: Mapping[datetime, State], *, refresh: bool
    ) -> Iterator[Page]:
        pages = self._pages(community, http)
        topics = Topics(self, community, pages)
        hours = iter(window.hours)
        hour = next(hours)
        again = states.get(hour, {})
        edge: int | None = again.get("edge")
        batch = pages.get(edge)
        if edge is None and min(map(created_of, batch)) >= window.end:
            batch = pages.find(window.end, batch)
            edge = pages.asked
        if edge is not None:
            topics.recent = window.end >= floor_hour(pages.observed_at) - HOUR
        reading = Reading(again.get("posts", {}), refresh)
        page, above = Page(), edge
        while True:
            fresh = pages.fresh(batch)
            page.posts += pages.broken(self)
            times = _latest_from_here_down(fresh)
            for record, latest in zip(fresh, times, strict=True):
                while latest < hour and hour > window.start:
                    yield from self._close(window, hour, reading, page, edge, pages, topics, known=hour in states)
                    hour, page, edge = next(hours), Page(), above
                    reading = Reading(states.get(hour, {}).get("posts", {}), refresh)
                above = record["id"]
                created = created_of(record)
                if created >= window.end:
                    edge = above
                # a post with a borrowed date stands among those of another hour, whose readings will not list it
                mine = hour <= created < hour + HOUR or str(record["id"]) in reading
                if not mine and created not in window:
                    continue
                if not mine or reading.changed(
                    str(record["id"]), created, _fingerprint(record), record["topic_id"], record["post_number"]
                ):
                    page.posts.append(self.row("posts", community, record, pages.observed_at))
                    topics.touch(record, created)
            if pages.ended or (len(fresh) > 1 and max(times[-2:]) < window.start):
                break
            if page.posts:
                yield page
                reading.forget(page.quarantined)
                page = Page()
            batch = pages.get(pages.before)
        while True:
            yield from self._close(window, hour, reading, page, edge, pages, topics, known=hour in states)
            if hour == window.start:
                return
            hour, page = next(hours), Page()
            reading = Reading(states.get(hour, {}).get("posts", {}), refresh)

    def _close(
        self,
        window: Window,
        hour: datetime,
        reading: Reading,
        page: Page,
        edge: int | None,
        pages: Pages,
        topics: Topics,
        *,
        known: bool,
    ) -> Iterator[Page]:
        """The last pages of an hour: what is gone of it, its topics, its state."""
        yield page  # before more is asked for
        reading.forget(page.quarantined)
        page = Page()
        reading.whole = pages.whole
        for post, (created, _, topic, number) in reading.missing(pages.observed_at):
            page.posts.append(gone(str(topic), post, instant(created), pages.observed_at))
            if number == 1:
                page.threads += topics.vanished(topic, instant(created))
        page.threads += topics.rows(hour, known=known, last=hour == window.start)
        yield page
        reading.forget({post for post, item in reading.items.items() if str(item[2]) in page.quarantined})
        # an hour that was always empty needs no memory, but for where a window begins, which took a search
        keep = reading.items or known or (edge and hour + HOUR == window.end)
        yield Page(reached=hour, state={"edge": edge, "posts": reading.items} if keep else None)

    def about(self, community: Community, http: Http) -> About:
        return discourse_past.about(self, community, http, self._pages(community, http))

    def history(self, community: Community, since: datetime, http: Http, cursor: State | None) -> Iterator[Page]:
        pages = self._pages(community, http)
        return discourse_past.history(self, community, since, pages, Topics(self, community, pages), cursor)

    def _pages(self, community: Community, http: Http) -> Pages:
        return Pages(community, http, KEY_PACE if self.keyed(community.instance) else self.pace)

    def parse(self, entity: Entity, community: Community, record: Record, source: Source) -> Parsed:
        created = instant(str(record["created_at"]))
        if entity == "posts":
            return Parsed(str(whole(record, "topic_id")), str(whole(record, "id")), created, record)
        tags = record.get("tags")
        if tags and isinstance(tags[0], dict):  # newer sites send objects
            record = {**record, "tags": [tag["name"] for tag in tags]}
        return Parsed(str(whole(record, "id")), None, created, record)

    def redact(self, entity: Entity, record: Record, those: "Those", opened: bool) -> Record:
        return discourse_redaction.redact(entity, record, those, opened)

    def opens(self, row: Record) -> bool:
        return row.get("post_number") == 1

    def quoted_as(self, row: Record) -> str:
        return f"{row['thread_id']}/{row.get('post_number')}"

    def words(self, entity: Entity, community: Community, fields: Sequence[Record]) -> list[Words]:
        if entity == "threads":
            return [Words(record.get("title"), [], urls(record.get("featured_link") or "")) for record in fields]
        cooked = [record.get("cooked") or "" for record in fields]
        found = []
        for record, html, text in zip(fields, cooked, plain_texts(cooked, drop="aside.quote"), strict=True):
            quotes = [f"{topic}/{post}" for post, topic in QUOTE.findall(html)] if "data-post=" in html else []
            if record.get("reply_to_post_number"):
                quotes.append(f"{record['topic_id']}/{record['reply_to_post_number']}")
            links = [unescape(link) for link in LINK.findall(html)] if "href=" in html else []
            found.append(Words(text, list(dict.fromkeys(quotes)), list(dict.fromkeys(links))))
        return found

    def content(self, entity: Entity, fields: Record) -> object:
        if entity == "threads":
            return [fields.get("title"), fields.get("tags"), fields.get("category_id")]
        return fields.get("raw") or fields.get("cooked")


def _latest_from_here_down(records: list[Record]) -> list[datetime]:
    """For each post, the latest creation among it and those below: one with a borrowed date must not end an hour."""
    return list(accumulate(map(created_of, reversed(records)), max))[::-1]


def _fingerprint(record: Record) -> str:
    return digest({name: value for name, value in record.items() if name not in COUNTERS})
