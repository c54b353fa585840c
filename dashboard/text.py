"""How values become text for people: times, numbers, and what strangers wrote, which is never trusted.

Jinja escapes all of it; what is done here is what escaping does not: characters that have no picture or that turn
around what stands beside them.
"""

import difflib
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlsplit

CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f]")
"""Marks that reorder text. Each text stands in an element of its own that isolates it, so they are left out only
where texts are joined with others."""
WORDS_COMPARED = 2_000


def plain(text: str | None) -> str:
    """Without what could disturb the text around it."""
    return DIRECTIONS.sub("", visible(text))


def visible(text: str | None) -> str:
    """Control characters as the pictures Unicode has for them."""
    return CONTROLS.sub(
        lambda found: chr(0x2400 + ord(found[0])) if ord(found[0]) < 32 else "\N{SYMBOL FOR DELETE}", text or ""
    )


def number(value: Any) -> str:
    """With thin spaces; no more digits than mean something."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and value != int(value):
        return f"{value:,.1f}".replace(",", "\N{NARROW NO-BREAK SPACE}") if abs(value) >= 10 else f"{value:.3g}"
    return f"{int(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}" if value < 0.1 else f"{value:.0%}"


def moment(value: datetime | date | None) -> str:
    """In UTC."""
    if value is None:
        return ""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}" if isinstance(value, datetime) else f"{value:%Y-%m-%d}"


def ago(value: datetime | None, now: datetime) -> str:
    """How long ago, in one unit."""
    if value is None:
        return "never"
    past = max(now - value, timedelta(0))
    for seconds, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if past.total_seconds() >= seconds:
            count = int(past.total_seconds() // seconds)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def change(now: int | None, before: int | None) -> str:
    """What became of a number: `+12%`, `×40`."""
    if not before:
        return "new" if now else ""
    if (now or 0) >= 10 * before:
        return f"×{(now or 0) / before:.0f}"
    share = f"{((now or 0) - before) / before:+.0%}"
    return "±0%" if share in ("+0%", "-0%") else share


def outside(url: str | None) -> str | None:
    """A link that may be followed: to a web page, and nothing else."""
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.netloc and len(url or "") < 2000 else None


def host_of(url: str) -> str:
    return plain(urlsplit(url).netloc)[:80]


def thread_path(row: dict[str, Any]) -> str:
    return f"/t/{_part(row['platform'])}/{_part(row['instance'])}/{_part(row['thread_id'])}"


def post_path(row: dict[str, Any]) -> str:
    return f"/p/{_part(row['platform'])}/{_part(row['instance'])}/{_part(row['post_id'])}"


def poster_path(row: dict[str, Any]) -> str:
    return f"/u/{_part(row['platform'])}/{_part(row['instance'])}/{_part(row['author_id'])}"


def community_path(key: str) -> str:
    return f"/c/{_part(key)}"


def _part(text: str) -> str:
    return quote(str(text), safe="/:")


def differences(before: str | None, after: str | None) -> Iterator[tuple[str, str]]:
    """The later text in pieces: `same`, `added`, and `removed` ones that only the earlier had. Word by word; long
    texts as one."""
    old, new = (re.findall(r"\s+|[^\s]+", visible(text)) for text in (before, after))
    if max(len(old), len(new)) > WORDS_COMPARED:
        yield "removed", "".join(old)
        yield "added", "".join(new)
        return
    for kind, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            yield "same", "".join(new[k:m])
        else:
            if j > i:
                yield "removed", "".join(old[i:j])
            if m > k:
                yield "added", "".join(new[k:m])
