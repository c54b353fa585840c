"""A bucket when something goes wrong: nothing lost, nothing twice, nothing seen before it is whole, and what to do."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extractors.gcs import CHUNK, Gcs
from extractors.store import Bucket, Exists, StoreError
from orchestration.resources import open_store
from sandbox import gcs as server
from sandbox.faults import Fault
from sandbox.gcs import GRAIN, HOST, address
from sandbox.server import Sandbox
from tests.stores import LOST, Meddled, gcs

SMALL, BIG = b"a commit", bytes(range(256)) * (CHUNK * 2 // 256 + 4000)
UPLOAD, CHUNKS = "POST /upload/", r"PUT /upload/.*upload_id="
FAULTS = [
    Fault("503", untouched=True), Fault("503"), Fault("429", untouched=True), Fault("429"), Fault("502"),
    Fault("502", untouched=True), Fault("reset", untouched=True), Fault("reset"), Fault("cut"),
    Fault("hang", seconds=2, untouched=True), Fault("hang", seconds=2), Fault("slow", seconds=0.1),
]  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Meddled:
    return Meddled(tmp_path / "storage")


@pytest.fixture
def sandbox(site: Meddled) -> Iterator[Sandbox]:
    with Sandbox(now=datetime.now(UTC), sites=[site]) as sandbox:
        yield sandbox


@pytest.fixture
def make(sandbox: Sandbox, tmp_path: Path) -> Callable[..., Gcs]:
    return lambda **options: gcs(sandbox, tmp_path, Bucket("lake", "p"), **options)


@pytest.fixture
def store(make: Callable[..., Gcs]) -> Gcs:
    return make(seconds=0.5)


Make = Callable[..., Gcs]


# -- faults --------------------------------------------------------------------------------------------------------


def named(fault: Fault) -> str:
    return f"{fault.kind}-{'before' if fault.untouched else 'after'}"


@pytest.mark.parametrize("fault", FAULTS, ids=named)
def test_whatever_strikes_is_as_if_nothing_had(fault: Fault, store: Gcs, sandbox: Sandbox) -> None:
    """Each operation meets the fault once at every request it makes, before or after the server's work."""

    def struck(do: Callable[[], Any]) -> Any:
        sandbox.faults.clear()
        sandbox.faults.add(replace(fault, times=2 if fault.kind != "hang" else 1))
        return do()

    struck(lambda: store.create("a", SMALL))
    assert struck(lambda: store.read("a")) == SMALL
    with pytest.raises(Exists):
        struck(lambda: store.create("a", b"other"))
    struck(lambda: store.replace("a", b"second"))
    assert struck(lambda: list(store.list(""))) == ["a"]
    assert struck(lambda: list(store.read_all(["a", "b"]))) == [("a", b"second"), ("b", None)]
    struck(lambda: store.modified("a"))
    struck(lambda: store.delete("a"))
    struck(lambda: store.delete("a"))
    sandbox.faults.clear()
    assert list(store.list("")) == []


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("fault", [f for f in FAULTS if f.kind in ("503", "reset", "cut")], ids=named)
def test_a_chunk_that_fails_goes_on(fault: Fault, which: int, make: Make, sandbox: Sandbox) -> None:
    sandbox.faults.add(replace(fault, path="/upload/.*upload_id", times=1, after=which))
    store = make()
    store.create("big", BIG)
    assert store.read("big") == BIG and sandbox.faults.describe()[0]["struck"] == 1
    assert list(store.list("")) == ["big"]


def test_an_upload_that_cannot_go_on_is_begun_anew(make: Make, site: Meddled) -> None:
    store = make()
    site.meddle(CHUNKS, after=lambda _: site.forget_uploads())
    store.create("forgotten", BIG)

    def keep_little(_: Any) -> None:
        site.keeps = GRAIN

    def keep_all(_: Any) -> None:
        site.keeps = None

    site.meddle(CHUNKS, before=keep_little, after=keep_all)
    store.create("little", BIG)
    assert store.read("forgotten") == store.read("little") == BIG


def test_nothing_is_seen_of_an_upload_before_its_end(make: Make, site: Meddled, tmp_path: Path) -> None:
    store, seen = make(), []

    def look(_: Any) -> None:
        seen.append([*store.list(""), *(path.name for path in (tmp_path / "storage" / "lake").rglob("*"))])

    for _ in range(3):
        site.meddle(CHUNKS, before=look)
    store.create("big", BIG)
    assert seen == [[]] * 3 and list(store.list("")) == ["big"]


@pytest.mark.parametrize("data", [SMALL, BIG], ids=["small", "big"])
def test_what_is_damaged_on_its_way_becomes_no_object(data: bytes, make: Make, site: Meddled) -> None:
    store = make()

    def damage(request: Any) -> Any:
        return replace(request, body=request.body.replace(data[-8:], b"\0" * 8))

    where = UPLOAD if data == SMALL else CHUNKS
    for _ in range(2):
        site.meddle(where if data == SMALL else r"PUT /upload/", before=damage)
    store.create("once", data)
    assert store.read("once") == data
    for _ in range(9):
        site.meddle(where, before=damage)
    with pytest.raises(StoreError, match="cannot be used"):
        store.create("always", data)
    assert list(store.list("")) == ["once"]


def test_what_is_damaged_when_it_is_read_is_read_again(make: Make, site: Meddled) -> None:
    store = make()
    store.create("a", SMALL)
    for _ in range(2):
        site.meddle("GET /download/", after=lambda response: replace(response, body=b"A commit"))
    with store.local(["a"]) as (path,):
        assert path.read_bytes() == SMALL
    for _ in range(3):
        site.meddle("GET /download/", after=lambda response: replace(response, body=b"A commit"))
    with pytest.raises(StoreError, match="not what was sent"):
        store.read("a")


# -- somebody else, between a lost answer and the next try -----------------------------------------------------------


def test_a_write_whose_answer_was_lost_knows_its_own(make: Make, site: Meddled) -> None:
    ours, theirs = make(), make()
    site.meddle(UPLOAD, after=lambda _: LOST)
    ours.create("a", b"ours")
    assert ours.read("a") == b"ours"

    def before(request: Any) -> None:
        theirs.create("b", b"theirs")

    site.meddle(UPLOAD, before=before)
    with pytest.raises(Exists):
        ours.create("b", b"ours")
    assert ours.read("b") == b"theirs"
    site.meddle(UPLOAD, before=lambda _: theirs.create("c", b"the same"))  # type: ignore[func-returns-value]
    with pytest.raises(Exists):
        ours.create("c", b"the same")


def test_the_same_bytes_by_somebody_else_are_not_ours(make: Make, site: Meddled, sandbox: Sandbox) -> None:
    ours, theirs = make(), make()
    sandbox.faults.add(Fault("reset", path="/upload/", times=1, untouched=True))
    theirs_first = iter([lambda: theirs.create("a", SMALL)])
    site.meddle(UPLOAD, before=lambda _: next(theirs_first)())
    with pytest.raises(Exists):
        ours.create("a", SMALL)


def test_a_replacement_tried_again_does_not_undo_a_later_one(make: Make, site: Meddled) -> None:
    ours, theirs = make(), make()
    ours.create("a", b"first")

    def later(_: Any) -> Any:
        theirs.replace("a", b"theirs")
        theirs.replace("a", b"theirs again")
        return LOST

    site.meddle(UPLOAD, after=later)
    ours.replace("a", b"ours")
    assert ours.read("a") == b"theirs again"
    site.meddle(UPLOAD, before=lambda _: theirs.replace("a", b"in between"))  # type: ignore[func-returns-value]
    ours.replace("a", b"ours")
    assert ours.read("a") == b"ours", "theirs came first, since ours was not written yet"


def test_a_deletion_tried_again_takes_nothing_new(make: Make, site: Meddled) -> None:
    ours, theirs = make(), make()
    ours.create("a", b"first")

    def later(_: Any) -> Any:
        theirs.create("a", b"theirs")
        return LOST

    site.meddle("DELETE ", after=later)
    ours.delete("a")
    assert ours.read("a") == b"theirs"


OPERATIONS = st.tuples(
    st.sampled_from(["create", "replace", "delete"]),
    st.sampled_from("ab"),
    st.lists(st.tuples(st.sampled_from([f for f in FAULTS if f.kind != "hang"]), st.integers(0, 2)), max_size=3),
)


@settings(max_examples=25, deadline=None)
@given(operations=st.lists(OPERATIONS, max_size=8))
def test_any_operations_under_any_faults(
    operations: list[Any], tmp_path_factory: pytest.TempPathFactory, storage: Sandbox
) -> None:
    store, model = gcs(storage, tmp_path_factory.mktemp("store")), {}
    try:
        for number, (operation, name, faults) in enumerate(operations):
            storage.faults.clear()
            for fault, after in faults:
                storage.faults.add(replace(fault, times=1, after=after))
            data = b"%d" % number
            if operation == "create" and name in model:
                with pytest.raises(Exists):
                    store.create(name, data)
            elif operation == "delete":
                store.delete(name)
                model.pop(name, None)
            else:
                getattr(store, operation)(name, data)
                model[name] = data
    finally:
        storage.faults.clear()
    assert dict(store.read_all(store.list(""))) == model


# -- what an hour's look costs -------------------------------------------------------------------------------------


def test_an_hours_look_lists_that_hour_however_long_the_history(
    make: Make, sandbox: Sandbox, site: Meddled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "PAGE", 20)
    store = make()
    names = [f"fourchan/commits/hour=2026-{m:02}-{d:02}T12/x.json" for m in range(1, 11) for d in range(1, 29)]
    for name in names:
        site.buckets.put("lake", f"p/{name}", b"{}", {}, server.Conditions())
    assert list(store.list("fourchan/commits/")) == names
    pages = sandbox.requests.count(HOST, "/storage/v1/b/lake/o")
    assert pages == len(names) // 20
    assert list(store.list("fourchan/commits/", "hour=2026-05-10T12", "hour=2026-05-11T12")) == [
        "fourchan/commits/hour=2026-05-10T12/x.json"
    ]
    assert sandbox.requests.count(HOST, "/storage/v1/b/lake/o") == pages + 1


def test_what_is_newer(make: Make) -> None:
    store = make()
    store.create("a.json", b"1")
    moment = store.modified("a.json")
    assert list(store.newer(moment)) == ["a.json"] and list(store.newer(moment + 0.01)) == []


# -- what to do ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("503"), "does not answer; what is committed is safe, the next run reads on"),
        (Fault("reset"), "does not answer"),
        (Fault("hang", seconds=3), "does not answer"),
        (Fault("429"), "asked too much: look at the quotas"),
        (Fault("403"), "give it the role Storage Object User on the bucket"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_what_stays_wrong_says_what_to_do(fault: Fault, said: str, make: Make, sandbox: Sandbox) -> None:
    sandbox.faults.add(fault)
    store = make(patience=0.3, seconds=0.2)
    for do in (
        lambda: store.create("a", SMALL), lambda: store.read("a"), lambda: list(store.list("")),
        lambda: store.replace("a", SMALL), lambda: store.delete("a"), lambda: store.modified("a"),
    ):  # fmt: skip
        with pytest.raises(StoreError, match=rf"The bucket gs://lake/p cannot be used: .*{said}") as problem:
            do()
        assert "upload_id" not in str(problem.value)


def test_no_bucket(sandbox: Sandbox, tmp_path: Path) -> None:
    store = gcs(sandbox, tmp_path, Bucket("no-such-bucket"))
    for do in (lambda: store.create("a", SMALL), lambda: store.read("a"), lambda: list(store.list(""))):
        with pytest.raises(StoreError, match="gs://no-such-bucket cannot be used: it does not exist: create it"):
            do()


def test_nobody_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    store = open_store(Bucket("lake"), tmp_path)
    assert isinstance(store, Gcs)
    store._options["retry"] = store._options["retry"].with_timeout(0.1)
    with pytest.raises(StoreError, match="Google does not answer"):
        list(store.list(""))


def test_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(StoreError, match=r"there are no credentials: run `gcloud auth application-default login`"):
        open_store(Bucket("lake"), tmp_path)


def test_with_an_emulator_no_credentials_are_looked_for(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", address(sandbox))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    store = open_store(Bucket("lake", "deep/down"), tmp_path)
    store.create("a", SMALL)
    assert (tmp_path / "storage" / "lake" / "deep" / "down" / "a").read_bytes() == SMALL
    assert all("authorization" not in one.headers for one in sandbox.requests)
