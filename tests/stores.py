"""Stores for tests: buckets of a server on loopback, and a store that tells of each step, to be killed between two."""

import re
import subprocess
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from itertools import count
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client

from extractors.gcs import Gcs
from extractors.lease import Turn
from extractors.store import LAST, Bucket, Store
from sandbox.gcs import GcsSite, address
from sandbox.server import Sandbox
from sandbox.site import Request, Response

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

    def lease(self, name: str, owner: str, patience: float) -> AbstractContextManager[None]:
        return self._store.lease(name, owner, patience)

    def leased(self, folder: str, owner: str) -> Collection[str]:
        return self._store.leased(folder, owner)

    def turn(self, name: str, owner: str) -> Turn | None:
        return self._store.turn(name, owner)

    def sweep_halves(self, folder: str, older_than: float) -> Iterator[str]:
        return self._store.sweep_halves(folder, older_than)


class Meddled(GcsSite):
    """Buckets, and somebody who does something before or after requests that match, once each."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, [BUCKET])
        self._plans: list[tuple[str, Callable[[Request], Request | None], Callable[[Response], Response | None]]] = []

    def meddle(
        self,
        pattern: str,
        before: Callable[[Request], Request | None] = lambda _: None,
        after: Callable[[Response], Response | None] = lambda _: None,
    ) -> None:
        """`before` may give another request, `after` another answer. The pattern is of `METHOD path?query`."""
        self._plans.append((pattern, before, after))

    def answer(self, request: Request, now: datetime) -> Response:
        plan = next((p for p in self._plans if re.match(p[0], f"{request.method} {request.target}")), None)
        if plan is None:
            return super().answer(request, now)
        self._plans.remove(plan)
        response = super().answer(plan[1](request) or request, now)
        return plan[2](response) or response


class Plug(GcsSite):
    """Buckets that SIGKILL whoever asks, at the n-th request: before the work is done, or after it, so that only the
    server knows of it. Counts the requests since it was set."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, [BUCKET])
        self.count = self._number = 0
        self._after, self._lock = False, Lock()
        self.victim: subprocess.Popen[bytes] | None = None

    def set(self, number: int = 0, after: bool = False) -> None:
        self.count, self._number, self._after = 0, number, after

    def answer(self, request: Request, now: datetime) -> Response:
        with self._lock:
            self.count += 1
            struck = self.count == self._number
        if not struck:
            return super().answer(request, now)
        if self._after:
            super().answer(request, now)
        assert self.victim
        self.victim.kill()
        return LOST


LOST = Response(delivery="reset")
