"""The whole past of a mods.de board: its threads, the last active first, down to the board's last page; of each thread
its pages, the newest first. So the newest come first, but for what stands on top and the old posts of busy threads.

Reading up from the board's last page would bring the oldest first, but it could miss nobody who posts meanwhile. Going
down, two things are to be minded. Threads move while the list is paged: so each page begins with the last thread of the
one before, and if that is not there, we go back. And a thread that was not yet read leaps to the front when somebody
posts: so with each page we look who was bumped since the last look, and read those that stood below our place.
"""

import base64
import zlib
from collections.abc import Iterator
from copy import deepcopy
from datetime import datetime
from typing import TYPE_CHECKING, Any

from extractors.errors import CrawlError, Malformed
from extractors.mods_de_pages import PER_PAGE, Board, Listed, Vanished, number
from extractors.platform import Community, Page, State

if TYPE_CHECKING:
    from extractors.mods_de import ModsDe

MOST_USER = 10**8
START: State = {
    "began": None,  # when the first page of the board was read, Unix seconds
    "looked": None,  # when the front of the board was last seen
    "offset": 0,
    "edge": None,  # last activity of the last thread that was taken, and the threads that share it
    "leapt": [],  # threads that were read out of turn
    "queue": [],  # threads to read: [id, next page, whether its head is yielded, bumped: [looked, edge] or None]
    "failed": [],  # of the queue, what could not be read: the next run tries it again
    "back": False,  # whether the last page of the board was one that we went back to
    "ended": False,
    "authors": "",  # who was asked for already, see Seen
    "strangers": [],
    "done": 0,
    "whole": 0,
}


class Seen:
    """A set of user ids, small as text: a bit each, compressed."""

    def __init__(self, packed: str) -> None:
        self._bits = int.from_bytes(zlib.decompress(base64.b64decode(packed))) if packed else 0

    def add(self, user: int) -> bool:
        """Whether it was not there; an id as no user has is passed over, since it would take as many bits."""
        if user > MOST_USER:
            return False
        bit = 1 << user
        new, self._bits = not self._bits & bit, self._bits | bit
        return new

    def packed(self) -> str:
        data = self._bits.to_bytes((self._bits.bit_length() + 7) // 8)
        return base64.b64encode(zlib.compress(data)).decode()


def history(
    platform: "ModsDe", community: Community, since: datetime, board: Board, cursor: State | None
) -> Iterator[Page]:
    """See `Platform.history`. A step that yields nothing but a cursor yields it all the same."""
    past = Past(platform, community, since.timestamp(), board, deepcopy({**START, **(cursor or {})}))
    past.again()
    failed: CrawlError | None = None
    while True:
        try:
            page = past.step()
        except Malformed as problem:  # one thread that cannot be read keeps no other from being read
            if not past.skip():
                raise
            failed, page = failed or problem, Page(note=str(problem))
        if page is None:
            if failed:
                raise failed
            return
        page.progress, page.state = past.progress, past.state()
        yield page


class Past:
    """How far it has come. The queue's first thread is the one being read."""

    def __init__(self, platform: "ModsDe", community: Community, since: float, board: Board, cursor: State) -> None:
        self._platform, self._community, self._since, self._board = platform, community, since, board
        self._at: dict[str, Any] = cursor
        self._authors = Seen(cursor["authors"])

    @property
    def progress(self) -> tuple[int, int]:
        """Posts, of as many as the board counts, which are more than there are."""
        finished = self._at["ended"] and not self._at["queue"] and not self._at["failed"]
        return self._at["done"], self._at["done"] if finished else max(self._at["whole"], self._at["done"])

    def state(self) -> State:
        return deepcopy(self._at) | {"authors": self._authors.packed()}

    def skip(self) -> bool:
        """Leave the thread being read to the next run; False if it is not a thread that fails."""
        if self._at["strangers"] or not self._at["queue"]:
            return False
        self._at["failed"].append(self._at["queue"].pop(0))
        return True

    def again(self) -> None:
        """Try what an earlier run could not read."""
        self._at["queue"] += self._at["failed"]
        self._at["failed"] = []

    def step(self) -> Page | None:
        if self._at["strangers"]:
            return self._profile()
        if self._at["queue"]:
            return self._thread()
        if self._at["ended"]:
            return None
        self._list()
        return Page()

    def _profile(self) -> Page:
        user = self._at["strangers"].pop()
        try:
            return Page(authors=self._platform.profile(self._community, self._board, user))
        except CrawlError as problem:  # it stands on another host
            return Page(note=f"the profile of {user} could not be read: {problem}")

    def _thread(self) -> Page:
        item = self._at["queue"][0]
        thread, place, headed, bumped = item
        page = Page()
        try:
            batch = self._board.page(thread, place)
        except Vanished:
            self._at["queue"].pop(0)
            return page
        last = batch.board != self._board.id or (batch.first is not None and batch.first < self._since)
        if batch.board == self._board.id:
            rows = self._platform.posts_of(self._community, batch)[::-1]
            rows = [row for row in rows if row.created_at is None or row.created_at.timestamp() >= self._since]
            if bumped:
                before = [row.created_at.timestamp() for row in rows if row.created_at]
                before = [created for created in before if created <= bumped[0]]
                if not before or max(before) >= bumped[1]:  # or else it had been read in its turn
                    last, rows = last or bool(before), []
                else:
                    item[3] = None
            page.posts = rows
            if rows and not headed:
                page.threads = [self._platform.head(self._community, batch, self._board.tags(thread))]
                item[2] = True
        self._at["done"] += len(page.posts)
        item[1] = min(place - 1, batch.pages)
        if last or item[1] < 1:
            self._at["queue"].pop(0)
        users = {int(row.fields["user_id"]) for row in page.posts if row.fields.get("user_id")}
        self._at["strangers"] = [str(user) for user in sorted(users) if self._authors.add(user)]
        return page

    def _list(self) -> None:
        """Take the threads of the next page of the board, and those that leapt over us."""
        threads, record = self._board.threads(self._at["offset"])
        now = self._board.observed_at.timestamp()
        usual = [thread for thread in threads if not thread.on_top]
        edge = self._at["edge"]
        if edge is None:
            self._at["whole"] = number(record, "number-of-threads") + number(record, "number-of-replies")
            self._at |= {"began": now, "looked": now - 1}
        elif not self._at["back"] and self._at["offset"] and (not usual or usual[0].active < edge[0]):
            self._at["offset"] -= PER_PAGE - 1  # threads have left, so some moved up behind our back
            self._at["back"] = True
            return
        fresh = [
            t for t in usual if edge is None or t.active < edge[0] or (t.active == edge[0] and t.tid not in edge[1])
        ]
        self._at["ended"] = (not fresh and len(usual) < 2) or any(thread.active < self._since for thread in fresh)
        if edge is not None:
            self._look(edge)
        on_top = [thread for thread in threads if thread.on_top] if edge is None else []
        leapt = set(self._at["leapt"])
        taken = [thread for thread in fresh + on_top if thread.active >= self._since and thread.tid not in leapt]
        taken.sort(key=lambda thread: -thread.active)
        self._at["queue"] += [[thread.tid, thread.pages, False, None] for thread in taken]
        self._at["leapt"] += [thread.tid for thread in on_top]
        if fresh:
            self._at["back"] = False
            last = fresh[-1].active
            same = [thread.tid for thread in usual if thread.active == last]
            self._at["edge"] = [last, same + (edge[1] if edge and edge[0] == last else [])]
        elif edge is None:
            self._at["ended"] = True
        self._at["offset"] += PER_PAGE - 1

    def _look(self, edge: list[Any]) -> None:
        """Take what was bumped since the last look."""
        looked, offset = self._at["looked"], 0
        seen: set[str] = set()
        now: float | None = None
        while True:
            threads, _ = self._board.threads(offset)
            now = now or self._board.observed_at.timestamp()
            old = [thread for thread in threads if not thread.on_top and thread.active < looked]
            self._take([thread for thread in threads if thread.on_top or thread.active >= looked], [looked, edge[0]])
            if old or seen >= {thread.tid for thread in threads}:
                self._at["looked"] = now - 1
                return
            seen |= {thread.tid for thread in threads}
            offset += PER_PAGE - 1

    def _take(self, threads: list[Listed], bumped: list[Any] | None) -> None:
        """Read these threads out of turn; those that are younger than this history are read as they come."""
        for thread in threads:
            if thread.tid not in self._at["leapt"] and self._since <= thread.active:
                self._at["leapt"].append(thread.tid)
                if thread.created < self._at["began"]:
                    self._at["queue"].append([thread.tid, thread.pages, False, bumped])
