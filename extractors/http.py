"""The one way to the network: polite, patient, and silent about secrets.

When a host may be asked stands in `pace.py`, what a status means in `errors.py`, how bytes come in `wire.py`. Here:
redirects, retries, conditions, and many requests at once.
"""

import copy
import json
import logging
import re
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin, urlsplit

import orjson

from extractors import errors
from extractors.pace import Gate, HeldOff, Pace, asked_to_wait, backoff
from extractors.usage import Stats, Usage
from extractors.wire import Answer, Wire, host_of

if TYPE_CHECKING:
    from extractors.lease import Turn

NOT_FOUND = frozenset({404})
MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_THREADS = 32  # of one `get_all`


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Request:
    """What to get. `if_modified_since` is a Last-Modified exactly as received; `tag` is the caller's own.

    `route`: requests with the same one share a limit of their own, which the host tells in X-RateLimit headers.
    `agent`: what the host wants the User-Agent to begin with.
    """

    url: str
    params: Mapping[str, Any] | None = None
    if_modified_since: str | None = None
    tolerate: frozenset[int] = NOT_FOUND
    tag: Any = None
    route: str = ""
    agent: str = ""

    @property
    def full_url(self) -> str:
        if not self.params:
            return self.url
        return f"{self.url}{'&' if '?' in self.url else '?'}{urlencode(self.params, doseq=True)}"

    def __repr__(self) -> str:
        return f"Request({errors.mask(self.full_url)!r}, tag={self.tag!r})"


@dataclass(frozen=True, slots=True)
class Response:
    """A tolerated answer. `url` is where it came from at last, secrets masked; `observed_at` is when it had come."""

    status: int
    url: str
    headers: Mapping[str, str] = field(repr=False)  # names in any case
    body: bytes = field(repr=False)
    observed_at: datetime

    @property
    def not_modified(self) -> bool:
        return self.status == 304

    def json(self) -> Any:
        """The body's JSON. Raises errors.Malformed, or what the status stands for, if it is none."""
        try:
            # orjson makes floats of them; on 245 kB the first look takes 0.17 ms, the second 1.05 (2026-11-22)
            if _LONG not in self.body.translate(_AS_ZEROS).replace(_ID, b"") or not _HUGE.search(self.body):
                return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            pass  # lone surrogates, NaN: the platforms' own libraries let them through
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            problem = errors.describe(self.body)
        if self.status >= 400:
            raise errors.from_status(self.url, self.status, self.body)
        raise errors.Malformed(self.url, expected="JSON", came=f"{self.status} with {problem}")


_HUGE = re.compile(rb"[:\[,]\s*-?\d{19}")
_LONG = b"0" * 19
_ID = b'"' + _LONG  # Discord's are strings
_AS_ZEROS = bytes(ord("0") if 48 <= code < 58 else code if code == ord('"') else 32 for code in range(256))


class Http:
    """Gets URLs, keeping each host's pace across threads and processes. Thread-safe. Cookies are not kept.

    `locks`: a folder that all processes of the machine share. `user_agent`: names the project and a URL to reach its
    operator. `via`: every https://host/path is asked of {via}/host/path, while URLs in answers, errors and logs stay
    what they were. `secrets`: header values per host, sent to no other and printed nowhere. `attempts`: how often a
    request is tried. In seconds: `patience`, the longest wait between two tries, also if the host wants more;
    `backoff`, the longest first wait; `timeout`, to connect and of silence; `deadline`, of a whole answer.
    `max_bytes`: the largest body, decompressed. `allow`: hosts that may have a private address; others that have one,
    redirects included, are refused. `machines`: what waits for this machine's turn at a host, where others share it.
    """

    def __init__(
        self,
        *,
        locks: Path,
        user_agent: str,
        via: str | None = None,
        secrets: Mapping[str, Mapping[str, str]] | None = None,
        clock: Callable[[], datetime] = utc_now,
        timeout: tuple[float, float] = (10, 60),
        deadline: float = 300,
        max_bytes: int = 64 * 2**20,
        attempts: int = 6,
        patience: float = 300,
        backoff: float = 1,
        allow: Collection[str] = (),
        machines: Callable[[str], "Turn | None"] = lambda _: None,
        log: logging.Logger | None = None,
    ) -> None:
        self.stats = Stats()
        self._locks, self._clock, self._machines = locks, clock, machines
        self._secrets = {
            host.lower(): {name: value.strip() for name, value in headers.items()}
            for host, headers in (secrets or {}).items()
        }
        self._attempts, self._patience, self._backoff = attempts, patience, backoff
        self._wire = Wire(via=via, timeout=timeout, deadline=deadline, max_bytes=max_bytes, allow=allow)
        self._headers = {"User-Agent": user_agent, "Accept-Encoding": "gzip", "Accept": "application/json, */*;q=0.1"}
        self._log = log or logging.getLogger(__name__)
        self._gates: dict[str, Gate] = {}
        self._unauthorized: dict[str, str] = {}  # hosts that refused our key, with what they said
        for value in (value for headers in self._secrets.values() for value in headers.values()):
            errors.keep_secret(value)
        self._log.addFilter(errors.MASKING)
        for name in ("urllib3.connection", "urllib3.connectionpool"):  # they log whole URLs
            logging.getLogger(name).addFilter(errors.MASKING)

    def apart(self) -> "Http":
        """The same client, limits and connections shared, that keeps stats of its own."""
        other = copy.copy(self)
        other.stats = Stats()
        return other

    def get(
        self,
        url: str,
        *,
        pace: Pace,
        params: Mapping[str, Any] | None = None,
        if_modified_since: str | None = None,
        tolerate: frozenset[int] = NOT_FOUND,
        route: str = "",
        agent: str = "",
    ) -> Response:
        """The answer to one request: 2xx, 304 to a condition, or a status in `tolerate`. Else raises a CrawlError.

        A host that answers 401 in spite of a key is asked no more: each request after it raises Refused at once.
        """
        request = Request(url, params, if_modified_since, tolerate, route=route, agent=agent)
        return self._get(request, pace, threading.Event())

    def get_all(
        self, requests: Iterable[Request | str], pace: Pace
    ) -> Iterator[tuple[Request, Response | errors.CrawlError]]:
        """The answers in the order asked, up to `pace.in_flight` at once (and 32), at most twice as many ahead.

        A request that fails yields its error and does not stop the others. Closing the generator abandons what is left.
        """
        if pace.in_flight == 1:  # a thread of its own would double the processor's time (measured 2026-11-23)
            for request in requests:
                asked = Request(request) if isinstance(request, str) else request
                yield asked, self._outcome(asked, pace, threading.Event())
            return
        threads = min(pace.in_flight, MOST_THREADS)
        stop = threading.Event()
        pool = ThreadPoolExecutor(threads, thread_name_prefix="http")
        ahead: deque[tuple[Request, Future[Response | errors.CrawlError]]] = deque()
        try:
            for request in requests:
                asked = Request(request) if isinstance(request, str) else request
                ahead.append((asked, pool.submit(self._outcome, asked, pace, stop)))
                while ahead and (len(ahead) >= 2 * threads or ahead[0][1].done()):
                    asked, answer = ahead.popleft()
                    yield asked, answer.result()
            while ahead:
                asked, answer = ahead.popleft()
                yield asked, answer.result()
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Close idle connections."""
        self._wire.close()

    def _outcome(self, request: Request, pace: Pace, stop: threading.Event) -> Response | errors.CrawlError:
        try:
            return self._get(request, pace, stop)
        except errors.CrawlError as error:
            return error

    def _get(self, request: Request, pace: Pace, stop: threading.Event) -> Response:
        """Try until there is an answer, or the attempts run out."""
        for attempt in range(1, self._attempts + 1):
            try:
                return self._follow(request, pace, stop)
            except errors.TryAgain as problem:
                again = problem
            except HeldOff as held:
                raise errors.Unavailable(request.full_url, expected="an answer", came=str(held)) from None
            host = host_of(again.url)
            wait = backoff(attempt, self._backoff) if again.wait is None else again.wait
            if again.everybody:
                self._gate(host).hold_off(wait, again.route)  # the next try waits at the gate
            if wait > self._patience:
                raise errors.Unavailable(again.url, expected="an answer", came=f"{again}, {HeldOff(wait)}")
            if attempt < self._attempts:
                self._log.warning("%s: %s; try %d of %d in %.1f s", again.url, again, attempt + 1, self._attempts, wait)
                self.stats.add(host, Usage(retries=1, waited=0 if again.everybody else wait))
                stop.wait(0 if again.everybody else wait)
        raise errors.Unavailable(again.url, expected="an answer", came=f"{again} in the last of {self._attempts} tries")

    def _follow(self, request: Request, pace: Pace, stop: threading.Event) -> Response:
        """One try: the request and its redirects, each at its own host's pace."""
        url = request.full_url
        condition = {"If-Modified-Since": request.if_modified_since} if request.if_modified_since else {}
        encrypted = url.lower().startswith("https:")
        for _ in range(1 + MAX_REDIRECTS):
            host = host_of(url)
            exposed = encrypted and not url.lower().startswith("https:")
            secrets = {} if exposed else self._secrets.get(host, {})
            with self._gate(host).enter(pace, stop, request.route) as waited:
                if secrets and host in self._unauthorized:
                    came = f"{self._unauthorized[host]} to an earlier request, so this one was not sent"
                    raise errors.Refused(url, expected="a host that takes our key", came=came)
                self.stats.add(host, Usage(requests=1, waited=waited))
                answer = self._wire.get(url, self._headers | _agent(request, self._headers) | secrets | condition)
            observed_at = self._clock()
            if secrets and answer.status == 401 and 401 not in request.tolerate:
                self._unauthorized[host] = f"401 with {errors.describe(answer.body)}"
            if request.route and answer.headers.get("X-RateLimit-Remaining") == "0":
                self._gate(host).hold_off(_reset_after(answer.headers), request.route)
            self.stats.add(host, Usage(not_modified=answer.status == 304, bytes=answer.size))
            self._log.debug("%s: %d, %d bytes, waited %.3f s", url, answer.status, answer.size, waited)
            if answer.status not in REDIRECTS - request.tolerate or "Location" not in answer.headers:
                return self._judge(request, url, answer, observed_at)
            url = self._redirect(url, answer.headers["Location"])
        raise errors.Malformed(request.full_url, expected=f"at most {MAX_REDIRECTS} redirects", came="more")

    def _redirect(self, url: str, location: str) -> str:
        """Where a redirect leads. Raises Refused if that is a login."""
        try:
            target = urljoin(url, self._wire.address_to_url(location))
            path = urlsplit(target).path
        except ValueError:
            raise errors.Malformed(url, expected="a redirect to a URL", came=f"one to {location!r}") from None
        if _LOGIN.search(path) and not _LOGIN.search(urlsplit(url).path):
            raise errors.Refused(url, expected="an answer without a login", came=f"a redirect to {target}")
        return target

    def _judge(self, request: Request, url: str, answer: Answer, observed_at: datetime) -> Response:
        """The answer as a result, or raise what it stands for."""
        if answer.status == 304 and not request.if_modified_since:
            raise errors.Malformed(url, expected="a body", came="304 (not modified) to a request without a condition")
        came = errors.kind(answer.status, request.tolerate, answer.body)
        if came is errors.Kind.RETRIABLE:
            wait = asked_to_wait(answer.headers, answer.body, observed_at)
            everybody = wait is not None or errors.rate_limited(answer.status, answer.body)
            route = "" if "X-RateLimit-Global" in answer.headers or not _limits_routes(answer) else request.route
            raise errors.TryAgain(url, f"{answer.status} with {errors.describe(answer.body)}", wait, everybody, route)
        if came is errors.Kind.FATAL:
            raise errors.from_status(url, answer.status, answer.body)
        return Response(answer.status, errors.mask(url), answer.headers, answer.body, observed_at)

    def _gate(self, host: str) -> Gate:
        if host not in self._gates:
            self._gates.setdefault(host, Gate(self._locks, host, self._patience, machines=self._machines(host)))
        return self._gates[host]


MOST_RESET = 60.0  # seconds; a limit that is not passed yet asks for no longer a wait


def _reset_after(headers: Mapping[str, str]) -> float:
    try:
        return min(MOST_RESET, max(0.0, float(headers.get("X-RateLimit-Reset-After", ""))))
    except ValueError:
        return 0.0


def _limits_routes(answer: Answer) -> bool:
    """Whether it says which of its limits was passed: what stands before an API, such as Cloudflare, does not."""
    return "X-RateLimit-Bucket" in answer.headers and answer.headers.get("X-RateLimit-Scope") != "global"


def _agent(request: Request, headers: Mapping[str, str]) -> dict[str, str]:
    return {"User-Agent": f"{request.agent} {headers['User-Agent']}"} if request.agent else {}


_LOGIN = re.compile(r"/(login|log_in|signin|sign_in|session)(/|$)", re.IGNORECASE)
