"""A Discourse topic and its posts through time: where a post stands, what of a topic is visible when."""

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sandbox.history import Absence, Payload, Post


@dataclass(frozen=True, slots=True)
class Place:
    """Where a post stands from `since` on. Moving a post gives it another place and keeps its id."""

    since: float
    topic_id: int
    number: int


@dataclass(slots=True, eq=False)
class ForumPost(Post):
    """`replied`: times of direct replies. `likes`: how many it will get. `regular`: not a small action."""

    places: list[Place] = field(default_factory=list)
    replied: list[float] = field(default_factory=list)
    popularity: float = 1
    likes: int = 0
    regular: bool = True
    lead: str = ""  # its first sentence, for those who quote it

    def place(self, at: float) -> Place:
        return next((place for place in reversed(self.places) if place.since <= at), self.places[0])


@dataclass(slots=True, eq=False)
class Topic:
    """A topic. `members` are all posts that ever stood in it; `bumps` is ascending."""

    id: int
    created: float
    title: str
    slug: str
    category_id: int
    tags: list[str]
    author: Payload
    pinned: bool = False
    closed: float = math.inf
    members: list[ForumPost] = field(default_factory=list)
    bumps: list[float] = field(default_factory=list)
    deleted: Absence | None = None
    highest: int = 0  # number given to a post so far
    _counted: tuple[float, int] = (-1, 0)  # the last answer of posts_count and its moment

    def visible(self, at: float) -> bool:
        return self.created <= at and not (self.deleted and self.deleted.since <= at)

    def bumped(self, at: float) -> float:
        return self.bumps[bisect_right(self.bumps, at) - 1]

    def posts_count(self, at: float) -> int:
        moment, count = self._counted
        if moment != at:
            count = sum(post.regular for post in self._shown(at))
            self._counted = at, count
        return count

    def stream(self, at: float) -> list[ForumPost]:
        """The visible posts in order of their number."""
        return sorted(self._shown(at), key=lambda post: post.place(at).number)

    def _shown(self, at: float) -> list[ForumPost]:
        return [post for post in self.members if post.visible(at) and post.place(at).topic_id == self.id]


def iso(seconds: float) -> str:
    """`2024-01-01T16:05:12.954Z`"""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
