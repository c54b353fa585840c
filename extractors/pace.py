"""When a host may be asked: limits that hold across the threads and processes of one machine, and how long to wait.
Of several machines that share a lake, one at a time asks a host (lease.py).

Each host has a folder of small files. `recent.json` says when requests were sent and until when the host wants to be
left alone; `turn` is held by the one who is next; `slot-0` … are each held while a request is in flight. All of them
are guarded by `flock`, which the kernel frees when a process dies, so a killed process blocks nobody. Plain `fcntl`,
because a `filelock.FileLock` costs 70 µs a use and this 6 µs (measured 2026-11-22): no need to hand out batches.
"""

import fcntl
import math
import os
import random
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from extractors.lease import Turn

EXACT = 100  # up to so many requests a span, each one's time is kept; above, times are rounded up to 1/100 of the span
SLACK = 0.05  # seconds added to a span (at most a tenth of it), because requests travel at varying speed
LONGEST_BACKOFF = 60.0  # seconds
SLICE = 15.0  # seconds of a wait, after which it is looked at again whether this machine may ask
POLL = 0.005  # seconds between two looks at a lock that another process holds


@dataclass(frozen=True)
class Pace:
    """What a host allows: at most `requests` in any span of `seconds`, at most `in_flight` at once, over all processes.

    All who ask one host should name the same pace: the record of requests is as long as the last one's span.
    """

    requests: int
    seconds: float
    in_flight: int = 1

    def __post_init__(self) -> None:
        if self.requests < 1 or self.in_flight < 1 or not 0 < self.seconds < math.inf:
            raise ValueError(f"not a pace: {self}")

    @property
    def span(self) -> float:
        """Seconds during which a request counts."""
        return self.seconds + min(SLACK, self.seconds / 10)


def backoff(attempt: int, first: float = 1.0) -> float:
    """Seconds to wait after the attempt-th failure (from 1): anything up to a bound that doubles, 60 at most."""
    return random.uniform(0, min(LONGEST_BACKOFF, first * 2 ** (attempt - 1)))


def asked_to_wait(headers: Mapping[str, str], body: bytes, now: datetime) -> float | None:
    """The seconds a host asks for: Retry-After (seconds or a date), else what Discourse or Discord say in the body."""
    said = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", said):
        return float(said)
    with suppress(ValueError, TypeError):
        here = parsedate_to_datetime(headers["Date"]) if "Date" in headers else now  # its clock may differ from ours
        return max(0.0, (parsedate_to_datetime(said) - here).total_seconds())
    with suppress(ValueError, TypeError, KeyError, AttributeError):
        answer = orjson.loads(body)
        return max(0.0, float(answer["extras"]["wait_seconds"] if "extras" in answer else answer["retry_after"]))
    return None


@dataclass
class Recent:
    """The requests of the last span, and when the host may be asked again. Times are seconds of one clock.

    The clock is the machine's monotonic one: no correction of the wall clock opens a gate too early. It starts again
    with the machine; whenever it is behind the last use of this record, every time is moved back by the difference.
    """

    sent: list[tuple[float, int]] = field(default_factory=list)  # (time, how many), oldest first
    not_before: float = -math.inf
    as_of: float = -math.inf
    routes: dict[str, float] = field(default_factory=dict)  # what the host wants of single routes, not of all of it

    def take(self, pace: Pace, now: float) -> float:
        """Record a request and return 0, or return the seconds to wait before asking again."""
        self.set_clock(now)
        span = pace.span
        fresh = next((i for i, (at, _) in enumerate(self.sent) if at + span > now), len(self.sent))
        del self.sent[:fresh]
        if now < self.not_before:
            return self.not_before - now
        excess = sum(count for _, count in self.sent) - pace.requests
        for at, count in self.sent:
            if excess < 0:
                break
            excess -= count
            if excess < 0:
                return at + span - now
        if pace.requests > EXACT:
            step = span / EXACT
            at = math.ceil(now / step) * step
        else:
            at = now
        if self.sent and self.sent[-1][0] >= at:
            at, count = self.sent.pop()
            self.sent.append((at, count + 1))
        else:
            self.sent.append((at, 1))
        return 0.0

    def hold_off(self, seconds: float, now: float, route: str = "") -> None:
        """Nobody may ask (for this route) for so many seconds; never shortens what was said before."""
        self.set_clock(now)
        if route:
            still = {name: until for name, until in self.routes.items() if until > now}
            self.routes = still | {route: max(still.get(route, now), now + seconds)}
        else:
            self.not_before = max(self.not_before, now + seconds)

    def wait_for(self, route: str, now: float) -> float:
        """The seconds until this route may be asked, by what the host wants of it alone."""
        self.set_clock(now)
        return max(0.0, self.routes.get(route, now) - now)

    def set_clock(self, now: float) -> None:
        """Move every time back by as much as the clock went back, so that ages stay what they were."""
        if (back := self.as_of - now) > 0:
            self.sent = [(at - back, count) for at, count in self.sent]
            self.not_before -= back
            self.routes = {route: until - back for route, until in self.routes.items()}
        self.as_of = now

    def dump(self) -> bytes:
        """As it stands in the file. The length at the end tells a torn file."""
        not_before = self.not_before if self.not_before > -math.inf else None
        text = orjson.dumps([self.sent, not_before, self.as_of, self.routes])
        return text + b"\n%d\n" % len(text)

    @classmethod
    def load(cls, data: bytes, now: float) -> "Recent":
        """From a file's content. An empty one is a host never asked; one that makes no sense means a full span."""
        if not data:
            return cls(as_of=now)
        try:
            text, length, rest = data.split(b"\n")
            if rest or int(length) != len(text):
                raise ValueError("torn")
            sent, not_before, as_of, *routes = orjson.loads(text)  # an older file has none
            return cls(
                [(float(at), int(count)) for at, count in sent],
                -math.inf if not_before is None else float(not_before),
                float(as_of),
                {route: float(until) for some in routes for route, until in some.items()},
            )
        except (ValueError, TypeError, AttributeError):
            return cls([(now, sys.maxsize)], as_of=now)


class HeldOff(Exception):
    """The host wants no request for longer than anybody here would wait; `seconds` says how long."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"word to come back in {seconds:.0f} s")
        self.seconds = seconds


class Gate:
    """The way in to one host, shared by all who use the same folder.

    Whoever wants in first gets the turn, and then waits for a free slot and for the pace; so those who wait get in one
    after another, and nobody who is quick to come back passes them. The slot is kept until the answer is read.
    """

    def __init__(
        self,
        locks: Path,
        host: str,
        patience: float = math.inf,
        now: Callable[[], float] = time.monotonic,
        machines: "Turn | None" = None,
    ) -> None:
        self._patience, self._machines = patience, machines
        folder = locks / re.sub(r"[^a-z0-9.-]", "_", host.lower())
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = str(folder)  # a Path makes a new one of each name, three times a request
        self._now = now
        self._turn = threading.Lock()

    @contextmanager
    def enter(self, pace: Pace, stop: threading.Event, route: str = "") -> Iterator[float]:
        """Wait until a request (for a route) may be sent; hold a slot inside. Yields the seconds waited.

        Raises CancelledError when `stop` is set meanwhile, HeldOff when the wait would be longer than `patience`.
        """
        began = time.monotonic()
        slot = -1
        try:
            while route and (wait := self._wait_for_route(route)):  # before the turn: the other routes go on
                self._sleep(wait, pace, stop)
            while not self._turn.acquire(timeout=0.1):
                _check(stop)
            try:
                turn = self._wait_for(["turn"], stop)
                try:
                    slot = self._wait_for([f"slot-{n}" for n in range(pace.in_flight)], stop)
                    self._wait_for_machine(pace, stop)
                    while wait := self._take(pace):
                        self._sleep(wait, pace, stop)
                        self._wait_for_machine(pace, stop)
                finally:
                    os.close(turn)
            finally:
                self._turn.release()
            yield time.monotonic() - began
        finally:
            if slot >= 0:
                os.close(slot)

    def hold_off(self, seconds: float, route: str = "") -> None:
        """The host (or one route of it) wants to be left alone for so many seconds, by everybody."""
        with self._recent() as recent:
            recent.hold_off(seconds, self._now(), route)

    def _sleep(self, wait: float, pace: Pace, stop: threading.Event) -> None:
        if wait > max(self._patience, pace.span):  # more than the pace itself can ask for
            raise HeldOff(wait)
        stop.wait(min(wait, SLICE))
        _check(stop)

    def _wait_for_machine(self, pace: Pace, stop: threading.Event) -> None:
        """Until it is this machine's turn; the requests of the one before count as if they had been its own."""

        def sleep(seconds: float) -> None:
            stop.wait(seconds)
            _check(stop)

        if self._machines is not None:
            left = self._machines.wait(self._patience, sleep, lambda seconds: self.hold_off(seconds + pace.span))
            if left:
                raise HeldOff(left)

    def _wait_for_route(self, route: str) -> float:
        with self._recent() as recent:
            return recent.wait_for(route, self._now())

    def _take(self, pace: Pace) -> float:
        with self._recent() as recent:
            return recent.take(pace, self._now())

    @contextmanager
    def _recent(self) -> Iterator[Recent]:
        handle = self._open("recent.json")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)  # held for microseconds only
            data = os.pread(handle, os.fstat(handle).st_size, 0)
            recent = Recent.load(data, self._now())
            yield recent
            new = recent.dump()
            os.pwrite(handle, new, 0)
            if len(new) < len(data):
                os.ftruncate(handle, len(new))
        finally:
            os.close(handle)

    def _wait_for(self, names: list[str], stop: threading.Event) -> int:
        """Lock any one of these files; its open handle is the lock."""
        first = random.randrange(len(names)) if len(names) > 1 else 0
        while True:
            for name in names[first:] + names[:first]:
                handle = self._open(name)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return handle
                except BlockingIOError:
                    os.close(handle)
            stop.wait(POLL)
            _check(stop)

    def _open(self, name: str) -> int:
        return os.open(f"{self._folder}/{name}", os.O_RDWR | os.O_CREAT, 0o666)


def _check(stop: threading.Event) -> None:
    if stop.is_set():
        raise CancelledError
