"""The lake: what is visible when, whatever is killed where."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extractors.fourchan import Fourchan
from extractors.lake import Commit, Lake, Receipt, Tracked
from extractors.platform import HOUR, Community, Row
from extractors.records import parse_again, table
from extractors.store import Exists, Folder, StoreError

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
PO = Community("fourchan:po", "4chan.org")
PLATFORM = Fourchan()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
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
    (lake.store.root / "fourchan" / ".tmp-half").write_bytes(b"half")  # type: ignore[attr-defined]
    other = lake.store.root / "lemmy" / ".tmp-half"  # type: ignore[attr-defined]
    other.parent.mkdir()
    other.write_bytes(b"another platform's")
    assert lake.sweep(PLATFORM, datetime.now(UTC) - timedelta(hours=1)) == []  # they may be a running crawl's
    swept = lake.sweep(PLATFORM, datetime.now(UTC) + timedelta(hours=1))
    assert len(swept) == 3 and other.exists() and first.communities[PO.key].state in swept
    assert [lake.table(c, "posts").num_rows for c in (first, second)] == [1, 1]
    assert lake.state("fourchan", PO) == {"commit": second.name, "n": 2}


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


@settings(max_examples=60, deadline=None)
@given(step=st.integers(0, 12))
def test_a_rewrite_killed_anywhere_leaves_one_truth(step: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    lake = Lake(Folder(tmp_path_factory.mktemp("lake")))
    old = commit(lake, 1, 2, state=1)
    calls = iter(range(100))

    class Dying(Folder):
        def _step(self) -> None:
            if next(calls) == step:
                raise Killed

        def create(self, name: str, data: bytes) -> None:
            self._step()
            super().create(name, data)
            self._step()

        def delete(self, name: str) -> None:
            self._step()
            super().delete(name)
            self._step()

    dying = Lake(Dying(lake.store.root))  # type: ignore[attr-defined]
    with suppress(Killed):
        dying.rewrite(old, lambda entity, some: some.slice(0, 1))
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

    class Beside(Folder):
        def read(self, name: str) -> bytes:
            if name == old.name:
                lake.rewrite(old, lambda entity, some: some.slice(0, 1))
            return super().read(name)

    assert Lake(Beside(lake.store.root)).finish_rewrites("fourchan") == 0  # type: ignore[attr-defined]
    assert [lake.table(c, "posts").num_rows for c in lake.commits("fourchan")] == [1]


def test_who_is_tracked_can_change_and_end(lake: Lake) -> None:
    first = Tracked(PO.key, PO.instance, NOON, NOON, timedelta(minutes=10), "Papercraft")
    lake.track(first)
    assert lake.tracked("fourchan") == [first] and lake.tracked("discourse") == []
    lake.track(replace(first, every=HOUR))
    assert lake.tracked() == [replace(first, every=HOUR)]
    lake.untrack(PO.key)
    assert lake.tracked() == []


def test_who_is_tracked_stays_so_while_it_changes(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Tracked(PO.key, PO.instance, NOON, NOON, timedelta(minutes=10), "Papercraft")
    lake.track(first)
    assert lake.is_tracked(PO.key) and not lake.is_tracked("fourchan:p")

    def killed(_: int, mode: int) -> None:
        monkeypatch.undo()
        assert lake.tracked() == [first]
        lake.track(replace(first, title="somebody else's"))
        raise Killed

    monkeypatch.setattr("os.fchmod", killed)
    with pytest.raises(Killed):
        lake.track(replace(first, every=HOUR))
    assert lake.tracked() == [replace(first, title="somebody else's")]
    lake.track(replace(first, every=HOUR))
    assert lake.tracked() == [replace(first, every=HOUR)] and not list(lake.store.root.rglob(".tmp-*"))  # type: ignore[attr-defined]


def test_a_lake_that_cannot_be_used_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match="choose another folder"):
        Folder(tmp_path / "file")
    with pytest.raises(StoreError, match="choose another folder"):
        Folder(tmp_path / "file" / "lake")


def test_a_full_disk_says_what_to_do(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    done = commit(lake, 1)
    folder = lake.store.root  # type: ignore[attr-defined]

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="disk is full: free some space"):
        commit(lake, 2, hour=NOON + HOUR)
    monkeypatch.undo()
    assert Lake(Folder(folder)).commits("fourchan") == [done]
    assert not list(folder.rglob(".tmp-*"))
