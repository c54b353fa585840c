"""Leases in a bucket, which machines share: whoever holds one says so again and again; who died, loses it.

A lease is an object, written by compare-and-swap, and dated by Google's clock. `lease` is for one holder: on its
machine a file's lock has decided before who may ask, so a lease of one's own machine is that of a process that died.
`Turn` is for all processes of a machine together. Whoever cannot reach the bucket for a minute may lose a lease to
somebody else: then both go on, which costs requests, and no row.
"""

import logging
import time
from collections.abc import Callable, Iterator
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
TERM, GAP = 120.0, 3.0
"""After so many seconds a machine gives its turn to who waits for it, and for so many leaves it alone."""
WAITS = 30.0
"""For so many seconds it counts that another said it waits."""
GIVEN_UP = "-"
"""Before the name of an owner who gave it up."""
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


class Turn:
    """What one machine at a time may do, such as asking a host: its turn lasts while its processes ask, and ends after
    a term if another waits."""

    def __init__(self, store: "Gcs", name: str, owner: str) -> None:
        self._store, self._name, self._owner = store, name, owner
        self._until = self._ends = self._said = 0.0

    def wait(self, patience: float, sleep: Callable[[float], object], after: Callable[[float], object]) -> float:
        """Until it is this machine's turn; 0, or about how long another's lasts yet, where that is more than `patience`
        allows. `after` is told for how many seconds the machine before may still act. Raises what `sleep` does."""
        until = time.monotonic() + patience
        while (now := time.monotonic()) >= self._until:
            found = self._store.find_lease(self._name)
            before = found.owner.removeprefix(GIVEN_UP) if found else self._owner
            if found and found.owner == self._owner and 0 < self._ends <= now:
                self._ends = 0.0
                if self._another_waits():
                    self._store.swap(self._name, found.generation, GIVEN_UP + self._owner)
                    sleep(GAP)
            elif not found or before == self._owner or found.owner.startswith(GIVEN_UP) or is_free(found.updated):
                if self._store.swap(self._name, found.generation if found else 0, self._owner) is None:
                    continue
                self._until, self._ends = now + SECONDS / 3, self._ends or now + TERM
                if before != self._owner:
                    self._ends = now + SECONDS + TERM  # which begins when the one before has ended
                    after(SECONDS / 3)
            elif now >= until:
                return max(LOOK, found.updated + SECONDS + SKEW - time.time())
            else:
                if now >= self._said + WAITS / 3:
                    self._said = now
                    self._store.replace(f"{self._name}.waits", b"")
                sleep(LOOK)
        return 0.0

    def _another_waits(self) -> bool:
        try:
            return self._store.modified(f"{self._name}.waits") + WAITS + SKEW > time.time()
        except FileNotFoundError:
            return False


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
