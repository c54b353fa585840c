"""What stands between a browser and the pages: headers, the rate of each client, validators, who may change
something."""

import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b, sha256

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.problems import problem
from dashboard.reader import NothingPublished

POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""No script at all, not even our own: there is none."""
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
LIVE = ("/communities", "/api/communities", "/sign-in", "/sign-out", "/healthz", "/static")
"""Paths whose answers depend on more than what is published."""
CLIENTS = 10_000  # that are remembered
COOKIE = "threadlake"


class SecurityHeaders:
    """On every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, add if scope["type"] == "http" else send)


class RateLimit:
    """So many requests a second from one address, and ten seconds' worth at once. Who asks for more gets 429 and
    when to come again."""

    def __init__(self, app: ASGIApp, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.app, self._rate, self._burst, self._clock = app, rate, rate * 10, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (wait := self._wait(scope["client"][0] if scope.get("client") else "")):
            answer = problem(429, f"Too many requests from your address: come again in {wait} s.", scope["path"])
            answer.headers["retry-after"] = str(wait)
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _wait(self, client: str) -> int:
        """Seconds to wait, 0 where the request may pass."""
        now = self._clock()
        left, at = self._left.pop(client, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._rate)
        self._left[client] = (left - 1, now) if left >= 1 else (left, now)
        if len(self._left) > CLIENTS:
            self._left.popitem(last=False)
        return 0 if left >= 1 else int((1 - left) / self._rate) + 1


class Validators:
    """An ETag made of what is published and what is asked: who has the answer already gets 304, and no query runs."""

    def __init__(self, app: ASGIApp, version: Callable[[], str]) -> None:
        self.app, self._version = app, version
        self._start = secrets.token_hex(8)  # other code or settings may answer otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"].startswith(LIVE):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            asked = (
                self._version(),
                self._start,
                scope["path"],
                scope["query_string"].decode("latin-1"),
                headers.get("accept", ""),
            )
        except NothingPublished:
            await self.app(scope, receive, send)
            return
        tag = f'W/"{blake2b(repr(asked).encode(), digest_size=12).hexdigest()}"'
        known = tag in [one.strip() for one in headers.get("if-none-match", "").split(",")]

        async def mark(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in (200, 304):
                MutableHeaders(scope=message).update(
                    {"etag": tag, "cache-control": "no-cache", "vary": "accept, accept-encoding"}
                )
            await send(message)

        if known:
            await mark({"type": "http.response.start", "status": 304, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await self.app(scope, receive, mark)


class Keys:
    """Who may change something: programs by the token, as a bearer; people by a cookie that the token made, and then
    each form carries a word made of that cookie, which no other site can know."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def is_token(self, text: str) -> bool:
        return hmac.compare_digest(sha256(text.encode()).digest(), sha256(self._token).digest())

    def has_bearer(self, request: Request) -> bool:
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.is_token(value.strip())

    def new_session(self) -> str:
        name = secrets.token_urlsafe(18)
        return f"{name}.{self._sign('session', name)}"

    def session(self, request: Request) -> str | None:
        """The browser's session, if it has one that we made."""
        name, _, signature = request.cookies.get(COOKIE, "").partition(".")
        made = name and hmac.compare_digest(signature.encode(), self._sign("session", name).encode())
        return name if made else None

    def form_word(self, session: str | None) -> str:
        return self._sign("form", session) if session else ""

    def may_post(self, request: Request, word: str) -> bool:
        """Whether a form comes from a page of ours that a signed-in person looked at."""
        session = self.session(request)
        origin = request.headers.get("origin")
        ours = origin in (None, f"{request.url.scheme}://{request.headers.get('host')}")
        return bool(session) and ours and hmac.compare_digest(word.encode(), self.form_word(session).encode())

    def sealed(self, text: str) -> str:
        """A sentence of ours that travels in a URL, where anybody could put another."""
        return f"{self._sign('sentence', text)[:32]} {text}"

    def unsealed(self, text: str) -> str:
        """The sentence, if it is ours."""
        _, _, sentence = text.partition(" ")
        return sentence if sentence and hmac.compare_digest(self.sealed(sentence).encode(), text.encode()) else ""

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._token, f"{purpose}:{text}".encode(), sha256).hexdigest()


class Attempts:
    """Wrong tokens of one address: after some, none is looked at for a while."""

    def __init__(self, allowed: int = 10, seconds: float = 300.0) -> None:
        self._allowed, self._seconds = allowed, seconds
        self._lock = threading.Lock()
        self._failed: OrderedDict[str, list[float]] = OrderedDict()

    def blocked(self, client: str) -> bool:
        with self._lock:
            recent = [at for at in self._failed.get(client, []) if time.monotonic() - at < self._seconds]
            return len(recent) >= self._allowed

    def fail(self, client: str) -> None:
        with self._lock:
            self._failed.setdefault(client, []).append(time.monotonic())
            self._failed[client] = self._failed[client][-self._allowed :]
            if len(self._failed) > CLIENTS:
                self._failed.popitem(last=False)


def client_of(request: Request) -> str:
    return request.client.host if request.client else ""
