"""A Discourse forum with its whole past and future, and what of it is visible when. Invented in discourse_world.py."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import orjson

from sandbox.discourse_topic import ForumPost, Topic, iso
from sandbox.history import Community, Payload, Post

HOUR = 3600
PAGE = 50  # posts on a page of /posts.json

COUNTERS = frozenset((
    "reads", "readers_count", "score", "incoming_link_count", "reply_count", "posts_count", "actions_summary",
    "reactions", "reaction_users_count",
))  # fmt: skip


@dataclass(frozen=True)
class ForumSpec:
    """What a forum is like. `old` forums have the old meaning of `before` and lack what newer versions serve.

    `skipped_ids` is how many ids on average go to posts nobody sees; `leap` as many at once, early on.
    """

    host: str
    title: str
    posts_per_hour: float
    posts_per_topic: float
    first_id: int = 1_000
    old: bool = False
    needs_key: bool = False
    skipped_ids: float = 0.3
    leap: int = 0


class Forum(Community):
    """All of one forum. Built by `discourse_world.invent`; immutable afterwards, so threads may share it."""

    def __init__(self, spec: ForumSpec, topics: list[Topic], posts: list[ForumPost]) -> None:
        self.spec = spec
        self.topics = {topic.id: topic for topic in topics}
        self._posts = posts
        self._ids = [post.id for post in posts]
        self._created = [post.created for post in posts]

    def posts(self) -> Iterator[ForumPost]:
        return iter(self._posts)

    def thread_of(self, post: Post, at: float) -> int:
        assert isinstance(post, ForumPost)
        return post.place(at).topic_id

    def post(self, id: int, at: float) -> ForumPost | None:
        """A post if it is visible."""
        place = bisect_left(self._ids, id)
        post = self._posts[place] if place < len(self._ids) and self._ids[place] == id else None
        return post if post and post.visible(at) else None

    def latest(self, at: float, before: int | None) -> list[ForumPost]:
        """A page of /posts.json: regular posts, newest first.

        Today: the 50 visible posts with ids below `before`. Old forums: those that are visible among the 50 ids up to
        `before`, itself included, so a page may be short or empty though there is more.
        """
        end = bisect_right(self._created, at)
        if self.spec.old:
            newest = (self._ids[end - 1] if end else 0) if before is None else before
            last = min(end, bisect_right(self._ids, newest))
            first = bisect_right(self._ids, newest - PAGE)
            return [post for post in reversed(self._posts[first:last]) if post.regular and post.visible(at)]
        if before is not None:
            end = min(end, bisect_left(self._ids, before))
        page: list[ForumPost] = []
        while end and len(page) < PAGE:
            end -= 1
            if self._posts[end].regular and self._posts[end].visible(at):
                page.append(self._posts[end])
        return page

    def visible_topics(self, at: float) -> list[Topic]:
        """In order of creation."""
        return [topic for topic in self.topics.values() if topic.visible(at)]

    def snapshot(self, at: float) -> "ForumSnapshot":
        return ForumSnapshot(self, at)

    def payload(self, post: Post, at: float) -> Payload:
        """As /posts.json serves it, with `raw` and the topic's attributes."""
        assert isinstance(post, ForumPost)
        place = post.place(at)
        topic = self.topics[place.topic_id]
        payload: Payload = orjson.loads(post.version(at).payload)
        payload |= {
            "post_number": place.number,
            "topic_id": topic.id,
            "topic_slug": topic.slug,
            "topic_title": topic.title,
            "topic_html_title": topic.title.replace("&", "&amp;").replace("<", "&lt;"),
            "category_id": topic.category_id,
        }
        payload |= self._counters(post, at)
        if not self.spec.old:
            payload["posts_count"] = topic.posts_count(at)
            payload["post_url"] = f"/t/{topic.slug}/{topic.id}/{place.number}"
        return payload

    def _counters(self, post: ForumPost, at: float) -> Payload:
        """What moves on almost every reading of a young post, and now and then on an old one's."""
        age = max(at - post.created, 0)
        reads = 1 + int(post.popularity * math.sqrt(age / 60))
        likes = int(post.likes * (1 - math.exp(-age / (12 * HOUR))) + 0.2)
        links = int(post.popularity * math.log1p(age / HOUR) / 2)
        replies = bisect_right(post.replied, at)
        counters: Payload = {
            "reads": reads,
            "readers_count": reads - 1,
            "incoming_link_count": links,
            "reply_count": replies,
            "score": round(reads * 0.2 + likes * 15 + links * 5 + replies * 5, 1),
            "actions_summary": [{"id": 2, "count": likes}] if likes else [],
        }
        if not self.spec.old:
            counters["reactions"] = [{"id": "heart", "type": "emoji", "count": likes}] if likes else []
            counters["reaction_users_count"] = likes
        return counters

    def topic_payload(self, topic: Topic, at: float) -> Payload:
        """As an element of /latest.json's list."""
        stream = topic.stream(at)
        regular = [post for post in stream if post.regular]
        age = at - topic.created
        return {
            "id": topic.id,
            "title": topic.title,
            "fancy_title": topic.title.replace("&", "&amp;").replace("<", "&lt;"),
            "slug": topic.slug,
            "posts_count": len(regular),
            "reply_count": max(len(regular) - 1, 0),
            "highest_post_number": max((post.place(at).number for post in stream), default=0),
            "image_url": None,
            "created_at": iso(topic.created),
            "last_posted_at": iso(regular[-1].created) if regular else None,
            "bumped": True,
            "bumped_at": iso(topic.bumped(at)),
            "archetype": "regular",
            "unseen": False,
            "pinned": topic.pinned,
            "unpinned": None,
            "visible": True,
            "closed": topic.closed <= at,
            "archived": False,
            "bookmarked": None,
            "liked": None,
            "views": 3 + int(len(stream) * math.sqrt(age / 60)),
            "like_count": sum(int(post.likes * 0.6) for post in stream),
            "has_summary": len(regular) >= 50,
            "last_poster_username": self._author(regular[-1]) if regular else None,
            "category_id": topic.category_id,
            "pinned_globally": topic.pinned,
            "featured_link": None,
            "op_like_count": stream[0].likes if stream else 0,
            "tags": self._tags(topic),
            "posters": [
                {
                    "extras": None,
                    "description": "Original Poster",
                    "user_id": topic.author["user_id"],
                    "primary_group_id": None,
                }
            ],
        }

    def _tags(self, topic: Topic) -> list[str] | list[Payload]:
        if self.spec.old:
            return topic.tags
        return [{"id": len(tag), "name": tag, "slug": tag} for tag in topic.tags]

    @staticmethod
    def _author(post: ForumPost) -> str:
        return str(orjson.loads(post.versions[0].payload)["username"])


@dataclass(frozen=True)
class ForumSnapshot:
    """A forum at one moment; the lists are made when they are asked for."""

    forum: Forum
    at: float

    @cached_property
    def topics(self) -> list[Payload]:
        """In order of creation, as in /latest.json."""
        return [self.forum.topic_payload(topic, self.at) for topic in self.forum.visible_topics(self.at)]

    @cached_property
    def post_ids(self) -> list[int]:
        """All visible posts, small actions included, ascending."""
        return [post.id for post in self.forum.posts() if post.visible(self.at)]

    @cached_property
    def posts(self) -> list[Payload]:
        """The visible regular posts by id, as in /posts.json."""
        shown = [post for post in self.forum.posts() if post.regular and post.visible(self.at)]
        return [self.forum.payload(post, self.at) for post in shown]
