"""One crawl: some communities of one platform over one window, hour by hour, newest first, into the lake.

Each community is a generator of pages; an hour is committed when all of them have reached it, while the next one is
read. So a crash loses one hour at the most, but for what was read while it was written, and one community that fails
takes no other with it.
"""

import gc
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import filelock
import pyarrow as pa

from extractors.errors import CrawlError
from extractors.http import Http
from extractors.lake import Commit, Lake, Observation, Receipt
from extractors.locks import READING, alone
from extractors.platform import HOUR, Community, Entity, Page, Platform, Row, State, Window, floor_hour
from extractors.records import ENTITIES, Columns
from extractors.spool import MOST, Spool
from extractors.store import StoreError
from extractors.usage import Usage

log = logging.getLogger(__name__)
pa.set_memory_pool(pa.system_memory_pool())  # Arrow's own keeps 50 MB more (measured 2026-11-23)
# Records are trees, which are freed without a search for cycles: that took a tenth of a crawl (measured 2026-11-24).
gc.set_threshold(50_000, 10, 10)
AT_ONCE = 8
"""Communities read at the same time; their hosts' limits hold all the same."""
LONG = 1000
"""Hours: in a longer window, an hour without rows leaves no commit: a forum of 13 years has 114,000 hours."""
ROWS, BYTES = 2000, 2**20
"""So many rows, or bytes of their payload, wait for their conversion at most, of one community."""
PATIENCE = 600.0
"""Seconds to wait for other runs that read the same communities."""
GLANCE = 0.1
"""Seconds to wait for one lock: a run of the past takes it for a moment, to see whether it is free."""


def crawl(
    platform: Platform,
    communities: Sequence[Community],
    window: Window,
    *,
    lake: Lake,
    http: Http,
    run_id: str,
    clock: Callable[[], datetime],
    scratch: Path,
    refresh: bool = False,
    only_tracked: bool = False,
) -> Iterator[Commit]:
    """Yield each hour's commit as it is made. A community that fails is a receipt with an error, and an error in the
    log; the next crawl reads what it lacks. Raises StoreError where the lake cannot be used. The first of the
    `communities` are read first; those that other runs are reading come last, in commits of their own.

    `scratch`: a folder of this machine for locks and for what does not fit into memory.
    `refresh`: read everything anew, unchanged or not.
    `only_tracked`: leave out, without a receipt, who is tracked no more when its turn comes.
    """
    waiting, until = list(dict.fromkeys(communities)), time.monotonic() + PATIENCE
    # one microsecond apart, so that no two commits of a run bear the same name
    moments = (clock() + timedelta(microseconds=number) for number in count())
    while waiting:
        with ExitStack() as stack:
            mine = [one for one in waiting if _locked(stack, lake, scratch, one)]
            if only_tracked:
                waiting = [one for one in waiting if lake.is_tracked(one.key)]
            if late := not mine and time.monotonic() >= until:
                mine = waiting
            mine = [one for one in mine if one in waiting]
            waiting = [one for one in waiting if one not in mine]
            if mine:
                about = Crawl(platform, mine, window, lake, http, run_id, scratch, refresh, late)
                yield from _crawl(about, moments)
            elif waiting:
                time.sleep(GLANCE)


def _crawl(about: "Crawl", moments: Iterator[datetime]) -> Iterator[Commit]:
    """The hours of communities that nobody else reads."""
    platform, window, lake = about.platform, about.window, about.lake
    with ExitStack() as stack:
        by_turn = [stack.enter_context(Reader(about, community)) for community in about.communities]
        readers = sorted(by_turn, key=lambda reader: reader.community)
        pool = stack.enter_context(ThreadPoolExecutor(AT_ONCE, thread_name_prefix=platform.name))
        writer = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="writer"))
        written: Future[Commit] | None = None
        hours = window.hours
        for number, hour in enumerate(hours):
            last = hour == window.start
            behind = [reader for reader in by_turn if reader.behind(hour)]
            for _ in pool.map(lambda reader, hour=hour: reader.read_to(hour), behind):
                pass
            if number and not any(reader.has_news(hour, last, long=len(hours) > LONG) for reader in readers):
                continue
            if written:
                yield written.result()
            observation = lake.observe(platform.name, hour, next(moments), about.run_id)
            written = writer.submit(_write, observation, [reader.give(hour, last) for reader in readers])
        if written:
            yield written.result()


def _write(observation: Observation, read: "Sequence[Read]") -> Commit:
    """Commit an hour. The next one is read meanwhile: the disk and Parquet take no part of Python's time."""
    for entity in ENTITIES:
        observation.write(entity, (table for one in read for table in one.tables[entity]))
    receipts = {}
    for one in read:
        name = observation.state(one.community, one.state) if one.state is not None else None
        receipts[one.community.key] = replace(one.receipt, state=name)
    commit = observation.commit(receipts)
    log.debug("%s %s: %d rows", commit.platform, f"{commit.hour:%Y-%m-%dT%H}", commit.rows)
    return commit


@dataclass(frozen=True)
class Read:
    """What was read of one community in one hour."""

    community: Community
    tables: Mapping[Entity, Iterable[pa.Table]]
    receipt: Receipt
    state: State | None


@dataclass(frozen=True)
class Crawl:
    """What the readers of one crawl have in common; `late`: they may not read, since other runs still do."""

    platform: Platform
    communities: Sequence[Community]
    window: Window
    lake: Lake
    http: Http
    run_id: str
    scratch: Path
    refresh: bool
    late: bool = False


class Reader:
    """One community's part of a crawl: its generator, and what it has yielded of hours not yet committed."""

    def __init__(self, about: Crawl, community: Community) -> None:
        self.community, self._about = community, about
        self._platform, self._window = about.platform, about.window
        self._http = about.http.apart()
        self._pages: Iterator[Page] | None = None
        self._reached = about.window.end
        self._waiting: dict[tuple[datetime, Entity], Columns] = {}
        self._spool = Spool(about.scratch, MOST // max(1, len(about.communities)))
        self._states: dict[datetime, State] = {}
        self._receipts: dict[datetime, Receipt] = {}
        self._error: str | None = None
        self._error_told = False
        self._note = "another run is reading it; the next run reads it" if about.late else None
        self._said = Usage()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pages is not None:
            self._pages.close()  # type: ignore[attr-defined]
        self._spool.close()

    def behind(self, hour: datetime) -> bool:
        return self._reached > hour and self._error is None and not self._about.late

    def read_to(self, hour: datetime) -> None:
        """Go on until everything created in `hour` is there, or until it cannot be had."""
        try:
            if self._pages is None:
                self._pages = self._begin()
            while self._reached > hour:
                page = next(self._pages, None)
                if page is None:
                    self._reached = self._window.start
                    break
                self._take(page, hour)
        except CrawlError as problem:
            problem.community = problem.community or self.community.key
            self._fail(str(problem))
        except StoreError:
            raise
        except Exception as problem:  # a defect in one platform's code must not lose what the others have read
            log.exception("%s", self.community.key)
            self._fail(f"{self.community.key}: {type(problem).__name__}: {problem}; this is a defect, please report it")

    def _begin(self) -> Iterator[Page]:
        lake, name, window = self._about.lake, self._platform.name, self._window
        states: Mapping[datetime, State]
        if self._platform.memory == "community":
            state = lake.state(name, self.community)
            states = {window.start: state} if state else {}
        else:
            states = lake.states(lake.commits(name, window.start - self._platform.recalls, window.end), self.community)
        return self._platform.crawl(self.community, window, self._http, states, refresh=self._about.refresh)

    def _fail(self, error: str) -> None:
        self._error = error
        log.error("%s", error)

    def _take(self, page: Page, hour: datetime) -> None:
        for entity, some in page.rows.items():
            for mine, part in self._by_hour(some, hour).items():
                page.quarantined |= self._count(mine, entity, part, self._columns(mine, entity).add(part))
        if sum(len(some) for some in self._waiting.values()) >= ROWS or self._bytes_waiting() >= BYTES:
            for key in list(self._waiting):
                self._convert(*key)
        if page.note:
            self._note = page.note
        if page.state is not None:
            self._states[page.reached or self._window.start] = page.state
        if page.reached is not None:
            self._reached = page.reached

    def _by_hour(self, rows: list[Row], hour: datetime) -> dict[datetime, list[Row]]:
        """The hours with whose commits they come: that of their creation, if it is still to be read, else `hour`."""
        start, end = self._window.start, hour + HOUR
        # at the window's start nothing is left for a later hour; else most pages are of one
        if hour == start or all(row.created_at is None or hour <= row.created_at < end for row in rows):
            return {hour: rows} if rows else {}
        found: dict[datetime, list[Row]] = {}
        for row in rows:
            later = row.created_at is not None and start <= row.created_at < hour
            found.setdefault(floor_hour(row.created_at) if row.created_at and later else hour, []).append(row)
        return found

    def _columns(self, hour: datetime, entity: Entity) -> Columns:
        key = (hour, entity)
        if key not in self._waiting:
            self._waiting[key] = Columns(self._platform, entity, self.community, self._about.run_id)
        return self._waiting[key]

    def _bytes_waiting(self) -> int:
        return sum(columns.bytes for columns in self._waiting.values())

    def _convert(self, hour: datetime, entity: Entity) -> None:
        """Into the spool with what waits of an hour."""
        if columns := self._waiting.pop((hour, entity), None):
            self._spool.add((hour, entity), columns.take())

    def _count(self, hour: datetime, entity: Entity, rows: list[Row], errors: list[str | None]) -> set[str]:
        old = self._receipts.get(hour, Receipt(self.community.instance))
        wrong = [row for row, error in zip(rows, errors, strict=True) if error]
        posts = rows if entity == "posts" else []
        ids = [row.post_id for row in posts if row.post_id] + [i for i in (old.first_id, old.last_id) if i]
        self._receipts[hour] = replace(
            old,
            threads=old.threads + (len(rows) if entity == "threads" else 0),
            posts=old.posts + len(posts),
            gone=old.gone + sum(row.payload is None for row in rows),
            parse_errors=old.parse_errors + len(wrong),
            first_id=min(ids, key=_order, default=None),
            last_id=max(ids, key=_order, default=None),
        )
        return {row.post_id or row.thread_id or "" for row in wrong if entity != "authors"}

    def has_news(self, hour: datetime, last: bool, long: bool) -> bool:
        """Whether there is anything to say of the hour: whether it was read, rows, a state, an error not yet told."""
        told = self._error is None or self._error_told
        rows = any((hour, entity) in self._spool or (hour, entity) in self._waiting for entity in ENTITIES)
        return not long or rows or not told or self._state(hour, last) is not None

    def give(self, hour: datetime, last: bool) -> Read:
        """What is to be committed of an hour, which is forgotten here."""
        for entity in ENTITIES:
            self._convert(hour, entity)
        tables = {entity: self._spool.take((hour, entity)) for entity in ENTITIES}
        read = Read(self.community, tables, self._receipt(hour), self._state(hour, last))
        self._receipts.pop(hour, None)
        self._states.pop(hour, None)
        return read

    def _state(self, hour: datetime, last: bool) -> State | None:
        """What to remember with this hour's commit; of a whole community only with the last, when all is committed."""
        if self._platform.memory == "community":
            return self._states.get(self._window.start) if last else None
        return self._states.get(hour)

    def _receipt(self, hour: datetime) -> Receipt:
        complete = self._reached <= hour
        self._error_told = self._error_told or not complete
        used = self._http.stats.total()
        usage, self._said = used - self._said, used  # each request is said once, with the first hour committed after it
        receipt = self._receipts.get(hour, Receipt(self.community.instance)).charged(usage)
        return replace(receipt, complete=complete, error=None if complete else self._error, note=self._note)


def _locked(stack: ExitStack, lake: Lake, scratch: Path, community: Community) -> bool:
    """Whether nobody else reads it; then nobody else does until the stack ends."""
    try:
        stack.enter_context(alone(READING, community.key, lake.store, scratch, GLANCE))
        return True
    except filelock.Timeout:
        return False


def _order(item: str) -> tuple[int, str]:
    """Ids in the platform's order: they are numbers behind a prefix that all of a community have."""
    return len(item), item
