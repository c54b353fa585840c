"""A board of mods.de with its whole past and future, and what of it is visible when. Invented in mods_de_world.py."""

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import orjson

from sandbox.history import Absence, Community, Payload, Post
from sandbox.mods_de_text import Person
from sandbox.mods_de_xml import mangle

PER_PAGE = 30
AVATAR_CHANGES = 6 * 3600  # seconds


@dataclass(frozen=True)
class BoardSpec:
    """`for_guests`: whether everybody may read it."""

    id: str
    name: str
    posts_per_hour: float
    posts_per_thread: float
    for_guests: bool = True


@dataclass(slots=True, eq=False)
class BoardPost(Post):
    """`lead` is what it begins with, as it was meant."""

    thread: int = 0
    author: int = 0
    lead: str = ""


@dataclass(slots=True, eq=False)
class BoardThread:
    """A thread; `titles` are (since, title, subtitle). `moved`: when it went to another board, and to which."""

    id: int
    created: float
    author: Person
    titles: list[tuple[float, str, str]]
    tags: list[str]
    sticky: bool = False
    is_global: bool = False
    closed: float = math.inf
    deleted: Absence | None = None
    moved: tuple[float, str] = (math.inf, "")
    members: list[BoardPost] = field(default_factory=list)
    _times: list[float] = field(default_factory=list)

    def add(self, post: BoardPost) -> None:
        self.members.append(post)
        self._times.append(post.created)

    def visible(self, at: float) -> bool:
        return self.created <= at and not (self.deleted and self.deleted.since <= at)

    def written(self, at: float) -> list[BoardPost]:
        """Every post so far, hidden ones included: they keep their place on their page."""
        return self.members[: bisect_right(self._times, at)]

    def title(self, at: float) -> tuple[str, str]:
        return next(
            (title, subtitle) for since, title, subtitle in reversed(self.titles) if since <= max(at, self.created)
        )

    def last(self, at: float) -> BoardPost:
        return next(post for post in reversed(self.written(at)) if post.visible(at))

    def board(self, at: float, home: str) -> str:
        since, other = self.moved
        return other if since <= at else home


class Board(Community):
    """All of one board. Built by `mods_de_world.invent`; immutable afterwards, so requests may share it."""

    def __init__(self, spec: BoardSpec, people: dict[int, Person], threads: list[BoardThread], posts: list[BoardPost]):
        self.spec, self.people = spec, people
        self.threads = {thread.id: thread for thread in threads}
        self._posts = posts

    def posts(self) -> Iterator[BoardPost]:
        return iter(self._posts)

    def thread_of(self, post: Post, at: float) -> int:
        assert isinstance(post, BoardPost)
        return post.thread

    def payload(self, post: Post, at: float) -> Payload:
        assert isinstance(post, BoardPost)
        thread = self.threads[post.thread]
        payload: Payload = orjson.loads(post.version(at).payload)
        number = post.author * 100 + int(at // AVATAR_CHANGES) % 3
        payload["avatar"] = {"id": str(number), "text": f"./avatare/{number}.gif"} if post.author % 4 else ""
        payload["in-thread"] = {"id": str(thread.id), "text": mangle(thread.title(at)[0])}
        payload["in-board"] = {"id": thread.board(at, self.spec.id)}
        return payload

    def thread_payload(self, thread: BoardThread, at: float) -> Payload:
        """What a thread says of itself, on its own pages and in a board's list."""
        title, subtitle = thread.title(at)
        flags = {
            "is-closed": thread.closed <= at,
            "is-sticky": thread.sticky,
            "is-important": False,
            "is-announcement": False,
            "is-global": thread.is_global,
        }
        written = len(thread.written(at))
        return {
            "id": str(thread.id),
            "title": mangle(title),
            "subtitle": mangle(subtitle),
            "number-of-replies": {"value": str(written - 1)},
            "number-of-hits": {"value": str(written * 7 + int((at - thread.created) // 60))},
            "number-of-pages": {"value": str(math.ceil(written / PER_PAGE))},
            "flags": {name: {"value": str(int(flag))} for name, flag in flags.items()},
            "in-board": {"id": thread.board(at, self.spec.id)},
            "firstpost": {"post": self._in_list(thread, thread.members[0], at)},
        }

    def listed_payload(self, thread: BoardThread, at: float) -> Payload:
        return self.thread_payload(thread, at) | {"lastpost": {"post": self._in_list(thread, thread.last(at), at)}}

    def _in_list(self, thread: BoardThread, post: BoardPost, at: float) -> Payload:
        return {
            "user": {"id": str(post.author), "text": mangle(self.people[post.author].name)},
            "date": dated(post.created),
            "in-thread": {"id": str(thread.id)},
            "in-board": {"id": thread.board(at, self.spec.id)},
        }


def dated(seconds: float) -> Payload:
    there = datetime.fromtimestamp(seconds, UTC).astimezone(ZoneInfo("Europe/Berlin"))
    return {"timestamp": str(int(seconds)), "text": f"{there:%d.%m.%Y %H:%M:%S}"}


def post_record(post: int, person: Person, created: int, text: str, title: str) -> Payload:
    """A post as the API sends it, without what depends on its thread or moves with its author."""
    user: Payload = {"id": str(person.uid), "group-id": str(person.group)}
    user |= {"locked": "1"} if person.locked else {}
    return {
        "id": str(post),
        "user": user | {"text": mangle(person.name)},
        "date": dated(created),
        "message": {"edited": {"count": "0"}, "content": mangle(text), "title": mangle(title)},
    }
