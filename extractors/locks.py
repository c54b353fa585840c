"""Who alone does something to a community or a platform.

On one machine by a file's lock, which the kernel frees with its holder. Where the lake is in a bucket, other machines
may share it: then by a lease in the lake as well.
"""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote
from uuid import uuid4

import filelock

from extractors.store import Store

if TYPE_CHECKING:
    from extractors.lease import Turn

READING, HISTORY, REWRITING = "reading", "history", "rewriting"
"""What is done: a crawl, the reading of a past, the rewriting of commits."""
FOREVER = 1e9


@contextmanager
def alone(what: str, key: str, store: Store, scratch: Path, patience: float = FOREVER) -> Iterator[None]:
    """Nobody else does that inside. `scratch`: a folder of this machine. Raises filelock.Timeout after `patience`
    seconds, and StoreError."""
    until = time.monotonic() + patience
    file = _file(what, key, scratch)
    with filelock.FileLock(file, timeout=patience, thread_local=False), ExitStack() as stack:
        try:
            stack.enter_context(store.lease(_name(what, key), _machine(scratch), until - time.monotonic()))
        except TimeoutError:
            raise filelock.Timeout(str(file)) from None
        yield


def is_done(what: str, keys: Iterable[str], store: Store, scratch: Path) -> bool:
    """Whether somebody does that with any of these."""
    keys = set(keys)
    for key in keys:
        try:
            with filelock.FileLock(_file(what, key, scratch), timeout=0, thread_local=False):
                pass
        except filelock.Timeout:
            return True
    return not {_name(what, key) for key in keys}.isdisjoint(store.leased(f"leases/{what}/", _machine(scratch)))


def turn(host: str, store: Store, scratch: Path) -> "Turn | None":
    """What waits until this machine may ask a host, where others may ask it, too."""
    return store.turn(_name("hosts", host.lower()), _machine(scratch))


def _file(what: str, key: str, scratch: Path) -> Path:
    folder = scratch / what
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{quote(key, safe=':')}.lock"


def _name(what: str, key: str) -> str:
    return f"leases/{what}/{quote(key, safe=':')}"


def _machine(scratch: Path) -> str:
    """What tells apart those who share this folder, and so its locks, from all others."""
    file = scratch / "machine"
    with suppress(FileExistsError):
        if not file.exists():
            half = scratch / f".machine-{uuid4().hex}"
            half.write_text(uuid4().hex)
            try:
                os.link(half, file)
            finally:
                half.unlink()
    return file.read_text()
