"""Invents Lemmy communities: who posts and comments what, who edits and deletes it, what comes late from elsewhere.

Everything happens in order of time out of one queue, so that a world of more hours begins like one of fewer.
"""

import heapq
from collections.abc import Callable
from random import Random
from typing import Any

import orjson

from sandbox import words
from sandbox.history import FOREVER, Absence, Payload, Version, compact_json
from sandbox.lemmy_community import HOUR, LemmyComment, LemmyCommunity, LemmyItem, LemmyPost, LemmySpec

FOLDING = "folding"
COMMUNITIES = {
    spec.key: spec
    for spec in (
        LemmySpec("lemmy.example", FOLDING, "Folding paper", (0, 19, 15), 30),
        LemmySpec("lemmy.example", "quiet", "Hardly anybody", (0, 19, 15), 2, comments_per_post=4),
        LemmySpec("old.lemmy.example", "trails", "Trails", (0, 18, 5), 12),
        LemmySpec("old.lemmy.example", FOLDING, "Folding paper", (0, 18, 5), 30, home="lemmy.example", late=0.1),
        LemmySpec("new.lemmy.example", "maps", "Maps", (1, 0, 0), 20),
    )
}
SHARED = 5  # communities that share the ids of an instance, at most
ACTIVE = 40  # posts that are still commented
_NAMES = ("anna", "bjorn", "chidi", "dora", "emeka", "fatima", "goro", "hanne", "ivo", "jun", "kaya", "liv")


def invent(spec: LemmySpec, seed: int, start: float, hours: int, scale: float) -> LemmyCommunity:
    """What happens is the same on every instance that has the community; ids and arrivals are not."""
    return _Invention(spec, f"{seed}/lemmy/{spec.home or spec.host}/{spec.name}", start, hours, scale).run()


class _Invention:
    def __init__(self, spec: LemmySpec, seed: str, start: float, hours: int, scale: float) -> None:
        self._spec, self._start, self._end = spec, start, start + hours * HOUR
        self._rng = Random(seed)
        self._chance = Random(f"{seed}/{spec.host}")  # of what differs between instances
        self._rate = spec.comments_per_hour * scale
        self._people = [_person(self._rng, spec, id) for id in range(1, 30 + int(self._rate))]
        self._stock = words.sentences(self._rng, 300)
        self._serial = 100
        first = list(COMMUNITIES).index(spec.key)
        self._ids = {"post": 1000 + first, "comment": 5000 + first}
        self._posts: list[LemmyPost] = []
        self._comments: list[LemmyComment] = []
        self._active: list[LemmyPost] = []
        self._talk: dict[LemmyPost, list[LemmyComment]] = {}
        self._queue: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._queued = 0

    def run(self) -> LemmyCommunity:
        self._open(self._start)
        now = self._start
        while (now := round(now + self._rng.expovariate(self._rate / HOUR), 6)) < self._end:
            self._settle(now)
            if self._rng.random() < 1 / (1 + self._spec.comments_per_post):
                self._open(now)
            else:
                self._comment(now)
        self._settle(FOREVER)
        return LemmyCommunity(
            self._spec, self._start, [p for p in self._posts if p.id], [c for c in self._comments if c.id]
        )

    def _later(self, time: float, event: Callable[..., None], *arguments: object) -> None:
        self._queued += 1
        heapq.heappush(self._queue, (round(time, 6), self._queued, event, arguments))

    def _settle(self, until: float) -> None:
        while self._queue and self._queue[0][0] <= until:
            time, _, event, arguments = heapq.heappop(self._queue)
            event(time, *arguments)

    def _open(self, now: float) -> None:
        rng = self._rng
        said: Payload = {"name": words.subject(rng).capitalize()}
        if rng.random() < 0.6:
            said["body"] = self._text()
        if rng.random() < 0.4:
            said["url"] = rng.choice(words.LINKS)
        post = LemmyPost(0, now, [Version(now, compact_json(said))], author=rng.choice(self._people))
        self._made(now, post, self._posts)
        self._talk[post] = []
        self._active = [*self._active[-ACTIVE:], post]
        chance, when = rng.random(), words.delay(rng, 4)
        if chance < 0.05 and len(self._posts) > 1:
            self._later(now + when, self._delete_post, post)
        elif chance < 0.09:
            post.featured = (now + when, now + when + 20 * HOUR)
        elif chance < 0.13:
            post.locked = now + when

    def _comment(self, now: float) -> None:
        rng = self._rng
        post = self._active[-1 - int(rng.expovariate(1 / 5)) % len(self._active)]
        talk, deep = self._talk[post], rng.random() < 0.6
        parent = rng.choice(talk[-8:]) if talk and deep else None
        said = {"content": self._text()}
        comment = LemmyComment(0, now, [Version(now, compact_json(said))], author=rng.choice(self._people))
        comment.post, comment.parent, comment.absences = post, parent, list(post.absences)
        comment.distinguished = comment.author["id"] == 1 and rng.random() < 0.5
        self._made(now, comment, self._comments)
        talk.append(comment)
        chance, when = rng.random(), words.delay(rng, 3)
        if chance < 0.06:
            comment.removed = chance < 0.02
            self._later(now + when, self._bury, comment)

    def _made(self, now: float, item: LemmyItem, where: list[Any]) -> None:
        """Numbered at home now, and here when it arrives, which is not before what it answers."""
        rng = self._rng
        self._serial += 1
        item.serial, item.popularity = self._serial, rng.uniform(0.1, 3)
        where.append(item)
        if rng.random() < 0.08:
            self._later(now + words.delay(rng, 2), self._edit, item)
        late = self._chance.uniform(0.2, 30) * HOUR if self._chance.random() < self._spec.late else 0.0
        before = (
            max((item.post.arrived, item.parent.arrived if item.parent else 0)) if isinstance(item, LemmyComment) else 0
        )
        item.arrived = max(round(now + late, 6), before)
        self._later(item.arrived, self._arrive, item)

    def _arrive(self, now: float, item: LemmyItem) -> None:
        kind = "comment" if isinstance(item, LemmyComment) else "post"
        self._ids[kind] += SHARED * (1 + int(self._chance.expovariate(1 / self._spec.stride)))
        item.id = self._ids[kind]
        if isinstance(item, LemmyComment):
            item.post.talk.append(now)
            parent = item.parent
            while parent:
                parent.replies.append(now)
                parent = parent.parent

    def _edit(self, now: float, item: LemmyItem) -> None:
        if any(gone.since <= now < gone.until for gone in item.absences):
            return
        said = orjson.loads(item.versions[-1].payload)
        name = "content" if isinstance(item, LemmyComment) else "body"
        said[name] = f"{said.get(name, '')}\n\nEDIT: {self._rng.choice(self._stock)}"
        item.versions.append(Version(now, compact_json(said)))

    def _bury(self, now: float, comment: LemmyComment) -> None:
        """Deleted or removed: it stays, without its words, and may come back."""
        until = now + self._rng.uniform(0.5, 8) * HOUR if self._rng.random() < 0.2 else FOREVER
        tomb = Absence(now, round(until, 6))
        comment.tombs.append(tomb)
        comment.absences.append(tomb)

    def _delete_post(self, now: float, post: LemmyPost) -> None:
        """Its comments go with it; it may come back, and they with it."""
        until = now + self._rng.uniform(0.5, 6) * HOUR if self._rng.random() < 0.2 else FOREVER
        gone = Absence(now, round(until, 6))
        for item in (post, *self._talk[post]):
            item.absences.append(gone)
        if until == FOREVER and post in self._active and len(self._active) > 1:
            self._active.remove(post)

    def _text(self) -> str:
        """Markdown of one to three blocks."""
        rng = self._rng
        first, second = rng.choice(self._stock), rng.choice(self._stock)
        block = rng.randrange(7)
        more = (
            f"**{second}**", f"> {second}\n\n{first}",
            f"See [this]({rng.choice(words.LINKS)}), {rng.choice(words.LINKS)}",
            f"- {first}\n- {second}", f"```python\n{words.CODE}\n```", f"::: spoiler {second}\n{first}\n:::", "",
        )[block]  # fmt: skip
        return f"{first}\n\n{more}".strip()


def _person(rng: Random, spec: LemmySpec, id: int) -> Payload:
    name = f"{rng.choice(_NAMES)}{id}"
    person: Payload = {"id": id, "name": name, "bot_account": id % 11 == 0}
    if id % 3 == 0:
        person["display_name"] = name.title()
    if id % 4 == 0:
        person["avatar"] = f"https://{spec.home or spec.host}/pictrs/image/{id}.webp"
    return person
