"""Invents 4chan boards: who posts when, what moderators do to it, and what falls off the last page.

Everything happens in order of time out of one queue, so that a world of more hours begins like one of fewer.
"""

import heapq
import math
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

import orjson

from sandbox import words
from sandbox.fourchan_board import HOUR, Board, BoardPost, BoardSpec, Thread
from sandbox.fourchan_text import BANNED, FILE_ATTRIBUTES, Context, Writer, welcome
from sandbox.history import FOREVER, Absence, Payload, Version, compact_json

BOARDS = {
    "po": BoardSpec("po", "Papercraft & Origami", 570_000, 60, 30, archived=True, spoilers=True),
    "out": BoardSpec(
        "out", "Outdoors", 1_900_000, 20, 20, archived=False, country_flags=True, user_ids=True, bump_limit=60
    ),
}

ARCHIVED_FOR = 72 * HOUR
STICKY_SHARE = 0.03  # of all posts go to the permanent sticky
OWN_WIPE = 12 * HOUR  # posts this young go when everything of one address is deleted


def invent(spec: BoardSpec, seed: int, start: float, hours: int, scale: float) -> Board:
    return _Invention(spec, Random(f"{seed}/fourchan/{spec.name}"), int(start), hours, scale).run()


class _Invention:
    def __init__(self, spec: BoardSpec, rng: Random, start: int, hours: int, scale: float) -> None:
        self._spec = spec
        self._rng = rng
        self._start = start
        self._end = start + hours * HOUR
        self._rate = spec.posts_per_hour * scale
        capacity = spec.lifetime * self._rate / spec.posts_per_thread
        self._per_page = max(3, math.ceil(capacity / spec.pages))
        self._writer = Writer(rng, spec.country_flags, spec.user_ids, spec.spoilers)
        self._no = spec.first_no
        self._threads: list[Thread] = []
        self._live: list[Thread] = []  # without sticky ones, last bump first
        self._shown: dict[int, deque[BoardPost]] = {}  # replies of sticky threads that have not fallen off
        self._queue: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._queued = 0

    def run(self) -> Board:
        sticky = self._open(self._start, sticky=True)
        now = float(self._start)
        while (now := now + self._rng.expovariate(self._rate * _rhythm(now) / HOUR)) < self._end:
            self._settle(int(now))
            chance = self._rng.random()
            if chance < STICKY_SHARE:
                self._reply(int(now), sticky)
            elif not self._live or chance > 1 - 1 / self._spec.posts_per_thread:
                self._open(int(now))
            else:
                place = int(self._rng.expovariate(4 / len(self._live))) % len(self._live)
                self._reply(int(now), self._live[place])
        self._settle(FOREVER)
        return Board(self._spec, self._per_page, self._threads, self._end)

    def _later(self, time: float, event: Callable[..., None], *arguments: object) -> None:
        self._queued += 1
        heapq.heappush(self._queue, (int(time), self._queued, event, arguments))

    def _settle(self, until: float) -> None:
        while self._queue and self._queue[0][0] <= until:
            time, _, event, arguments = heapq.heappop(self._queue)
            event(time, *arguments)

    def _open(self, now: int, sticky: bool = False) -> Thread:
        rng = self._rng
        thread = Thread(self._no + 1, now, bumps=[now])
        self._threads.append(thread)
        post = self._write(now, thread)
        if sticky:
            written = orjson.loads(post.versions.pop().payload)
            self._revise(now, post, written | welcome(self._spec.name, self._spec.title))
            thread.flags.append((now, True, False))
            self._shown[thread.no] = deque()
            return thread
        self._live.insert(0, thread)
        if rng.random() < 0.04:
            self._later(now + 60 + rng.expovariate(1 / 3) * HOUR, self._delete_thread, thread)
        if rng.random() < 0.015:
            self._later(now + words.delay(rng, 4, late=0), self._close, thread)
        if rng.random() < 0.01:
            self._later(now + words.delay(rng, 4, late=0), self._stick, thread)
        if len(self._live) > self._per_page * self._spec.pages - 1:
            self._prune(now, self._live.pop())
        return thread

    def _reply(self, now: int, thread: Thread) -> None:
        sticky, closed = thread.flags_at(now)
        if closed:
            return
        rng = self._rng
        post = self._write(now, thread)
        chance = rng.random()
        if chance < 0.03:
            self._later(now + words.delay(rng, 3), self._delete, post, thread)
        elif chance < 0.04:
            self._later(now + words.delay(rng, 3), self._ban, post, thread)
        elif chance < 0.041:
            self._later(now + words.delay(rng, 3), self._wipe, post.ip)
        if thread.no in self._shown:
            shown = self._shown[thread.no]
            shown.append(post)
            while len(shown) > self._spec.sticky_replies:
                fallen = shown.popleft()
                if fallen.visible(now):
                    fallen.absences.append(Absence(now, pruned=True))
        elif not sticky and rng.random() > 0.03 and len(thread.posts) <= self._spec.bump_limit:
            thread.bumps.append(now)
            self._live.remove(thread)
            self._live.insert(0, thread)

    def _write(self, now: int, thread: Thread) -> BoardPost:
        rng = self._rng
        self._no += 1 if rng.random() < 0.98 else 2
        opening = not thread.posts
        no = thread.no if opening else self._no
        self._no = no
        ip = rng.randrange(int(40 + 4 * self._rate))
        elsewhere = rng.choice(self._live[:20]).no if self._live else None
        context = Context(self._spec.name, [post.id for post in thread.posts[-20:]], elsewhere)
        resto = 0 if opening else thread.no
        payload = self._writer.post(no, resto, now, context, ip)
        post = BoardPost(no, now, resto=resto, ip=ip)
        self._revise(now, post, payload)
        thread.posts.append(post)
        self._changed(now, thread)
        if "tim" in payload and rng.random() < 0.03:
            self._later(now + words.delay(rng, 4), self._delete_file, post, thread)
        return post

    def _revise(self, now: int, post: BoardPost, payload: Payload) -> None:
        post.versions.append(Version(now, compact_json(payload)))

    def _changed(self, now: int, thread: Thread, silently: bool = False) -> None:
        thread.changes.append(now)
        if not silently:
            thread.touched.append(now)

    def _delete(self, now: int, post: BoardPost, thread: Thread, silently: bool = False) -> None:
        if now >= thread.left or not post.visible(now):
            return
        post.absences.append(Absence(now))
        self._changed(now, thread, silently)
        if not silently and self._rng.random() < 0.15:
            self._later(now + self._rng.uniform(0.5, 6) * HOUR, self._restore, post, thread)

    def _restore(self, now: int, post: BoardPost, thread: Thread) -> None:
        if now < thread.left:
            post.absences[-1] = Absence(post.absences[-1].since, now)
            self._changed(now, thread)

    def _wipe(self, now: int, ip: int) -> None:
        """Everything of one address goes at once, which does not move `last_modified`."""
        for thread in self._live:
            for post in thread.posts[1:]:
                if post.ip == ip and post.created > now - OWN_WIPE:
                    self._delete(now, post, thread, silently=True)

    def _ban(self, now: int, post: BoardPost, thread: Thread) -> None:
        payload = orjson.loads(post.version(now).payload)
        if now < thread.left and post.visible(now) and "com" in payload:
            self._revise(now, post, payload | {"com": payload["com"] + BANNED})
            self._changed(now, thread)

    def _delete_file(self, now: int, post: BoardPost, thread: Thread) -> None:
        payload = orjson.loads(post.version(now).payload)
        if now < thread.left and post.visible(now):
            kept = {name: value for name, value in payload.items() if name not in FILE_ATTRIBUTES}
            self._revise(now, post, kept | {"filedeleted": 1})
            self._changed(now, thread)

    def _close(self, now: int, thread: Thread) -> None:
        if now < thread.left:
            thread.flags.append((now, thread.flags_at(now)[0], True))
            self._changed(now, thread)

    def _stick(self, now: int, thread: Thread) -> None:
        """For some hours a thread is sticky and cannot fall off the last page."""
        if now < thread.left:
            thread.flags.append((now, True, thread.flags_at(now)[1]))
            self._live.remove(thread)
            self._changed(now, thread)
            self._later(now + self._rng.uniform(2, 12) * HOUR, self._unstick, thread)

    def _unstick(self, now: int, thread: Thread) -> None:
        thread.flags.append((now, False, thread.flags_at(now)[1]))
        bumped = thread.last_bump(now)
        place = next((i for i, other in enumerate(self._live) if other.last_bump(now) < bumped), len(self._live))
        self._live.insert(place, thread)
        self._changed(now, thread)

    def _delete_thread(self, now: int, thread: Thread) -> None:
        """Only from the first pages: what is gone from a late page was pruned, as crawlers assume."""
        if now < thread.left and thread in self._live[: int(len(self._live) * 0.6)]:
            self._live.remove(thread)
            thread.left = thread.dropped = now
            self._changed(now, thread)
            self._vanish(thread, Absence(now))

    def _prune(self, now: int, thread: Thread) -> None:
        thread.left = now
        thread.dropped = now + ARCHIVED_FOR if self._spec.archived else now
        self._changed(now, thread)
        self._vanish(thread, Absence(thread.dropped, pruned=True))

    def _vanish(self, thread: Thread, absence: Absence) -> None:
        for post in thread.posts:
            post.absences.append(absence)


def _rhythm(now: float) -> float:
    """How busy an hour of the day is, 1 on average: most in the evening, least in the morning (UTC)."""
    return 1 + 0.6 * math.sin((now / HOUR - 15) / 24 * 2 * math.pi)
