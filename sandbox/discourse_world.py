"""Invents Discourse forums: who writes what, who edits it, and what moderators hide, delete and move.

Everything happens in order of time out of one queue, so that a world of more hours begins like one of fewer.
"""

import heapq
import math
from collections.abc import Callable
from random import Random
from typing import Any

import orjson

from sandbox import words
from sandbox.discourse_forum import HOUR, Forum, ForumSpec
from sandbox.discourse_text import ALWAYS, DELETED_BY_AUTHOR, HIDDEN, NEWER, SYSTEM, Writer, people
from sandbox.discourse_topic import ForumPost, Place, Topic, iso
from sandbox.history import FOREVER, Absence, Payload, Version, compact_json

FORUMS = {
    "forum.example": ForumSpec("forum.example", "A busy forum", 40, 12),
    "old.example": ForumSpec("old.example", "A quiet, old forum", 3, 8, old=True, skipped_ids=4, leap=340),
    "private.example": ForumSpec("private.example", "A private forum", 5, 10, needs_key=True),
}

CATEGORIES = (1, 3, 4, 5, 7)
TAGS = ("paper", "release", "help", "off-topic")
ACTIVE = 100  # topics that can get replies
LEAP_AFTER = 15  # posts
GRACE = 300  # seconds in which an edit makes no version
AUTHOR_DELETED_FOR = 24 * HOUR  # then the post vanishes


def invent(spec: ForumSpec, seed: int, start: float, hours: int, scale: float) -> Forum:
    return _Invention(spec, Random(f"{seed}/discourse/{spec.host}"), start, hours, scale).run()


class _Invention:
    def __init__(self, spec: ForumSpec, rng: Random, start: float, hours: int, scale: float) -> None:
        self._spec = spec
        self._rng = rng
        self._start = start
        self._end = start + hours * HOUR
        self._rate = spec.posts_per_hour * scale
        self._people = people(rng, spec.host, 40 + int(self._rate / 2))
        self._writer = Writer(rng, spec.host, [person["username"] for person in self._people])
        self._id = spec.first_id
        self._topics: list[Topic] = []
        self._active: list[Topic] = []  # open ones, last reply last; older ones are forgotten
        self._posts: list[ForumPost] = []
        self._queue: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._queued = 0

    def run(self) -> Forum:
        self._open(self._start, pinned=True)
        now = self._start
        while (now := round(now + self._rng.expovariate(self._rate * _rhythm(now) / HOUR), 3)) < self._end:
            self._settle(now)
            if not self._active or self._rng.random() < 1 / self._spec.posts_per_topic:
                self._open(now)
            else:
                back = 1 + int(self._rng.expovariate(1 / 6)) % len(self._active)
                self._reply(now, self._active[-back])
        self._settle(FOREVER)
        return Forum(self._spec, self._topics, self._posts)

    def _later(self, time: float, event: Callable[..., None], *arguments: object) -> None:
        self._queued += 1
        heapq.heappush(self._queue, (round(time, 3), self._queued, event, arguments))

    def _settle(self, until: float) -> None:
        while self._queue and self._queue[0][0] <= until:
            time, _, event, arguments = heapq.heappop(self._queue)
            event(time, *arguments)

    def _open(self, now: float, pinned: bool = False) -> None:
        rng = self._rng
        title = words.subject(rng)
        title = title[0].upper() + title[1:]
        author = rng.choice(self._people)
        tags = rng.sample(TAGS, rng.choice((0, 1, 1, 2)))
        topic = Topic(
            len(self._topics) * 2 + 11, now, title, words.slug(title), rng.choice(CATEGORIES), tags, author, pinned
        )
        self._topics.append(topic)
        self._active.append(topic)
        del self._active[:-ACTIVE]
        self._write(now, topic, author)
        if not pinned and rng.random() < 0.02:
            self._later(now + words.delay(rng, 5), self._delete_topic, topic)
        if not pinned and rng.random() < 0.05:
            self._later(now + words.delay(rng, 12), self._close, topic)

    def _reply(self, now: float, topic: Topic) -> None:
        rng = self._rng
        post = self._write(now, topic, rng.choice(self._people))
        self._active.remove(topic)
        self._active.append(topic)
        chance = rng.random()
        if chance < 0.015:
            self._later(now + words.delay(rng, 3), self._delete_by_author, post)
        elif chance < 0.03:
            self._later(now + words.delay(rng, 4), self._delete_by_staff, post)
        elif chance < 0.037:
            self._later(now + words.delay(rng, 3), self._hide, post)
        elif chance < 0.042:
            self._later(now + words.delay(rng, 6), self._move, post)

    def _write(self, now: float, topic: Topic, author: Payload) -> ForumPost:
        rng = self._rng
        lead = self._writer.lead()
        raw, cooked = self._writer.post(lead)
        answered: ForumPost | None = None
        quotes = 0
        shown = [post for post in topic.members[-10:] if post.regular and self._stands(now, post, topic)]
        if shown and rng.random() < 0.5:
            answered = rng.choice(shown)
            answered.replied.append(now)
            if rng.random() < 0.5:
                whom = self._current(answered)["username"]
                quote = self._writer.quote(whom, answered.place(now).number, topic.id, answered.lead)
                raw, cooked, quotes = quote[0] + raw, quote[1] + cooked, 1
        payload = {"raw": raw, "cooked": cooked, "post_type": 1, "version": 1, "quote_count": quotes}
        payload["reply_to_post_number"] = answered.place(now).number if answered else None
        if answered:
            to = self._current(answered)
            payload["reply_to_user"] = {key: to[key] for key in ("username", "name", "avatar_template")}
        if not self._spec.old:
            payload |= {"excerpt": lead[:100], "truncated": len(raw) > 100}
        post = self._place(now, topic, author, payload)
        post.lead = lead
        topic.bumps.append(now)
        chance = rng.random()
        if chance < 0.04:
            self._later(now + rng.uniform(20, GRACE - 20), self._edit, post, False)
        elif chance < 0.1:
            self._later(now + GRACE + words.delay(rng, 2), self._edit, post, True)
        elif chance < 0.11:
            self._later(now + words.delay(rng, 12), self._rebake, post)
        return post

    def _place(self, now: float, topic: Topic, author: Payload, payload: Payload) -> ForumPost:
        """Gives a new post its id and its number."""
        rng = self._rng
        self._id += 1 + int(rng.expovariate(1 / self._spec.skipped_ids))
        if len(self._posts) == LEAP_AFTER:
            self._id += self._spec.leap
        whole = ALWAYS | ({} if self._spec.old else NEWER) | author | payload
        whole |= {"id": self._id, "created_at": iso(now), "updated_at": iso(now)}
        post = ForumPost(self._id, now, popularity=rng.uniform(0.5, 3), likes=int(rng.expovariate(1 / 2)))
        post.versions.append(Version(now, compact_json(whole)))
        self._put(now, post, topic)
        self._posts.append(post)
        return post

    def _put(self, now: float, post: ForumPost, topic: Topic) -> None:
        topic.highest += 1
        topic.members.append(post)
        post.places.append(Place(now, topic.id, topic.highest))

    def _current(self, post: ForumPost) -> Payload:
        payload: Payload = orjson.loads(post.versions[-1].payload)
        return payload

    def _stands(self, now: float, post: ForumPost, topic: Topic) -> bool:
        return post.visible(now) and post.place(now).topic_id == topic.id

    def _revise(self, now: float, post: ForumPost, payload: Payload, content: bool = True) -> None:
        post.versions.append(Version(now, compact_json(payload | {"updated_at": iso(now)}), content))

    def _edit(self, now: float, post: ForumPost, bumped: bool) -> None:
        payload = self._current(post)
        if not post.visible(now) or payload["hidden"] or payload["user_deleted"]:
            return
        added, cooked = self._writer.post("EDIT: " + self._writer.lead())
        payload |= {"raw": f"{payload['raw']}\n\n{added}", "cooked": f"{payload['cooked']}\n{cooked}"}
        if bumped:
            payload["version"] += 1
            payload["edit_reason"] = "typos" if self._rng.random() < 0.3 else None
        self._revise(now, post, payload)
        topic = self._topic(now, post)
        if topic.stream(now)[-1] is post:
            topic.bumps.append(now)

    def _rebake(self, now: float, post: ForumPost) -> None:
        if post.visible(now):
            self._revise(now, post, self._current(post), content=False)

    def _delete_by_author(self, now: float, post: ForumPost) -> None:
        payload = self._current(post)
        if post.visible(now) and not payload["hidden"]:
            raw, cooked = DELETED_BY_AUTHOR
            payload |= {"raw": raw, "cooked": cooked, "user_deleted": True, "version": payload["version"] + 1}
            self._revise(now, post, payload)
            self._later(now + AUTHOR_DELETED_FOR, self._remove, post)

    def _remove(self, now: float, post: ForumPost) -> None:
        if post.visible(now):
            post.absences.append(Absence(now))

    def _delete_by_staff(self, now: float, post: ForumPost) -> None:
        if post.visible(now):
            post.absences.append(Absence(now))
            if self._rng.random() < 0.15:
                self._later(now + self._rng.uniform(0.5, 6) * HOUR, self._restore, post, post.absences[-1])

    def _restore(self, now: float, post: ForumPost, absence: Absence) -> None:
        post.absences[post.absences.index(absence)] = Absence(absence.since, now)

    def _hide(self, now: float, post: ForumPost) -> None:
        payload = self._current(post)
        if post.visible(now) and not payload["user_deleted"]:
            hidden = payload | {"hidden": True, "cooked": HIDDEN}
            del hidden["raw"]
            self._revise(now, post, hidden)
            if self._rng.random() < 0.5:
                self._later(now + self._rng.uniform(1, 20) * HOUR, self._unhide, post, payload)

    def _unhide(self, now: float, post: ForumPost, payload: Payload) -> None:
        if post.visible(now) and self._current(post)["hidden"]:
            self._revise(now, post, payload)

    def _move(self, now: float, post: ForumPost) -> None:
        target = self._active[-1 - self._rng.randrange(min(len(self._active), 10))] if self._active else None
        if target and post.visible(now) and target.id != post.place(now).topic_id and target.created < now:
            self._put(now, post, target)

    def _close(self, now: float, topic: Topic) -> None:
        """A closed topic ends with a small action, which is a post that /posts.json does not show."""
        if topic.visible(now):
            topic.closed = now
            self._forget(topic)
            payload: Payload = {"raw": "", "cooked": "", "post_type": 3, "action_code": "closed.enabled", "version": 1}
            self._place(now, topic, SYSTEM, payload | {"reply_to_post_number": None}).regular = False

    def _delete_topic(self, now: float, topic: Topic) -> None:
        topic.deleted = Absence(now)
        self._forget(topic)
        for post in topic.members:
            if post.place(now).topic_id == topic.id:
                post.absences.append(topic.deleted)

    def _forget(self, topic: Topic) -> None:
        if topic in self._active:
            self._active.remove(topic)

    def _topic(self, now: float, post: ForumPost) -> Topic:
        return self._topics[(post.place(now).topic_id - 11) // 2]


def _rhythm(now: float) -> float:
    """How busy an hour of the day is, 1 on average: most in the afternoon, least at night (UTC)."""
    return 1 + 0.6 * math.sin((now / HOUR - 9) / 24 * 2 * math.pi)
