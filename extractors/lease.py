"""A lease on a name in a bucket, which machines share: whoever holds it says so again and again; who died, loses it.

It is an object, written by compare-and-swap. On one machine a file's lock has decided before who may ask for it, so a
lease of one's own machine is that of a process that died. Google's clock dates it. Whoever cannot reach the bucket for
a minute may lose it to somebody else: then both go on, which costs requests, and no row.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING

from extractors.store import StoreError

if TYPE_CHECKING:
    from extractors.gcs import Gcs

SECONDS = 60.0
"""After so long without a word of its holder it is free."""
RENEWED = 15.0
"""Seconds between two of its holder's words."""
SKEW = 10.0
"""Seconds by which this machine's clock may differ from Google's."""
LOOK = 1.0
"""Seconds between two looks at a lease that another holds."""
log = logging.getLogger(__name__)


@contextmanager
def lease(store: "Gcs", name: str, owner: str, patience: float) -> Iterator[None]:
    """Held inside. `owner`: this machine; `patience` in seconds. Raises TimeoutError."""
    until = time.monotonic() + patience
    while (generation := _take(store, name, owner)) is None:
        if (left := until - time.monotonic()) <= 0:
            raise TimeoutError(f"{store.location(name)} is held by another machine.")
        time.sleep(min(LOOK, left))
    keeper = _Keeper(store, name, owner, generation)
    keeper.start()
    try:
        yield
    finally:
        keeper.end()


def is_free(updated: float) -> bool:
    """Whether a lease is over that was last written then, in Unix seconds."""
    return updated + SECONDS + SKEW < time.time()


def _take(store: "Gcs", name: str, owner: str) -> int | None:
    """Its generation, or None if another has it."""
    found = store.find_lease(name)
    if found is None:
        return store.swap(name, 0, owner)
    if found.owner == owner or is_free(found.updated):
        return store.swap(name, found.generation, owner)
    return None


class _Keeper(Thread):
    """Says again and again that the lease is held."""

    def __init__(self, store: "Gcs", name: str, owner: str, generation: int) -> None:
        super().__init__(name=f"lease {name}", daemon=True)
        self._store, self._name, self._owner, self._ended = store, name, owner, Event()
        self._generation: int | None = generation

    def run(self) -> None:
        while self._generation is not None and not self._ended.wait(RENEWED):
            try:
                self._generation = self._store.swap(self._name, self._generation, self._owner)
            except StoreError as problem:
                log.warning("The lease %s could not be renewed: %s", self._name, problem)
        if self._generation is None:
            log.error("The lease %s was lost to another machine, which goes on as well.", self._name)

    def end(self) -> None:
        self._ended.set()
        self.join()
        if self._generation is not None:
            try:
                self._store.delete_if(self._name, self._generation)
            except StoreError as problem:
                log.warning("The lease %s could not be ended, and ends by itself: %s", self._name, problem)
