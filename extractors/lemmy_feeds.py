"""Lists of a Lemmy community by time, read downwards from any moment.

How a list is entered in the past: 0.18 numbers its pages, and so do comments up to 0.19: their number is bisected, up
to page 100, which is the last since 0.19.14. A cursor of 0.19 is a post's id: ids are bisected. v4's cursors are
opaque; its sort by age within a time range gives the one to begin with. Featured posts come first in every sort.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from extractors.errors import NotFound, Refused
from extractors.lemmy_api import PER_PAGE, Instance, Item, Mark, item_of
from extractors.platform import Record

LAST_PAGE = 100
NEAR = 4  # pages that are read through rather than searched
SKEW = timedelta(minutes=1)  # between clocks
BEGINNING = 1_000_000  # no page has a number so high


def posts_of(instance: Instance) -> "Feed":
    return (Cursors if instance.modern else ById if instance.version >= (0, 19) else Numbered)(instance, "post")


def comments_of(instance: Instance) -> "Feed":
    return (Cursors if instance.modern else Numbered)(instance, "comment")


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
            for item in self._with_featured(batch) if self.featured else batch:
                if start <= item.created < end and item.key not in before:
                    yield item
            if self.next is None or (batch and batch[-1].created < start):
                yield from (item for item in self.featured if start <= item.created < end)
                self.featured.clear()
                return
            before = {item.key for item in batch}  # numbered pages move on while they are read
            batch = self.read(self.next)

    def item(self, record: Any) -> Item | None:
        return item_of(self.kind, record, self.instance, None)

    def items(self, records: list[Any], mark: Mark) -> list[Item]:
        """The usable ones, newest first; the featured aside."""
        found = []
        self.empty = self.empty and not records
        for record in records:
            item = item_of(self.kind, record, self.instance, mark)
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


def _cursor(id: int) -> str:
    return f"P{id:x}"
