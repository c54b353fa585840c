"""Stores for tests: buckets of a server on loopback, and a store that tells of each step, to be killed between two."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import BinaryIO

from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client

from extractors.gcs import Gcs
from extractors.store import LAST, Bucket, Store
from sandbox.gcs import address
from sandbox.server import Sandbox

BUCKET = "lake"
NUMBERS = count()


def client(sandbox: Sandbox) -> Client:
    options = {"api_endpoint": address(sandbox)}
    return Client(project="none", credentials=AnonymousCredentials(), client_options=options)


def gcs(
    sandbox: Sandbox, scratch: Path, bucket: Bucket | None = None, patience: float = 20.0, seconds: float = 5.0
) -> Gcs:
    """A store under a prefix of its own. `seconds` to wait for an answer."""
    place = bucket or Bucket(BUCKET, f"a prefix/{next(NUMBERS)}")
    return Gcs(client(sandbox), place, scratch / "copies", patience=patience, delay=0.01, timeout=(5, seconds))


class Watched(Store):
    """Another store, whose every change is told before and after: `told` may raise."""

    def __init__(self, store: Store, told: Callable[[str, str], None]) -> None:
        self._store, self._told = store, told

    @contextmanager
    def _telling(self, what: str, name: str) -> Iterator[None]:
        self._told(what, name)
        yield
        self._told(what, name)

    def location(self, name: str) -> str:
        return self._store.location(name)

    def list(self, prefix: str, start: str = "", end: str = LAST) -> Iterator[str]:
        return self._store.list(prefix, start, end)

    def read(self, name: str) -> bytes:
        self._told("read", name)
        return self._store.read(name)

    @contextmanager
    def local(self, names: Sequence[str]) -> Iterator[Sequence[Path]]:
        with self._store.local(names) as paths:
            yield paths

    def create(self, name: str, data: bytes) -> None:
        with self._telling("create", name):
            self._store.create(name, data)

    def replace(self, name: str, data: bytes) -> None:
        with self._telling("replace", name):
            self._store.replace(name, data)

    @contextmanager
    def writer(self, name: str) -> Iterator[BinaryIO]:
        with self._telling("write", name), self._store.writer(name) as file:
            yield file

    def delete(self, name: str) -> None:
        with self._telling("delete", name):
            self._store.delete(name)

    def modified(self, name: str) -> float:
        return self._store.modified(name)

    def sweep_halves(self, folder: str, older_than: float) -> Iterator[str]:
        return self._store.sweep_halves(folder, older_than)
