"""Who and what is erased: keyed hashes in the lake, and what they keep out of every row that is written to it.

    tombstones/key                        made once, random: the hashes say nothing to who has not this lake
    tombstones/<platform>/<name>.json     the hashes of one erasure
    erasing/<platform>/<name>.json        what one that is not finished must still do, by its plain names

All rows pass `Erased.without` on their way into a file, whether crawled, imported, read from a past or parsed again.
Where there are no tombstones it costs nothing; else each row of that platform is looked at.
"""

import hmac
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from html import unescape
from typing import TYPE_CHECKING, Any, Literal

import orjson
import pyarrow as pa

from extractors.platform import Community, Entity, Platform, Record, Row, State, dumps
from extractors.store import Exists, Store

if TYPE_CHECKING:
    from extractors.lake import Commit, Lake

Kind = Literal["author", "name", "post", "thread", "quoted"]
TOMBSTONES, ERASING = "tombstones", "erasing"
KEY = f"{TOMBSTONES}/key"
NOBODY = "@erased"
"""What a mention becomes."""
TEXT = 100
"""Letters of a text that nobody else writes by chance."""
PEOPLE = ("author", "creator", "user")
"""Under which names records of all platforms have somebody's `id`."""


@cache
def platform_of(name: str) -> Platform:
    """For its parsers: they depend on no setting."""
    from extractors.platforms import PLATFORMS

    return next(platform() for platform in PLATFORMS if platform.name == name)


class Erased:
    """The tombstones of one platform, as read at one moment. `learned`: hashes of posts that it kept out by their
    author, so that the row that says they are gone stays out, too."""

    def __init__(self, platform: str, key: bytes, hashes: frozenset[str]) -> None:
        self.platform, self.learned = platform, set[str]()
        self._key, self._hashes, self._known = key, hashes, dict[tuple[Kind, str, str], bool]()

    def hash(self, kind: Kind, instance: str, value: str) -> str:
        said = "\0".join((kind, self.platform, instance, unescape(value).casefold() if kind == "name" else value))
        return hmac.new(self._key, said.encode("utf-8", "surrogatepass"), "sha256").hexdigest()[:32]

    def has(self, kind: Kind, instance: str, value: object) -> bool:
        if value is None or value == "":
            return False
        asked = (kind, instance, str(value))
        if asked not in self._known:
            found = self.hash(*asked)
            self._known[asked] = found in self._hashes or found in self.learned
        return self._known[asked]

    def on(self, instance: str) -> "Those":
        return Those(self, instance)

    def without(self, entity: Entity, table: pa.Table) -> pa.Table:
        """The rows without those of the erased, and without what the others show of them; the same table if nothing
        is."""
        return sifted(self, entity, table)[0]

    def forgotten(self, state: State, instance: str) -> State:
        """A state without the authors it remembers; posts it must know by their numbers, for the platform has them."""
        known = state.get("authors")
        if not isinstance(known, dict):
            return state
        return state | {"authors": {one: at for one, at in known.items() if not self.has("author", instance, one)}}

    def _learn(self, kind: Kind, instance: str, value: str) -> None:
        if not self.has(kind, instance, value):
            self.learned.add(self.hash(kind, instance, value))
            self._known[kind, instance, value] = True

    def learn(self, platform: Platform, row: Record) -> None:
        for kind, value in _names_of(platform, row):
            self._learn(kind, row["instance"], value)


@dataclass(frozen=True)
class Those:
    """The erased of one instance, as a platform's `redact` asks about them."""

    erased: Erased
    instance: str

    def author(self, value: object) -> bool:
        return self.erased.has("author", self.instance, value)

    def name(self, value: object) -> bool:
        return self.erased.has("name", self.instance, value)

    def post(self, value: object) -> bool:
        return self.erased.has("post", self.instance, value)

    def thread(self, value: object) -> bool:
        return self.erased.has("thread", self.instance, value)

    def quoted(self, value: object) -> bool:
        return self.erased.has("quoted", self.instance, value)


# -- tombstones ----------------------------------------------------------------------------------------------------


def erased(store: Store, platform: str) -> Erased | None:
    """None where nothing of the platform ever was."""
    hashes: set[str] = set()
    for _, data in store.read_all(store.list(f"{TOMBSTONES}/{platform}/")):
        hashes.update(orjson.loads(data) if data else ())
    return Erased(platform, store.read(KEY), frozenset(hashes)) if hashes else None


def bury(store: Store, platform: str, name: str, hashes: Iterable[str]) -> None:
    """Write a tombstone. What it holds already, it keeps."""
    told, place = set(hashes), f"{TOMBSTONES}/{platform}/{name}.json"
    with suppress(FileNotFoundError):
        told |= set(orjson.loads(store.read(place)))
    store.replace(place, orjson.dumps(sorted(told)))


def hasher(store: Store, platform: str) -> Erased:
    """What makes the hashes of a platform; the first one makes the lake's key."""
    with suppress(Exists):
        try:
            store.read(KEY)
        except FileNotFoundError:
            store.create(KEY, os.urandom(32))
    return erased(store, platform) or Erased(platform, store.read(KEY), frozenset())


# -- rows ----------------------------------------------------------------------------------------------------------


def sifted(those: Erased, entity: Entity, table: pa.Table) -> tuple[pa.Table, list[Record]]:
    """What `Erased.without` gives, and the rows as they were that went or were changed."""
    from extractors.records import schema

    platform = platform_of(those.platform)
    kept: list[bool] = []
    made, touched = [], []
    for row in table.to_pylist():
        changed = _changed(platform, those, entity, row)
        kept.append(changed is KEPT)
        if changed is not KEPT:
            touched.append(row)
            made += [changed] if isinstance(changed, pa.Table) else []
    if not touched:
        return table, []
    known = [name for name in schema(platform, entity).names if name in table.column_names]
    rest = table.filter(pa.array(kept, pa.bool_())).select(known)
    return pa.concat_tables([rest, *made], promote_options="default"), touched


KEPT, GONE = object(), object()


def _changed(platform: Platform, erased: Erased, entity: Entity, row: Record) -> object:
    """KEPT as it is, GONE, or the table of the one row that takes its place."""
    those = erased.on(row["instance"])
    if entity == "authors":
        return GONE if those.author(row["post_id"]) else KEPT
    if entity == "posts" and those.post(row["post_id"]):
        return GONE
    if row["payload"] is None:
        return KEPT
    record = orjson.loads(row["payload"])
    if row["parse_error"]:  # whose it is, its columns do not say
        return GONE if _shows(platform, record, those) else KEPT
    if entity == "posts" and those.author(author_of(platform, row)):
        erased.learn(platform, row)
        return GONE
    opened = those.thread(row["thread_id"])
    said = platform.redact(entity, record, those, opened)
    quotes = [one for one in row["quotes"] or () if not those.quoted(one)]
    if said == record and quotes == (row["quotes"] or []):
        return KEPT
    return _made(platform, entity, row, record, said, quotes)


def _made(platform: Platform, entity: Entity, row: Record, record: Record, said: Record, quotes: list[str]) -> pa.Table:
    """The row of what is left of a record: what was made of it is made anew, what came from elsewhere stays."""
    from extractors.records import table

    community = Community(row["community"], row["instance"])
    before = platform.parse(entity, community, record, row["source"]).fields
    after = platform.parse(entity, community, said, row["source"]).fields
    own = {name: row.get(name) for name in getattr(platform, entity).names if name not in before}
    times = {name: value.isoformat() for name, value in own.items() if isinstance(value, datetime)}
    fields = {**after, **own, **times}
    fresh = Row(
        row["thread_id"], row["post_id"], row["created_at"], row["observed_at"], fields, dumps(said), row["source"]
    )
    made = table(platform, entity, community, row["run_id"], [fresh])
    at = made.schema.get_field_index("quotes")
    left = [one for one in made["quotes"][0].as_py() or () if one in quotes]
    return made.set_column(at, made.schema.field(at), pa.array([left], made.schema.field(at).type))


def _shows(platform: Platform, value: Any, those: Those, names: tuple[str, ...] = ("", "")) -> bool:
    """Whether anything in a record is the id or a name of somebody erased; `names`: under which names it stands."""
    if isinstance(value, dict):
        return any(_shows(platform, one, those, (*names, name)) for name, one in value.items())
    if isinstance(value, list):
        return any(_shows(platform, one, those, names) for one in value)
    if names[-1] in platform.writer or (names[-1] == "id" and names[-2] in PEOPLE):
        return those.author(value)
    return isinstance(value, str) and those.name(value)


def author_of(platform: Platform, row: Record) -> str | None:
    """Of a row of posts: the first of the columns that is set."""
    found = (row.get(name) for name in platform.writer)
    return next((str(value) for value in found if value is not None), None)


def _names_of(platform: Platform, row: Record) -> Iterator[tuple[Kind, str]]:
    """By what a row of posts is known to others."""
    if row["post_id"]:
        yield "post", row["post_id"]
        yield "quoted", platform.quoted_as(row)
        if row["thread_id"] and platform.opens(row):
            yield "thread", row["thread_id"]


# -- texts ---------------------------------------------------------------------------------------------------------


def cut(text: str, begin: re.Pattern[str], end: re.Pattern[str], doomed: Callable[[re.Match[str]], bool]) -> str:
    """A text without those of its blocks, nested or not, whose beginning is doomed; one that is never closed goes to
    the end."""
    marks = sorted([*begin.finditer(text), *end.finditer(text)], key=lambda mark: mark.start())
    found, at = [], 0
    inside: list[bool] = []
    for mark in marks:
        if mark.re is begin:
            inside.append(doomed(mark))
            if inside[-1] and sum(inside) == 1:
                found.append(text[at : mark.start()])
        elif inside and inside.pop() and not any(inside):
            at = mark.end()
    return "".join(found) + ("" if any(inside) else text[at:])


# -- finding -------------------------------------------------------------------------------------------------------


@dataclass
class Traces:
    """What is to be erased, and where it left traces: ids of posts and threads, names, what else shows it (`touched`),
    the hours in which any of that was observed, hashes of the texts, by which the scan knows them, and who wrote single
    posts: these may be the first or the last of theirs."""

    instance: str
    author: str | None = None
    posts: set[str] = field(default_factory=set)
    threads: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    touched_posts: set[str] = field(default_factory=set)
    touched_threads: set[str] = field(default_factory=set)
    hours: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    writers: set[str] = field(default_factory=set)
    hashes: set[str] = field(default_factory=set)

    def dumps(self) -> bytes:
        return orjson.dumps({name: sorted(v) if isinstance(v, set) else v for name, v in vars(self).items()})

    def clean(self) -> dict[str, set[str]]:
        """What of the clean tables is made anew or goes, by the column that names it (`warehouse.CLEAN_KEYS`)."""
        return {
            "post_id": self.posts | self.touched_posts,
            "thread_id": self.threads | self.touched_threads,
            "author_id": {self.author or "", *self.writers},
        }

    def add(self, data: bytes) -> None:
        """What an erasure that was killed had found."""
        for name, value in orjson.loads(data).items():
            if isinstance(value, list):
                getattr(self, name).update(value)


def own_rows(lake: "Lake", platform: Platform, those: Erased, traces: Traces) -> None:
    """Find the posts, by their author or their id, with the threads they begin and what others call them."""
    from extractors.records import digest

    wanted, shared = set(traces.posts), set[str]()
    for commit in lake.commits(platform.name):
        for row in _rows(lake, commit, "posts"):
            mine = traces.author is not None and author_of(platform, row) == traces.author
            if row["instance"] != traces.instance or not (mine or row["post_id"] in wanted):
                shared |= {str(row[name]) for name in platform.called if row.get(name)}
                continue
            for kind, value in _names_of(platform, row):
                traces.hashes.add(those.hash(kind, traces.instance, value))
                if kind == "post":
                    traces.posts.add(value)
                elif kind == "thread":
                    traces.threads.add(value)
            if len(row["text"] or "") >= TEXT:
                traces.texts.add(digest(row["text"].encode()))
            if not mine and (writer := author_of(platform, row)) is not None:
                traces.writers.add(writer)
            if mine:
                traces.names |= {str(row[name]) for name in platform.called if row.get(name)}
    traces.names -= shared  # a name that others bear, too, tells nobody apart
    for name in traces.names:
        traces.hashes.add(those.hash("name", traces.instance, name))
    if traces.author is not None:
        traces.hashes.add(those.hash("author", traces.instance, traces.author))
    for post in wanted:
        traces.hashes.add(those.hash("post", traces.instance, post))


def touched(lake: "Lake", platform: Platform, those: Erased, traces: Traces) -> None:
    """Find which rows of others show any of it, and all hours in which these or the erased were observed."""
    for commit in lake.commits(platform.name):
        for entity, table in lake.tables(commit):
            for row in sifted(those, entity, table)[1]:
                traces.hours.add(commit.hour.isoformat())
                if entity == "posts" and row["post_id"]:
                    traces.touched_posts.add(row["post_id"])
                elif entity == "threads" and row["thread_id"]:
                    traces.touched_threads.add(row["thread_id"])
    for commit in lake.commits(platform.name):
        if any(
            _is_of(platform, traces, entity, row) for entity, table in lake.tables(commit) for row in table.to_pylist()
        ):
            traces.hours.add(commit.hour.isoformat())


def _is_of(platform: Platform, traces: Traces, entity: Entity, row: Record) -> bool:
    """Whether a row tells of what will be made anew of it."""
    if entity == "threads":
        return row["thread_id"] in traces.touched_threads
    writer = row["post_id"] if entity == "authors" else author_of(platform, row)
    return writer in traces.writers or (entity == "posts" and row["post_id"] in traces.touched_posts)


def _rows(lake: "Lake", commit: "Commit", wanted: Entity) -> Iterator[Record]:
    for entity, table in lake.tables(commit):
        if entity == wanted:
            yield from table.to_pylist()
