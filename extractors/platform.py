"""The contract between a platform module and the crawl: communities, windows, pages, and the Platform class.

A platform module reads top to bottom: constants, what it declares, one generator, small parsers. It holds no
clock, no environment, no lake and no orchestrator, and touches no network before `crawl` is iterated.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import orjson
import pyarrow as pa

from extractors.http import Http

if TYPE_CHECKING:
    from extractors.erasure import Those

HOUR = timedelta(hours=1)
HOST = r"[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::\d+)?"
"""What an address calls a host, with its port: a part of the patterns by which platforms know their URLs."""
Record = dict[str, Any]
State = dict[str, Any]
Entity = Literal["threads", "posts", "authors"]
Source = Literal["api", "archive", "export", "derived"]


def floor_hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True, order=True)
class Window:
    """A half-open interval of whole UTC hours, `[start, end)`."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for edge in (self.start, self.end):
            if edge.tzinfo is None or edge != floor_hour(edge):
                raise ValueError(f"a window begins and ends on a full UTC hour, not at {edge.isoformat()}")
        if self.start >= self.end:
            raise ValueError(f"a window ends after it begins: {self.start.isoformat()} to {self.end.isoformat()}")

    @classmethod
    def hour(cls, hour: datetime) -> "Window":
        return cls(hour, hour + HOUR)

    @property
    def hours(self) -> list[datetime]:
        """Its hours, newest first: the order in which they are crawled and committed."""
        count = int((self.end - self.start) / HOUR)
        return [self.end - HOUR * (i + 1) for i in range(count)]

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end


def windows(hours: Iterable[datetime], across: timedelta = timedelta(0)) -> list[Window]:
    """The fewest windows that cover exactly `hours`, newest first; or more than them, where a gap is no longer than
    `across`."""
    found: list[Window] = []
    for hour in sorted(set(hours), reverse=True):
        if found and found[-1].start <= hour + HOUR + across:
            found[-1] = Window(hour, found[-1].end)
        else:
            found.append(Window.hour(hour))
    return found


@dataclass(frozen=True, order=True)
class Community:
    """Who is tracked: `key` is the one-line name that also stands in every row, such as `fourchan:po`."""

    key: str
    instance: str

    @property
    def platform(self) -> str:
        return self.key.partition(":")[0]

    @property
    def host(self) -> str:
        """Where it is asked for; two instances may share one."""
        return self.instance.partition("/")[0]

    @cached_property  # asked for with every record
    def name(self) -> str:
        return self.key.partition(":")[2]


class Parsed(NamedTuple):
    """What a record says of itself: its key, when it was created, and its fields under the declared names.

    Of an author, `thread_id` is None, `post_id` the author's id and `created_at` when they joined, if that is said.
    """

    thread_id: str | None
    post_id: str | None
    created_at: datetime | None
    fields: Record


class Row(NamedTuple):
    """One thread, post or author as read; the crawl adds what all rows have in common.

    `payload` is the record's JSON, verbatim in value; None stands for a row that says the thing is gone.
    A row with `error` is quarantined: it lands with its payload and what is known of its key. What is `derived` from
    rows of another entity never replaces what the API said.
    """

    thread_id: str | None
    post_id: str | None
    created_at: datetime | None
    observed_at: datetime
    fields: Record
    payload: bytes | None
    source: Source = "api"
    error: str | None = None


@dataclass
class Page:
    """What a crawl yields: rows, and how far it has come.

    `reached`: everything created in `[reached, window.end)` that the platform still has is now yielded.
    `state`: what the next reading must know; of the hour `reached` where memory is "hour", else of the community,
    yielded with the last page. It is written while the crawl goes on, so it must not change any more. `note`: what the
    platform no longer has, in a sentence.
    `progress`: of a history: how much of it is done, of how much, in whatever the platform counts.
    `quarantined`: set by the crawl before it asks for the next page: ids of rows that did not fit their types. What
    was read of them must not count as known, so that they are read again.
    """

    threads: list[Row] = field(default_factory=list)
    posts: list[Row] = field(default_factory=list)
    authors: list[Row] = field(default_factory=list)
    reached: datetime | None = None
    state: State | None = None
    note: str | None = None
    quarantined: set[str] = field(default_factory=set)
    progress: tuple[int, int] | None = None

    @property
    def rows(self) -> dict[Entity, list[Row]]:
        return {"threads": self.threads, "posts": self.posts, "authors": self.authors}


class About(NamedTuple):
    """What a platform says of a community that exists and may be read: `community` as the platform itself names it
    (it may have moved, or be written in another case), its title, how many posts it has if the platform counts them.
    """

    community: Community
    title: str
    posts: int | None = None


class Words(NamedTuple):
    """Plain text of a record, the ids it replies to, the URLs it links to."""

    text: str | None
    quotes: list[str]
    links: list[str]


class Platform(ABC):
    """One platform. Everything declared is a class attribute; everything that differs by host is an argument."""

    name: ClassVar[str]
    threads: ClassVar[pa.Schema]
    """Typed columns of a thread beyond the common ones, under the platform's own names."""
    posts: ClassVar[pa.Schema]
    authors: ClassVar[pa.Schema] = pa.schema([])
    """Typed columns of an author's profile; none where the platform gives no profiles beside the posts."""
    memory: ClassVar[Literal["hour", "community"]]
    """Whose reading a state describes: of one hour's posts, or of the community as it stands."""
    revisits: ClassVar[tuple[timedelta, ...]] = (timedelta(hours=1), timedelta(hours=24), timedelta(days=7))
    """How long after its end an hour is read again."""
    recalls: ClassVar[timedelta] = timedelta(0)
    """How far before its window the states begin that a crawl is given, where memory is "hour"."""
    writer: ClassVar[tuple[str, ...]]
    """Columns of a post that hold its author's id: the first that is set."""
    called: ClassVar[tuple[str, ...]] = ()
    """Columns of a post with the names by which others may call its author."""

    @abstractmethod
    def community(self, url: str) -> Community | None:
        """The community that a pasted URL or key names; None if it is none of this platform's."""

    @abstractmethod
    def url(self, community: Community) -> str:
        """Where a person reads the community."""

    @abstractmethod
    def crawl(
        self, community: Community, window: Window, http: Http, states: Mapping[datetime, State], *, refresh: bool
    ) -> Iterator[Page]:
        """Yield what was created in the window, newest first, and whatever changed elsewhere that it comes across.

        `states`: the last committed state by hour; where memory is "community", the one entry is the latest.
        `refresh`: a backfill: send no validators and yield every row, changed or not.
        Raises errors.CrawlError for whatever is not tolerated.
        """

    @abstractmethod
    def about(self, community: Community, http: Http) -> About:
        """Ask whether the community exists and may be read.

        Raises errors.CrawlError, in a sentence that says what is missing and what to do.
        """

    @abstractmethod
    def history(self, community: Community, since: datetime, http: Http, cursor: State | None) -> Iterator[Page]:
        """Yield everything created from `since` on that the platform still has, newest first.

        Each page that something can go on from has a `state`: the cursor with which the next call yields what comes
        after it. `cursor` None begins anew. Small: it is kept with every chunk. When the generator ends, the history
        is complete. Says nothing about what is gone. Raises errors.CrawlError for whatever is not tolerated.
        """

    @abstractmethod
    def parse(self, entity: Entity, community: Community, record: Record, source: Source) -> Parsed:
        """The record's key, creation time and typed fields. Raises LookupError, TypeError or ValueError."""

    @abstractmethod
    def words(self, entity: Entity, community: Community, fields: Sequence[Record]) -> list[Words]:
        """The words of parsed threads or posts: many at once, because text is made cheaper so. Raises like `parse`."""

    @abstractmethod
    def content(self, entity: Entity, fields: Record) -> object:
        """What makes a version of a thread or post: its own words and files, no counters; anything orjson can write."""

    @abstractmethod
    def redact(self, entity: Entity, record: Record, those: "Those", opened: bool) -> Record:
        """A record of somebody else, or of a thread, without what it shows of those who are erased: names, mentions,
        words that it quotes. `opened`: one of them began its thread, so the title is theirs. Again, it changes nothing.
        """

    def opens(self, row: Record) -> bool:
        """Whether the post, a row with all columns, is the first of its thread."""
        return bool(row["post_id"] == row["thread_id"])

    def quoted_as(self, row: Record) -> str:
        """By what `quotes` of other posts name it."""
        return str(row["post_id"])

    def row(
        self, entity: Entity, community: Community, record: Record, observed_at: datetime, source: Source = "api"
    ) -> Row:
        """The row of a record; one that cannot be parsed is quarantined, not lost."""
        payload = dumps(record)
        try:
            parsed = self.parse(entity, community, record, source)
        except (LookupError, TypeError, ValueError, AttributeError) as problem:
            error = f"{type(problem).__name__}: {problem}"[:500]
            return Row(None, None, None, observed_at, {}, payload, source, error)
        thread_id, post_id, created_at, fields = parsed
        return Row(thread_id, post_id, created_at, observed_at, fields, payload, source)


def dumps(value: object) -> bytes:
    """JSON text equal in value to what came; lone surrogates stay escaped, where orjson would refuse them."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()


def whole(record: Record, name: str, default: object = None) -> int:
    """The whole number of that name in a record. Raises LookupError, TypeError or ValueError."""
    value = record[name] if default is None else record.get(name, default)
    if type(value) is not int:
        raise ValueError(f"{name}: expected a whole number, got {value!r}")
    return value


def instant(value: object) -> datetime:
    """Unix seconds or an ISO 8601 string with its zone as an aware UTC time; ValueError if it is neither."""
    if type(value) in (int, float):
        try:
            return datetime.fromtimestamp(value, UTC)  # type: ignore[arg-type]
        except (OverflowError, OSError) as problem:
            raise ValueError(f"{value} is no time") from problem
    if isinstance(value, str):
        return _from_iso(value)
    raise ValueError(f"{value!r} is no time with a zone")


@lru_cache(4096)  # a record's time is asked for several times in a row
def _from_iso(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} is no time with a zone")
    return moment.astimezone(UTC)
