"""A store in a bucket of Google Cloud Storage: every write on the condition that nobody else wrote in between.

Each object says in its metadata which writes made it: a write whose answer was lost, and which on trying again hears
that somebody was first, sees there whether that was itself. Checksums travel with the bytes, so that nothing damaged
becomes an object. Nothing is seen before it is whole; what a crash leaves of an upload, Google forgets after a week.
"""

import errno
import os
import re
from base64 import b64encode
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from tempfile import SpooledTemporaryFile, TemporaryDirectory
from typing import Any, BinaryIO, cast
from uuid import uuid4

import google_crc32c
import requests
from google.api_core.exceptions import (
    Forbidden,
    GoogleAPICallError,
    GoogleAPIError,
    NotFound,
    PreconditionFailed,
    RetryError,
    TooManyRequests,
    Unauthorized,
    from_http_status,
)
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError
from google.cloud.storage import Blob, Client
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.adapters import HTTPAdapter

from extractors.lease import Turn, is_free, lease
from extractors.store import LAST, Bucket, Exists, Store, StoreError

PATIENCE = 120.0
"""Seconds for which a request that fails is tried again."""
TIMEOUT = (10.0, 60.0)
"""Seconds to connect, and between two bytes of an answer."""
CHUNK = 8 * 2**20
"""Bytes that a resumable upload sends at once; what is smaller than that is one request. And what a writer keeps in
memory, before it goes on in a file."""
AT_ONCE = 16
"""Objects read at the same time: one takes 20 to 100 ms, whatever its size."""
WRITES = "writes"
"""The metadata's name for the writes that made an object, newest first."""
WRITES_KEPT = 8
OWNER = "owner"
"""The metadata's name for the machine that holds a lease."""
TRIES = 3
"""How often an object is sent or fetched anew that was damaged on its way, or whose upload cannot go on."""
NO_BUCKET = "bucket does not exist"
"""What only Google's words tell from an object that is not there."""
LOGIN = "run `gcloud auth application-default login`, or give the machine a service account"
RACES = 100
"""So many times another may be quicker when an object is replaced."""


class Gcs(Store):
    """A store in `bucket`. `scratch`: a folder of this machine for copies of objects; `patience` in seconds, during
    which failures are tried again, first after `delay`."""

    def __init__(
        self,
        client: Client,
        bucket: Bucket,
        scratch: Path,
        *,
        patience: float = PATIENCE,
        delay: float = 1.0,
        timeout: tuple[float, float] = TIMEOUT,
    ) -> None:
        self.place, self._scratch, self._client = bucket, scratch, client
        self._bucket = client.bucket(bucket.name)
        self._prefix = f"{bucket.prefix}/" if bucket.prefix else ""
        retry = DEFAULT_RETRY.with_timeout(patience).with_delay(initial=delay, maximum=30.0, multiplier=2.0)
        self._options: dict[str, Any] = {"retry": retry, "timeout": timeout}
        for scheme in ("https://", "http://"):  # as many connections as there are threads
            client._http.mount(scheme, HTTPAdapter(pool_maxsize=2 * AT_ONCE))

    def location(self, name: str) -> str:
        return f"gs://{self.place.name}/{self._prefix}{name}"

    # -- reading -----------------------------------------------------------------------------------------------

    def list(self, prefix: str, start: str = "", end: str = LAST) -> Iterator[str]:
        for blob in self._listed(prefix, start, end, "name"):
            yield blob.name.removeprefix(self._prefix)

    def newer(self, since: float) -> Iterator[str]:
        """The names of all that was written since then, in Unix seconds of Google's clock."""
        for blob in self._listed("", "", LAST, "name,updated"):
            if blob.updated.timestamp() >= since:
                yield blob.name.removeprefix(self._prefix)

    def _listed(self, prefix: str, start: str, end: str, fields: str) -> Iterator[Blob]:
        # Google looks only at what is between the two: an hour's look costs a page, not the whole history
        low = self._prefix + prefix
        with explained(self.place):
            yield from self._client.list_blobs(
                self._bucket,
                prefix=low,
                start_offset=low + start if start else None,
                end_offset=low + end if end != LAST else None,
                fields=f"items({fields}),nextPageToken",
                **self._options,
            )

    def read(self, name: str) -> bytes:
        into = BytesIO()
        self._fetch(name, into)
        return into.getvalue()

    def _fetch(self, name: str, into: BinaryIO) -> None:
        with explained(self.place, name):
            for left in reversed(range(TRIES)):
                try:
                    self._blob(name).download_to_file(into, checksum="crc32c", **self._options)
                    return
                except (DataCorruption, requests.RequestException):  # such as of a refusal that is cut off
                    if not left:
                        raise
                    into.seek(0)
                    into.truncate()

    def read_all(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        left = iter(names)
        with ThreadPoolExecutor(AT_ONCE, "gcs") as pool:
            while some := list(islice(left, 16 * AT_ONCE)):
                yield from zip(some, pool.map(self._read_if_there, some), strict=True)

    def _read_if_there(self, name: str) -> bytes | None:
        with suppress(FileNotFoundError):
            return self.read(name)
        return None

    @contextmanager
    def local(self, names: Sequence[str]) -> Iterator[Sequence[Path]]:
        self._scratch.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self._scratch) as folder:
            paths = [Path(folder, name) for name in names]
            with ThreadPoolExecutor(AT_ONCE, "gcs") as pool:
                for _ in pool.map(self._copy, names, paths):
                    pass
            yield paths

    def _copy(self, name: str, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            self._fetch(name, file)

    def modified(self, name: str) -> float:
        found = self._find(name)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.location(name))
        return float(found.updated.timestamp())

    # -- writing -----------------------------------------------------------------------------------------------

    def create(self, name: str, data: bytes) -> None:
        with self.writer(name) as file:
            file.write(data)

    def replace(self, name: str, data: bytes) -> None:
        mark = uuid4().hex
        for _ in range(RACES):
            before = self._find(name)
            marks = [mark, *_marks(before)][:WRITES_KEPT]
            with suppress(PreconditionFailed), explained(self.place):
                self._put(name, BytesIO(data), len(data), marks, before.generation if before else 0)
                return
        raise StoreError(f"{self.location(name)} cannot be replaced: others write it all the time; try again.")

    @contextmanager
    def writer(self, name: str) -> Iterator[BinaryIO]:
        # kept until it is whole: then its checksum is known, and it can be sent as often as it takes
        with SpooledTemporaryFile(max_size=CHUNK) as spooled:
            file = cast(BinaryIO, spooled)
            yield file
            size = file.seek(0, os.SEEK_END)
            try:
                with explained(self.place):
                    self._put(name, file, size, [uuid4().hex], 0)
            except PreconditionFailed as problem:
                raise Exists(
                    f"{self.location(name)} is there already: another run wrote it first; nothing was changed"
                ) from problem

    def _put(
        self, name: str, file: BinaryIO, size: int, marks: Sequence[str], generation: int, owner: str | None = None
    ) -> int:
        """Write what replaces `generation`, 0 for nothing; its own generation. Raises PreconditionFailed where that is
        not there any more; not because of this very write, whose answer was lost."""
        checksum = _checksum(file)
        for left in reversed(range(TRIES)):
            file.seek(0)
            blob = self._blob(name, CHUNK)
            blob.metadata = {WRITES: " ".join(marks)} | ({OWNER: owner} if owner else {})
            blob.crc32c = checksum
            try:
                blob.upload_from_file(
                    file, size=size, if_generation_match=generation, checksum="crc32c", **self._options
                )
                return int(blob.generation)
            except (PreconditionFailed, RetryError):
                if (found := self._find(name)) and marks[0] in _marks(found):
                    return int(found.generation)
                raise
            except (GoogleAPICallError, DataCorruption, ValueError) as problem:
                # damaged on its way, or the upload is forgotten, or (ValueError) less of a chunk was kept than sent,
                # which the library cannot go on from
                if not left or getattr(problem, "code", 400) not in (400, 404, 410):
                    raise
        raise AssertionError

    def delete(self, name: str) -> None:
        # what somebody writes at the same time, stays: a deletion that is tried again must not take it
        if found := self._find(name):
            self.delete_if(name, found.generation)

    def delete_if(self, name: str, generation: int) -> None:
        """Delete it if nobody has written it since."""
        with suppress(FileNotFoundError, PreconditionFailed), explained(self.place, name):
            self._blob(name).delete(if_generation_match=generation, **self._options)

    def sweep_halves(self, folder: str, older_than: float) -> Iterator[str]:
        yield from ()

    # -- leases ------------------------------------------------------------------------------------------------

    def lease(self, name: str, owner: str, patience: float) -> AbstractContextManager[None]:
        return lease(self, name, owner, patience)

    def leased(self, folder: str, owner: str) -> Collection[str]:
        held = (_leased(blob) for blob in self._listed(folder, "", LAST, "name,updated,generation,metadata"))
        return {one.name.removeprefix(self._prefix) for one in held if one.owner != owner and not is_free(one.updated)}

    def turn(self, name: str, owner: str) -> Turn:
        return Turn(self, name, owner)

    def find_lease(self, name: str) -> "Leased | None":
        found = self._find(name)
        return _leased(found) if found else None

    def swap(self, name: str, generation: int, owner: str) -> int | None:
        """Write a lease if it is still of this generation, 0 if nobody wrote it; the new one, None if it is not."""
        with suppress(PreconditionFailed), explained(self.place):
            return self._put(name, BytesIO(), 0, [uuid4().hex], generation, owner)
        return None

    def _find(self, name: str) -> Blob | None:
        with explained(self.place, name):
            return self._bucket.get_blob(self._prefix + name, **self._options)

    def _blob(self, name: str, chunk: int | None = None) -> Blob:
        return self._bucket.blob(self._prefix + name, chunk_size=chunk)


@dataclass(frozen=True)
class Leased:
    """Who holds a lease, since when by Google's clock, in Unix seconds."""

    name: str
    owner: str
    updated: float
    generation: int


def _leased(blob: Blob) -> Leased:
    return Leased(blob.name, (blob.metadata or {}).get(OWNER, ""), blob.updated.timestamp(), int(blob.generation))


def _marks(blob: Blob | None) -> list[str]:
    return str((blob.metadata or {}).get(WRITES, "")).split() if blob else []


def _checksum(file: BinaryIO) -> str:
    file.seek(0)
    value = 0
    for part in iter(partial(file.read, 2**20), b""):
        value = google_crc32c.extend(value, part)
    return b64encode(value.to_bytes(4)).decode()


@contextmanager
def explained(place: Bucket, name: str = "") -> Iterator[None]:
    """What goes wrong inside is a StoreError that says what to do, or a FileNotFoundError where the object `name` was
    asked for and is not there. That a condition did not hold is left to whoever made it."""
    try:
        yield
    except PreconditionFailed:
        raise
    except (GoogleAPIError, GoogleAuthError, requests.RequestException, DataCorruption, InvalidResponse) as problem:
        if name and isinstance(problem, NotFound) and NO_BUCKET not in problem.message:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{place}/{name}") from problem
        cause = problem.cause if isinstance(problem, RetryError) and problem.cause else problem
        raise StoreError(f"The bucket {place} cannot be used: {_advice(cause)}.") from problem


def _advice(problem: BaseException) -> str:
    if isinstance(problem, InvalidResponse):  # what a failed upload or download is until it is given up
        problem = from_http_status(problem.response.status_code, problem.response.text or str(problem))  # type: ignore[no-untyped-call]
    said = re.sub(r"\?\S*", "", str(getattr(problem, "message", "") or problem)).strip().rstrip(".")
    match problem:
        case NotFound() if NO_BUCKET in said:
            return "it does not exist: create it, or correct its name"
        case DefaultCredentialsError():
            return f"there are no credentials: {LOGIN}"
        case Unauthorized() | RefreshError():
            return f"its credentials are refused: {LOGIN} ({said})"
        case Forbidden():
            return (
                "this account may not: give it the role Storage Object User on the bucket, and look whether the "
                f"project's billing is on ({said})"
            )
        case TooManyRequests():
            return "Google is asked too much: look at the quotas; what is committed is safe, the next run reads on"
        case DataCorruption():
            return "what arrived is not what was sent, again and again; what is committed is safe"
        case GoogleAPICallError() if problem.code and problem.code < 500:
            return f"Google refuses that ({said}); what is committed is safe"
    return f"Google does not answer; what is committed is safe, the next run reads on ({said})"
