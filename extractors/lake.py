"""The lake: commits and the files they make visible, states, who is followed; sweeping and rewriting.

    <platform>/{threads,posts}/hour=2026-11-22T13/<observed_at>-<run>.parquet
    <platform>/state/<community>/<observed_at>-<run>.json
    <platform>/commits/hour=2026-11-22T13/<observed_at>-<run>.json      written last
    communities/<key>.json

A file that no commit names is not there. A commit that another supersedes is not there either.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import quote
from uuid import uuid4

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from extractors.platform import HOUR, Community, Entity, Platform, State
from extractors.records import ENTITIES
from extractors.store import Exists, Folder, Store

HOUR_FORMAT = "%Y-%m-%dT%H"
REWRITTEN = ".rewritten-"
STAMP_FORMAT = "%Y%m%dT%H%M%S.%fZ"


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
    `error` says in a sentence why not; `note` says what the platform no longer has.
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
    requests: int = 0
    not_modified: int = 0
    bytes: int = 0
    waited: float = 0.0


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
        return receipt is not None and receipt.complete and self.observed_at >= self.hour + HOUR

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
class Follow:
    """A community that is followed, and since when."""

    key: str
    instance: str
    since: datetime

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
        return Observation(self.store, Commit(name, platform, hour, observed_at, run_id))

    def commits(self, platform: str, start: datetime | None = None, end: datetime | None = None) -> list[Commit]:
        """What is committed of the hours in `[start, end)`, by hour and time; superseded commits are left out."""
        names = self.store.list(
            f"{platform}/commits/",
            f"hour={start:{HOUR_FORMAT}}" if start else "",
            f"hour={end:{HOUR_FORMAT}}" if end else "\U0010ffff",
        )
        found = []
        for name in names:
            try:
                found.append(Commit.loads(self.store.read(name)))
            except FileNotFoundError:  # superseded and deleted since the listing: its successor is listed next time
                return self.commits(platform, start, end)
        hidden = {commit.supersedes for commit in found}
        return [commit for commit in found if commit.name not in hidden]

    def state(self, platform: str, community: Community) -> State | None:
        """The latest committed state of a community whose platform remembers it as a whole."""
        for name in reversed(list(self.store.list(f"{platform}/state/{_quoted(community.key)}/"))):
            state = self._load_state(name)
            if any(name == receipt.state for receipt in self._receipts(state["commit"])):
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

    def _load_state(self, name: str) -> State:
        state: State = orjson.loads(self.store.read(name))
        return state

    def _receipts(self, name: str) -> Iterable[Receipt]:
        try:
            return Commit.loads(self.store.read(name)).communities.values()
        except FileNotFoundError:
            stem = name.removesuffix(".json").partition(REWRITTEN)[
                0
            ]  # a rewritten commit keeps the states of the one it supersedes
            for successor in self.store.list(f"{stem}{REWRITTEN}"):
                return Commit.loads(self.store.read(successor)).communities.values()
        return []

    # -- upkeep ------------------------------------------------------------------------------------------------

    def sweep(self, platform: Platform, older_than: datetime) -> list[str]:
        """Delete, if older, files that no commit names, and states of a whole community that a later one replaced;
        return their names."""
        named: set[str] = set()
        latest: dict[str, str] = {}
        for commit in self.commits(platform.name):
            named |= {file.name for file in commit.files.values()}
            for key, receipt in commit.communities.items():
                if receipt.state and platform.memory == "hour":
                    named.add(receipt.state)
                elif receipt.state:
                    latest[key] = max(latest.get(key, ""), receipt.state)
        named.update(latest.values())
        swept = []
        for folder in (*ENTITIES, "state"):
            for name in self.store.list(f"{platform.name}/{folder}/"):
                if name not in named and self.store.modified(name) < older_than.timestamp():
                    self.store.delete(name)
                    swept.append(name)
        if isinstance(self.store, Folder):
            for path in self.store.temporaries():
                if path.stat().st_mtime < older_than.timestamp():
                    path.unlink(missing_ok=True)
                    swept.append(str(path.relative_to(self.store.root)))
        return swept

    def rewrite(self, commit: Commit, change: Callable[[Entity, pa.Table], pa.Table]) -> Commit | None:
        """Replace a commit's rows by `change` of them: new files, a commit that supersedes, then the old ones go.

        Observed when and by which run stays. None if nothing changed. Killed anywhere, either the old commit
        or the new one counts; `finish_rewrites` deletes what is left over.
        """
        tables = {entity: self.table(commit, entity) for entity in commit.files}
        changed = {entity: change(entity, old) for entity, old in tables.items()}
        if all(changed[entity].equals(old) for entity, old in tables.items()):
            return None
        # its own mark, since a killed rewrite may have left files of this name
        stem = commit.name.removesuffix(".json").partition(REWRITTEN)[0]
        target = replace(commit, name=f"{stem}{REWRITTEN}{uuid4().hex[:12]}.json", supersedes=commit.name, files={})
        observation = Observation(self.store, target)
        receipts = {}
        for key, receipt in commit.communities.items():
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
        names = set(self.store.list(f"{platform}/commits/"))
        superseded = names & {Commit.loads(self.store.read(name)).supersedes for name in names}
        for name in superseded:
            self._remove(Commit.loads(self.store.read(name)))
        return len(superseded)

    def _remove(self, commit: Commit) -> None:
        for file in commit.files.values():
            self.store.delete(file.name)
        self.store.delete(commit.name)

    def table(self, commit: Commit, entity: Entity) -> pa.Table:
        """The rows of one committed file."""
        return pq.read_table(pa.BufferReader(self.store.read(commit.files[entity].name)))

    # -- who is followed ---------------------------------------------------------------------------------------

    def follow(self, community: Community, since: datetime) -> Follow:
        """Follow a community; one that is followed already stays as it is."""
        follow = Follow(community.key, community.instance, since)
        try:
            self.store.create(f"communities/{_quoted(community.key)}.json", orjson.dumps(follow))
        except Exists:
            return next(known for known in self.follows() if known.key == community.key)
        return follow

    def unfollow(self, key: str) -> None:
        """Stop following; what was fetched stays."""
        self.store.delete(f"communities/{_quoted(key)}.json")

    def follows(self, platform: str | None = None) -> list[Follow]:
        """Who is followed, by key."""
        found = []
        for name in self.store.list("communities/", f"{platform}:" if platform else ""):
            raw = orjson.loads(self.store.read(name))
            if platform is None or raw["key"].startswith(f"{platform}:"):
                found.append(Follow(raw["key"], raw["instance"], datetime.fromisoformat(raw["since"])))
        return found


class Observation:
    """What is being written and becomes visible all at once, by `commit`."""

    def __init__(self, store: Store, target: Commit) -> None:
        self._store = store
        self._target = target
        self._files: dict[Entity, File] = {}
        self._states: dict[str, str] = {}
        self._stem = target.name.rpartition("/")[2].removesuffix(".json")

    def write(self, entity: Entity, tables: Iterable[pa.Table]) -> None:
        """Write the entity's only file, a row group a table; nothing where there are no rows."""
        hour = f"hour={self._target.hour:{HOUR_FORMAT}}"
        name = f"{self._target.platform}/{entity}/{hour}/{self._stem}.parquet"
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

    def state(self, community: Community, state: State) -> str:
        """Write what the next reading needs to know; return its name, for the receipt."""
        name = f"{self._target.platform}/state/{_quoted(community.key)}/{self._stem}.json"
        self._store.create(name, orjson.dumps({"commit": self._target.name} | state))
        return name

    def commit(self, receipts: dict[str, Receipt]) -> Commit:
        """Make all of it visible at once."""
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
