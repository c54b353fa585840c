"""What a green run over the storage server means: each promise of Google's that the lake rests on is kept here, as the
real client sees it. After an upgrade of the client or a change of the server these fail first."""

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from google.api_core.exceptions import (
    BadRequest,
    Conflict,
    GoogleAPICallError,
    NotFound,
    PreconditionFailed,
    RequestRangeNotSatisfiable,
)
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Bucket, Client

from sandbox import gcs
from sandbox.faults import Fault
from sandbox.gcs import GRAIN, GcsSite, address, served
from sandbox.server import Sandbox

BIG = os.urandom(3 * GRAIN + 17)


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Sandbox]:
    with served(tmp_path / "storage", "lake") as sandbox:
        yield sandbox


def client_of(sandbox: Sandbox) -> Client:
    options = {"api_endpoint": address(sandbox)}
    return Client(project="none", credentials=AnonymousCredentials(), client_options=options)


@pytest.fixture
def bucket(storage: Sandbox) -> Bucket:
    return client_of(storage).bucket("lake")


def put(bucket: Bucket, name: str, data: bytes = b"x", **options: Any) -> int:
    blob = bucket.blob(name)
    blob.upload_from_string(data, **options)
    return int(blob.generation)


# -- preconditions -------------------------------------------------------------------------------------------------


def chunked(bucket: Bucket, name: str, **options: Any) -> None:
    bucket.blob(name, chunk_size=GRAIN).upload_from_file(io.BytesIO(BIG), size=len(BIG), **options)


def streamed(bucket: Bucket, name: str, **options: Any) -> None:
    bucket.blob(name, chunk_size=GRAIN).upload_from_file(io.BytesIO(BIG), **options)


@pytest.mark.parametrize("upload", [put, chunked, streamed])
def test_what_is_there_is_not_created_again(upload: Callable[..., Any], bucket: Bucket) -> None:
    upload(bucket, "a", if_generation_match=0)
    first = bucket.blob("a").download_as_bytes()
    with pytest.raises(PreconditionFailed):
        upload(bucket, "a", if_generation_match=0)
    found = bucket.get_blob("a")
    assert found.download_as_bytes() == first and found.metageneration == 1
    upload(bucket, "a", if_generation_match=found.generation)
    with pytest.raises(PreconditionFailed):
        upload(bucket, "a", if_generation_match=found.generation)
    with pytest.raises(PreconditionFailed):
        upload(bucket, "b", if_generation_match=found.generation)
    assert bucket.get_blob("b") is None


def test_every_verb_keeps_every_condition(bucket: Bucket) -> None:
    generation = put(bucket, "a")
    blob = bucket.blob("a")
    for condition, held, broken in (
        ("if_generation_match", generation, generation + 1),
        ("if_generation_not_match", generation + 1, generation),
        ("if_metageneration_match", 1, 2),
        ("if_metageneration_not_match", 2, 1),
    ):
        assert blob.download_as_bytes(**{condition: held}) == b"x"
        blob.reload(**{condition: held})
        for do in (blob.download_as_bytes, blob.reload):
            with pytest.raises(GoogleAPICallError) as problem:
                do(**{condition: broken})
            assert problem.value.code == (304 if "not" in condition else 412), condition
        with pytest.raises(PreconditionFailed):
            blob.delete(**{condition: broken})
        with pytest.raises(PreconditionFailed):
            blob.metadata = {"a": "b"}
            blob.patch(**{condition: broken})
    blob.patch(if_metageneration_match=1)
    found = bucket.get_blob("a")
    assert (found.metadata, found.metageneration, found.generation) == ({"a": "b"}, 2, generation)
    blob.delete(if_generation_match=generation)
    with pytest.raises(NotFound):
        blob.delete()
    assert put(bucket, "a", if_generation_match=0) > generation, "no generation comes twice"


def test_a_resumable_upload_meets_its_condition_when_it_ends_too(bucket: Bucket) -> None:
    upload, transport = bucket.blob("a", chunk_size=GRAIN)._initiate_resumable_upload(
        None, io.BytesIO(BIG), None, len(BIG), if_generation_match=0
    )
    upload.transmit_next_chunk(transport)
    put(bucket, "a", b"somebody else's")
    with pytest.raises(Exception, match="412"):
        while not upload.finished:
            upload.transmit_next_chunk(transport)
    assert bucket.blob("a").download_as_bytes() == b"somebody else's"


# -- uploads -------------------------------------------------------------------------------------------------------


def test_an_upload_is_there_when_it_is_whole_and_stays_there(bucket: Bucket, storage: Sandbox) -> None:
    upload, transport = bucket.blob("a", chunk_size=GRAIN)._initiate_resumable_upload(
        None, io.BytesIO(BIG), None, len(BIG), if_generation_match=0
    )
    while not upload.finished:
        assert bucket.get_blob("a") is None
        upload.transmit_next_chunk(transport)
    assert bucket.blob("a").download_as_bytes() == BIG
    whole = {"Content-Range": f"bytes {3 * GRAIN}-{len(BIG) - 1}/{len(BIG)}"}
    again = requests.put(upload.resumable_url, BIG[3 * GRAIN :], headers=whole, timeout=5)
    asked = requests.put(upload.resumable_url, headers={"Content-Range": f"bytes */{len(BIG)}"}, timeout=5)
    generation = bucket.get_blob("a").generation
    assert again.status_code == asked.status_code == 200
    assert int(again.json()["generation"]) == int(asked.json()["generation"]) == generation


def test_chunks_come_in_order_whole_and_once(bucket: Bucket, storage: Sandbox) -> None:
    url = f"{address(storage)}/upload/storage/v1/b/lake/o?uploadType=resumable"
    place = requests.post(url, json={"name": "a"}, timeout=5).headers["Location"]

    def send(first: int, data: bytes, whole: object = "*") -> requests.Response:
        said = {"Content-Range": f"bytes {first}-{first + len(data) - 1}/{whole}"}
        return requests.put(place, data, headers=said, timeout=5)

    assert "Range" not in requests.put(place, headers={"Content-Range": "bytes */*"}, timeout=5).headers
    assert send(0, BIG[:100]).status_code == 400, "no multiple of 256 KB, and not the last"
    assert send(0, BIG[:GRAIN]).headers["Range"] == f"bytes=0-{GRAIN - 1}"
    assert send(2 * GRAIN, BIG[2 * GRAIN : 3 * GRAIN]).status_code == 503, "one is missing"
    assert send(0, BIG[: 2 * GRAIN]).headers["Range"] == f"bytes=0-{2 * GRAIN - 1}", "half of it was here"
    assert send(2 * GRAIN, BIG[2 * GRAIN :], len(BIG)).status_code == 200
    assert bucket.blob("a").download_as_bytes() == BIG
    assert requests.put(f"{url}&upload_id=none", BIG, timeout=5).status_code == 404


def test_a_wrong_checksum_is_refused_before_there_is_an_object(bucket: Bucket) -> None:
    for upload in (chunked, streamed):
        wrong = bucket.blob("a", chunk_size=GRAIN)
        wrong.crc32c = "AAAAAA=="
        with pytest.raises(BadRequest, match="CRC32C"):
            wrong.upload_from_file(io.BytesIO(BIG), size=len(BIG) if upload is chunked else None, checksum=None)
    wrong = bucket.blob("a")
    wrong.md5_hash = "AAAA"
    with pytest.raises(BadRequest, match="MD5"):
        wrong.upload_from_string(b"x", checksum=None)
    assert bucket.get_blob("a") is None
    put(bucket, "a", BIG, checksum="crc32c")
    put(bucket, "b", BIG, checksum="md5")


def test_metadata_comes_with_the_upload(bucket: Bucket) -> None:
    for name, size in (("small", 10), ("big", len(BIG))):
        blob = bucket.blob(name, chunk_size=GRAIN if size > 10 else None)
        blob.metadata = {"writes": "ü 1"}
        blob.upload_from_file(io.BytesIO(BIG[:size]), size=size if size == 10 else None, content_type="text/x")
        found = bucket.get_blob(name)
        assert (found.metadata, found.content_type, found.size) == ({"writes": "ü 1"}, "text/x", size)
        assert abs(found.updated.timestamp() - time.time()) < 60 and found.time_created <= found.updated


# -- downloads and lists -------------------------------------------------------------------------------------------


def test_ranges_and_generations(bucket: Bucket) -> None:
    first = put(bucket, "a", BIG)
    blob = bucket.blob("a")
    assert blob.download_as_bytes(start=10, end=19) == BIG[10:20] and blob.download_as_bytes(start=100) == BIG[100:]
    with pytest.raises(RequestRangeNotSatisfiable):
        blob.download_as_bytes(start=len(BIG))
    with bucket.blob("a").open("rb", chunk_size=GRAIN) as file:
        assert file.read() == BIG
    put(bucket, "a", b"new")
    with pytest.raises(NotFound):
        bucket.blob("a", generation=first).download_as_bytes()


def test_a_cut_download_goes_on_where_it_ended(bucket: Bucket, storage: Sandbox) -> None:
    put(bucket, "a", BIG)
    storage.faults.add(Fault("cut", path="/download/", times=1))
    assert bucket.blob("a").download_as_bytes(checksum="crc32c") == BIG
    last = list(storage.requests)[-1]
    assert last.status == 206 and 0 < int(last.headers["range"][6:-1]) <= len(BIG) // 2


def test_lists(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"p/{number:02}" for number in range(25)] + ["p/ü", "q", "r/x"]
    for name in reversed(names):
        put(bucket, name)
    client = bucket.client
    assert [blob.name for blob in client.list_blobs("lake")] == names
    assert [blob.name for blob in client.list_blobs("lake", prefix="p/2")] == names[20:25]
    ranged = client.list_blobs("lake", prefix="p/", start_offset="p/03", end_offset="p/06")
    assert [blob.name for blob in ranged] == names[3:6], "the first is in it, the last is not"
    pages = list(client.list_blobs("lake", prefix="p/", page_size=10).pages)
    assert [page.num_items for page in pages] == [10, 10, 6]
    monkeypatch.setattr(gcs, "PAGE", 10)
    few = list(client.list_blobs("lake", fields="items(name),nextPageToken"))
    assert [blob.name for blob in few] == names, "Google's pages have 1000 at the most, whatever is asked"
    assert few[0].updated is None and few[0].size is None, "only the fields that were asked for"
    bucket.blob("q").delete()
    assert "q" not in [blob.name for blob in client.list_blobs("lake")]


def test_strange_names(bucket: Bucket) -> None:
    names = ["a b/ü%2F:x=1/c?d#e&f+.json", "lemmy/state/lemmy:lemmy.example%2Ffolding/20261101T000000.000000Z-run.json"]
    for name in names:
        put(bucket, name, name.encode())
    assert [blob.name for blob in bucket.list_blobs()] == sorted(names)
    assert all(bucket.blob(name).download_as_bytes() == name.encode() for name in names)
    for name in ("a/../b", "/a", "a//b", "a/", "x" * 300):
        with pytest.raises(BadRequest, match="keeps objects as files"):
            put(bucket, name)
    with pytest.raises(BadRequest, match="a file and a folder"):
        put(bucket, f"{names[1]}/more")


def test_buckets(storage: Sandbox, bucket: Bucket) -> None:
    client = client_of(storage)
    client.create_bucket("another")
    with pytest.raises(Conflict):
        client.create_bucket("another")
    assert client.get_bucket("another").name == "another" and client.lookup_bucket("none-such") is None
    none = client.bucket("none-such")
    for do in (lambda: put(none, "a"), lambda: none.blob("a").download_as_bytes(), lambda: list(none.list_blobs())):
        with pytest.raises(NotFound, match="bucket does not exist"):
            do()
    with pytest.raises(NotFound, match="No such object: lake/none"):
        bucket.blob("none").download_as_bytes()


# -- the server ----------------------------------------------------------------------------------------------------


def test_what_it_does_not_speak_it_refuses(bucket: Bucket) -> None:
    put(bucket, "a")
    for do in (
        lambda: list(bucket.client.list_blobs("lake", delimiter="/")),
        lambda: list(bucket.client.list_blobs("lake", versions=True)),
        lambda: list(bucket.client.list_blobs("lake", match_glob="*")),
        lambda: bucket.copy_blob(bucket.blob("a"), bucket, "b"),
        lambda: bucket.blob("c").compose([bucket.blob("a")]),
    ):
        with pytest.raises(GoogleAPICallError) as problem:
            do()
        assert problem.value.code == 501


def test_objects_are_files_and_outlive_the_server(tmp_path: Path) -> None:
    root = tmp_path / "storage"
    with served(root, "lake") as sandbox:
        bucket = client_of(sandbox).bucket("lake")
        blob = bucket.blob("p/hour=2026-11-01T00/a.parquet")
        blob.metadata = {"k": "v"}
        blob.upload_from_string(b"one")
        put(bucket, "gone/x")
        bucket.blob("gone/x").delete()
        assert (root / "lake" / "p" / "hour=2026-11-01T00" / "a.parquet").read_bytes() == b"one"
        assert not (root / "lake" / "gone").exists()
    with served(root, "lake") as sandbox:
        again = client_of(sandbox).bucket("lake").get_blob("p/hour=2026-11-01T00/a.parquet")
        assert (again.generation, again.metadata) == (blob.generation, {"k": "v"})
        assert again.download_as_bytes() == b"one"
    assert [path for path in root.rglob("*") if ".half" in path.name] == []


def test_many_ask_at_once(storage: Sandbox, bucket: Bucket) -> None:
    """A slow answer keeps nobody waiting, and of many creations one wins."""
    put(bucket, "slow")
    storage.faults.add(Fault("slow", path=".*/o/slow", seconds=1))
    ended: list[str] = []

    def read() -> None:
        assert client_of(storage).bucket("lake").get_blob("slow") is not None
        ended.append("slow")

    def create() -> None:
        try:
            put(client_of(storage).bucket("lake"), "x", if_generation_match=0)
            ended.append("created")
        except PreconditionFailed:
            ended.append("refused")

    threads = [threading.Thread(target=do) for do in (read, read, *[create] * 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended[:9]) == ["created", *["refused"] * 8] and ended[9:] == ["slow", "slow"]


@pytest.mark.parametrize("untouched", [True, False])
@pytest.mark.parametrize("kind", ["503", "429", "reset"])
def test_a_fault_strikes_before_or_after_the_work(
    kind: Any, untouched: bool, bucket: Bucket, storage: Sandbox
) -> None:  # fmt: skip
    storage.faults.add(Fault(kind, method="POST", times=1, untouched=untouched))
    with pytest.raises((GoogleAPICallError, requests.ConnectionError)):
        put(bucket, "a", retry=None)
    assert (bucket.get_blob("a") is None) == untouched
    with pytest.raises(ValueError, match="so there must be one"):
        Fault("cut", untouched=True)


def test_by_itself_it_listens_on_loopback_only(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox.gcs", str(tmp_path / "storage"), "--bucket", "lake"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        name, _, url = process.stdout.readline().strip().partition("=")
        assert name == "STORAGE_EMULATOR_HOST" and url.startswith("http://127.0.0.1:")
        assert requests.get(f"{url}/storage/v1/b/lake", timeout=5).json()["name"] == "lake"
        process.terminate()
        assert process.wait(10) == 0
    assert GcsSite.hosts == ("storage.googleapis.com",)
