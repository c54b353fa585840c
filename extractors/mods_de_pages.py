"""The pages of one mods.de board: its threads, the last active first, and a thread's posts, 30 a page, oldest first.

Counts are not to be trusted: pages are short or empty where posts are hidden, a thread's last page may be one of many
empty ones, and there may be more posts than the board knew of.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from extractors import mods_de_profile
from extractors.errors import CrawlError, Malformed, NotFound, Refused, describe
from extractors.http import Http, Response
from extractors.mods_de_xml import many, parse
from extractors.pace import Pace
from extractors.platform import Community, Record

BASE = "http://forum.mods.de/bb/"
PROFILES = "http://my.mods.de/"
PER_PAGE = 30
HIDDEN = frozenset({403, 404, 410})
CROSSED = 6  # times that listing a board can be overtaken by its posters before it is called unreadable


class Vanished(Exception):
    """There is no such thread any more."""


def seconds(record: Record, *path: str) -> int:
    """The Unix time in an element such as `lastpost/post`; 0 where there is none."""
    node: Any = record
    for name in (*path, "date", "timestamp"):
        node = node.get(name) if isinstance(node, dict) else None
    return int(node) if isinstance(node, str) and node.isdigit() else 0


@dataclass
class Listed:
    """A thread as a board lists it. `pages` is a guess; times are Unix seconds."""

    record: Record

    def __post_init__(self) -> None:
        record = self.record
        self.tid = str(int(record["id"]))
        self.board = str(record["in-board"]["id"])
        self.created = seconds(record, "firstpost", "post")
        self.active = seconds(record, "lastpost", "post") or self.created
        self.pages = pages(record)
        on_top = ("is-sticky", "is-important", "is-announcement", "is-global")
        self.on_top = any(number(record.get("flags") or {}, flag) for flag in on_top)
        """It stands before the others, whenever its last post was."""

    @property
    def mark(self) -> list[int]:
        """What changes with whatever somebody posts."""
        return [self.active, number(self.record, "number-of-replies")]


@dataclass
class ThreadPage:
    """A page of a thread: the thread's own record, its posts, of which `first` and `last` are the times."""

    thread: Record
    posts: list[Any]
    number: int
    pages: int
    url: str
    observed_at: datetime

    def __post_init__(self) -> None:
        self.board = str((self.thread.get("in-board") or {}).get("id"))
        self.thread_id, self.opened = str(self.thread["id"]), seconds(self.thread, "firstpost", "post")
        times = [time for post in self.posts if isinstance(post, dict) and (time := seconds(post))]
        self.first, self.last = min(times, default=None), max(times, default=None)


def number(record: Record, name: str) -> int:
    """A count such as `<number-of-pages value='2'/>`; 0 where there is none."""
    element = record.get(name)
    value = element.get("value") if isinstance(element, dict) else None
    return int(value) if isinstance(value, str) and value.isdigit() else 0


def pages(thread: Record) -> int:
    return number(thread, "number-of-pages") or 1 + number(thread, "number-of-replies") // PER_PAGE


class Board:
    """One board, asked page by page."""

    def __init__(self, community: Community, http: Http, pace: Pace) -> None:
        self.community, self._http, self._pace = community, http, pace
        self.id = community.name
        self.observed_at = datetime.min.replace(tzinfo=UTC)
        """When the last answer came."""

    def head(self) -> Record:
        """What the board says of itself, with its first threads. Raises NotFound or Refused if it may not be read."""
        return self._listing(0)[1]

    def threads(self, offset: int) -> tuple[list[Listed], Record]:
        """The 30 threads from a place on, those of other boards that are shown on every one left out; and the board."""
        url, board = self._listing(offset)
        found = []
        for record in many(board, "threads", "thread"):
            try:
                found.append(Listed(record))
            except (LookupError, TypeError, ValueError, AttributeError) as problem:
                raise Malformed(url, self.community.key, "threads with their ids", f"{record!r:.80}") from problem
        if not found and not offset and number(board, "number-of-threads"):
            raise Malformed(url, self.community.key, "threads", "none, though the board counts some")
        return [thread for thread in found if thread.board == self.id], board

    def since(self, start: float) -> dict[str, Listed]:
        """All threads with a post since `start`. One that is bumped meanwhile leaps over us: so we look again."""
        found: dict[str, Listed] = {}
        edge = start
        for _ in range(CROSSED):
            offset, began = 0, 0.0
            while True:
                threads, _ = self.threads(offset)
                began = began or self.observed_at.timestamp()
                new = [thread for thread in threads if thread != found.get(thread.tid)]
                found |= {thread.tid: thread for thread in new}
                # what stands on top stands on every page, so the end is where nothing is new
                if not new or min((thread.active for thread in threads if not thread.on_top), default=edge) < edge:
                    break
                offset += PER_PAGE - 1  # one again, in case that one has left
            if not offset:  # a single page is the board of one moment
                return {tid: thread for tid, thread in found.items() if thread.active >= start}
            edge = began - 1
        raise Malformed(f"{BASE}xml/board.php?BID={self.id}", self.community.key, "a listing that holds still", "none")

    def page(self, thread: str, page: int) -> ThreadPage:
        """A page of a thread. Raises Vanished. An empty one that ought not to be is asked for twice."""
        found = self._page(thread, page)
        return found if found.posts or page > found.pages else self._page(thread, page)

    def _page(self, thread: str, page: int) -> ThreadPage:
        answer, name, record = self._get("xml/thread.php", TID=thread, page=page)
        if name == "invalid-thread":
            raise Vanished
        if name != "thread" or "posts" not in record or record.get("id") != thread:
            raise Malformed(answer.url, self.community.key, f"the thread {thread}", f"<{name}>")
        header = {
            name: value
            for name, value in record.items()
            if name != "posts" and ":" not in name and not name.startswith(("token-", "current-user"))
        }
        posts = many(record, "posts", "post")
        return ThreadPage(header, posts, page, pages(record), answer.url, answer.observed_at)

    def backwards(self, thread: str, guess: int, start: float, end: float) -> Iterator[ThreadPage]:
        """The pages of a thread that hold its posts of [start, end), newest first, looked for around a guess."""
        known: dict[int, ThreadPage] = {}

        def page(number: int) -> ThreadPage:
            if number not in known:
                known[number] = self.page(thread, number)
            return known[number]

        def begins_before_end(number: int) -> bool:
            first = page(number).first
            return number == 1 or (first is not None and first < end)

        here, step, above = max(1, guess), 1, 0
        while not begins_before_end(here):
            above, here, step = here, max(1, here - step), step * 2
        while above - here > 1:
            middle = (above + here) // 2
            here, above = (middle, above) if begins_before_end(middle) else (here, middle)
        while above and here + 1 in known and not known[here + 1].posts:  # those that are empty come along
            here += 1
        while not above and (page(here).last or 0) < end and here < page(here).pages:
            here += 1
        for place in range(here, 0, -1):
            found = page(place)
            yield found
            del known[place]
            if found.first is not None and found.first < start:
                return

    def tags(self, thread: str) -> list[str]:
        """The tags of a thread, from its HTML page."""
        answer = self._http.get(f"{BASE}thread.php", pace=self._pace, params={"TID": thread}, tolerate=HIDDEN)
        return mods_de_profile.tags(mods_de_profile.html(answer.body), thread)

    def profile(self, user: str) -> tuple[Record | None, datetime]:
        """A user's profile, None if there is none to be had; and when it came."""
        answer = self._http.get(f"{PROFILES}{int(user)}", pace=self._pace)
        if answer.status == 404:
            return None, answer.observed_at
        try:
            return mods_de_profile.profile(mods_de_profile.html(answer.body), user), answer.observed_at
        except ValueError as problem:
            raise Malformed(answer.url, None, "a profile", f"{problem} in {describe(answer.body)}") from problem

    def board_of(self, thread: str) -> str:
        """The board in which a thread stands. Raises NotFound."""
        try:
            return self.page(thread, 1).board
        except Vanished:
            url = f"{BASE}xml/thread.php?TID={thread}"
            raise NotFound(url, self.community.key, "a thread", "the word that there is none") from None

    def _listing(self, offset: int) -> tuple[str, Record]:
        places = {"page": 1} if not offset else {"offset": offset}
        flags = {"with-globals": 1, "with-stickies": 1}
        answer, name, record = self._get("xml/board.php", BID=self.id, **places, **flags)
        errors: dict[str, tuple[type[CrawlError], str, str]] = {
            "invalid-board": (NotFound, "the word that there is none", "check its number on http://forum.mods.de/bb/"),
            "no-access": (
                Refused,
                "no access",
                "it is for members; only boards that everybody may read can be crawled",
            ),
        }
        if name in errors:
            error, came, advice = errors[name]
            raise error(answer.url, self.community.key, f"the board {self.id}", came, advice)
        if name != "board" or "threads" not in record:
            raise Malformed(answer.url, self.community.key, f"the board {self.id}", f"<{name}>")
        return answer.url, record

    def _get(self, path: str, **params: Any) -> tuple[Response, str, Record]:
        if not self.id.isdigit() and path != "xml/thread.php":
            advice = "track its board instead, such as mods_de:14"
            raise NotFound(BASE, self.community.key, "a board", "the key of a thread", advice)
        answer = self._http.get(BASE + path, pace=self._pace, params=params, tolerate=frozenset())
        self.observed_at = answer.observed_at
        try:
            return answer, *parse(answer.body)
        except ValueError as problem:
            came = f"{describe(answer.body)} ({problem})"
            raise Malformed(answer.url, self.community.key, "XML", came) from problem
