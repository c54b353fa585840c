"""What every platform's invented past is made of: posts with versions and absences, and the truth about them.

Moments inside the sandbox are floats, unix seconds in UTC; everything that leaves `world.py` has aware datetimes. How
a platform's post looks does not belong here.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

FOREVER = math.inf
BEFORE = 0.001  # seconds by which "just before" precedes a moment

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Absence:
    """A post or thread is not served in [since, until). `pruned`: it fell off a listing, nobody deleted it."""

    since: float
    until: float = FOREVER
    pruned: bool = False


@dataclass(frozen=True, slots=True)
class Version:
    """What a post said from `time` on, as JSON without counters. `content` is false if only bookkeeping moved."""

    time: float
    payload: bytes
    content: bool = True


@dataclass(slots=True, eq=False)
class Post:
    """A post's whole past and future. `versions` and `absences` are in order of time; most posts have one and none."""

    id: int
    created: float
    versions: list[Version] = field(default_factory=list)
    absences: list[Absence] = field(default_factory=list)

    def visible(self, at: float) -> bool:
        return self.created <= at and not any(gone.since <= at < gone.until for gone in self.absences)

    def version(self, at: float) -> Version:
        """The version that stood at `at`; the first one for any earlier moment."""
        for version in reversed(self.versions):
            if version.time <= at:
                return version
        return self.versions[0]

    def absence(self, at: float) -> Absence | None:
        """The absence that hides the post at `at`; where several do, the one that began first."""
        running = [gone for gone in self.absences if gone.since <= at < gone.until]
        return min(running, key=lambda gone: gone.since) if running else None

    def last_served(self, at: float) -> float:
        """The latest moment up to `at` at which the post was visible."""
        gone = self.absence(at)
        return at if gone is None else gone.since - BEFORE


@dataclass(frozen=True)
class PostTruth:
    """All there is to know at a moment about a post that was ever visible before it.

    `payload` is what the platform serves, or served last before the post vanished, counters included. `versions` has a
    pair (time, payload) for each content; counters, thread state and bookkeeping make none. Visible posts have neither
    `deleted_at` nor `pruned`; absent ones have one of the two.
    """

    id: str
    thread_id: str
    created_at: datetime
    payload: Payload
    visible: bool
    deleted_at: datetime | None
    pruned: bool
    versions: tuple[tuple[datetime, Payload], ...]
    absences: tuple[tuple[datetime, datetime | None], ...]


class Community(ABC):
    """One board or forum with all that ever happens in it."""

    @abstractmethod
    def posts(self) -> Iterator[Post]:
        """Every post there will ever be, in no particular order."""

    @abstractmethod
    def thread_of(self, post: Post, at: float) -> int:
        """The thread a post stands in at `at`."""

    @abstractmethod
    def payload(self, post: Post, at: float) -> Payload:
        """The post as the platform serves it at a moment at which it is visible."""

    def truth(self, at: float) -> list[PostTruth]:
        return [self._truth(post, at) for post in self.posts() if post.created <= at]

    def _truth(self, post: Post, at: float) -> PostTruth:
        served, gone = post.last_served(at), post.absence(at)
        return PostTruth(
            id=str(post.id),
            thread_id=str(self.thread_of(post, served)),
            created_at=moment(post.created),
            payload=self.payload(post, served),
            visible=gone is None,
            deleted_at=moment(gone.since) if gone and not gone.pruned else None,
            pruned=bool(gone and gone.pruned),
            versions=tuple(
                (moment(version.time), self.payload(post, version.time))
                for version in post.versions
                if version.content and version.time <= at
            ),
            absences=tuple(
                (moment(gone.since), moment(gone.until) if gone.until <= at else None)
                for gone in post.absences
                if gone.since <= at
            ),
        )


def compact_json(payload: Payload) -> bytes:
    """A copy of what orjson returns, which keeps its buffer: 20,000 posts of 300 bytes took 102 MB (2026-11-22)."""
    return bytes(memoryview(orjson.dumps(payload)))


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
