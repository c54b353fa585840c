"""What the tables must say, worked out from the sandbox's world and the moments of reading, by other code than ours."""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from sandbox.discord_guild import Channel
from sandbox.history import Post, moment
from sandbox.lemmy_community import LemmyComment, LemmyItem, key
from sandbox.world import World

HOUR, YOUNG = timedelta(hours=1), timedelta(minutes=5)
REVISITS = (timedelta(0), timedelta(hours=1), timedelta(hours=24), timedelta(days=7))
THERE, BURIED, GONE, NOTHING = "there", "listed without its words", "gone", "nothing that proves anything"


@dataclass(frozen=True)
class Expected:
    """One post: what it said when it was last read, whether it is known to be gone, and all it was seen to say."""

    words: str | None
    deleted: bool
    versions: int


@dataclass(frozen=True)
class Subject:
    """A post of the world: its id in the tables, what a complete reading shows of it at a moment, and the moments when
    it was surely read. `perhaps` it was read at others, too, because it stands beside what was."""

    row: str
    post: Post
    sight: Callable[[datetime], str]
    surely: AbstractSet[datetime]
    perhaps: AbstractSet[datetime] = frozenset()

    def outcomes(self) -> set[Expected | None]:
        """All that the tables may say of it, None for not a word."""
        found: set[Expected | None] = set()
        sights = {at: self.sight(at) for at in sorted(self.surely | self.perhaps)}
        there = [at for at, sight in sights.items() if sight == THERE]
        young = self.post.created + YOUNG.total_seconds()
        proofs = [at for at, s in sights.items() if s == BURIED or (s == GONE and at.timestamp() >= young)]
        sure = max((at for at in there if at in self.surely), default=None)
        for last in (at for at in there if sure is None or at >= sure):
            until = [at for at in there if at <= last]
            most = {content(self._said(at)) for at in until}
            least = {content(self._said(at)) for at in until if at in self.surely or at == last}
            after = [at in self.surely for at in proofs if at > last]
            for deleted in {any(after), bool(after)}:
                for versions in range(len(least), len(most) + 1):
                    found.add(Expected(words(self._said(last)), deleted, versions))
        if sure is None:
            buried = [at for at, sight in sights.items() if sight == BURIED]
            found |= {Expected("", deleted=True, versions=0)} if buried else {None}
            if buried and proofs[-1] > buried[-1]:  # then not even its grave was there
                found.add(Expected(None, deleted=True, versions=0))
        return found

    def _said(self, at: datetime) -> dict[str, Any]:
        said: dict[str, Any] = orjson.loads(self.post.version(at.timestamp()).payload)
        return said


def expected(world: World, key: str, since: datetime, ticks: Sequence[datetime]) -> dict[str, set[Expected | None]]:
    """By post id, of the community `key`, tracked since an hour, when the schedules ticked at `ticks`, ascending."""
    subjects = SUBJECTS[key.partition(":")[0]](world, key.partition(":")[2], since, ticks)
    return {subject.row: subject.outcomes() for subject in subjects}


def standing(world: World, key: str, at: datetime) -> dict[str, set[Expected | None]]:
    """Of a community whose whole past was read at a moment; what fell off a board may be in its archive yet."""
    platform, _, name = key.partition(":")
    found = {}
    for subject in SUBJECTS[platform](world, name, at, [at]):
        if platform != "fourchan" or subject.sight(at) != NOTHING:
            found[subject.row] = replace(subject, surely={at}, perhaps=frozenset()).outcomes()
    return found


def words(payload: dict[str, Any]) -> str | None:
    """What of a payload, or of what the world keeps of one, no counter moves."""
    record = next((payload[name] for name in ("comment", "post", "message") if name in payload), payload)
    return next((str(record[name]) for name in ("raw", "com", "content", "body") if name in record), None)


def content(payload: dict[str, Any]) -> tuple[object, ...]:
    """What makes a version: a post's words and, on 4chan, its file."""
    if "raw" in payload:
        return (payload["raw"],)
    record = payload.get("message", payload)
    names = ("sub", "com", "md5", "filename", "filedeleted", "name", "url", "body", "title", "content")
    return tuple(str(record.get(name)) for name in names)


def sight(post: Post, at: datetime) -> str:
    """What a complete reading shows of a post."""
    now = at.timestamp()
    if now < (post.arrived if isinstance(post, LemmyItem) else post.created):
        return NOTHING
    absence = post.absence(now)
    if absence is None:
        return THERE
    if isinstance(post, LemmyComment) and post.listed(now):
        return BURIED
    return NOTHING if absence.pruned else GONE


def hour_readings(post: Post, since: datetime, ticks: Sequence[datetime]) -> list[datetime]:
    """When the hour of a post's creation is read: at the first tick after its end, and after each revisit's time."""
    created = moment(post.created)
    if created < since:
        return []
    end = created.replace(minute=0, second=0, microsecond=0) + HOUR
    firsts = (next((tick for tick in ticks if tick >= end + delay), None) for delay in REVISITS)
    return sorted({first for first in firsts if first})


def fourchan(world: World, name: str, since: datetime, ticks: Sequence[datetime]) -> Iterator[Subject]:
    for post in world.fourchan_board(name).posts():
        yield Subject(f"{name}/{post.id}", post, lambda at, post=post: sight(post, at), set(ticks))


def discourse(world: World, name: str, since: datetime, ticks: Sequence[datetime]) -> Iterator[Subject]:
    for post in world.discourse_forum(name).posts():
        if post.regular:  # what Discourse says of itself stands in no list of posts
            yield _by_hour(str(post.id), post, since, ticks)


def lemmy(world: World, name: str, since: datetime, ticks: Sequence[datetime]) -> Iterator[Subject]:
    for item in world.lemmy_community(name).posts():
        yield _by_hour(key(item), item, since, ticks)


def discord(world: World, name: str, since: datetime, ticks: Sequence[datetime]) -> Iterator[Subject]:
    """An empty list may be a closed door, so it proves nothing."""
    guild = world.discord_guild(name)
    for message in guild.posts():
        channel = guild.by_id[message.channel]

        def seen(at: datetime, message: Post = message, channel: Channel = channel) -> str:
            shows = not channel.stands(at.timestamp()) or any(one.visible(at.timestamp()) for one in channel.messages)
            return sight(message, at) if shows else NOTHING

        yield Subject(str(message.id), message, seen, set(hour_readings(message, since, ticks)))


def _by_hour(row: str, post: Post, since: datetime, ticks: Sequence[datetime]) -> Subject:
    return Subject(row, post, lambda at: sight(post, at), set(hour_readings(post, since, ticks)))


def mods_de(world: World, name: str, since: datetime, ticks: Sequence[datetime]) -> Iterator[Subject]:
    """An hour is first read from the list of threads, then by the pages with posts that are known; whatever stands on
    a page is read with it. Threads move between boards: that one left proves nothing."""
    for home in ("14", "15"):
        board = world.mods_de_board(home)
        for post in board.posts():
            thread = board.threads[post.thread]

            def seen(at: datetime, post: Post = post, thread: Any = thread, home: str = home) -> str:
                return sight(post, at) if thread.board(at.timestamp(), home) == name else NOTHING

            readings = hour_readings(post, since, ticks)
            known = next((i for i, at in enumerate(readings) if seen(at) == THERE), len(readings))
            surely = set(readings if known == 0 else [])
            yield Subject(str(post.id), post, seen, surely, {at for at in ticks if at.timestamp() >= post.created})


SUBJECTS: dict[str, Callable[[World, str, datetime, Sequence[datetime]], Iterator[Subject]]] = {
    "fourchan": fourchan, "discourse": discourse, "lemmy": lemmy, "discord": discord, "mods_de": mods_de,
}  # fmt: skip
