"""A 4chan board with its whole past and future, and what of it is visible when. Invented in fourchan_world.py."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson

from sandbox.history import FOREVER, Community, Payload, Post

HOUR = 3600


@dataclass(frozen=True)
class BoardSpec:
    """What a board is like. `lifetime` is the hours a thread lasts in the index after its last bump, on average."""

    name: str
    title: str
    first_no: int
    posts_per_hour: float
    posts_per_thread: float
    archived: bool
    country_flags: bool = False
    user_ids: bool = False
    spoilers: bool = False
    lifetime: float = 30
    pages: int = 10
    bump_limit: int = 100
    image_limit: int = 40
    sticky_replies: int = 30  # about 1,000 on the real site; older ones fall off


@dataclass(slots=True, eq=False)
class BoardPost(Post):
    """`resto` as 4chan has it: 0 for an opening post. `ip` tells who wrote it, for `unique_ips`."""

    resto: int = 0
    ip: int = 0


@dataclass(slots=True, eq=False)
class Thread:
    """A thread; lists of times are ascending, unix seconds.

    `changes`: whenever its JSON changes. `touched`: whenever the index's `last_modified` moves, which is less often.
    `flags`: (time, sticky, closed). It leaves the index at `left` and answers 404 from `dropped` on.
    """

    no: int
    created: int
    posts: list[BoardPost] = field(default_factory=list)
    bumps: list[int] = field(default_factory=list)
    changes: list[int] = field(default_factory=list)
    touched: list[int] = field(default_factory=list)
    flags: list[tuple[int, bool, bool]] = field(default_factory=lambda: [(0, False, False)])
    left: float = FOREVER
    dropped: float = FOREVER

    def flags_at(self, at: float) -> tuple[bool, bool]:
        _, sticky, closed = self.flags[bisect_right(self.flags, (at, True, True)) - 1]
        return sticky, closed

    def last_modified(self, at: float) -> int:
        return self.touched[bisect_right(self.touched, at) - 1]

    def last_bump(self, at: float) -> int:
        return self.bumps[bisect_right(self.bumps, at) - 1]

    def last_change(self, at: float) -> int:
        return self.changes[bisect_right(self.changes, at) - 1]

    def visible(self, at: float) -> list[BoardPost]:
        return [post for post in self.posts if post.visible(at)]

    def replies(self, at: float) -> int:
        return len(self.visible(at)) - 1


@dataclass(frozen=True)
class ThreadView:
    """A thread as the index and its own JSON show it at one moment. `page` counts from 1."""

    no: int
    page: int
    last_modified: int
    replies: int
    posts: list[Payload]


@dataclass(frozen=True)
class BoardSnapshot:
    """The index at one moment, in its order, and the numbers in archive.json, ascending."""

    threads: tuple[ThreadView, ...]
    archive: tuple[int, ...]


class Board(Community):
    """All of one board. Built by `fourchan_world.invent`; immutable afterwards, so threads may share it."""

    def __init__(self, spec: BoardSpec, per_page: int, threads: list[Thread], end: float) -> None:
        self.spec = spec
        self.per_page = per_page
        self.threads = {thread.no: thread for thread in threads}
        self.changes = sorted({time for thread in threads for time in thread.changes})
        self._first_hour = int(min(thread.created for thread in threads) // HOUR)
        self._last_hour = int(end // HOUR)
        self._by_hour: list[list[Thread]] = [[] for _ in range(self._last_hour - self._first_hour + 1)]
        for thread in threads:
            for hour in range(int(thread.created // HOUR), int(min(thread.left, end) // HOUR) + 1):
                self._by_hour[hour - self._first_hour].append(thread)
        self._archive = sorted((t for t in threads if FOREVER > t.dropped > t.left), key=lambda thread: thread.no)

    def posts(self) -> Iterator[BoardPost]:
        for thread in self.threads.values():
            yield from thread.posts

    def thread_of(self, post: Post, at: float) -> int:
        assert isinstance(post, BoardPost)
        return post.resto or post.id

    def index(self, at: float) -> list[Thread]:
        """The threads of the index in its order: sticky ones, then by last bump, newest first."""
        hour = min(int(at // HOUR), self._last_hour) - self._first_hour
        if hour < 0:
            return []
        live = [thread for thread in self._by_hour[hour] if thread.created <= at < thread.left]
        return sorted(live, key=lambda t: (not t.flags_at(at)[0], -t.last_bump(at), -t.no))

    def archive(self, at: float) -> list[int]:
        return [thread.no for thread in self._archive if thread.left <= at < thread.dropped]

    def thread(self, no: int, at: float) -> Thread | None:
        """The thread if its JSON is served at `at`, in the index or archived."""
        thread = self.threads.get(no)
        return thread if thread and thread.created <= at < thread.dropped else None

    def last_change(self, at: float) -> int:
        """When anything on the board changed last."""
        return self.changes[max(bisect_right(self.changes, at) - 1, 0)]

    def snapshot(self, at: float) -> BoardSnapshot:
        threads = tuple(
            ThreadView(
                thread.no,
                position // self.per_page + 1,
                thread.last_modified(at),
                thread.replies(at),
                [self.payload(post, at) for post in thread.visible(at)],
            )
            for position, thread in enumerate(self.index(at))
        )
        return BoardSnapshot(threads, tuple(self.archive(at)))

    def payload(self, post: Post, at: float) -> Payload:
        payload: Payload = orjson.loads(self.post_json(post, at))
        return payload

    def post_json(self, post: Post, at: float) -> bytes:
        payload = post.version(at).payload
        if post.id not in self.threads:
            return payload
        return payload[:-1] + b"," + orjson.dumps(self.opening_state(self.threads[post.id], at))[1:]

    def thread_json(self, thread: Thread, at: float) -> bytes:
        return b'{"posts":[' + b",".join(self.post_json(post, at) for post in thread.visible(at)) + b"]}"

    def opening_state(self, thread: Thread, at: float) -> Payload:
        """What an opening post says about its thread: counters, and attributes that are 1 or not there."""
        shown = thread.visible(at)
        images = sum(b'"tim":' in post.version(at).payload for post in shown if post.resto)
        replies = len(shown) - 1
        state: Payload = {
            "replies": replies,
            "images": images,
            "bumplimit": int(replies >= self.spec.bump_limit),
            "imagelimit": int(images >= self.spec.image_limit),
        }
        sticky, closed = thread.flags_at(at)
        if sticky:
            state["sticky"] = 1
        if at >= thread.left:
            state |= {"closed": 1, "archived": 1, "archived_on": int(thread.left)}
        else:
            state["unique_ips"] = len({post.ip for post in shown})
            if closed:
                state["closed"] = 1
        if replies >= 100:
            state["tail_size"] = 50
        return state
