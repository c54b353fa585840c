"""Discourse forums, from `/posts.json` (50 posts a page, newest first, with raw) and `/latest.json` (30 topics a page).

`before` means two things: today `id < before`, without gaps; in older versions the ids in (before-50, before], filtered
afterwards, so that a short or empty page is not the end. Both are read alike: the next `before` is the least id of the
page, what came twice is dropped, and after a page with nothing new it goes down by 49.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import unescape
from itertools import accumulate
from urllib.parse import urlsplit

import pyarrow as pa

from extractors import discourse_past
from extractors.errors import Malformed
from extractors.http import Http
from extractors.memory import Reading, gone
from extractors.pace import Pace
from extractors.platform import (
    HOUR,
    About,
    Community,
    Entity,
    Page,
    Parsed,
    Platform,
    Record,
    Row,
    Source,
    State,
    Window,
    Words,
    dumps,
    floor_hour,
    instant,
)  # fmt: skip
from extractors.records import TEXTS, TIMESTAMP, digest
from extractors.text import plain_texts, urls

PACE = Pace(requests=20, seconds=10, in_flight=2)  # of 50 in 10 s and 200 in 60 s that a site allows an address
KEY_PACE = Pace(requests=20, seconds=60)  # what a user's API key is allowed
PER_PAGE = 50
TOPICS_PER_PAGE = 30
BARE_HOST = re.compile(r"^(?:discourse:)?([a-z0-9-]+(?:\.[a-z0-9-]+)+(?::\d+)?)$", re.IGNORECASE)
FORUM_PATH = re.compile(r"^/(?:$|t/|c/|u/|latest|top|categories|posts|tag|about)")
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


def _schema(types: dict[pa.DataType, str]) -> pa.Schema:
    return pa.schema([(name, kind) for kind, names in types.items() for name in names.split()])


class Discourse(Platform):
    """One community a forum. `keyed`: whether a host is read with an API key, whose pace is slower."""

    name = "discourse"
    threads = _schema(
        {pa.string(): TOPIC_STRINGS, pa.int64(): TOPIC_INTEGERS, pa.bool_(): TOPIC_BOOLEANS,
         TIMESTAMP: "last_posted_at bumped_at", TEXTS: "tags"}
    )  # fmt: skip
    posts = _schema(
        {
            pa.string(): STRINGS,
            pa.int64(): INTEGERS,
            pa.float64(): "score",
            pa.bool_(): BOOLEANS,
            TIMESTAMP: "updated_at",
        }
    )
    memory = "hour"

    def __init__(self, keyed: Callable[[str], bool] = lambda host: False, pace: Pace = PACE) -> None:
        self.keyed = keyed
        self.pace = pace

    def community(self, url: str) -> Community | None:
        bare = BARE_HOST.match(url)
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        host = (
            bare[1]
            if bare
            else parts.netloc
            if FORUM_PATH.match(parts.path or "/") and parts.scheme in ("http", "https")
            else ""
        )
        return Community(f"discourse:{host.lower()}", host.lower()) if host and "@" not in host else None

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
        if edge is None and min(map(_created, batch)) >= window.end:
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
                created = _created(record)
                if created >= window.end:
                    edge = above
                # a post with a borrowed date stands among those of another hour, whose readings will not list it
                mine = floor_hour(created) == hour or str(record["id"]) in reading
                if not mine and created not in window:
                    continue
                row = self.row("posts", community, record, pages.observed_at)
                if not mine or reading.changed(
                    str(record["id"]), created, _fingerprint(record), record["topic_id"], record["post_number"]
                ):
                    page.posts.append(row)
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
        pages: "Pages",
        topics: "Topics",
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

    def _pages(self, community: Community, http: Http) -> "Pages":
        return Pages(community, http, KEY_PACE if self.keyed(community.name) else self.pace)

    def parse(self, entity: Entity, community: Community, record: Record, source: Source) -> Parsed:
        created = instant(str(record["created_at"]))
        if entity == "posts":
            return Parsed(_id(record, "topic_id"), _id(record, "id"), created, record)
        tags = record.get("tags")
        if tags and isinstance(tags[0], dict):  # newer sites send objects
            record = {**record, "tags": [tag["name"] for tag in tags]}
        return Parsed(_id(record, "id"), None, created, record)

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


class Pages:
    """`/posts.json` of one forum, downwards. `asked`: the last `before`; `before`: where the next page begins;
    `ended`: there is none; `whole`: every record so far had a usable key; `modern`: `before` has today's meaning."""

    def __init__(self, community: Community, http: Http, pace: Pace) -> None:
        self.community, self.http, self.pace = community, http, pace
        self.base = f"https://{community.name}"
        self.asked: int | None = None
        self.before, self.ended, self.whole = 0, False, True
        self._lowest = 2**63
        self._broken: list[Record] = []
        self.modern = False

    def get(self, before: int | None) -> list[Record]:
        """The page of posts below an id, or the newest; newest first. Records without a usable key stand aside."""
        records = self._posts(before)
        if not records and self.modern:  # so it says that there are no more: better asked twice
            records = self._posts(before)
        well = sorted(filter(_usable, records), key=lambda record: -record["id"])
        self._broken += [record for record in records if not _usable(record)]
        least = well[-1]["id"] if well else None
        if least is not None and least <= (before or well[0]["id"]) - PER_PAGE:
            self.modern = True  # the older meaning of `before` never reaches so far down
        if least is None and before is None:
            raise Malformed(f"{self.base}/posts.json", None, "the newest posts", "none, which a forum always has")
        self.asked = before
        self.before = least if least is not None and least < self._lowest else (before or 1) - PER_PAGE + 1
        # a short page is not the end: a plugin or a proxy may have taken some of it out
        self.ended = self.before <= 1 or (self.modern and not records)
        return well

    def resume(self, before: int, modern: bool) -> None:
        """Go on where another reading stopped."""
        self._lowest, self.modern, self.ended = before, modern, before <= 1

    def _posts(self, before: int | None) -> list[Record]:
        params = {} if before is None else {"before": before}
        answer = self.http.get(f"{self.base}/posts.json", pace=self.pace, params=params, tolerate=frozenset())
        self.observed_at = answer.observed_at
        body = answer.json()
        records = body.get("latest_posts") if isinstance(body, dict) else None
        if not isinstance(records, list):
            raise Malformed(answer.url, None, 'an object with "latest_posts"', f"{answer.body[:80]!r}")
        return records

    def fresh(self, batch: list[Record]) -> list[Record]:
        """Those of a page that no page before it had: the older `before` gives the last one again."""
        records = [record for record in batch if record["id"] < self._lowest]
        self._lowest = min((record["id"] for record in records), default=self._lowest)
        return records

    def broken(self, platform: Platform) -> list[Row]:
        """Rows in quarantine for the records whose key or time cannot be read."""
        rows = [platform.row("posts", self.community, record, self.observed_at) for record in self._broken]
        self._broken.clear()
        self.whole = self.whole and not rows
        return rows

    def find(self, end: datetime, newest: list[Record]) -> list[Record]:
        """The page on which posts younger than `end` give way to older ones, by bisecting over the ids."""
        low, high = 0, newest[-1]["id"]
        while high - low > PER_PAGE:
            middle = below = (low + high) // 2
            batch = self.get(middle)
            while not (batch or self.modern) and below - PER_PAGE > low:  # an older forum has gaps
                below -= PER_PAGE - 1
                batch = self.get(below)
            if not batch or _created(batch[0]) < end:
                low = middle - 1
            elif _created(batch[-1]) < end:
                return batch
            else:
                high = min(high, batch[-1]["id"])
        return self.get(high)

    def topic(self, topic: int) -> Record | None:
        """One topic, without its posts; None if it cannot be read any more."""
        url = f"{self.base}/t/{topic}.json"
        answer = self.http.get(url, pace=self.pace, tolerate=frozenset({403, 404, 410}))
        body = answer.json() if answer.status == 200 else None
        if body is None:
            return None
        return {name: value for name, value in body.items() if name not in ("post_stream", "suggested_topics")}

    def topics(self, number: int) -> list[Record]:
        """A page of the topics, the last active first."""
        params = {"order": "activity", "page": number}
        answer = self.http.get(f"{self.base}/latest.json", pace=self.pace, params=params, tolerate=frozenset())
        try:
            topics: list[Record] = answer.json()["topic_list"]["topics"]
            self.observed_at = answer.observed_at
            for topic in topics:
                _id(topic, "id"), instant(topic.get("bumped_at") or 0)
            return topics
        except (LookupError, TypeError, ValueError, AttributeError) as problem:
            raise Malformed(answer.url, self.community.key, "a list of topics", f"{answer.body[:80]!r}") from problem


class Topics:
    """Thread rows for the topics whose posts were read.

    Of a recent window the list of topics by activity has them all, 30 a request. An older one would need a request
    each, so its rows are derived from opening posts, unless a revisit found one changed.
    """

    def __init__(self, platform: Discourse, community: Community, pages: Pages) -> None:
        self._platform, self._community, self._pages = platform, community, pages
        self.recent = True
        self._listed: dict[int, Record] = {}
        self._number, self._down_to = 0, datetime.max.replace(tzinfo=UTC)
        self._touched: set[int] = set()
        self._opened: dict[int, Record] = {}
        self._earliest: dict[int, datetime] = {}
        self._done: set[int] = set()

    def touch(self, post: Record, created: datetime) -> None:
        """A post of the topic is new or changed."""
        topic = post["topic_id"]
        self._earliest[topic] = min(created, self._earliest.get(topic, created))
        if topic not in self._done:
            self._touched.add(topic)
        if post["post_number"] == 1:
            self._opened[topic] = post

    def rows(self, hour: datetime, *, known: bool, last: bool) -> list[Row]:
        """Each topic once, as soon as it is known when it was created; at the `last` hour, by its earliest post."""
        found = []
        while self.recent and self._touched - self._listed.keys() and self._down_to >= hour:
            batch = self._pages.topics(self._number)
            self._number += 1
            self._listed |= {topic["id"]: topic for topic in batch}
            bumped = [instant(topic["bumped_at"]) for topic in batch if topic.get("bumped_at")]
            self._down_to = (
                min(bumped, default=hour) if len(batch) >= TOPICS_PER_PAGE else datetime.min.replace(tzinfo=UTC)
            )
        for topic in sorted(self._touched):
            record, opening = self._listed.get(topic), self._opened.get(topic)
            if record is None and known and not self.recent and opening:
                record = self._pages.topic(topic)
            created = (record or {}).get("created_at") or (opening or {}).get("created_at")
            if created is None and not last:
                continue
            if record:
                found.append(self._row(record, created or self._earliest[topic].isoformat(), "api"))
            elif opening:
                names = {"id": "topic_id", "title": "topic_title", "slug": "topic_slug", "category_id": "category_id"}
                derived = {name: opening.get(theirs) for name, theirs in names.items()}
                found.append(self._row(derived, opening["created_at"], "derived"))
            self._touched.discard(topic)
            self._done.add(topic)
            self._listed.pop(topic, None)
            self._opened.pop(topic, None)
            self._earliest.pop(topic, None)
        return found

    def listed(self, record: Record) -> Row:
        """The row of a topic as a list shows it."""
        return self._row(record, str(record.get("created_at")), "api")

    def vanished(self, topic: int, created: datetime) -> list[Row]:
        """The opening post is gone: ask whether the topic is, too."""
        if self._pages.topic(topic) is not None:
            return []
        return [gone(str(topic), None, created, self._pages.observed_at)]

    def _row(self, record: Record, created: str, source: Source) -> Row:
        row = self._platform.row(
            "threads", self._community, {**record, "created_at": created}, self._pages.observed_at, source
        )
        return row._replace(payload=dumps(record))


def _usable(record: object) -> bool:
    if not isinstance(record, dict):
        return False
    try:
        instant(record["created_at"])
    except (LookupError, TypeError, ValueError):
        return False
    return isinstance(record["created_at"], str) and all(
        type(record.get(name)) is int for name in ("id", "topic_id", "post_number")
    )


def _created(record: Record) -> datetime:
    return instant(record["created_at"])


def _latest_from_here_down(records: list[Record]) -> list[datetime]:
    """For each post, the latest creation among it and those below: one with a borrowed date must not end an hour."""
    return list(accumulate(map(_created, reversed(records)), max))[::-1]


def _id(record: Record, name: str) -> str:
    if type(record[name]) is not int:
        raise ValueError(f"{name}: expected a whole number, got {record[name]!r}")
    return str(record[name])


def _fingerprint(record: Record) -> str:
    return digest({name: value for name, value in record.items() if name not in COUNTERS})
