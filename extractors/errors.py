"""What can go wrong in a crawl, sorted in one place, and what must never be printed.

Three kinds. *Tolerated*: a result, no exception (2xx, 304, and the statuses a caller says it expects). *Retriable*:
the client tries again, and raises `Unavailable` when its tries run out. *Fatal* for this community: every other class.
"""

import logging
import re
from enum import Enum
from urllib.parse import quote


class CrawlError(Exception):
    """One sentence: the community, the URL (secrets masked), what was expected, what came, and what to do about it.

    `community` may be set later by whoever knows it.
    """

    advice = "look at the URL by hand"

    def __init__(
        self,
        url: str,
        community: str | None = None,
        expected: str = "an answer",
        came: str = "nothing",
        advice: str = "",
    ) -> None:
        self.url, self.community, self.expected, self.came = mask(url), community, expected, mask(came)
        self.advice = advice or self.advice
        super().__init__(self.url, community, expected, self.came, self.advice)

    def __str__(self) -> str:
        whose = f"{self.community}: " if self.community else ""
        return f"{whose}{self.url}: expected {self.expected}, got {self.came}; {self.advice}."


class Unavailable(CrawlError):
    """The host did not answer properly, however often it was asked. The next run may succeed."""

    advice = "the next run asks again"


class Refused(CrawlError):
    """The host answered and does not let us read this: no login, wrong key, banned, or a request it rejects."""

    advice = "check the community's key and whether it is public"


class NotPublic(Refused):
    """The host's address is private, loopback or link-local, so it was not asked."""

    advice = "name it in THREADLAKE_ALLOW_HOSTS if it is meant"


class NotFound(CrawlError):
    """There is no such thing (404, 410), where the caller needed it."""

    advice = "check whether the community moved or was removed"


class Malformed(CrawlError):
    """The host answered with something else than its API promises."""

    advice = "check whether the platform changed its API or a proxy answered in its place"


class TooLarge(CrawlError):
    """The answer is larger than the client accepts."""

    advice = "raise max_bytes if the size is right"


class TryAgain(Exception):
    """Inside the client: a try failed, and another may help, after `wait` seconds (None: the usual).

    `everybody`: the host wants to be left alone until then, also by others; where a `route` is named, only that one
    of it. The message holds no URL.
    """

    def __init__(
        self, url: str, came: str, wait: float | None = None, everybody: bool = False, route: str = ""
    ) -> None:
        super().__init__(came)
        self.url, self.wait, self.everybody, self.route = url, wait, everybody, route


class Kind(Enum):
    """What an HTTP status means to a crawl."""

    TOLERATED = "tolerated"
    RETRIABLE = "retriable"
    FATAL = "fatal"


def kind(status: int, tolerate: frozenset[int] = frozenset(), body: bytes = b"") -> Kind:
    """Sort an answer. A 400 that means a limit is never what a caller tolerates by its status."""
    limited = rate_limited(status, body)
    if 200 <= status < 300 or status == 304 or (status in tolerate and not (status == 400 and limited)):
        return Kind.TOLERATED
    if limited or status in (408, 425) or status >= 500:
        return Kind.RETRIABLE
    return Kind.FATAL


def rate_limited(status: int, body: bytes) -> bool:
    """Whether it says that it was asked too often; Lemmy does so with a 400 and no Retry-After."""
    return status == 429 or (status == 400 and b'"rate_limit_error"' in body[:200])


def from_status(url: str, status: int, body: bytes) -> CrawlError:
    """The error that a fatal status stands for, with the page's title or the start of what the host said."""
    if status in (404, 410):
        sort: type[CrawlError] = NotFound
    else:
        sort = Refused if 400 <= status < 500 else Malformed
    return sort(url, expected="a status of 2xx", came=f"{status} with {describe(body)}")


def describe(body: bytes) -> str:
    """A body in a few words: the title of an HTML page, else its first 120 characters."""
    text = body[:4096].decode("utf-8", "replace").strip()
    if text.startswith("<") and re.search(r"<(!doctype html|html|head|body|title)\b", text, re.IGNORECASE):
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        return f"an HTML page titled {' '.join(title[1].split())!r}" if title else "an HTML page"
    return f"the text {mask(text)[:120]!r}" if text else "an empty body"


_PARAMETER = re.compile(
    r"([?&;#][^=&\s]*(?:key(?!word)|token|secret|passw|pwd|auth(?!or)|signature|session|credential)[^=&\s]*=)[^&#\s'\"]*",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"(https?://)[^/@\s?#]+@", re.IGNORECASE)
_secrets: frozenset[str] = frozenset()


def keep_secret(value: str) -> None:
    """From now on `mask` hides this value and its words, in this whole process; words under 8 characters stay."""
    global _secrets
    words = {word for word in (value, *re.split(r"[\s=;,]+", value)) if len(word) >= 8}
    _secrets |= words | {quote(word, safe="") for word in words}


def mask(text: str) -> str:
    """Text fit for a log: without known secrets, userinfo, and values of query parameters whose names sound secret."""
    text = _USERINFO.sub(r"\1***@", _PARAMETER.sub(r"\1***", text))
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


class MaskingFilter(logging.Filter):
    """For a logger whose lines hold URLs: masks them before any handler sees them."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = mask(record.getMessage()), ()
        return True


MASKING = MaskingFilter()  # one for all: a logger takes the same filter once only
