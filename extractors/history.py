"""The whole past of one community, newest first, into the lake: chunk by chunk, each a commit that says where to go on.

A chunk is committed under the hour in which it is crawled, whatever its posts' age. What was fetched and not committed
when a run ends is fetched again by the next one: at most a chunk.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import filelock

from extractors.errors import CrawlError
from extractors.http import Http
from extractors.lake import Commit, Lake, Receipt
from extractors.locks import HISTORY, READING, alone, is_done
from extractors.platform import Community, Page, Platform, State, floor_hour, instant
from extractors.records import Columns, entities
from extractors.store import StoreError
from extractors.usage import Usage

log = logging.getLogger(__name__)
CHUNK = 2000
"""Rows after which a chunk is committed."""
CHUNK_BYTES = 4 * 2**20
"""Or bytes of their payload: 2000 posts of a forum take 100 MB more (315 for 216, measured 2026-11-23)."""
CHUNK_SECONDS = 30.0
"""After so long it is committed, however few they are."""
RUN_SECONDS = 600.0
"""How long one run goes on at most; the next one goes on from its last commit."""
LOOK_SECONDS = 2.0
"""How often a run looks whether somebody reads the same host, to whom it gives way."""


@dataclass(frozen=True)
class Progress:
    """How far the past of a community is read: what stands in the lake with each chunk.

    `done` of `whole` in whatever the platform counts; `seconds` of work so far; `failures` one after another.
    """

    since: str
    begun_at: str
    cursor: State | None = None
    done: int = 0
    whole: int = 0
    posts: int = 0
    seconds: float = 0.0
    finished: bool = False
    error: str | None = None
    failures: int = 0
    failed_at: str | None = None

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return 1.0 if self.finished else min(self.done / self.whole, 1.0) if self.whole else 0.0

    @property
    def rate(self) -> float:
        """Posts a second."""
        return self.posts / self.seconds if self.seconds else 0.0

    @property
    def left(self) -> float | None:
        """Seconds of work left, about; None where nothing is known."""
        return self.seconds * (1 - self.share) / self.share if self.share else None

    def __str__(self) -> str:
        if self.finished:
            return f"the whole past is read, {self.posts} posts"
        left = "" if self.left is None else f", about {timedelta(seconds=round(self.left))} left"
        return f"{self.share:.0%} of the past, {self.posts} posts, {self.rate:.0f} posts/s{left}"


def progress(lake: Lake, community: Community) -> Progress | None:
    """As last committed; None if nobody began."""
    state = lake.history(community.platform, community)
    return Progress(**{name: value for name, value in state.items() if name != "commit"}) if state else None


def history(
    platform: Platform,
    community: Community,
    since: datetime,
    *,
    lake: Lake,
    http: Http,
    run_id: str,
    clock: Callable[[], datetime],
    scratch: Path,
    seconds: float = RUN_SECONDS,
    chunk: int = CHUNK,
    only_tracked: bool = False,
) -> Iterator[tuple[Commit, Progress]]:
    """Go on with the past of a community, or begin it anew if it is finished; yield each chunk's commit as it is made.

    `seconds`: how long it goes on; `chunk`: rows after which it commits. Ends when the past is read or the time is up,
    or with a failure, which is in the last commit's receipt and in the log. Yields nothing if another run is at it.
    `only_tracked`: also ends when it is tracked no more. Raises StoreError where the lake cannot be used.
    """
    try:
        with alone(HISTORY, community.key, lake.store, scratch, 0):
            before = progress(lake, community)
            if before is None or before.finished or since < instant(before.since):
                before = Progress(since.isoformat(), clock().isoformat())
            before = replace(before, since=since.isoformat())  # less may be wanted than when it began
            run = _Run(platform, community, before, lake, http, run_id, clock, scratch, seconds, chunk)
            with closing(run.chunks()) as chunks:  # type: ignore[type-var]
                while not only_tracked or lake.is_tracked(community.key):
                    if (done := next(chunks, None)) is None:
                        return
                    yield done
            log.warning("%s: it is tracked no more; its past is not read on", community.key)
    except filelock.Timeout:
        log.warning("%s: another run is reading its past", community.key)


class _Run:
    """One run: its generator of pages, and the chunk that is not committed yet."""

    def __init__(
        self,
        platform: Platform,
        community: Community,
        before: Progress,
        lake: Lake,
        http: Http,
        run_id: str,
        clock: Callable[[], datetime],
        scratch: Path,
        seconds: float,
        chunk: int,
    ) -> None:
        self._platform, self._community, self._lake = platform, community, lake
        self._http, self._run_id, self._clock, self._scratch = http.apart(), run_id, clock, scratch
        self._progress = before
        self._until, self._chunk = time.monotonic() + seconds, chunk
        self._looked = self._began = time.monotonic()
        self._columns = {entity: Columns(platform, entity, community, run_id) for entity in entities(platform)}
        self._receipt = Receipt(community.instance)
        self._said = Usage()
        self._last: datetime | None = None
        self._error: str | None = None

    def chunks(self) -> Iterator[tuple[Commit, Progress]]:
        since = instant(self._progress.since)
        pages = self._platform.history(self._community, since, self._http, self._progress.cursor)
        try:
            while (page := self._next(pages)) is not None:
                self._take(page)
                if page.state is None:
                    continue
                self._progress = replace(self._progress, cursor=page.state)
                late = time.monotonic() >= self._until
                if late or self._is_full or time.monotonic() - self._began >= CHUNK_SECONDS:
                    yield self._commit()
                if late:
                    return
            if self._error is None:
                self._progress = replace(self._progress, finished=True, cursor=None)
            yield self._commit()
        finally:
            pages.close()  # type: ignore[attr-defined]

    def _next(self, pages: Iterator[Page]) -> Page | None:
        """None at the end and where it cannot go on, which `_error` then says."""
        self._give_way()
        try:
            return next(pages, None)
        except CrawlError as problem:
            problem.community = problem.community or self._community.key
            self._error = str(problem)
        except StoreError:
            raise
        except Exception as problem:  # a defect in a platform's code must not lose what is read
            log.exception("%s", self._community.key)
            self._error = (
                f"{self._community.key}: {type(problem).__name__}: {problem}; this is a defect, please report it"
            )
        return None

    @property
    def _is_full(self) -> bool:
        held = self._columns.values()
        return sum(map(len, held)) >= self._chunk or sum(columns.bytes for columns in held) >= CHUNK_BYTES

    def _give_way(self) -> None:
        """Wait while somebody crawls a community of the same host, until the time is up."""
        while time.monotonic() - self._looked >= LOOK_SECONDS and time.monotonic() < self._until:
            tracked = self._lake.tracked(self._platform.name)
            peers = [one.key for one in tracked if one.community.host == self._community.host]
            if not is_done(READING, {self._community.key, *peers}, self._lake.store, self._scratch):
                self._looked = time.monotonic()
                return
            time.sleep(0.5)

    def _take(self, page: Page) -> None:
        for entity, some in page.rows.items():
            if not some:
                continue
            errors = self._columns[entity].add(some)
            wrong = {row.post_id or row.thread_id or "" for row, error in zip(some, errors, strict=True) if error}
            page.quarantined |= wrong
            self._receipt = replace(self._receipt, parse_errors=self._receipt.parse_errors + sum(map(bool, errors)))
        old = self._receipt
        ids = [row.post_id for row in page.posts if row.post_id]
        self._receipt = replace(
            old,
            threads=old.threads + len(page.threads),
            posts=old.posts + len(page.posts),
            first_id=ids[-1] if ids else old.first_id,
            last_id=old.last_id or (ids[0] if ids else None),
            note=page.note or old.note,
        )
        done, whole = page.progress or (self._progress.done, self._progress.whole)
        self._progress = replace(self._progress, done=done, whole=whole, posts=self._progress.posts + len(page.posts))

    def _commit(self) -> tuple[Commit, Progress]:
        error, moment = self._error, self._clock()
        if self._last is not None and moment <= self._last:  # no two commits of a run bear the same name
            moment = self._last + timedelta(microseconds=1)
        self._last = moment
        now, used = time.monotonic(), self._http.stats.total()
        usage, self._said = used - self._said, used
        before = self._progress
        self._progress = replace(
            before,
            seconds=round(before.seconds + now - self._began, 3),
            error=error,
            failures=before.failures + 1 if error else 0,
            failed_at=moment.isoformat() if error else None,
        )
        self._began = now
        observation = self._lake.observe(self._platform.name, floor_hour(moment), moment, self._run_id)
        for entity, columns in self._columns.items():
            observation.write(entity, [columns.take()])
        receipt = replace(
            self._receipt.charged(usage),
            complete=error is None,
            error=error,
            history=observation.state(self._community, asdict(self._progress), "history"),
        )
        self._receipt = Receipt(self._community.instance)
        commit = observation.commit({self._community.key: receipt})
        if error:
            log.error("%s", error)
        log.info("%s: %s", self._community.key, self._progress)
        return commit, self._progress
