"""What every store can do, whether it is a folder or a bucket: the same tests for both."""

import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from extractors.store import Bucket, Exists, Folder, Store
from sandbox.server import Sandbox
from tests.stores import gcs

NAMES = st.sampled_from(["a/1", "a/2", "a/b/1", "a/ü %2F:x=1", "b", "c/hour=2026-11-01T12/x.json"])
DATA = st.binary(max_size=300)


def test_an_object_is_created_once(store: Store) -> None:
    store.create("a/b.json", b"first")
    with pytest.raises(Exists, match=r"a/b\.json is there already: .* nothing was changed"):
        store.create("a/b.json", b"second")
    with pytest.raises(Exists), store.writer("a/b.json") as file:
        file.write(b"third")
    assert store.read("a/b.json") == b"first"
    store.create("empty", b"")
    assert store.read("empty") == b""


def test_what_is_not_there(store: Store) -> None:
    for name in ("nothing", "a/nothing"):
        with pytest.raises(FileNotFoundError, match="No such file"):
            store.read(name)
        with pytest.raises(FileNotFoundError):
            store.modified(name)
        store.delete(name)
    assert list(store.list("")) == [] and list(store.read_all([])) == []


def test_an_object_is_replaced_and_deleted(store: Store) -> None:
    store.replace("x", b"1")
    store.replace("x", b"2")
    assert store.read("x") == b"2"
    store.delete("x")
    store.create("x", b"3")
    assert list(store.read_all(["x", "y", "x"])) == [("x", b"3"), ("y", None), ("x", b"3")]


def test_a_writer_that_fails_leaves_nothing(store: Store) -> None:
    class Stopped(Exception):
        pass

    with pytest.raises(Stopped), store.writer("a/x") as file:
        file.write(b"half")
        raise Stopped
    assert list(store.list("")) == []
    with store.writer("a/x") as file:
        file.write(b"whole")
        assert list(store.list("")) == [], "nobody sees it before"
    assert store.read("a/x") == b"whole"


def test_a_big_object(store: Store) -> None:
    data = bytes(range(256)) * 80_000
    with store.writer("big") as file:
        for i in range(0, len(data), 3_000_000):
            file.write(data[i : i + 3_000_000])
        assert file.tell() == len(data)
    assert store.read("big") == data
    with store.local(["big"]) as (path,):
        assert path.read_bytes() == data


def test_names_are_listed_in_order_and_by_range(store: Store) -> None:
    names = [f"p/commits/hour=2026-11-0{day}T{hour:02}/{n}.json" for day in (1, 2) for hour in (0, 9, 23) for n in "ab"]
    others = ["p/commitsx/hour=2026-11-01T00/a.json", "p/posts/hour=2026-11-01T00/a.parquet", "q"]
    for name in reversed([*names, *others]):
        store.create(name, b"x")
    assert list(store.list("p/commits/")) == names
    assert list(store.list("")) == sorted([*names, *others])
    assert list(store.list("p/commits/", "hour=2026-11-01T09", "hour=2026-11-02T09")) == names[2:8]
    assert list(store.list("p/commits/hour=2026-11-02T0")) == names[6:10]
    assert list(store.list("p/commits/", "hour=2026-11-03")) == []


def test_local_copies_are_there_as_long_as_they_are_needed(store: Store) -> None:
    names = ["p/posts/hour=2026-11-01T00/a.parquet", "p/posts/hour=2026-11-01T01/a.parquet"]
    for name in names:
        store.create(name, name.encode())
    with store.local(names) as paths:
        assert [path.read_bytes().decode() for path in paths] == names
        assert all(str(path).endswith(f"/{name}") for path, name in zip(paths, names, strict=True))
    assert isinstance(store, Folder) or not any(path.exists() for path in paths)
    with pytest.raises(FileNotFoundError), store.local(["nothing"]) as (path,):
        path.read_bytes()


def test_when_it_was_created(store: Store) -> None:
    before = time.time()
    store.create("x", b"")
    assert before - 1 < store.modified("x") < time.time() + 1


def test_of_many_who_create_the_same_one_wins(store: Store) -> None:
    won: list[int] = []

    def create(number: int) -> None:
        with suppress(Exists):
            store.create("x", b"%d" % number)
            won.append(number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1 and store.read("x") == b"%d" % won[0]


def test_whoever_reads_what_is_replaced_gets_the_old_or_the_new(store: Store) -> None:
    versions = [b"%d" % n * 50_000 for n in range(5)]
    store.replace("x", versions[0])
    seen, ended = set(), threading.Event()

    def replace() -> None:
        for _ in range(4):
            for version in versions:
                store.replace("x", version)
        ended.set()

    thread = threading.Thread(target=replace)
    thread.start()
    while not ended.is_set():
        seen.add(store.read("x"))
    thread.join()
    assert seen <= set(versions)


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_whatever_is_done_in_whatever_order(
    kind: str, tmp_path_factory: pytest.TempPathFactory, storage: Sandbox
) -> None:
    """A store behaves as a dictionary does."""

    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            folder = tmp_path_factory.mktemp("store")
            self.store = Folder(folder / "lake") if kind == "folder" else gcs(storage, folder)
            self.model: dict[str, bytes] = {}

        @rule(name=NAMES, data=DATA)
        def create(self, name: str, data: bytes) -> None:
            if name in self.model:
                with pytest.raises(Exists):
                    self.store.create(name, data)
            else:
                self.store.create(name, data)
                self.model[name] = data

        @rule(name=NAMES, data=DATA)
        def replace(self, name: str, data: bytes) -> None:
            self.store.replace(name, data)
            self.model[name] = data

        @rule(name=NAMES)
        def delete(self, name: str) -> None:
            self.store.delete(name)
            self.model.pop(name, None)

        @rule(prefix=st.sampled_from(["", "a", "a/", "a/b", "c/"]), start=NAMES, end=NAMES)
        def ranged(self, prefix: str, start: str, end: str) -> None:
            within = [n for n in sorted(self.model) if n.startswith(prefix) and prefix + start <= n < prefix + end]
            assert list(self.store.list(prefix, start, end)) == within

        @invariant()
        def the_same(self) -> None:
            assert list(self.store.list("")) == sorted(self.model)
            assert dict(self.store.read_all(sorted(self.model))) == self.model

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Machine, settings=settings(max_examples=15, stateful_step_count=15, deadline=None)
    )


@pytest.mark.parametrize(
    ("url", "bucket"),
    [
        ("gs://lake", Bucket("lake")),
        ("gs://lake/", Bucket("lake")), ("gs://my-lake.x/a/b/", Bucket("my-lake.x", "a/b")),
        ("gs://lake//a//b", Bucket("lake", "a/b")), ("gs://L", None), ("gs://", None), ("s3://lake", None),
        ("lake", None),
    ],
)  # fmt: skip
def test_a_bucket_as_people_write_it(url: str, bucket: Bucket | None) -> None:
    if bucket is None:
        with pytest.raises(ValueError, match="is no bucket: write gs://bucket"):
            Bucket.parse(url)
    else:
        assert Bucket.parse(url) == bucket and Bucket.parse(str(bucket)) == bucket


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prefix=st.sampled_from(["", "a/", "a/b/"]), part=st.text("ab/", max_size=4))
def test_a_name_says_where_it_lies(prefix: str, part: str, tmp_path: Path, storage: Sandbox) -> None:
    place = Bucket("lake", prefix.strip("/"))
    assert gcs(storage, tmp_path, place).location("x" + part) == f"{place}/x{part}"
