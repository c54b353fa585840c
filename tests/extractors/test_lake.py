"""The lake: what is visible when, whatever is killed where."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extractors.fourchan import Fourchan
from extractors.lake import Commit, Lake, Receipt, Tracked
from extractors.platform import HOUR, Community, Row
from extractors.records import parse_again, table
from extractors.store import LAST, Exists, Folder, Store, StoreError
from sandbox.server import Sandbox
from tests.stores import Watched, gcs

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
PO = Community("fourchan:po", "4chan.org")
PLATFORM = Fourchan()


@pytest.fixture
def lake(store: Store) -> Lake:
    return Lake(store)


@pytest.fixture
def folder(tmp_path: Path) -> Lake:
    return Lake(Folder(tmp_path / "lake"))


def rows(*numbers: int, **wrong: object) -> pa.Table:
    records = [{"no": n, "resto": 1, "time": int(NOON.timestamp()), "com": f"post {n}", **wrong} for n in numbers]
    return table(PLATFORM, "posts", PO, "run", [PLATFORM.row("posts", PO, record, NOON) for record in records])


def commit(lake: Lake, *numbers: int, hour: datetime = NOON, run: str = "run", state: int | None = None) -> Commit:
    observation = lake.observe("fourchan", hour, hour + HOUR, run)
    observation.write("posts", [rows(*numbers)])
    name = observation.state(PO, {"n": state}) if state is not None else None
    return observation.commit({PO.key: Receipt(PO.instance, posts=len(numbers), state=name)})


def test_what_no_commit_names_is_not_there(lake: Lake) -> None:
    observation = lake.observe("fourchan", NOON, NOON, "run")
    observation.write("posts", [rows(1)])
    observation.state(PO, {"n": 1})
    assert lake.commits("fourchan") == []
    assert lake.state("fourchan", PO) is None
    done = observation.commit({PO.key: Receipt(PO.instance, posts=1)})
    assert lake.commits("fourchan") == [done]
    assert lake.table(done, "posts")["post_id"].to_pylist() == ["po/1"]


def test_a_commit_reads_back_as_it_was_written(lake: Lake) -> None:
    done = commit(lake, 1, 2, state=3)
    assert Commit.loads(done.dumps()) == done
    assert done.closes(PO.key)
    assert not replace(done, observed_at=NOON).closes(PO.key)  # the hour was still open


def test_the_same_commit_cannot_be_written_twice(lake: Lake) -> None:
    commit(lake, 1)
    with pytest.raises(Exists, match="nothing was changed"):
        commit(lake, 2)
    assert [lake.table(c, "posts")["post_id"].to_pylist() for c in lake.commits("fourchan")] == [["po/1"]]


def test_a_range_of_hours_is_listed_by_hour(lake: Lake) -> None:
    for i in range(5):
        commit(lake, i, hour=NOON + i * HOUR)
    found = lake.commits("fourchan", NOON + HOUR, NOON + 3 * HOUR)
    assert [c.hour for c in found] == [NOON + HOUR, NOON + 2 * HOUR]


def test_states_are_those_that_a_commit_names(lake: Lake) -> None:
    commit(lake, 1, state=1)
    commit(lake, 2, hour=NOON + HOUR, state=2)
    lake.observe("fourchan", NOON + 2 * HOUR, NOON + 3 * HOUR, "killed").state(PO, {"n": 3})
    latest = lake.state("fourchan", PO)
    assert latest is not None and latest["n"] == 2
    by_hour = lake.states(lake.commits("fourchan"), PO)
    assert {hour: state["n"] for hour, state in by_hour.items()} == {NOON: 1, NOON + HOUR: 2}


def test_sweeping_takes_orphans_and_replaced_states_and_nothing_else(lake: Lake) -> None:
    first, second = commit(lake, 1, state=1), commit(lake, 2, hour=NOON + HOUR, state=2)
    lake.observe("fourchan", NOON, NOON, "killed").write("posts", [rows(3)])
    assert lake.sweep(PLATFORM, datetime.now(UTC) - timedelta(hours=1)) == []  # they may be a running crawl's
    swept = lake.sweep(PLATFORM, datetime.now(UTC) + timedelta(hours=1))
    assert len(swept) == 2 and first.communities[PO.key].state in swept
    assert [lake.table(c, "posts").num_rows for c in (first, second)] == [1, 1]
    assert lake.state("fourchan", PO) == {"commit": second.name, "n": 2}


def test_sweeping_a_folder_takes_halves_of_objects(folder: Lake) -> None:
    commit(folder, 1)
    half = folder.store.root / "fourchan" / ".tmp-half"  # type: ignore[attr-defined]
    half.write_bytes(b"half")
    other = folder.store.root / "lemmy" / ".tmp-half"  # type: ignore[attr-defined]
    other.parent.mkdir()
    other.write_bytes(b"another platform's")
    assert folder.sweep(PLATFORM, datetime.now(UTC) - timedelta(hours=1)) == [] and half.exists()
    assert folder.sweep(PLATFORM, datetime.now(UTC) + timedelta(hours=1)) == ["fourchan/.tmp-half"]
    assert other.exists() and not half.exists()


def test_files_are_handed_to_readers_of_files_in_portions(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [commit(lake, n, hour=NOON + n * HOUR).files["posts"] for n in range(5)]
    monkeypatch.setattr("extractors.lake.LOCAL_BYTES", 2 * files[0].bytes + 10)
    portions = []
    for paths in lake.local(files):
        portions.append([pq.read_table(path)["post_id"].to_pylist() for path in paths])
    assert portions == [[["po/0"], ["po/1"]], [["po/2"], ["po/3"]], [["po/4"]]]
    assert list(lake.local([])) == []
    lake.store.delete(files[4].name)
    with pytest.raises(FileNotFoundError):
        for paths in lake.local(files):
            for path in paths:
                path.read_bytes()


def test_rows_that_a_rule_of_the_bucket_deleted_are_left_out_and_their_commits_stay(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = commit(lake, 1, state=1), commit(lake, 2, hour=NOON + HOUR)
    assert lake.loadable("fourchan", [NOON, NOON + HOUR]) == [old, new] and not caplog.messages
    lake.store.delete(old.files["posts"].name)
    assert lake.loadable("fourchan", [NOON, NOON + HOUR]) == [replace(old, files={}), new]
    assert "1 files of the hours" in caplog.text
    assert lake.commits("fourchan") == [old, new] and lake.state("fourchan", PO) is not None
    assert lake.rewrite(old, lambda entity, some: some) is None, "as if it had no rows"
    assert [done for _, done in lake.purge("fourchan", PO.key)] == [None, None]


def test_single_hours_of_years_are_loaded_in_few_listings_and_nothing_between_them(lake: Lake) -> None:
    hours = [NOON + n * 50 * HOUR for n in range(40)] + [NOON + n * 1000 * HOUR for n in range(20, 23)]
    wanted = [commit(lake, n, hour=hour) for n, hour in enumerate(hours)]
    commit(lake, 99, hour=NOON + HOUR)  # between two of them
    listed, read = [], []

    class Counted(Watched):
        def list(self, prefix: str, start: str = "", end: str = LAST) -> Iterator[str]:
            listed.append(prefix)
            return self._store.list(prefix, start, end)

    counted = Lake(Counted(lake.store, lambda what, name: read.append(name) if what == "read" else None))
    assert counted.loadable("fourchan", hours) == wanted
    assert listed.count("fourchan/commits/") == 4 and len(read) == len(wanted)
    assert lake.loadable("fourchan", []) == []


def test_what_is_loadable_bears_a_rewrite_beside_it(lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    old = commit(lake, 1, 2)
    once = iter([True])

    def told(what: str, name: str) -> None:
        if (what, name) == ("read", old.name) and next(once, False):
            lake.store.create("fourchan/posts/hour=2026-11-01T12/orphan.parquet", b"")
            lake.rewrite(old, lambda entity, some: some.slice(0, 1))

    class Late(Watched):
        def read(self, name: str) -> bytes:
            data = self._store.read(name)
            self._told("read", name)
            return data

    (found,) = Lake(Late(lake.store, told)).loadable("fourchan", [NOON])
    assert found.supersedes == old.name and found.files["posts"].rows == 1 and not caplog.messages


def test_quarantined_records_are_parsed_again_by_rewriting(lake: Lake) -> None:
    observation = lake.observe("fourchan", NOON, NOON, "run")
    bad = Row("po/1", "po/7", NOON, NOON, {}, b'{"no":7,"resto":1,"time":1700000000,"com":"ok"}', "api", "was odd")
    observation.write("posts", [rows(1), table(PLATFORM, "posts", PO, "run", [bad])])
    old = observation.commit({PO.key: Receipt(PO.instance, posts=2, parse_errors=1)})
    new = lake.rewrite(old, lambda entity, some: parse_again(PLATFORM, entity, some))
    assert new is not None and lake.commits("fourchan") == [new]
    again = lake.table(new, "posts")
    assert again["parse_error"].null_count == 2 and "ok" in again["text"].to_pylist()
    assert new.communities[PO.key].parse_errors == 0
    assert (new.observed_at, new.run_id) == (old.observed_at, old.run_id)
    assert lake.rewrite(new, lambda entity, some: parse_again(PLATFORM, entity, some)) is None
    assert list(lake.store.list("fourchan/posts/")) == [new.files["posts"].name]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("kind", ["folder", "bucket"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(step=st.integers(0, 16))
def test_a_rewrite_killed_anywhere_leaves_one_truth(
    step: int, kind: str, tmp_path_factory: pytest.TempPathFactory, storage: Sandbox
) -> None:
    root = tmp_path_factory.mktemp("lake")
    lake = Lake(Folder(root) if kind == "folder" else gcs(storage, root))
    old = commit(lake, 1, 2, state=1)
    calls = iter(range(100))

    def told(what: str, name: str) -> None:
        if next(calls) == step:
            raise Killed

    with suppress(Killed):
        Lake(Watched(lake.store, told)).rewrite(old, lambda entity, some: some.slice(0, 1))
    visible = lake.commits("fourchan")
    assert len(visible) == 1 and lake.table(visible[0], "posts").num_rows in (1, 2)
    assert lake.state("fourchan", PO) is not None
    lake.finish_rewrites("fourchan")
    assert lake.commits("fourchan") == visible
    lake.rewrite(visible[0], lambda entity, some: some.slice(0, 1))
    lake.sweep(PLATFORM, datetime.now(UTC) + timedelta(hours=1))
    assert [lake.table(c, "posts")["post_id"].to_pylist() for c in lake.commits("fourchan")] == [["po/1"]]
    assert len(list(lake.store.list("fourchan/posts/"))) == 1


def test_finishing_bears_a_rewrite_beside_it(lake: Lake) -> None:
    old = commit(lake, 1, 2)

    def told(what: str, name: str) -> None:
        if (what, name) == ("read", old.name):
            lake.rewrite(old, lambda entity, some: some.slice(0, 1))

    assert Lake(Watched(lake.store, told)).finish_rewrites("fourchan") == 0
    assert [lake.table(c, "posts").num_rows for c in lake.commits("fourchan")] == [1]


def test_who_is_tracked_can_change_and_end(lake: Lake) -> None:
    first = Tracked(PO.key, PO.instance, NOON, NOON, timedelta(minutes=10), "Papercraft")
    lake.track(first)
    assert lake.tracked("fourchan") == [first] and lake.tracked("discourse") == []
    lake.track(replace(first, every=HOUR))
    assert lake.tracked() == [replace(first, every=HOUR)]
    lake.untrack(PO.key)
    assert lake.tracked() == []


def test_who_is_tracked_stays_so_while_it_changes(folder: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Tracked(PO.key, PO.instance, NOON, NOON, timedelta(minutes=10), "Papercraft")
    folder.track(first)
    assert folder.is_tracked(PO.key) and not folder.is_tracked("fourchan:p")

    def killed(_: int, mode: int) -> None:
        monkeypatch.undo()
        assert folder.tracked() == [first]
        folder.track(replace(first, title="somebody else's"))
        raise Killed

    monkeypatch.setattr("os.fchmod", killed)
    with pytest.raises(Killed):
        folder.track(replace(first, every=HOUR))
    assert folder.tracked() == [replace(first, title="somebody else's")]
    folder.track(replace(first, every=HOUR))
    assert folder.tracked() == [replace(first, every=HOUR)] and not list(folder.store.root.rglob(".tmp-*"))  # type: ignore[attr-defined]


def test_a_lake_that_cannot_be_used_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match="choose another folder"):
        Folder(tmp_path / "file")
    with pytest.raises(StoreError, match="choose another folder"):
        Folder(tmp_path / "file" / "lake")


def test_a_full_disk_says_what_to_do(folder: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    done = commit(folder, 1)
    root = folder.store.root  # type: ignore[attr-defined]

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="disk is full: free some space"):
        commit(folder, 2, hour=NOON + HOUR)
    monkeypatch.undo()
    assert Lake(Folder(root)).commits("fourchan") == [done]
    assert not list(root.rglob(".tmp-*"))
