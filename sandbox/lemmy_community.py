"""A Lemmy community as one instance holds it, with its whole past and future, and how it shows posts and comments.

What federation delivers late has `arrived` after it was `created`. Invented in lemmy_world.py.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache

import orjson

from sandbox.history import FOREVER, Absence, Community, Payload, Post, PostTruth

HOUR = 3600
COUNTERS = frozenset(("score", "upvotes", "downvotes", "comments", "child_count", "counts", "newest_comment_time_at"))


@dataclass(frozen=True)
class LemmySpec:
    """What a community is like. `late` is the share that federation delivers late; `stride`, how many ids of the
    instance go to other communities for each of its own."""

    host: str
    name: str
    title: str
    version: tuple[int, int, int]
    comments_per_hour: float
    comments_per_post: float = 12
    home: str = ""  # the host of the community, if it is a remote one
    late: float = 0.03
    stride: int = 3

    @property
    def key(self) -> str:
        return f"{self.host}/{self.name}@{self.home}" if self.home else f"{self.host}/{self.name}"


@dataclass(slots=True, eq=False)
class LemmyItem(Post):
    """`serial`: its number at home, which its `ap_id` names; `popularity`: votes it will get."""

    arrived: float = 0
    serial: int = 0
    author: Payload = field(default_factory=dict)
    popularity: float = 1

    def visible(self, at: float) -> bool:
        return self.arrived <= at and Post.visible(self, at)


@dataclass(slots=True, eq=False)
class LemmyPost(LemmyItem):
    """A post. `featured`: for how long it stood first; `talk`: arrivals of its comments, ascending."""

    featured: tuple[float, float] = (FOREVER, FOREVER)
    locked: float = FOREVER
    talk: list[float] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class LemmyComment(LemmyItem):
    """A comment. `tombs`: absences in which it stays listed, without its words."""

    post: LemmyPost = field(default_factory=lambda: LemmyPost(0, 0))
    parent: "LemmyComment | None" = None
    tombs: list[Absence] = field(default_factory=list)
    removed: bool = False  # by a moderator, not by its author
    replies: list[float] = field(default_factory=list)
    distinguished: bool = False

    @property
    def path(self) -> str:
        return f"{self.parent.path if self.parent else '0'}.{self.id}"

    def listed(self, at: float) -> bool:
        gone = (absence for absence in self.absences if absence not in self.tombs)
        return self.arrived <= at and not any(absence.since <= at < absence.until for absence in gone)

    def buried(self, at: float) -> bool:
        return any(tomb.since <= at < tomb.until for tomb in self.tombs)


class LemmyCommunity(Community):
    """All of one community on one instance. Immutable once built, so threads may share it."""

    def __init__(self, spec: LemmySpec, start: float, posts: list[LemmyPost], comments: list[LemmyComment]) -> None:
        self.spec, self.start = spec, start
        self.all_posts, self.all_comments = posts, comments
        self.listed_posts = lru_cache(8)(self._listed_posts)
        self.listed_comments = lru_cache(8)(self._listed_comments)

    def posts(self) -> Iterator[LemmyItem]:
        yield from self.all_posts
        yield from self.all_comments

    def thread_of(self, post: Post, at: float) -> int:
        return post.post.id if isinstance(post, LemmyComment) else post.id

    def truth(self, at: float) -> list[PostTruth]:
        return [self._truth(item, at) for item in self.posts() if item.arrived <= at]

    def _truth(self, post: Post, at: float) -> PostTruth:
        return replace(super()._truth(post, at), id=key(post))

    def _listed_posts(self, at: float) -> list[LemmyPost]:
        """Newest first, featured ones before all others."""
        return sorted(
            (post for post in self.all_posts if post.visible(at)),
            key=lambda post: (not featured(post, at), -post.created, -post.id),
        )

    def _listed_comments(self, at: float) -> list[LemmyComment]:
        """Newest first."""
        return sorted((c for c in self.all_comments if c.listed(at)), key=lambda c: (-c.created, -c.id))

    def payload(self, post: Post, at: float) -> Payload:
        """A PostView or CommentView as this instance's version gives it."""
        assert isinstance(post, LemmyItem)
        new = self.spec.version >= (1, 0, 0)
        view: Payload
        if isinstance(post, LemmyComment):
            counted, votes = "comment", _votes(post, at) | {"child_count": bisect_right(post.replies, at)}
            view = {"comment": self._comment(post, at), "post": self._post(post.post, at)}
            if new:
                view["post"] |= self._renamed(self._votes_of(post.post, at))
        else:
            assert isinstance(post, LemmyPost)
            counted, votes = "post", self._votes_of(post, at)
            view = {"post": self._post(post, at)}
        view |= {"creator": self._person(post.author), "community": self.community()}
        if new:
            view[counted] |= self._renamed(votes)
            return view | {"creator_banned": False, "creator_is_moderator": post.author["id"] == 1, "can_mod": False}
        counts = {f"{counted}_id": post.id, **votes, "published": self.time(post.created)}
        if self.spec.version < (0, 19, 0):
            counts = {"id": post.id + 7, **counts, "hot_rank": 0}
        else:
            view |= {"creator_is_moderator": post.author["id"] == 1, "creator_is_admin": False}
        view |= {"counts": counts, "creator_banned_from_community": False, "subscribed": "NotSubscribed"}
        return view | {"saved": False, "creator_blocked": False}

    def _post(self, post: LemmyPost, at: float) -> Payload:
        own = {
            "id": post.id, "creator_id": post.author["id"], "community_id": 2, "removed": False,
            "locked": post.locked <= at, "published": self.time(post.created), "deleted": False, "nsfw": False,
            "ap_id": f"https://{self.spec.home or self.spec.host}/post/{post.serial}", "local": not self.spec.home,
            "language_id": 0, "featured_community": featured(post, at), "featured_local": False,
        }  # fmt: skip
        return self._said(post, at, own)

    def _comment(self, comment: LemmyComment, at: float) -> Payload:
        own = {
            "id": comment.id, "creator_id": comment.author["id"], "post_id": comment.post.id, "removed": False,
            "published": self.time(comment.created), "deleted": False,
            "ap_id": f"https://{self.spec.home or self.spec.host}/comment/{comment.serial}",
            "local": not self.spec.home, "path": comment.path, "distinguished": comment.distinguished,
            "language_id": 0,
        }  # fmt: skip
        own = self._said(comment, at, own)
        if comment.buried(at):
            own |= {"content": "", "removed" if comment.removed else "deleted": True}
        return own

    def _said(self, item: LemmyItem, at: float, own: Payload) -> Payload:
        """With its words, when they were changed, and the names of this version."""
        version = item.version(at)
        own |= orjson.loads(version.payload)
        if version is not item.versions[0]:
            own["updated"] = self.time(version.time)
        return self._renamed(own)

    def _votes_of(self, post: LemmyPost, at: float) -> Payload:
        votes = _votes(post, at) | {"comments": bisect_right(post.talk, at)}
        return votes | {"newest_comment_time": self.time(active(post, at))}

    def _person(self, person: Payload) -> Payload:
        home = self.spec.home or self.spec.host
        own = person | {"banned": False, "published": self.time(self.start - person["id"] * HOUR), "local": True}
        own |= {"actor_id": f"https://{home}/u/{person['name']}", "deleted": False, "instance_id": 1}
        return self._renamed(own)

    def community(self) -> Payload:
        home = self.spec.home or self.spec.host
        own = {
            "id": 2, "name": self.spec.name, "title": self.spec.title, "removed": False, "deleted": False,
            "published": self.time(self.start), "nsfw": False, "local": not self.spec.home, "hidden": False,
            "actor_id": f"https://{home}/c/{self.spec.name}", "posting_restricted_to_mods": False, "instance_id": 1,
        }  # fmt: skip
        return self._renamed(own | ({"visibility": "Public"} if self.spec.version >= (0, 19, 0) else {}))

    def _renamed(self, own: Payload) -> Payload:
        if self.spec.version < (1, 0, 0):
            return own
        names = {name: f"{name}_at" for name in ("published", "updated", "newest_comment_time")} | {"actor_id": "ap_id"}
        return {names.get(name, name): value for name, value in own.items()}

    def time(self, seconds: float) -> str:
        """`2023-08-06T14:41:11.578157`; a zone since 0.19."""
        text = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
        return text if self.spec.version < (0, 19, 0) else f"{text}Z"


def key(post: Post) -> str:
    """Posts and comments are numbered apart."""
    return f"{'c' if isinstance(post, LemmyComment) else 'p'}{post.id}"


def featured(post: LemmyPost, at: float) -> bool:
    return post.featured[0] <= at < post.featured[1]


def active(post: LemmyPost, at: float) -> float:
    """When it was last commented, or made."""
    count = bisect_right(post.talk, at)
    return post.talk[count - 1] if count else post.created


def _votes(item: LemmyItem, at: float) -> Payload:
    up = 1 + int(item.popularity * 20 * (1 - math.exp(-max(at - item.arrived, 0) / (12 * HOUR))))
    down = int(up * 0.1)
    return {"score": up - down, "upvotes": up, "downvotes": down}
