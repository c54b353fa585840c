"""mods.de: boards of forum.mods.de, from its XML API. Facts: 30 threads and 30 posts a page; no validators.

A board lists its threads, the last active first, so a window is what has a post in it: those threads are read from
their last page back. What is remembered of a board: each thread's activity of the last weeks, so that one where
nobody posted is not read again, and the posts of the last days, so that whatever is read once more shows what was
edited or has vanished. An hour that was read to its end is revisited by its known pages alone, without a listing.
"""

import heapq
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from extractors import bbcode, mods_de_history, mods_de_profile, mods_de_redaction
from extractors.errors import CrawlError, Malformed
from extractors.http import Http
from extractors.mods_de_memory import Memory, ThreadReading
from extractors.mods_de_pages import BASE, Board, ThreadPage, Vanished, number
from extractors.mods_de_xml import flat
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
    instant,
)
from extractors.records import TEXTS, TIMESTAMP, columns

if TYPE_CHECKING:
    from extractors.erasure import Those

INSTANCE = "forum.mods.de"
PACE = Pace(requests=2, seconds=1.0)
PROFILES = 20  # at most, of authors that were not seen before, with each reading
BOARD = re.compile(r"^(?:https?://)?forum\.mods\.de/bb/(?:xml/)?board\.php\?(?:.*&)?BID=(\d+)(?:[&#]|$)", re.IGNORECASE)
THREAD = re.compile(
    r"^(?:https?://)?forum\.mods\.de/bb/(?:xml/)?thread\.php\?(?:.*&)?TID=(\d+)(?:[&#]|$)", re.IGNORECASE
)
STRINGS = "is_hidden user_name icon message_title message_content message_edited_lastedit_user avatar in_thread"
INTEGERS = (
    "id user_id user_group_id user_locked icon_id date_timestamp message_edited_count "
    "message_edited_lastedit_user_id message_edited_lastedit_date_timestamp avatar_id in_thread_id in_board_id"
)
THREAD_STRINGS = "title subtitle firstpost_post_user firstpost_post_icon lastpost_post_user"
THREAD_INTEGERS = (
    "id number_of_replies number_of_hits number_of_pages in_board_id firstpost_post_user_id "
    "firstpost_post_date_timestamp firstpost_post_icon_id lastpost_post_user_id lastpost_post_date_timestamp"
)
FLAGS = "flags_is_closed flags_is_sticky flags_is_important flags_is_announcement flags_is_global"


class ModsDe(Platform):
    """One community a board."""

    name = "mods_de"
    threads = columns({pa.string(): THREAD_STRINGS, pa.int64(): THREAD_INTEGERS, pa.bool_(): FLAGS, TEXTS: "tags"})
    posts = columns({pa.string(): STRINGS, pa.int64(): INTEGERS, pa.bool_(): "is_opening"})
    authors = columns(
        {
            pa.string(): "uid name status account rank bars",
            pa.bool_(): "is_locked",
            TIMESTAMP: "registered last_seen locked_until",
        }
    )
    memory = "community"
    writer, called = ("user_id",), ("user_name",)

    def __init__(self, pace: Pace = PACE) -> None:
        self.pace = pace

    def community(self, url: str) -> Community | None:
        """A thread's URL names its thread, until `about` has asked where that stands."""
        board = BOARD.match(url) or re.match(r"^mods_de:(\d+)$", url)
        if board:
            return Community(f"mods_de:{int(board[1])}", INSTANCE)
        thread = THREAD.match(url) or re.match(r"^mods_de:thread/(\d+)$", url)
        return Community(f"mods_de:thread/{int(thread[1])}", INSTANCE) if thread else None

    def url(self, community: Community) -> str:
        thread = community.name.partition("thread/")[2]
        return f"{BASE}thread.php?TID={thread}" if thread else f"{BASE}board.php?BID={community.name}"

    def about(self, community: Community, http: Http) -> About:
        thread = community.name.partition("thread/")[2]
        if thread:
            community = Community(f"mods_de:{Board(community, http, self.pace).board_of(thread)}", INSTANCE)
        board = Board(community, http, self.pace).head()
        posts = number(board, "number-of-threads") + number(board, "number-of-replies")
        return About(community, str(flat(board).get("name") or community.name), posts)

    def history(self, community: Community, since: datetime, http: Http, cursor: State | None) -> Iterator[Page]:
        return mods_de_history.history(self, community, since, Board(community, http, self.pace), cursor)

    def crawl(
        self, community: Community, window: Window, http: Http, states: Mapping[datetime, State], *, refresh: bool
    ) -> Iterator[Page]:
        board = Board(community, http, self.pace)
        memory = Memory(next(iter(states.values()), {}), window, refresh)
        failed: CrawlError | None = None
        queue: list[tuple[float, str, ThreadReading, Iterator[ThreadPage]]] = []
        listed = board.since(memory.unread.timestamp()) if memory.unread else {}
        for reading in memory.wanted(listed):
            pages = board.backwards(reading.thread, reading.guess, reading.down_to, reading.end)
            heapq.heappush(queue, (-reading.newest, reading.thread, reading, pages))
        for hour in window.hours:
            edge = hour.timestamp() if hour > window.start else 0
            while queue and -queue[0][0] >= edge:  # of all threads, the one that may have the newest post is read on
                _, thread, reading, pages = heapq.heappop(queue)
                page = Page()
                try:
                    batch = next(pages, None)
                    if batch is None:
                        yield from self._finish(board, memory, reading)
                        continue
                    reading.take(self, community, batch, page)
                    if page.posts:
                        page.threads += self._head(board, reading)
                    heapq.heappush(queue, (-min(batch.first or reading.end, reading.end), thread, reading, pages))
                except Vanished:
                    page = reading.vanished(board.observed_at)
                    memory.forget(thread)
                except Malformed as problem:
                    failed = failed or problem
                    reading.fail()
                    memory.keep(reading)
                yield page
                reading.quarantine(page.quarantined)
            if not failed and hour > window.start:
                yield Page(reached=hour)
        yield from self._profiles(community, board, memory)
        memory.read(window.hours if not failed else [], board.observed_at)
        yield Page(reached=None if failed else window.start, state=memory.state())
        if failed:
            raise failed

    def _finish(self, board: Board, memory: Memory, reading: ThreadReading) -> Iterator[Page]:
        """What a thread's reading shows when it is whole: what is gone of it, and whether its head changed."""
        page = Page(posts=list(reading.gone()))
        if page.posts or reading.renamed:
            page.threads += self._head(board, reading)
        yield page
        reading.quarantine(page.quarantined)
        if reading.page and reading.page.board != board.id:  # it was moved, and is read where it stands now
            memory.forget(reading.thread)
        else:
            memory.keep(reading)

    def _head(self, board: Board, reading: ThreadReading) -> list[Row]:
        """The thread's own row, once a reading; its tags are asked for when it is new or was renamed."""
        if reading.told or reading.page is None:
            return []
        reading.told = True
        if reading.tags is None or reading.renamed:
            reading.tags = board.tags(reading.thread)
        return [self.head(board.community, reading.page, reading.tags, reading.record)]

    def head(self, community: Community, page: ThreadPage, tags: list[str], listed: Record | None = None) -> Row:
        """A thread's row: as its page shows it, its last post as the board does, and its tags."""
        record = {**page.thread, "tags": tags}
        if listed and "lastpost" in listed:
            record["lastpost"] = listed["lastpost"]
        return self.row("threads", community, record, page.observed_at)

    def posts_of(self, community: Community, page: ThreadPage) -> list[Row]:
        """The rows of a page's posts. The thread of those in quarantine is known all the same."""
        rows: list[Row] = []
        for record in page.posts:
            row = self.row("posts", community, record, page.observed_at)
            first = page.number == 1 and row.created_at is not None and not rows
            row.fields["is_opening"] = first and row.fields["date_timestamp"] == page.opened
            rows.append(row if row.thread_id else row._replace(thread_id=page.thread_id))
        return rows

    def _profiles(self, community: Community, board: Board, memory: Memory) -> Iterator[Page]:
        """Profiles of authors that were not seen for weeks; the pages of one reading are bounded."""
        for user in memory.strangers[:PROFILES]:
            try:
                yield Page(authors=self.profile(community, board, user))
            except CrawlError as problem:  # they stand on another host, and are no reason to stop
                yield Page(note=f"profiles could not be read: {problem}")
                return
            memory.met(user, board.observed_at)

    def profile(self, community: Community, board: Board, user: str) -> list[Row]:
        record, observed_at = board.profile(user)
        return [self.row("authors", community, record, observed_at)] if record else []

    def parse(self, entity: Entity, community: Community, record: Record, source: Source) -> Parsed:
        if entity == "authors":
            found = mods_de_profile.fields(record)
            joined = found["registered"]
            return Parsed(None, str(int(record["uid"])), instant(joined) if joined else None, found)
        fields = flat({name: value for name, value in record.items() if name != "tags"})
        for name in (INTEGERS if entity == "posts" else f"{THREAD_INTEGERS} {FLAGS}").split():
            if fields.get(name) == "":
                del fields[name]
            elif name in fields:
                fields[name] = int(fields[name])
        if entity == "threads":
            fields |= {name: bool(fields[name]) for name in FLAGS.split() if name in fields}
            fields["tags"] = record.get("tags")
            return Parsed(str(fields["id"]), None, instant(fields["firstpost_post_date_timestamp"]), fields)
        fields["user_name"] = fields.pop("user", None)
        thread, time = str(fields["in_thread_id"]), fields["date_timestamp"]
        # some hidden posts have no number of their own
        return Parsed(thread, str(fields["id"] or f"{thread}-{time}"), instant(time), fields)

    def redact(self, entity: Entity, record: Record, those: "Those", opened: bool) -> Record:
        return mods_de_redaction.redact(entity, record, those, opened)

    def opens(self, row: Record) -> bool:
        return bool(row.get("is_opening"))

    def words(self, entity: Entity, community: Community, fields: Sequence[Record]) -> list[Words]:
        if entity == "threads":
            titles = ((record.get("title") or "", record.get("subtitle") or "") for record in fields)
            return [Words("\n".join(filter(None, both)), [], []) for both in titles]
        return [bbcode.words(record.get("message_content") or "") for record in fields]

    def content(self, entity: Entity, fields: Record) -> object:
        if entity == "threads":
            return [fields.get(name) for name in ("title", "subtitle", "tags", "in_board_id")]
        return [fields.get(name) for name in ("message_title", "message_content")]
