"""The lake: commits and the files they make visible, states, who is tracked; sweeping and rewriting.

    <platform>/{threads,posts,authors}/hour=2026-11-22T13/<observed_at>-<run>.parquet
    <platform>/state/<community>/<observed_at>-<run>.json               what the next reading must know
    <platform>/history/<community>/<observed_at>-<run>.json             how far the community's past is read
    <platform>/commits/hour=2026-11-22T13/<observed_at>-<run>.json      written last
    communities/<key>.json
    tombstones/, erasing/                                               what is erased (erasure.py)
    leases/<what>/<key>                                                 in a bucket, which machines may share

A file that no commit names is not there. A commit that another supersedes is not there either.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Literal
from urllib.parse import quote
from uuid import uuid4

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from extractors.erasure import Erased, bury, erased
from extractors.platform import HOUR, Community, Entity, Platform, State, windows
from extractors.records import ENTITIES
from extractors.store import LAST, Store
from extractors.usage import Usage

log = logging.getLogger(__name__)
HOUR_FORMAT = "%Y-%m-%dT%H"
REWRITTEN = ".rewritten-"
STAMP_FORMAT = "%Y%m%dT%H%M%S.%fZ"
LOCAL_BYTES = 2**28
ACROSS = timedelta(days=20)
"""Of hours that nobody asked for, a listing takes so many along before it is cheaper to begin another."""


@dataclass(frozen=True)
class File:
    """A Parquet file: its name in the lake, rows, bytes."""

    name: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Receipt:
    """What one observation got of one community, and what it cost.

    `complete`: everything created in the hour up to `observed_at` that the platform still has is in the lake.
    `error` says in a sentence why not; `note` says what the platform no longer has. `state` and `history` name what
    goes on from here; one with `history` is a chunk of the community's past, complete if it was read without an error.
    `source`: `api`, or `export` for a file that people exported.
    """

    instance: str
    complete: bool = True
    error: str | None = None
    note: str | None = None
    threads: int = 0
    posts: int = 0
    gone: int = 0
    parse_errors: int = 0
    first_id: str | None = None
    last_id: str | None = None
    state: str | None = None
    history: str | None = None
    requests: int = 0
    not_modified: int = 0
    bytes: int = 0
    waited: float = 0.0
    source: Literal["api", "export"] = "api"

    @property
    def of_hour(self) -> bool:
        """Whether it is of a crawl, and so says something of the hour; a past or a file says nothing of it."""
        return self.source == "api" and not self.history

    def charged(self, usage: Usage) -> "Receipt":
        """The same, with what it cost."""
        return replace(
            self,
            requests=usage.requests,
            not_modified=usage.not_modified,
            bytes=usage.bytes,
            waited=round(usage.waited, 3),
        )


@dataclass(frozen=True)
class Commit:
    """One observation: a crawl of one hour at one moment. `name` is its object in the lake."""

    name: str
    platform: str
    hour: datetime
    observed_at: datetime
    run_id: str
    files: dict[Entity, File] = field(default_factory=dict)
    communities: dict[str, Receipt] = field(default_factory=dict)
    supersedes: str | None = None
    version: int = 1

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files.values())

    def closes(self, key: str) -> bool:
        """Whether it read the whole of its hour of that community, after the hour had ended."""
        receipt = self.communities.get(key)
        return receipt is not None and receipt.complete and receipt.of_hour and self.observed_at >= self.hour + HOUR

    def dumps(self) -> bytes:
        return orjson.dumps(self)

    @classmethod
    def loads(cls, data: bytes) -> "Commit":
        raw = orjson.loads(data)
        raw["hour"] = datetime.fromisoformat(raw["hour"])
        raw["observed_at"] = datetime.fromisoformat(raw["observed_at"])
        raw["files"] = {entity: File(**file) for entity, file in raw["files"].items()}
        raw["communities"] = {key: Receipt(**receipt) for key, receipt in raw["communities"].items()}
        return cls(**raw)


@dataclass(frozen=True)
class Tracked:
    """A community that people track: what they want of its past (`since`), from when on (`tracked_at`), how often it is
    read, and its title."""

    key: str
    instance: str
    since: datetime
    tracked_at: datetime
    every: timedelta = HOUR
    title: str = ""

    @property
    def community(self) -> Community:
        return Community(self.key, self.instance)


class Lake:
    """All that is known, in a store. Running anything twice is boring."""

    def __init__(self, store: Store) -> None:
        self.store = store

    # -- observations ------------------------------------------------------------------------------------------

    def observe(self, platform: str, hour: datetime, observed_at: datetime, run_id: str) -> "Observation":
        """Begin to write what will be one commit."""
        stem = f"{observed_at.astimezone(UTC):{STAMP_FORMAT}}-{run_id}"
        name = f"{platform}/commits/hour={hour:{HOUR_FORMAT}}/{stem}.json"
        return Observation(self.store, Commit(name, platform, hour, observed_at, run_id), erased(self.store, platform))

    def commits(
        self, platform: str, start: datetime | None = None, end: datetime | None = None, runs: str = ""
    ) -> list[Commit]:
        """What is committed of the hours in `[start, end)`, by hour and time; superseded commits are left out. `runs`:
        how the ids of their runs begin."""
        first = f"hour={start:{HOUR_FORMAT}}" if start else ""
        last = f"hour={end:{HOUR_FORMAT}}" if end else LAST
        return self._read(
            lambda: (name for name in self.store.list(f"{platform}/commits/", first, last) if f"Z-{runs}" in name)
        )

    def _read(self, names: Callable[[], Iterator[str]]) -> list[Commit]:
        found = []
        for _, data in self.store.read_all(names()):
            if data is None:  # superseded and deleted since the listing: its successor is listed next time
                return self._read(names)
            found.append(Commit.loads(data))
        hidden = {commit.supersedes for commit in found}
        return [commit for commit in found if commit.name not in hidden]

    def loadable(self, platform: str, hours: Collection[datetime]) -> list[Commit]:
        """What is committed of these hours, by hour and time, without the files that are not there any more: a bucket's
        rule may delete rows after some time, while their commits stay."""
        for look in (1, 2):  # a rewrite deletes files, too, but then the next look finds its successor
            commits = self._read(lambda: self._listed(f"{platform}/commits/", hours))
            there = {name for entity in ENTITIES for name in self._listed(f"{platform}/{entity}/", hours)}
            found = [
                replace(commit, files={entity: file for entity, file in commit.files.items() if file.name in there})
                for commit in commits
            ]
            missing = sum(len(commit.files) for commit in commits) - sum(len(commit.files) for commit in found)
            if not missing:
                break
            if look == 2:
                log.warning(
                    "%s: %d files of the hours %s to %s are not in the lake any more, though commits name them: a rule"
                    " of the bucket deleted them, or somebody did; what is left is loaded.",
                    platform, missing, min(hours), max(hours),
                )  # fmt: skip
        return found

    def _listed(self, folder: str, hours: Collection[datetime]) -> Iterator[str]:
        """What lies in the folders of these hours. What is between them is listed, too, where a listing's page would
        hold it: a quiet forum's past is thousands of single hours."""
        wanted = {f"{folder}hour={hour:{HOUR_FORMAT}}" for hour in hours}
        for window in reversed(windows(hours, ACROSS)):
            first, last = f"hour={window.start:{HOUR_FORMAT}}", f"hour={window.end:{HOUR_FORMAT}}"
            yield from (name for name in self.store.list(folder, first, last) if name.rpartition("/")[0] in wanted)

    def state(self, platform: str, community: Community) -> State | None:
        """The latest committed state of a community whose platform remembers it as a whole."""
        return self._latest(f"{platform}/state/{_quoted(community.key)}/")

    def history(self, platform: str, community: Community) -> State | None:
        """How far the past of a community is read, as last committed."""
        return self._latest(f"{platform}/history/{_quoted(community.key)}/")

    def _latest(self, folder: str) -> State | None:
        for name in reversed(list(self.store.list(folder))):
            state = self._load_state(name)
            if any(name in (receipt.state, receipt.history) for receipt in self._receipts(state["commit"])):
                return state
        return None

    def states(self, commits: Iterable[Commit], community: Community) -> Mapping[datetime, State]:
        """The latest of the states that `commits`, ascending, name of a community's hours; each is read when asked."""
        names = {
            commit.hour: name
            for commit in commits
            if (receipt := commit.communities.get(community.key)) and (name := receipt.state)
        }
        return States(self._load_state, names)

    def remembered(self, platform: str) -> Iterator[tuple[str, State]]:
        """Every state and every history there is, with its name."""
        for folder in ("state", "history"):
            for name, data in self.store.read_all(list(self.store.list(f"{platform}/{folder}/"))):
                if data is not None:
                    yield name, orjson.loads(data)

    def _load_state(self, name: str) -> State:
        state: State = orjson.loads(self.store.read(name))
        return state

    def _receipts(self, name: str) -> Iterable[Receipt]:
        try:
            return Commit.loads(self.store.read(name)).communities.values()
        except FileNotFoundError:
            # a rewritten commit keeps the states of the one it supersedes
            stem, *_ = name.removesuffix(".json").partition(REWRITTEN)
            for successor in self.store.list(f"{stem}{REWRITTEN}"):
                return Commit.loads(self.store.read(successor)).communities.values()
        return []

    # -- upkeep ------------------------------------------------------------------------------------------------

    def sweep(self, platform: Platform, older_than: datetime) -> list[str]:
        """Delete, if older, files that no commit names, and states of a whole community that a later one replaced;
        return their names."""
        named: set[str] = set()
        latest: dict[tuple[str, str], str] = {}
        for commit in self.commits(platform.name):
            named |= {file.name for file in commit.files.values()}
            for key, receipt in commit.communities.items():
                if receipt.state and platform.memory == "hour":
                    named.add(receipt.state)
                elif receipt.state:
                    latest[key, "state"] = max(latest.get((key, "state"), ""), receipt.state)
                if receipt.history:
                    latest[key, "history"] = max(latest.get((key, "history"), ""), receipt.history)
        named.update(latest.values())
        swept = []
        for folder in (*ENTITIES, "state", "history"):
            for name in self.store.list(f"{platform.name}/{folder}/"):
                if name not in named and self.store.modified(name) < older_than.timestamp():
                    self.store.delete(name)
                    swept.append(name)
        for folder in (platform.name, "communities"):
            swept += self.store.sweep_halves(folder, older_than.timestamp())
        return swept

    def rewrite(
        self, commit: Commit, change: Callable[[Entity, pa.Table], pa.Table], without: str | None = None
    ) -> Commit | None:
        """Replace a commit's rows by `change` of them: new files, a commit that supersedes, then the old ones go.
        The receipt of the community `without` goes too.

        Observed when and by which run stays. None if nothing changed. Killed anywhere, either the old commit
        or the new one counts; `finish_rewrites` deletes what is left over.
        """
        tables = dict(self.tables(commit))
        changed = {entity: change(entity, old) for entity, old in tables.items()}
        if without not in commit.communities and all(changed[entity].equals(old) for entity, old in tables.items()):
            return None
        # its own mark, since a killed rewrite may have left files of this name
        stem = commit.name.removesuffix(".json").partition(REWRITTEN)[0]
        target = replace(commit, name=f"{stem}{REWRITTEN}{uuid4().hex[:12]}.json", supersedes=commit.name, files={})
        observation = Observation(self.store, target, erased(self.store, commit.platform))
        receipts = {}
        for key, receipt in commit.communities.items():
            if key != without:
                receipts[key] = replace(receipt, parse_errors=0)
        for entity, rows in changed.items():
            observation.write(entity, [rows])
            for key in rows.filter(pc.is_valid(rows["parse_error"]))["community"].to_pylist():
                receipts[key] = replace(receipts[key], parse_errors=receipts[key].parse_errors + 1)
        done = observation.commit(receipts)
        self._remove(commit)
        return done

    def finish_rewrites(self, platform: str) -> int:
        """Delete what a killed rewrite left of superseded commits; return how many there were."""
        commits: dict[str, Commit] = {}
        for name, data in self.store.read_all(self.store.list(f"{platform}/commits/")):
            if data is not None:  # else a rewrite beside this one deleted it
                commits[name] = Commit.loads(data)
        superseded = commits.keys() & {commit.supersedes for commit in commits.values()}
        for name in superseded:
            self._remove(commits[name])
        return len(superseded)

    def _remove(self, commit: Commit) -> None:
        for file in commit.files.values():
            self.store.delete(file.name)
        self.store.delete(commit.name)

    def local(self, files: Iterable[File]) -> Iterator[Sequence[Path]]:
        """These files as files of this machine, so many at a time as have 256 MB; copies go when the next are asked
        for. Raises FileNotFoundError."""
        some: list[File] = []
        for file in (*files, None):
            if some and (file is None or sum(one.bytes for one in some) + file.bytes > LOCAL_BYTES):
                with self.store.local([one.name for one in some]) as paths:
                    yield paths
                some = []
            if file is not None:
                some.append(file)

    def table(self, commit: Commit, entity: Entity) -> pa.Table:
        """The rows of one committed file."""
        return pq.ParquetFile(pa.BufferReader(self.store.read(commit.files[entity].name))).read()

    def tables(self, commit: Commit) -> Iterator[tuple[Entity, pa.Table]]:
        """The rows of each committed file that is there: a bucket's rule may have deleted what is old."""
        for entity in commit.files:
            with suppress(FileNotFoundError):
                yield entity, self.table(commit, entity)

    def purge(self, platform: str, key: str) -> Iterator[tuple[Commit, Commit | None]]:
        """Take a community out of every commit that has it; yield each with its successor, None if nothing was left.
        Killed anywhere, doing it again finishes it."""

        def without(_: Entity, old: pa.Table) -> pa.Table:
            return old.filter(pc.not_equal(old["community"], key))

        self.finish_rewrites(platform)
        for commit in self.commits(platform):
            if commit.communities.keys() == {key}:
                self.store.delete(commit.name)  # first, so that no commit names a file that is not there
                self._remove(commit)
                yield commit, None
            elif key in commit.communities:
                yield commit, self.rewrite(commit, without, key)
        for folder in ("state", "history"):
            for name in list(self.store.list(f"{platform}/{folder}/{_quoted(key)}/")):
                self.store.delete(name)

    # -- who is tracked ----------------------------------------------------------------------------------------

    def track(self, tracked: Tracked) -> None:
        """Track a community, or change how it is tracked; killed anywhere, it is tracked as before or as told."""
        record = asdict(tracked) | {"every": int(tracked.every.total_seconds())}
        self.store.replace(f"communities/{_quoted(tracked.key)}.json", orjson.dumps(record))

    def untrack(self, key: str) -> None:
        """Track it no more; what was fetched stays."""
        self.store.delete(f"communities/{_quoted(key)}.json")

    def is_tracked(self, key: str) -> bool:
        try:
            self.store.read(f"communities/{_quoted(key)}.json")
        except FileNotFoundError:
            return False
        return True

    def tracked(self, platform: str | None = None) -> list[Tracked]:
        """Who is tracked, by key."""
        found = []
        names = self.store.list(f"communities/{platform}:" if platform else "communities/")
        for _, data in self.store.read_all(names):
            if data is None:  # untracked since the listing
                continue
            raw = orjson.loads(data)
            raw = {"tracked_at": raw["since"], "every": 3600} | raw  # which a lake of the first version does not say
            times = {field: datetime.fromisoformat(raw[field]) for field in ("since", "tracked_at")}
            found.append(Tracked(**raw | times | {"every": timedelta(seconds=raw["every"])}))
        return found


class Observation:
    """What is being written and becomes visible all at once, by `commit`. Nothing of the `erased` gets into it."""

    def __init__(self, store: Store, target: Commit, erased: Erased | None = None) -> None:
        self._store, self._erased = store, erased
        self._target = target
        self._files: dict[Entity, File] = {}
        self._states: dict[str, str] = {}
        self._stem = target.name.rpartition("/")[2].removesuffix(".json")

    def write(self, entity: Entity, tables: Iterable[pa.Table]) -> None:
        """Write the entity's only file, a row group a table; nothing where there are no rows."""
        hour = f"hour={self._target.hour:{HOUR_FORMAT}}"
        name = f"{self._target.platform}/{entity}/{hour}/{self._stem}.parquet"
        if self._erased is not None:
            tables = map(partial(self._erased.without, entity), tables)
        rest = (table for table in tables if table.num_rows)
        first = next(rest, None)
        if first is None:
            return
        rows = first.num_rows
        with self._store.writer(name) as file:
            with pq.ParquetWriter(file, first.schema, compression="zstd", compression_level=1) as writer:
                writer.write_table(first)
                for table in rest:
                    writer.write_table(table)
                    rows += table.num_rows
            size = file.tell()
        self._files[entity] = File(name, rows, size)

    def state(self, community: Community, state: State, kind: Literal["state", "history"] = "state") -> str:
        """Write what the next reading, or the next chunk of history, must know; return its name, for the receipt."""
        if self._erased is not None:
            state = self._erased.forgotten(state, community.instance)
        name = f"{self._target.platform}/{kind}/{_quoted(community.key)}/{self._stem}.json"
        self._store.create(name, orjson.dumps({"commit": self._target.name} | state))
        return name

    def commit(self, receipts: dict[str, Receipt]) -> Commit:
        """Make all of it visible at once."""
        if self._erased is not None and self._erased.learned:
            bury(self._store, self._target.platform, self._stem, self._erased.learned)
        done = replace(self._target, files=self._files, communities=dict(sorted(receipts.items())))
        self._store.create(done.name, done.dumps())
        return done


class States(Mapping[datetime, State]):
    """States by hour, read only when asked for."""

    def __init__(self, load: Callable[[str], State], names: dict[datetime, str]) -> None:
        self._load, self._names = load, names

    def __getitem__(self, hour: datetime) -> State:
        return self._load(self._names[hour])

    def __iter__(self) -> Iterator[datetime]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _quoted(key: str) -> str:
    return quote(key, safe=":")
