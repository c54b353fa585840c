"""The log of all requests a sandbox got, for tests that count them and look at their pace."""

import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Logged:
    """A request and its answer. `monotonic` is real time in seconds when it came; `status` 0 means no answer at all.

    `headers` have names in lower case.
    """

    monotonic: float
    method: str
    host: str
    target: str
    status: int
    headers: dict[str, str] = field(default_factory=dict)


class RequestLog:
    """Safe to append to from many threads. Iterates over a copy."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logged: list[Logged] = []

    def append(self, logged: Logged) -> None:
        with self._lock:
            self._logged.append(logged)

    def clear(self) -> None:
        with self._lock:
            self._logged.clear()

    def __iter__(self) -> Iterator[Logged]:
        with self._lock:
            return iter(list(self._logged))

    def __len__(self) -> int:
        return len(self._logged)

    def count(self, host: str | None = None, path: str = ".*") -> int:
        """How many requests a host got (None: all hosts) whose path with query matches from its start."""
        pattern = re.compile(path)
        return sum((host is None or one.host == host) and pattern.match(one.target) is not None for one in self)

    def times(self, host: str) -> list[float]:
        return [one.monotonic for one in self if one.host == host]

    def by_host(self) -> dict[str, dict[str, Any]]:
        """{host: {count, paths: {path: count}, statuses: {status: count}, times: [seconds]}}"""
        hosts: dict[str, list[Logged]] = {}
        for one in self:
            hosts.setdefault(one.host, []).append(one)
        return {
            host: {
                "count": len(logged),
                "paths": Counter(one.target for one in logged),
                "statuses": Counter(str(one.status) for one in logged),
                "times": [one.monotonic for one in logged],
            }
            for host, logged in hosts.items()
        }
