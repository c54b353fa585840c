"""How many requests a host takes in how much time, and how a platform says that it was too many."""

import threading
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import orjson

from sandbox.site import TEXT, Request, Response

RATE_LIMIT_ERROR = "rate_limit_error"
SLOW_DOWN = b"Slow down, you're making too many requests.\n"


@dataclass(frozen=True)
class Limit:
    """So many `requests` in any `seconds` of real time. `code` is one of Discourse's, like `ip_10_secs_limit`, or
    Lemmy's `rate_limit_error`, which is a 400 without a word of when."""

    requests: int
    seconds: float
    code: str = "ip_60_secs_limit"


class Limits:
    """Limits by host; a host without any takes everything. Refused requests do not count."""

    def __init__(self) -> None:
        self._limits: dict[str, Sequence[Limit]] = {}
        self._taken: dict[str, deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()

    def set(self, host: str, *limits: Limit) -> None:
        with self._lock:
            self._limits[host] = limits
            self._taken[host].clear()

    def check(self, request: Request, monotonic: float) -> Response | None:
        """None if the request may pass, else the refusal."""
        if request.host not in self._limits:
            return None
        with self._lock:
            taken, limits = self._taken[request.host], self._limits[request.host]
            horizon = max((limit.seconds for limit in limits), default=0)
            while taken and taken[0] <= monotonic - horizon:
                taken.popleft()
            for limit in limits:
                recent = [time for time in taken if time > monotonic - limit.seconds]
                if len(recent) >= limit.requests:
                    oldest = recent[-limit.requests] if limit.requests else monotonic
                    return _refusal(limit, ceil(oldest + limit.seconds - monotonic))
            taken.append(monotonic)
            return None


def _refusal(limit: Limit, wait: int) -> Response:
    if limit.code == RATE_LIMIT_ERROR:
        return Response(400, orjson.dumps({"error": RATE_LIMIT_ERROR}))
    headers = {"Retry-After": str(wait), "Discourse-Rate-Limit-Error-Code": limit.code}
    if "api_key" in limit.code:
        error = "You’ve performed this action too many times, please try again later."
        body = {"errors": [error], "error_type": "rate_limit", "extras": {"wait_seconds": wait}}
        return Response(429, orjson.dumps(body), headers=headers)
    return Response(429, SLOW_DOWN + f"Please retry again in {wait} seconds.\n".encode(), TEXT, headers)
