"""What one reading of a mods.de board remembers for the next, and what one reading of a thread finds out.

The state: `read` (when each hour of the last days was read), `authors` (when each one's profile was), and `threads`: of
each that was active in the last weeks its `mark` (last post, replies), whether it was read `whole` up to that, the
`print` of what it says of itself, when it was `created`, its `tags`, since when, from when and on which pages (beside
which posts) something of it is `broken`, and its `posts` of the last days: when created, fingerprint, page. Those that
are hidden stay among them, without a fingerprint, because they may come back.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from extractors.memory import Reading, gone
from extractors.mods_de_pages import Listed, ThreadPage, number, seconds
from extractors.platform import HOUR, Community, Page, Record, Row, State, Window, instant
from extractors.records import digest

if TYPE_CHECKING:
    from extractors.mods_de import ModsDe

POSTS_FOR = 8 * 86_400  # seconds: the last revisit is after 7 days
THREADS_FOR = 30 * 86_400
# What moves without the post being touched; it is kept with whatever else changed.
VOLATILE = frozenset({"avatar", "in-thread", "in-board", "token-setbookmark", "token-editreply"})


class ThreadReading:
    """One thread, read from the page with its newest post of [start, end) back."""

    def __init__(self, thread: str, known: State, listed: Listed | None, start: float, end: float, refresh: bool):
        since, down_to, again = known.get("broken") or (start, start, {})
        self._again: dict[str, list[str]] = again
        self.thread, self.end = thread, end
        self.start, self.down_to = min(start, since), min(start, down_to)
        self.record: Record | None = listed.record if listed else None
        self.tags: list[str] | None = known.get("tags")
        self.told = self.renamed = False
        self._broken: tuple[float, float, dict[str, list[str]]] | None = None
        self.authors: dict[str, None] = {}
        self.page: ThreadPage | None = None  # the newest that was read
        self._known, self._listed = known, listed
        self._reading = Reading(known.get("posts", {}), refresh)
        self._oldest: ThreadPage | None = None  # the oldest that has a post
        hint = max((page for created, _, page in known.get("posts", {}).values() if start <= created < end), default=0)
        known_end = max((page for *_, page in known.get("posts", {}).values()), default=1)
        usual = listed.pages if listed else max([hint, *map(int, self._again)]) or known_end
        self.guess = hint if listed and hint and listed.active >= end else usual
        self.newest = min(end, listed.active) if listed else end

    def take(self, platform: "ModsDe", community: Community, batch: ThreadPage, page: Page) -> None:
        """The rows of a page that are new, changed or back."""
        if self.page is None:
            self.page = batch
            self.renamed = self._known.get("print", fingerprint(batch.thread)) != fingerprint(batch.thread)
        if batch.board != community.name:
            return
        if batch.posts:
            self._oldest = batch
        for record, row in zip(batch.posts, platform.posts_of(community, batch), strict=True):
            if row.created_at is None or row.post_id is None:
                page.posts.append(row)
                self.fail(batch)
            elif row.post_id not in self._reading.items and (
                row.post_id in self._reading
                or row.post_id not in self._again.get(str(batch.number), [row.post_id])
                or self.start <= row.created_at.timestamp() < self.end
            ):
                print_ = digest({name: value for name, value in record.items() if name not in VOLATILE})
                if self._reading.changed(row.post_id, row.created_at, print_, batch.number):
                    page.posts.append(row)
                    self.authors[str(row.fields.get("user_id") or "")] = None

    def gone(self) -> Iterator[Row]:
        """Posts that should have stood on the pages read, and did not."""
        page = self.page
        if page is None or page.board != (self._known.get("board") or page.board):
            return
        self._reading.whole = not self._broken
        for post, item in self._known.get("posts", {}).items():
            if item[1] is None or not self._covers(item[0]):
                self._reading.items.setdefault(post, item)
        for post, (created, _, place) in list(self._reading.missing(page.observed_at)):
            self._reading.items[post] = [created, None, place]
            yield gone(self.thread, post, instant(created), page.observed_at)

    def _covers(self, created: int) -> bool:
        newest, oldest = self.page, self._oldest
        if newest is None:
            return False
        below = newest.number >= newest.pages or created < (newest.last or 0)
        above = oldest is not None and oldest.first is not None and (oldest.number == 1 or created > oldest.first)
        return below and (above or (oldest is None and newest.number == 1))

    def vanished(self, observed_at: datetime) -> Page:
        """The thread is gone, with all that was known of it."""
        if "created" not in self._known:
            return Page()
        known = self._known["posts"].items()
        posts = [gone(self.thread, post, instant(item[0]), observed_at) for post, item in known if item[1] is not None]
        return Page([gone(self.thread, None, instant(self._known["created"]), observed_at)], posts)

    def quarantine(self, ids: set[str]) -> None:
        """What did not fit its types is read again next time."""
        if ids:
            self.fail()
            self._reading.forget(ids)

    def fail(self, batch: ThreadPage | None = None) -> None:
        """Something of the thread could not be read, on this page or another: it is read again next time."""
        since, down_to, pages = self._broken or (self.start, self.down_to, {})
        if batch:
            well = [str(post["id"]) for post in batch.posts if seconds(post) and "id" in post]
            down_to, pages = min(down_to, batch.first or down_to), {**pages, str(batch.number): well}
        self._broken = since, down_to, pages

    def state(self) -> State:
        page, listed, known = self.page, self._listed, self._known
        posts = {**known.get("posts", {}), **self._reading.items} if self._broken else self._reading.items
        state: State = {"tags": None, "created": 0, "mark": [0, 0], "whole": False, **known, "posts": posts}
        state["broken"] = self._broken
        if listed:
            state |= {"mark": listed.mark, "whole": listed.active < self.end, "created": listed.created}
        elif page and page.number >= page.pages:  # it is no longer listed where it was
            state |= {"mark": [page.last or 0, number(page.thread, "number-of-replies")], "whole": False}
        if page:
            state |= {"print": fingerprint(page.thread), "board": page.board, "tags": self.tags}
            state["created"] = seconds(page.thread, "firstpost", "post") or state.get("created", 0)
        return state


class Memory:
    """What was known before a reading of `window`, and what is known after it."""

    def __init__(self, state: State, window: Window, refresh: bool) -> None:
        self._start, self._end, self._refresh = window.start.timestamp(), window.end.timestamp(), refresh
        self._read: dict[str, float] = dict(state.get("read", {}))
        self._authors: dict[str, float] = dict(state.get("authors", {}))
        self._threads: dict[str, State] = dict(state.get("threads", {}))
        self._done: dict[str, ThreadReading] = {}
        hour = HOUR.total_seconds()
        self._open = [
            start
            for start in (moment.timestamp() for moment in window.hours)
            if refresh or self._read.get(str(int(start)), 0) < start + hour
        ]
        self.unread = instant(min(self._open)) if self._open else None
        """The first hour that was never read to its end: down to there the board's list is needed."""

    def wanted(self, listed: Mapping[str, Listed]) -> Iterator[ThreadReading]:
        """The threads to read: those with posts that are not known, and those whose known ones are due again."""
        for tid, thread in listed.items():
            if thread.created < self._end and (self._refresh or not self._is_known(thread)):
                yield self._reading(tid, thread)
        open_hours = {start // 3600 for start in self._open}
        for tid, known in self._threads.items():
            if tid in listed and (self._refresh or not self._is_known(listed[tid])):
                continue
            inside = (created for created, *_ in known["posts"].values() if self._start <= created < self._end)
            lost = tid not in listed and bool(self._open) and known["mark"][0] >= min(self._open)
            if lost or known["broken"] or any(created // 3600 not in open_hours for created in inside):
                yield self._reading(tid, listed.get(tid))

    def _reading(self, tid: str, listed: Listed | None) -> ThreadReading:
        known = self._threads.get(tid, {})
        return ThreadReading(tid, known, listed, self._start, self._end, self._refresh)

    def _is_known(self, thread: Listed) -> bool:
        """Whether nothing was posted in the thread since all of it was read that the open hours may hold."""
        known = self._threads.get(thread.tid)
        if known is None or known["broken"] or not known["whole"] or known["mark"] != thread.mark:
            return False
        polled = (start for start in self._open if str(int(start)) not in self._read)
        return all(thread.active < start for start in polled) and known["print"] == fingerprint(thread.record)

    def keep(self, reading: ThreadReading) -> None:
        self._done[reading.thread] = reading

    def forget(self, thread: str) -> None:
        self._threads.pop(thread, None)

    def read(self, hours: list[datetime], observed_at: datetime) -> None:
        """All of these hours were read."""
        self._read |= {str(int(hour.timestamp())): observed_at.timestamp() for hour in hours}

    @property
    def strangers(self) -> list[str]:
        """Those who wrote what is new, and whose profile was not read for weeks."""
        wrote = (author for reading in self._done.values() for author in reading.authors)
        return [
            author
            for author in dict.fromkeys(wrote)
            if author.isdigit() and int(author) and author not in self._authors
        ]

    def met(self, author: str, observed_at: datetime) -> None:
        self._authors[author] = observed_at.timestamp()

    def state(self) -> State:
        threads = self._threads | {tid: reading.state() for tid, reading in self._done.items()}
        now = max([*self._read.values(), *(known["mark"][0] for known in threads.values())], default=0)
        kept = {}
        for tid, known in threads.items():
            if known["mark"][0] >= now - THREADS_FOR:
                posts = {post: item for post, item in known["posts"].items() if item[0] >= now - POSTS_FOR}
                kept[tid] = known | {"posts": posts}
        return {
            "read": {hour: at for hour, at in self._read.items() if int(hour) >= now - POSTS_FOR},
            "authors": {author: at for author, at in self._authors.items() if at >= now - THREADS_FOR},
            "threads": kept,
        }


def fingerprint(thread: Record) -> str:
    """Of what a thread says of itself, on its own pages and in a board's list alike."""
    flags: Any = thread.get("flags")
    said = [thread.get("title"), thread.get("subtitle"), (thread.get("in-board") or {}).get("id")]
    return digest([*said, {name: flag for name, flag in flags.items() if name.startswith("is-")} if flags else None])
