"""FoolFuuka archives of 4chan (desuarchive, 4plebs): old windows by its search, 25 posts a page.

Its numbers are strings, and its posts keep what 4chan deleted. `fields` gives them under 4chan's own names.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from extractors.errors import Malformed
from extractors.http import Http
from extractors.platform import Community, Page, Record, State, Window, floor_hour, instant

if TYPE_CHECKING:
    from extractors.fourchan import Fourchan

PER_PAGE = 25
EASTERN_SHIFTS = (4 * 3600, 5 * 3600)  # seconds; old imports took US Eastern time for UTC
CAPCODES = {"M": "mod", "A": "admin", "D": "developer", "V": "verified"}


def crawl(platform: "Fourchan", community: Community, base: str, window: Window, http: Http) -> Iterator[Page]:
    """The archive's posts of a window, newest day first."""
    last = (window.end - timedelta(microseconds=1)).date()
    for page in _days(platform, community, base, window, http, last, 1):
        page.state = None
        yield page


def history(
    platform: "Fourchan", community: Community, base: str, since: datetime, http: Http, cursor: State
) -> Iterator[Page]:
    """All that the archive has from `since` on, newest day first. The cursor names the next page of a day, and the
    archive's first day, so that an old board's emptiness is not asked day by day."""
    state = cursor
    if state["day"] is None:
        query = {"boards": community.name, "order": "asc", "page": 1}
        answer = http.get(f"{base}/_/api/chan/search/", pace=platform.pace, params=query)
        posts, _ = _posts(answer.json(), answer.url, community)
        if not posts:
            return
        first = max(instant(fields(posts[0])["time"]), since).date()
        state = {
            "day": f"{answer.observed_at.date()}",
            "page": 1,
            "first": f"{first}",
            "top": f"{answer.observed_at:%F}",
        }
    first, top = date.fromisoformat(state["first"]), date.fromisoformat(state["top"])
    begin = max(since, datetime.combine(first, time(), UTC))
    window = Window(floor_hour(begin), datetime.combine(top + timedelta(days=1), time(), UTC))
    for page in _days(platform, community, base, window, http, date.fromisoformat(state["day"]), state["page"]):
        assert page.state is not None
        done = (top - date.fromisoformat(page.state["day"])).days
        page.posts = [row for row in page.posts if row.created_at is None or row.created_at >= since]
        page.state |= {"first": state["first"], "top": state["top"]}
        page.progress = (done, (top - first).days + 1)
        yield page


def _days(
    platform: "Fourchan", community: Community, base: str, window: Window, http: Http, day: date, number: int
) -> Iterator[Page]:
    """The posts of a window, from a page of a day on, downwards. Each page's state names the next one."""
    while day >= (window.start - timedelta(hours=5)).date():  # an archive that keeps Eastern time files posts earlier
        end = day + timedelta(days=1)  # a date means its first second
        query = {"boards": community.name, "start": f"{day}", "end": f"{end}", "order": "desc", "page": number}
        answer = http.get(f"{base}/_/api/chan/search/", pace=platform.pace, params=query)
        posts, most = _posts(answer.json(), answer.url, community)
        page, oldest = Page(), window.end
        for record in posts:
            row = platform.row("posts", community, record, answer.observed_at, "archive")
            oldest = min(oldest, row.created_at or oldest)
            if row.created_at is None or row.created_at in window:
                page.posts.append(row)
                if record.get("op") == "1":
                    page.threads.append(platform.row("threads", community, record, answer.observed_at, "archive"))
        if len(posts) == PER_PAGE and number * PER_PAGE >= most:
            page.note = f"{base} shows at most {most} posts a day; those of {day} before them are not to be had from it"
        ended = len(posts) < PER_PAGE or page.note is not None or oldest < window.start
        day, number = (day - timedelta(days=1), 1) if ended else (day, number + 1)
        page.state = {"day": f"{day}", "page": number}
        yield page


def _posts(body: Any, url: str, community: Community) -> tuple[list[Record], int]:
    if isinstance(body, dict) and "error" in body:  # that is how it says that nothing was found
        return [], 0
    try:
        return body["0"]["posts"], int(body["meta"]["max_results"])
    except (LookupError, TypeError, ValueError) as problem:
        raise Malformed(url, community.key, "the posts of a search", f"{str(body)[:80]!r}") from problem


def fields(record: Record) -> Record:
    """An archive's post under 4chan's names and types. Raises LookupError, TypeError or ValueError."""
    number, thread = int(record["num"]), int(record["thread_num"])
    media = record.get("media") or {}
    found = {
        "no": number,
        "resto": 0 if number == thread else thread,
        "time": _time(int(record["timestamp"]), record.get("fourchan_date")),
        "now": record.get("fourchan_date"),
        "name": record.get("name"),
        "trip": record.get("trip"),
        "id": record.get("poster_hash"),
        "capcode": CAPCODES.get(record.get("capcode") or ""),
        "country": record.get("poster_country"),
        "sub": record.get("title"),
        "com": record.get("comment_processed") or record.get("comment"),
        "email": record.get("email"),
        "filename": (media.get("media_filename") or "").rpartition(".")[0] or None,
        "md5": media.get("media_hash"),
        "fsize": _integer(media.get("media_size")),
        "w": _integer(media.get("media_w")),
        "h": _integer(media.get("media_h")),
        "replies": _integer(record.get("nreplies")),
        "images": _integer(record.get("nimages")),
        "sticky": _integer(record.get("sticky")),
        "closed": _integer(record.get("locked")),
    }
    return {name: value for name, value in found.items() if value is not None}


def _integer(value: object) -> int | None:
    return None if value in (None, "") else int(str(value))


def _time(timestamp: int, date: object) -> int:
    """Unix seconds, corrected where the archive shifted them: 4chan's own date (US Eastern) shows by how much."""
    if not isinstance(date, str):
        return timestamp
    digits = date.partition("(")[0] + " " + date.partition(")")[2]
    form = "%m/%d/%y %H:%M:%S" if digits.count(":") == 2 else "%m/%d/%y %H:%M"
    try:
        eastern = datetime.strptime(digits, form).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return timestamp
    # a right timestamp is 4 or 5 hours after the Eastern clock read as UTC; a shifted one reads the same
    return timestamp if timestamp - eastern >= min(EASTERN_SHIFTS) else timestamp + _offset(eastern)


def _offset(eastern: float) -> int:
    """Hours, in seconds, that US Eastern time is behind UTC on that day."""
    from zoneinfo import ZoneInfo

    there = datetime.fromtimestamp(eastern, UTC).replace(tzinfo=ZoneInfo("America/New_York"))
    offset = there.utcoffset()
    return -int(offset.total_seconds()) if offset else 0
