"""4chan: boards, from the JSON API. Facts: one request a second; 304 only to the exact Last-Modified; no paging.

The API shows the present and, on most boards, a few days of archived threads. So a reading is of the board as it
stands: threads whose entry in the index changed are fetched, and a thread that left the index is fetched once more,
which shows whether it was archived. What was pruned before it was read is only in a FoolFuuka archive, if one is set.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from extractors import foolfuuka, fourchan_past
from extractors.errors import CrawlError, Malformed
from extractors.http import Http, Request, Response
from extractors.memory import Reading, gone
from extractors.pace import Pace
from extractors.platform import (
    About,
    Community,
    Entity,
    Page,
    Parsed,
    Platform,
    Record,
    Row,
    Source,
    State,
    Window,
    Words,
    dumps,
    instant,
)
from extractors.records import columns, digest
from extractors.text import plain_texts, urls

if TYPE_CHECKING:
    from extractors.erasure import Those

API = "https://a.4cdn.org"
INSTANCE = "4chan.org"
PACE = Pace(requests=1, seconds=1.0)
URL = re.compile(r"^(?:https?://)?(?:boards\.4chan(?:nel)?\.org|a\.4cdn\.org)/([a-z0-9]+)(?:/|$)", re.IGNORECASE)
QUOTE = re.compile(r'<a href="(?:/([a-z0-9]+)/thread/\d+)?#p(\d+)"')
INTEGERS = "no resto time since4pass tim fsize w h tn_w tn_h filedeleted spoiler custom_spoiler m_img"
STRINGS = "now name trip id capcode country country_name board_flag flag_name sub com email filename ext md5"
THREAD_INTEGERS = "no time sticky closed replies images bumplimit imagelimit unique_ips archived archived_on"
THREAD_STRINGS = "name trip id capcode sub com semantic_url tag"
AT_A_TIME = 500  # posts
# What a thread's record says that is not of its first post; the last ones in an archive's words.
OF_THREADS = frozenset((
    *THREAD_INTEGERS.split(), "resto", "num", "thread_num", "subnum", "op", "timestamp", "fourchan_date", "nreplies",
    "nimages", "locked",
))  # fmt: skip
COUNTERS = frozenset({"replies", "images", "unique_ips", "bumplimit", "imagelimit", "tail_size"})


class Fourchan(Platform):
    """`archives`: the base URL of a FoolFuuka archive by board, such as `{"po": "https://archive.example"}`."""

    name = "fourchan"
    threads = columns({pa.string(): THREAD_STRINGS, pa.int64(): THREAD_INTEGERS + " last_modified page"})
    posts = columns({pa.string(): STRINGS, pa.int64(): INTEGERS})
    memory = "community"
    revisits = ()  # each reading is of all that stands, whatever its hour
    writer = ("trip", "id")  # names are anybody's

    def __init__(self, archives: Mapping[str, str] | None = None, pace: Pace = PACE) -> None:
        self.archives = dict(archives or {})
        self.pace = pace

    def community(self, url: str) -> Community | None:
        found = URL.match(url) or re.match(r"^fourchan:([a-z0-9]+)$", url) or re.match(r"^/([a-z0-9]+)/$", url)
        return Community(f"fourchan:{found[1].lower()}", INSTANCE) if found else None

    def url(self, community: Community) -> str:
        return f"https://boards.4chan.org/{community.name}/"

    def crawl(
        self, community: Community, window: Window, http: Http, states: Mapping[datetime, State], *, refresh: bool
    ) -> Iterator[Page]:
        board = community.name
        last: State = next(iter(states.values()), {"threads": {}, "observed_at": None, "since": None})
        known: dict[str, Any] = last["threads"]
        condition = None if refresh else last["since"]
        answer = http.get(
            f"{API}/{board}/threads.json", pace=self.pace, if_modified_since=condition, tolerate=frozenset()
        )
        if answer.not_modified:
            yield Page(reached=window.start)
            return
        index = _index(answer)
        now = answer.observed_at
        threads = {no: entry for no, entry in known.items() if no in index}
        oldest = window.start.timestamp()
        wanted = [
            no
            for no, entry in index.items()
            if (refresh and entry["last_modified"] >= oldest) or not _same(entry, known.get(no))
        ]
        left = [no for no in known if no not in index]
        failed: CrawlError | None = None
        missed: list[str] = []
        try:
            missed = self._archived(board, http, last, index, refresh and window.end > now - timedelta(days=8))
        except CrawlError as problem:
            failed = problem
        requests = [
            Request(
                f"{API}/{board}/thread/{no}.json", None, None if refresh else known.get(no, {}).get("since"), tag=no
            )
            for no in [*wanted, *left, *missed]
        ]
        read: dict[str, tuple[Page, State | None]] = {}
        for request, response in http.get_all(requests, self.pace):
            no = request.tag
            try:
                if isinstance(response, CrawlError):
                    raise response
                read[no] = self.thread(
                    community, no, response, known.get(no), index.get(no), _outlived(no, known, index), refresh
                )
            except CrawlError as problem:
                failed = failed or problem
                threads[no] = known.get(no, {"posts": "{}", "absent": False}) | {"last_modified": None}
                continue
            if sum(len(page.posts) for page, _ in read.values()) >= AT_A_TIME:
                yield from _together(read, threads)
                read = {}
        yield from _together(read, threads)
        note = None
        before = instant(last["observed_at"]) if last["observed_at"] else now
        if window.start < before and (refresh or not last["observed_at"]) and now >= window.end:
            if board in self.archives:
                old = Window(window.start, min(window.end, _next_hour(before)))
                try:
                    yield from foolfuuka.crawl(self, community, self.archives[board], old, http)
                except CrawlError as problem:
                    failed = failed or problem
            else:
                note = (
                    f"4chan shows only what stands now: posts pruned or deleted before {before:%Y-%m-%d %H:%M} are lost"
                )
        order = {no: i for i, no in enumerate(index)}
        for no in threads:
            threads[no]["position"] = order.get(no, len(order))
        settled = not failed and all(entry["last_modified"] for entry in threads.values())
        since = answer.headers.get("Last-Modified") if settled else None  # else the next reading looks again
        as_of = last["observed_at"] if failed else now.isoformat()
        state = {"observed_at": as_of, "since": since, "threads": threads}
        yield Page(reached=None if failed else window.start, state=state, note=note)
        if failed:
            raise failed

    def _archived(self, board: str, http: Http, last: State, index: dict[str, Any], everything: bool) -> list[str]:
        """Archived threads to fetch that no reading saw alive: all of them, or those that came and went since the last.

        A thread can come and go between two readings only if all that stood then was bumped since or has left; but
        for what is sticky, which stands on the first page.
        """
        if not everything:
            seen = last["observed_at"] and instant(last["observed_at"]).timestamp()
            later = [entry["last_modified"] for entry in index.values() if entry["page"] > 1]
            if not seen or min(later, default=0) < seen:
                return []
        answer = http.get(f"{API}/{board}/archive.json", pace=self.pace)
        if answer.status == 404:  # this board has no archive
            return []
        newest = max(map(int, last["threads"]), default=0)
        listed = answer.json()
        if not isinstance(listed, list) or not all(type(no) is int for no in listed):
            raise Malformed(answer.url, None, "numbers of threads", f"{answer.body[:80]!r}")
        fresh = (str(no) for no in listed if everything or no > newest)
        return [no for no in fresh if no not in index and no not in last["threads"]]

    def standing(self, board: str, http: Http) -> tuple[dict[str, Any], list[str]]:
        """The index by thread number, and the numbers of the archived threads."""
        index = _index(http.get(f"{API}/{board}/threads.json", pace=self.pace, tolerate=frozenset()))
        return index, self._archived(board, http, {"threads": {}}, index, everything=True)

    def about(self, community: Community, http: Http) -> About:
        return fourchan_past.about(self, community, http)

    def history(self, community: Community, since: datetime, http: Http, cursor: State | None) -> Iterator[Page]:
        return fourchan_past.history(self, community, since, http, cursor)

    def thread(
        self,
        community: Community,
        no: str,
        response: Response,
        known: State | None,
        entry: State | None,
        outlived: bool,
        refresh: bool,
    ) -> tuple[Page, State | None]:
        """The page of one thread, and what to remember of it; None once there is nothing more to expect of it."""
        now, page = response.observed_at, Page()
        posts = orjson.loads(known["posts"]) if known else {}
        thread_id = f"{community.name}/{no}"
        if response.not_modified and known and (entry or not known["absent"]):
            seen = known | (entry or {}) | {"posts": posts, "absent": entry is None}
            if _behind(entry, posts) and known["last_modified"]:  # once, since some counts stay wrong
                seen["last_modified"] = None
            return page, seen
        # Pruning takes the last first, so one that others outlived was deleted; one that is served without standing
        # in the index, twice in a row, was hidden from everybody.
        if response.status == 404 or response.not_modified:
            if posts and (outlived or response.not_modified):
                _vanish(page, community, no, posts, now)
            return page, None
        body = response.json()
        records = body.get("posts") if isinstance(body, dict) else None
        if not isinstance(records, list) or not records or not all(isinstance(record, dict) for record in records):
            raise Malformed(response.url, community.key, 'an object with "posts"', f"{response.body[:80]!r}")
        reading = Reading(posts, refresh)
        for record in records:
            row = self.row("posts", community, record, now)
            if row.thread_id is None or row.post_id is None or row.created_at is None:
                page.posts.append(row._replace(thread_id=thread_id))
                page.quarantined.add("")
                reading.whole = False
                continue
            if reading.changed(str(record["no"]), row.created_at, _fingerprint(row)):
                page.posts.append(row)
        opening = {**records[0], **{k: v for k, v in (entry or {}).items() if k in ("last_modified", "page")}}
        head = self.row("threads", community, records[0], now)
        page.threads.append(head._replace(fields={**head.fields, **opening}) if head.error is None else head)
        # a sticky drops its oldest replies, which is no deletion
        oldest = min((int(post) for post in reading.items if post != no), default=0) if records[0].get("sticky") else 0
        for post, item in reading.missing(now):
            if int(post) > oldest:
                page.posts.append(gone(thread_id, f"{community.name}/{post}", instant(item[0]), now))
        archived = bool(records[0].get("archived"))
        if entry is None and known and known["absent"] and not archived:
            page = Page()
            _vanish(page, community, no, posts, now)
            return page, None
        seen = {**(entry or known or {"last_modified": 0}), "posts": reading.items, "absent": entry is None}
        since = response.headers.get("Last-Modified")
        missed = len(reading.items) > len(records)  # posts too young to be called gone
        if missed or _behind(entry, records):
            seen["last_modified"] = None
        return page, seen | {"since": None if missed else since, "archived": archived}

    def parse(self, entity: Entity, community: Community, record: Record, source: Source) -> Parsed:
        if source == "archive":
            record = foolfuuka.fields(record)
        no, resto = _whole(record["no"]), _whole(record.get("resto", 0))
        own, thread = f"{community.name}/{no}", f"{community.name}/{resto or no}"
        return Parsed(thread, own if entity == "posts" else None, instant(record["time"]), record)

    def redact(self, entity: Entity, record: Record, those: "Those", opened: bool) -> Record:
        # others show nothing but numbers; a thread's record is its first post
        own = record.get("trip") or record.get("id") or record.get("poster_hash")
        if entity == "threads" and (opened or those.author(own)):
            return {name: value if name in OF_THREADS else None for name, value in record.items()}
        return record

    def words(self, entity: Entity, community: Community, fields: Any) -> list[Words]:
        comments = [record.get("com") or "" for record in fields]
        return [
            Words(text, _quoted(html, community.name) if "#p" in html else [], urls(text) if "://" in text else [])
            for html, text in zip(comments, plain_texts(comments), strict=True)
        ]

    def content(self, entity: Entity, fields: Record) -> object:
        get = fields.get
        return [get("sub"), get("com"), get("md5"), get("filename"), get("filedeleted")]


def _together(read: Mapping[str, tuple[Page, State | None]], threads: dict[str, Any]) -> Iterator[Page]:
    """The pages of several threads in one, since a page costs 0.3 ms, however small (measured 2026-11-24); then what to
    remember of each."""
    whole = Page([row for page, _ in read.values() for row in page.threads],
                 [row for page, _ in read.values() for row in page.posts])  # fmt: skip
    yield whole
    for no, (page, entry) in read.items():
        if whole.quarantined:
            page.quarantined |= whole.quarantined & {row.post_id or row.thread_id for row in page.threads + page.posts}
        if entry is None or (entry.pop("archived", False) and not page.quarantined):  # it will not change any more
            threads.pop(no, None)
        else:
            entry = _trusted(entry, page.quarantined)
            # as text it takes a tenth of the memory: a board may have a hundred thousand posts
            threads[no] = entry | {"posts": dumps(entry["posts"]).decode()}


def _index(answer: Response) -> dict[str, Any]:
    """The index by thread number, in the board's order: last_modified (Unix seconds), replies, page."""
    pages = answer.json()
    try:
        index = {
            str(_whole(thread["no"])): {
                "last_modified": _whole(thread["last_modified"]),
                "replies": _whole(thread["replies"]),
                "page": _whole(page["page"]),
            }
            for page in pages
            for thread in page["threads"]
        }
    except (LookupError, TypeError, ValueError) as problem:
        raise Malformed(answer.url, None, "pages of threads", f"{answer.body[:80]!r}") from problem
    if not index:
        raise Malformed(answer.url, None, "an index with threads", "an empty one, which a board never has")
    return index


def _quoted(html: str, board: str) -> list[str]:
    """The ids of the posts that a comment replies to, each once."""
    return list(dict.fromkeys(f"{other or board}/{no}" for other, no in QUOTE.findall(html)))


def _whole(value: object) -> int:
    if type(value) is not int:
        raise ValueError(f"expected a whole number, got {value!r}")
    return value


def _same(entry: State, known: State | None) -> bool:
    # both are compared: the replies of a banned poster can go without a new last_modified
    return known is not None and all(entry[name] == known.get(name) for name in ("last_modified", "replies"))


def _behind(entry: State | None, posts: Collection[Any]) -> bool:
    """Whether a cache gave a thread that is older than the index."""
    return entry is not None and len(posts) <= entry["replies"]


def _outlived(no: str, known: dict[str, Any], index: dict[str, Any]) -> bool:
    """Whether a thread that stood behind this one, and was not touched since, still stands."""
    mine = known.get(no, {}).get("position")
    if mine is None:
        return False
    return any(
        entry.get("position", -1) > mine and other in index and _same(index[other], entry)
        for other, entry in known.items()
    )


def _fingerprint(row: Row) -> str:
    if row.post_id is not None and row.fields.get("resto"):
        return digest(row.payload)
    return digest({name: value for name, value in row.fields.items() if name not in COUNTERS})


def _vanish(page: Page, community: Community, no: str, posts: dict[str, list[Any]], now: datetime) -> None:
    """Say of a thread and all its posts that they are gone."""
    thread_id = f"{community.name}/{no}"
    page.threads.append(gone(thread_id, None, instant(posts[min(posts, key=int)][0]), now))
    page.posts += [gone(thread_id, f"{community.name}/{post}", instant(item[0]), now) for post, item in posts.items()]


def _trusted(entry: State, quarantined: set[str]) -> State:
    """The entry without its validators where something of the thread could not be parsed: it is fetched again."""
    if not quarantined:
        return entry
    posts = {
        post: item for post, item in entry["posts"].items() if not any(q.endswith(f"/{post}") for q in quarantined)
    }
    return entry | {"since": None, "last_modified": None, "posts": posts}


def _next_hour(moment: datetime) -> datetime:
    floor = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return floor if floor == moment else floor + timedelta(hours=1)
