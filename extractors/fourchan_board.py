"""A 4chan board as it stands: threads whose entry in the index changed are fetched, and a thread that left the index is
fetched once more, which shows whether it was archived.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from extractors import foolfuuka, fourchan_thread
from extractors.errors import CrawlError, Malformed
from extractors.http import Http, Request, Response
from extractors.platform import HOUR, Community, Page, State, Window, dumps, floor_hour, instant, whole

if TYPE_CHECKING:
    from extractors.fourchan import Fourchan

API = "https://a.4cdn.org"
AT_A_TIME = 500  # posts
ARCHIVED_FOR = timedelta(days=8)  # at most
Entries = dict[str, Any]
"""By thread number, what the index says of a thread or the last reading remembers."""


class Board:
    """What is asked of one board."""

    def __init__(self, platform: "Fourchan", community: Community, http: Http) -> None:
        self.platform, self.community, self.http = platform, community, http
        self.base = f"{API}/{community.name}"

    def index(self, since: str | None = None) -> Response:
        """The index of the threads, unless it did not change since."""
        url = f"{self.base}/threads.json"
        return self.http.get(url, pace=self.platform.pace, if_modified_since=since, tolerate=frozenset())

    def threads(self, requests: Mapping[str, str | None]) -> Iterator[tuple[str, Response | CrawlError]]:
        """Threads by number, each unless it did not change since."""
        asked = [Request(f"{self.base}/thread/{no}.json", None, since, tag=no) for no, since in requests.items()]
        for request, response in self.http.get_all(asked, self.platform.pace):
            yield request.tag, response

    def archived(self, last: State, index: Entries, *, everything: bool) -> list[str]:
        """Archived threads to fetch that no reading saw alive: all of them, or those that came and went since the last.

        A thread can come and go between two readings only if all that stood then was bumped since or has left; but
        for what is sticky, which stands on the first page.
        """
        if not everything:
            seen = last["observed_at"] and instant(last["observed_at"]).timestamp()
            later = [entry["last_modified"] for entry in index.values() if entry["page"] > 1]
            if not seen or min(later, default=0) < seen:
                return []
        answer = self.http.get(f"{self.base}/archive.json", pace=self.platform.pace)
        if answer.status == 404:  # this board has no archive
            return []
        newest = max(map(int, last["threads"]), default=0)
        listed = answer.json()
        if not isinstance(listed, list) or not all(type(no) is int for no in listed):
            raise Malformed(answer.url, None, "numbers of threads", f"{answer.body[:80]!r}")
        fresh = (str(no) for no in listed if everything or no > newest)
        return [no for no in fresh if no not in index and no not in last["threads"]]

    def standing(self) -> tuple[Entries, list[str]]:
        """The index by thread number, and the numbers of the archived threads."""
        index = entries(self.index())
        return index, self.archived({"threads": {}}, index, everything=True)


def crawl(
    platform: "Fourchan",
    community: Community,
    window: Window,
    http: Http,
    states: Mapping[datetime, State],
    *,
    refresh: bool,
) -> Iterator[Page]:
    """One reading: the changed threads, then what of the window only an archive has, then what to remember."""
    board = Board(platform, community, http)
    last: State = next(iter(states.values()), {"threads": {}, "observed_at": None, "since": None})
    answer = board.index(None if refresh else last["since"])
    if answer.not_modified:
        yield Page(reached=window.start)
        return
    index, now, known = entries(answer), answer.observed_at, last["threads"]
    threads = {no: entry for no, entry in known.items() if no in index}
    oldest = window.start.timestamp()
    wanted = [
        no
        for no, entry in index.items()
        if (refresh and entry["last_modified"] >= oldest) or not _same(entry, known.get(no))
    ]
    wanted += [no for no in known if no not in index]
    failures: list[CrawlError] = []
    try:
        wanted += board.archived(last, index, everything=refresh and window.end > now - ARCHIVED_FOR)
    except CrawlError as problem:
        failures.append(problem)
    yield from _changed(board, wanted, index, known, threads, failures, refresh)
    before = instant(last["observed_at"]) if last["observed_at"] else now
    note = None
    if window.start < before and (refresh or not last["observed_at"]) and now >= window.end:
        if base := platform.archives.get(community.name):
            old = Window(window.start, min(window.end, _next_hour(before)))
            try:
                yield from foolfuuka.crawl(platform, community, base, old, http)
            except CrawlError as problem:
                failures.append(problem)
        else:
            note = f"4chan shows only what stands now: posts pruned or deleted before {before:%Y-%m-%d %H:%M} are lost"
    order = {no: i for i, no in enumerate(index)}
    for no in threads:
        threads[no]["position"] = order.get(no, len(order))
    settled = not failures and all(entry["last_modified"] for entry in threads.values())
    since = answer.headers.get("Last-Modified") if settled else None  # else the next reading looks again
    state = {"observed_at": last["observed_at"] if failures else now.isoformat(), "since": since, "threads": threads}
    yield Page(reached=None if failures else window.start, state=state, note=note)
    if failures:
        raise failures[0]


def _changed(
    board: Board,
    wanted: list[str],
    index: Entries,
    known: Entries,
    threads: Entries,
    failures: list[CrawlError],
    refresh: bool,
) -> Iterator[Page]:
    """The wanted threads; what to remember of them goes to `threads`, and what failed to `failures`."""
    read: dict[str, tuple[Page, State | None]] = {}
    since = {no: None if refresh else known.get(no, {}).get("since") for no in wanted}
    for no, response in board.threads(since):
        try:
            if isinstance(response, CrawlError):
                raise response
            read[no] = fourchan_thread.read(
                board.platform, board.community, no, response, known.get(no), index.get(no),
                refresh=refresh, outlived=_outlived(no, known, index),
            )  # fmt: skip
        except CrawlError as problem:
            failures.append(problem)
            threads[no] = known.get(no, {"posts": "{}", "absent": False}) | {"last_modified": None}
            continue
        if sum(len(page.posts) for page, _ in read.values()) >= AT_A_TIME:
            yield from _together(read, threads)
            read = {}
    yield from _together(read, threads)


def entries(answer: Response) -> Entries:
    """The index by thread number, in the board's order: last_modified (Unix seconds), replies, page."""
    pages = answer.json()
    try:
        index = {
            str(whole(thread, "no")): {
                "last_modified": whole(thread, "last_modified"),
                "replies": whole(thread, "replies"),
                "page": whole(page, "page"),
            }
            for page in pages
            for thread in page["threads"]
        }
    except (LookupError, TypeError, ValueError) as problem:
        raise Malformed(answer.url, None, "pages of threads", f"{answer.body[:80]!r}") from problem
    if not index:
        raise Malformed(answer.url, None, "an index with threads", "an empty one, which a board never has")
    return index


def _together(read: Mapping[str, tuple[Page, State | None]], threads: Entries) -> Iterator[Page]:
    """The pages of several threads in one, since a page costs 0.3 ms, however small (measured 2026-11-24); then what to
    remember of each."""
    together = Page([row for page, _ in read.values() for row in page.threads],
                    [row for page, _ in read.values() for row in page.posts])  # fmt: skip
    yield together
    for no, (page, entry) in read.items():
        if together.quarantined:
            mine = {row.post_id or row.thread_id for row in page.threads + page.posts}
            page.quarantined |= together.quarantined & mine
        if entry is None or (entry.pop("archived", False) and not page.quarantined):  # it will not change any more
            threads.pop(no, None)
        else:
            entry = _trusted(entry, page.quarantined)
            # as text it takes a tenth of the memory: a board may have a hundred thousand posts
            threads[no] = entry | {"posts": dumps(entry["posts"]).decode()}


def _same(entry: State, known: State | None) -> bool:
    # both are compared: the replies of a banned poster can go without a new last_modified
    return known is not None and all(entry[name] == known.get(name) for name in ("last_modified", "replies"))


def _outlived(no: str, known: Entries, index: Entries) -> bool:
    """Whether a thread that stood behind this one, and was not touched since, still stands."""
    mine = known.get(no, {}).get("position")
    if mine is None:
        return False
    return any(
        entry.get("position", -1) > mine and other in index and _same(index[other], entry)
        for other, entry in known.items()
    )


def _trusted(entry: State, quarantined: set[str]) -> State:
    """The entry without its validators where something of the thread could not be parsed: it is fetched again."""
    if not quarantined:
        return entry
    posts = {
        post: item for post, item in entry["posts"].items() if not any(q.endswith(f"/{post}") for q in quarantined)
    }
    return entry | {"since": None, "last_modified": None, "posts": posts}


def _next_hour(moment: datetime) -> datetime:
    floor = floor_hour(moment)
    return floor if floor == moment else floor + HOUR
