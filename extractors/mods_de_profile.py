"""The HTML pages of mods.de that say what its API does not: a thread's tags, and my.mods.de/<uid>, a user's profile.

HTML is in ISO-8859-15, with bare ampersands. Times are the wall clock of Germany.
"""

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from selectolax.lexbor import LexborHTMLParser

from extractors.platform import Record

NOT_FOUND = re.compile(r"Benutzer\b.{0,200}?\bnicht gefunden!", re.DOTALL)
UID = re.compile(r"<!--\s*UID\s+(\d+)\s*-->")
ROWS = {
    "Benutzername": "name",
    "Dabei seit": "registered",
    "Zuletzt im Board": "last_seen",
    "Status": "status",
    "Accountstatus": "account",
}
STRINGS = ("uid", "name", "registered", "last_seen", "status", "account", "rank", "bars")
TIME = re.compile(r"(\d\d)\.(\d\d)\.(\d{4})(?:\s+(\d\d):(\d\d))?")
BAR = re.compile(r"/rank/(\w+)\.gif")


def html(body: bytes) -> str:
    return body.decode("iso-8859-15")


def tags(text: str, thread: str) -> list[str]:
    """The tags (thread groups) on a thread's page."""
    form = LexborHTMLParser(text).css_first(f"form[action='thread.php?TID={int(thread)}&set_thread_groups=1']")
    return [name for link in form.css("a") if (name := link.text().strip())] if form else []


def profile(text: str, uid: str) -> Record | None:
    """The profile as it stands there, in strings; None where there is none, or where a user whose name is that number
    hides it. Raises ValueError for a page that is no profile."""
    if NOT_FOUND.search(text):
        return None
    real = UID.search(text)
    if real is None:
        raise ValueError("a profile without its uid")
    if real[1] != uid:
        return None
    page = LexborHTMLParser(text)
    found: Record = {"uid": uid}
    for row in page.css("#content tr:not(.bar)")[: len(ROWS)]:
        label, value = row.css_first(".attrn"), row.css_first(".attrv")
        if label and value and (name := ROWS.get(label.text().strip().rstrip(":"))):
            found[name] = value.text().strip()
    if rank := page.css_first("span.rang"):
        found["rank"] = rank.text().strip()
    bars = [BAR.search(image.attributes.get("src") or "") for image in page.css("td.vam.avatar img[alt='*']")]
    found["bars"] = " ".join(bar[1] for bar in bars if bar)
    return found


def fields(record: Record) -> Record:
    """A profile's typed columns. Raises LookupError, TypeError or ValueError."""
    account = record.get("account")
    found: Record = {name: record.get(name) for name in STRINGS if name not in ("registered", "last_seen")}
    found["registered"] = moment(record.get("registered"))
    found["last_seen"] = moment(record.get("last_seen"))  # some keep it to themselves
    found["locked_until"] = moment(account) if account and account.startswith("gesperrt bis") else None
    found["is_locked"] = account.startswith("gesperrt") if account else None
    return found


def moment(text: Any) -> str | None:
    """A German date, with or without its time, as ISO 8601 in UTC; None for what holds none."""
    found = TIME.search(text or "")
    if not found:
        return None
    day, month, year, hour, minute = (int(part or 0) for part in found.groups())
    return datetime(year, month, day, hour, minute, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC).isoformat()
