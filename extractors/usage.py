"""What was asked of each host, so that a run can say what it cost."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """What was asked of a host. `bytes` as they travelled; `waited` in seconds, summed over threads."""

    requests: int = 0
    not_modified: int = 0
    retries: int = 0
    bytes: int = 0
    waited: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.requests + other.requests,
            self.not_modified + other.not_modified,
            self.retries + other.retries,
            self.bytes + other.bytes,
            self.waited + other.waited,
        )

    def __sub__(self, other: "Usage") -> "Usage":
        return self + Usage(-other.requests, -other.not_modified, -other.retries, -other.bytes, -other.waited)


class Stats:
    """Usage per host since the client was made. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hosts: dict[str, Usage] = {}

    def add(self, host: str, usage: Usage) -> None:
        with self._lock:
            self._hosts[host] = self._hosts.get(host, Usage()) + usage

    def snapshot(self) -> dict[str, Usage]:
        """Usage by host until now."""
        with self._lock:
            return dict(self._hosts)

    def since(self, before: Mapping[str, Usage]) -> dict[str, Usage]:
        """What was used since a snapshot, by host; a host not asked since is not in it."""
        used = {host: usage - before.get(host, Usage()) for host, usage in self.snapshot().items()}
        return {host: usage for host, usage in used.items() if usage != Usage()}

    def total(self) -> Usage:
        """Usage of all hosts together."""
        return sum(self.snapshot().values(), Usage())
