"""Invents boards of mods.de: who writes what, who edits it, and what moderators hide, delete, rename, close and move.

Everything happens in order of time out of one queue, so that a world of more hours begins like one of fewer.
"""

import heapq
from collections.abc import Callable
from random import Random
from typing import Any

import orjson

from sandbox import words
from sandbox.history import FOREVER, Absence, Payload, Version, compact_json
from sandbox.mods_de_board import Board, BoardPost, BoardSpec, BoardThread, dated, post_record
from sandbox.mods_de_text import Writer, people
from sandbox.mods_de_xml import mangle

BOARDS = {
    "14": BoardSpec("14", "public offtopic & Büro", 45, 14),
    "15": BoardSpec("15", "Zelte €", 4, 8),
    "16": BoardSpec("16", "Moderatoren", 2, 6, for_guests=False),
}
TAGS = ("Sport", "Büro", "€uro", "Frage")
ACTIVE = 60  # threads that can get replies
HOUR = 3600


def invent(spec: BoardSpec, seed: int, start: float, hours: int, scale: float) -> Board:
    return _Invention(spec, seed, start, hours, scale).run()


class _Invention:
    def __init__(self, spec: BoardSpec, seed: int, start: float, hours: int, scale: float) -> None:
        self._spec, self._start, self._end = spec, start, start + hours * HOUR
        self._rng = Random(f"{seed}/mods_de/{spec.id}")
        self._rate = spec.posts_per_hour * scale
        self._people = people(seed)
        self._writer = Writer(self._rng)
        self._thread_id = int(spec.id) * 10_000
        self._post_id = int(spec.id) * 1_000_000
        self._threads: list[BoardThread] = []
        self._active: list[BoardThread] = []
        self._posts: list[BoardPost] = []
        self._queue: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._queued = 0

    def run(self) -> Board:
        self._open(self._start, sticky=True)
        self._open(self._start, is_global=True)
        now = self._start
        while (now := now + self._rng.expovariate(self._rate / HOUR)) < self._end:
            moment = float(int(now))  # the API knows whole seconds
            self._settle(moment)
            if self._rng.random() < 1 / self._spec.posts_per_thread:
                self._open(moment)
            else:
                back = 1 + int(self._rng.expovariate(1 / 5)) % len(self._active)
                self._reply(moment, self._active[-back])
        self._settle(FOREVER)
        return Board(self._spec, {one.uid: one for one in self._people}, self._threads, self._posts)

    def _later(self, time: float, event: Callable[..., None], *arguments: object) -> None:
        self._queued += 1
        heapq.heappush(self._queue, (float(int(time)), self._queued, event, arguments))

    def _settle(self, until: float) -> None:
        while self._queue and self._queue[0][0] <= until:
            time, _, event, arguments = heapq.heappop(self._queue)
            event(time, *arguments)

    def _open(self, now: float, sticky: bool = False, is_global: bool = False) -> None:
        rng = self._rng
        self._thread_id += 1 + rng.randrange(3)
        titles = [(now, words.subject(rng), rng.choice(("", words.subject(rng))))]
        tags = rng.sample(TAGS, rng.choice((0, 1, 2)))
        thread = BoardThread(self._thread_id, now, rng.choice(self._people), titles, tags, sticky, is_global)
        self._threads.append(thread)
        self._active.append(thread)
        del self._active[:-ACTIVE]
        self._write(now, thread, thread.author.uid)
        if sticky or is_global:
            return
        chance = rng.random()
        if chance < 0.04:
            self._later(now + words.delay(rng, 5), self._delete_thread, thread)
        elif chance < 0.08:
            self._later(now + words.delay(rng, 5), self._move, thread)
        elif chance < 0.14:
            self._later(now + words.delay(rng, 4), self._rename, thread)
        elif chance < 0.2:
            self._later(now + words.delay(rng, 12), self._close, thread)

    def _reply(self, now: float, thread: BoardThread) -> None:
        rng = self._rng
        self._write(now, thread, rng.choice(self._people).uid)
        self._active.remove(thread)
        self._active.append(thread)
        post = thread.members[-1]
        chance = rng.random()
        if chance < 0.03:
            self._later(now + words.delay(rng, 4), self._hide, post)
        elif chance < 0.04:
            self._later(now + words.delay(rng, 4), self._hide_text, post)

    def _write(self, now: float, thread: BoardThread, author: int) -> None:
        rng = self._rng
        person = next(one for one in self._people if one.uid == author)
        lead = self._writer.lead()
        text = self._writer.post(lead)
        shown = [post for post in thread.members[-10:] if post.visible(now)]
        if shown and rng.random() < 0.3:
            other = rng.choice(shown)
            name = next(one for one in self._people if one.uid == other.author).name
            text = self._writer.quote(thread.id, other.id, name, other.lead) + text
        self._post_id += 1 + rng.randrange(3)
        record = post_record(self._post_id, person, int(now), text, rng.choice(("", "", "Re")))
        if rng.random() < 0.2:
            record["icon"] = {"id": "28", "text": "./img/icons/icon9.gif"}
        post = BoardPost(self._post_id, now, [Version(now, compact_json(record))], [], thread.id, author, lead)
        thread.add(post)
        self._posts.append(post)
        if rng.random() < 0.08:
            self._later(now + words.delay(rng, 2), self._edit, post)

    def _current(self, post: BoardPost) -> Payload:
        payload: Payload = orjson.loads(post.versions[-1].payload)
        return payload

    def _edit(self, now: float, post: BoardPost) -> None:
        payload = self._current(post)
        if post.visible(now) and "is-hidden" not in payload:
            message = payload["message"]
            count = int(message["edited"]["count"]) + 1
            by = {"id": payload["user"]["id"], "text": payload["user"]["text"]}
            message["edited"] = {"count": str(count), "lastedit": {"user": by, "date": dated(now)}}
            message["content"] += mangle(f"\n\n[b]edit:[/b] {self._writer.lead()}")
            post.versions.append(Version(now, compact_json(payload)))

    def _hide(self, now: float, post: BoardPost) -> None:
        if post.visible(now):
            post.absences.append(Absence(now))
            if self._rng.random() < 0.15:
                self._later(now + self._rng.uniform(0.5, 6) * HOUR, self._restore, post, post.absences[-1])

    def _restore(self, now: float, post: BoardPost, absence: Absence) -> None:
        post.absences[post.absences.index(absence)] = Absence(absence.since, now)

    def _hide_text(self, now: float, post: BoardPost) -> None:
        payload = self._current(post)
        if post.visible(now):
            payload["is-hidden"] = "texthidden"
            payload["message"] |= {"content": "", "title": ""}
            post.versions.append(Version(now, compact_json(payload)))

    def _rename(self, now: float, thread: BoardThread) -> None:
        if thread.visible(now):
            thread.titles.append((now, words.subject(self._rng) + " €", thread.titles[-1][2]))

    def _close(self, now: float, thread: BoardThread) -> None:
        if thread.visible(now):
            thread.closed = now
            self._forget(thread)

    def _move(self, now: float, thread: BoardThread) -> None:
        if thread.visible(now):
            thread.moved = (now, "15" if self._spec.id != "15" else "14")
            self._forget(thread)

    def _delete_thread(self, now: float, thread: BoardThread) -> None:
        if thread.visible(now):
            thread.deleted = Absence(now)
            self._forget(thread)
            for post in thread.members:
                post.absences.append(thread.deleted)

    def _forget(self, thread: BoardThread) -> None:
        if thread in self._active:
            self._active.remove(thread)
