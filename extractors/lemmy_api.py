"""Lemmy's API: what an instance speaks, and its lists as feeds, read downwards from any moment.

How a feed is entered in the past: 0.18 numbers its pages, and so do comments up to 0.19: their number is bisected, up
to page 100, which is the last since 0.19.14. A cursor of 0.19 is a post's id: ids are bisected. v4's cursors are
opaque; its sort by age within a time range gives the one to begin with. Featured posts come first in every sort.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from extractors.errors import Malformed, NotFound, Refused
from extractors.http import Http
from extractors.pace import Pace
from extractors.platform import Community, Record, instant

PER_PAGE = 50
TREE = 300  # comments at most of a request with max_depth, whatever its limit and page
LAST_PAGE = 100
NEAR = 4  # pages that are read through rather than searched
SKEW = timedelta(minutes=1)  # between clocks
BEGINNING = 1_000_000  # no page has a number so high

Mark = str | int | None
"""Where a page begins: a number or a cursor, empty for the newest; JSON can write it."""


class Item(NamedTuple):
    """A post or comment as listed. `key`: `p` or `c` and its id; `mark`: from where it is found again."""

    created: datetime
    key: str
    thread: str
    record: Record
    observed_at: datetime
    mark: Mark
    featured: bool


class Instance:
    """One instance, asked for one community. Its version is asked once, when it is made."""

    def __init__(self, community: Community, http: Http, pace: Pace) -> None:
        self.community, self._http, self._pace = community, http, pace
        self.name = community.name.partition("/")[2]
        self._base = f"https://{community.instance}/api/v3"
        version = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", str(self.get("site", {}).get("version", "")))
        if not version:
            raise Malformed(f"{self._base}/site", None, "the version of a Lemmy instance", "none")
        self.version = tuple(int(part or 0) for part in version.groups())
        self.modern = self.version >= (1,)
        if self.modern:
            self._base = f"https://{community.instance}/api/v4"

    def get(self, path: str, params: dict[str, Any], tolerate: frozenset[int] = frozenset()) -> Record:
        """The JSON object of an answer. Raises errors.CrawlError."""
        answer = self._http.get(f"{self._base}/{path}", pace=self._pace, params=params, tolerate=tolerate)
        self.observed_at, self.url = answer.observed_at, answer.url
        body = answer.json()
        if not isinstance(body, dict):
            raise Malformed(answer.url, None, "a JSON object", f"{answer.body[:80]!r}")
        return body

    def list(self, kind: str, sort: str, *, again: bool = True, **params: Any) -> tuple[list[Any], Record]:
        """Records of a list of posts or comments of the community, with all else the answer says."""
        names = {"sort": sort.lower(), "type_": "all"} if self.modern else {"sort": sort, "type_": "All"}
        if sort == "NewComments" and self.modern:
            names["sort"] = "new_comments"
        if kind == "post" and self.version >= (0, 19):
            names["show_nsfw"] = "true"  # else they are hidden from who has no account
        query = {"community_name": self.name, "limit": PER_PAGE, **names, **params}
        body = self.get(f"{kind}/list", {name: value for name, value in query.items() if value not in (None, "")})
        records = body.get("items" if self.modern else f"{kind}s")
        if not isinstance(records, list):
            raise Malformed(self.url, None, f"a list of {kind}s", f"{str(body)[:80]!r}")
        if not records and again:  # so it says that there are no more: better asked twice
            return self.list(kind, sort, again=False, **params)
        return records, body

    def one(self, kind: str, id: str) -> Record | None:
        """A post or comment by its id; None if it cannot be read any more."""
        body = self.get(kind, {"id": id}, frozenset({400, 404}))
        if "error" in body and body["error"] not in ("not_found", "couldnt_find_post", "couldnt_find_comment"):
            raise Refused(self.url, None, f"{kind} {id}", f"the error {body['error']!r}")
        view = body.get(f"{kind}_view", body)
        return view if kind in view else None

    def active(self, since: datetime) -> Iterator[Item]:
        """Posts that were commented since, by their last comment."""
        params: dict[str, Any] = {}
        while True:
            records, body = self.list("post", "NewComments", **params)
            items = [item for record in records if (item := _item("post", record, self, None))]
            yield from items
            counts = [{**item.record.get("counts", {}), **item.record["post"]} for item in items if not item.featured]
            times = [own.get("newest_comment_time_at") or own.get("newest_comment_time") for own in counts]
            if len(records) < PER_PAGE or any(utc(time) < since for time in times[-1:] if time):
                return
            cursor, page = body.get("next_page"), int(params.get("page", 1)) + 1
            params = {"page_cursor": cursor} if cursor else {"page": page}

    def posts(self) -> "Feed":
        return Cursors(self, "post") if self.modern else (ById if self.version >= (0, 19) else Numbered)(self, "post")

    def comments(self) -> "Feed":
        return (Cursors if self.modern else Numbered)(self, "comment")


class Feed(ABC):
    """A list of a community by time, newest first. After `read`: `next`, the mark below, None at the end.

    `empty`: nothing was ever listed. `broken`: records without a usable key or time, for whoever quarantines them.
    """

    top: Mark = ""

    def __init__(self, instance: Instance, kind: str) -> None:
        self.instance, self.kind = instance, kind
        self.next: Mark = self.top
        self.broken: list[Record] = []
        self.featured: list[Item] = []
        self.empty = True

    @abstractmethod
    def read(self, mark: Mark) -> list[Item]:
        """The page that begins there, newest first, without featured posts."""

    @abstractmethod
    def find(self, end: datetime, batch: list[Item], mark: Mark) -> list[Item]:
        """A page from which on down everything created before `end` is listed. `batch` is the one at `mark`."""

    def enter(self, end: datetime, mark: Mark) -> list[Item]:
        """The page to begin with, from a mark of an earlier reading if there is one."""
        known = mark is not None
        try:
            batch = self.read(mark if known else self.top)
        except (Refused, NotFound):  # the post that the cursor names was purged
            if not known:
                raise
            known, batch = False, self.read(self.top)
        above = bool(batch) and batch[-1].created >= end and self.next is not None
        if above and not known:
            spans = (batch[0].created - batch[-1].created) / len(batch) * PER_PAGE
            near = spans and (batch[-1].created - end) / spans <= NEAR
            return batch if near else self.find(end, batch, self.top)
        if known and isinstance(mark, int) and (above or not batch or batch[0].created < end):
            return self.find(end, batch, mark)
        return batch

    def down(self, start: datetime, end: datetime, mark: Mark) -> Iterator[Item]:
        """Everything created in `[start, end)`, newest first; asks for a page when one gets there."""
        batch = self.enter(end, mark)
        before: set[str] = set()
        while True:
            for item in self._with_featured(batch):
                if start <= item.created < end and item.key not in before:
                    yield item
            if self.next is None or (batch and batch[-1].created < start):
                yield from (item for item in self.featured if start <= item.created < end)
                self.featured.clear()
                return
            before = {item.key for item in batch}  # numbered pages move on while they are read
            batch = self.read(self.next)

    def item(self, record: Any) -> Item | None:
        return _item(self.kind, record, self.instance, None)

    def items(self, records: list[Any], mark: Mark) -> list[Item]:
        """The usable ones, newest first; the featured aside."""
        found = []
        self.empty = self.empty and not records
        for record in records:
            item = _item(self.kind, record, self.instance, mark)
            if item is None:
                self.broken.append(record)
            elif item.featured:
                if item.key not in {other.key for other in self.featured}:
                    self.featured.append(item)
            else:
                found.append(item)
        self.featured.sort(key=lambda item: item.created, reverse=True)
        return sorted(found, key=lambda item: item.created, reverse=True)

    def _with_featured(self, batch: list[Item]) -> Iterator[Item]:
        for item in batch:
            while self.featured and self.featured[0].created >= item.created:
                yield self.featured.pop(0)
            yield item


class Numbered(Feed):
    """Pages by number. `most`: the last one that may be asked for; `cut`: there was more below it."""

    top = 1

    def __init__(self, instance: Instance, kind: str) -> None:
        super().__init__(instance, kind)
        self.most = LAST_PAGE if instance.version >= (0, 19, 14) else BEGINNING
        self.cut = False

    def read(self, mark: Mark) -> list[Item]:
        assert isinstance(mark, int)
        self.cut = mark > self.most
        if self.cut:
            self.next = None
            return []
        try:
            records, _ = self.instance.list(self.kind, "New", page=mark)
        except Refused:
            if mark <= LAST_PAGE:
                raise
            self.most = LAST_PAGE  # a limit that its version did not tell
            return self.read(mark)
        self.next = mark + 1 if len(records) >= PER_PAGE else None
        return self.items(records, mark)

    def find(self, end: datetime, batch: list[Item], mark: Mark) -> list[Item]:
        assert isinstance(mark, int)
        low, high, step, here = 0, self.most + 1, 1, mark
        found: tuple[list[Item], Mark] | None = None
        while True:
            if batch and batch[-1].created >= end:
                low = here
            elif here == 1 or (batch and batch[0].created >= end):
                return batch
            else:
                high, found = here, (batch, self.next)
            if high - low <= 1:
                batch, self.next = found or (self.read(high), self.next)
                self.cut = high > self.most
                return batch
            if high > self.most:
                here = min(low + step, self.most)
            else:
                here = max(high - step, 1) if low == 0 else (low + high) // 2
            step *= 2
            batch = self.read(here)


class ById(Feed):
    """Cursors made of a post's id, in hex."""

    def read(self, mark: Mark) -> list[Item]:
        records, body = self.instance.list(self.kind, "New", page_cursor=mark)
        found = self.items(records, mark)
        self.next = body.get("next_page") if len(records) >= PER_PAGE else None
        marks = [mark, *(_cursor(item.record["post"]["id"]) for item in found)]
        return [item._replace(mark=above) for item, above in zip(found, marks, strict=False)]

    def find(self, end: datetime, batch: list[Item], mark: Mark) -> list[Item]:
        low, high, best = 0, int(batch[-1].key[1:]), self.next
        while high - low > PER_PAGE:
            middle = (low + high) // 2
            batch = self._beside(middle)
            if not batch or batch[0].created < end:
                low = middle
            elif batch[-1].created < end or self.next is None:
                return batch
            else:
                high, best = min(middle, int(batch[-1].key[1:])), self.next
        return self.read(best)

    def _beside(self, middle: int) -> list[Item]:
        """The page below a post; if that was purged, below one of its neighbours."""
        for id in range(middle, middle - 4, -1):
            try:
                return self.read(_cursor(id))
            except (Refused, NotFound):
                continue
        return []


class Cursors(Feed):
    """v4: opaque cursors."""

    def read(self, mark: Mark) -> list[Item]:
        records, body = self.instance.list(self.kind, "New", page_cursor=mark)
        self.next = body.get("next_page") if records else None
        return self.items(records, mark)

    def find(self, end: datetime, batch: list[Item], mark: Mark) -> list[Item]:
        age = int((self.instance.observed_at - end - SKEW).total_seconds())
        first = 1 + sum(item.created > end for item in self.featured)  # which come first in this sort, too
        if age < 1 or first > PER_PAGE:
            return batch
        records, body = self.instance.list(self.kind, "Old", time_range_seconds=age, limit=first)
        if not records or not body.get("next_page"):
            return batch
        return self.read(body["next_page"])


def _item(kind: str, record: Any, instance: Instance, mark: Mark) -> Item | None:
    try:
        own = record[kind]
        id, thread = own["id"], own["id"] if kind == "post" else own["post_id"]
        created = utc(own.get("published_at") or own["published"])
        if type(id) is not int or type(thread) is not int or not isinstance(record.get("creator"), dict):
            return None
        featured = kind == "post" and bool(own.get("featured_community"))
        return Item(created, f"{kind[0]}{id}", str(thread), record, instance.observed_at, mark, featured)
    except (LookupError, TypeError, ValueError, AttributeError):
        return None


def utc(value: object) -> datetime:
    """A time of Lemmy's; up to 0.18 without its zone, which is UTC."""
    text = value if not isinstance(value, str) or re.search(r"(Z|[+-]\d\d:?\d\d)$", value) else f"{value}Z"
    return instant(text) if isinstance(text, str) else instant(None)


def _cursor(id: int) -> str:
    return f"P{id:x}"
