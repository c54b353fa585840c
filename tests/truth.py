"""What the tables must say, worked out from the sandbox's truth and the moments of reading, by other code than ours."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox.history import PostTruth
from sandbox.world import World

HOUR, YOUNG = timedelta(hours=1), timedelta(minutes=5)
REVISITS = (timedelta(0), timedelta(hours=1), timedelta(hours=24), timedelta(days=7))


@dataclass(frozen=True)
class Expected:
    """One post: what it said when it was last read, whether it is known to be gone, and all it was seen to say."""

    words: str | None
    deleted: bool
    versions: int


def words(payload: dict[str, object]) -> str | None:
    """What of a payload no counter moves."""
    for name in ("raw", "com"):
        if name in payload:
            return str(payload[name])
    return None


def expected(world: World, key: str, since: datetime, ticks: Sequence[datetime]) -> dict[str, Expected]:
    """By post id, of the community `key`, tracked since an hour, when the schedules ticked at `ticks`, ascending."""
    platform, _, name = key.partition(":")
    readings: Callable[[PostTruth], Iterable[datetime]] = (
        (lambda post: ticks) if platform == "fourchan" else (lambda post: hour_readings(post.created_at, since, ticks))
    )
    found = {}
    for post in world.truth(platform, name, ticks[-1]):
        if post.payload.get("post_type", 1) != 1:  # what Discourse says of itself stands in no list of posts
            continue
        read = list(readings(post))
        seen = [at for at in read if visible(post, at)]
        if not seen:
            continue
        said = [max((t, i) for i, (t, _) in enumerate(post.versions) if t <= at)[1] for at in seen]
        deleted = not post.pruned and any(at > seen[-1] and at - post.created_at >= YOUNG for at in read)
        row = f"{name}/{post.id}" if platform == "fourchan" else post.id
        contents = {content(post.versions[i][1]) for i in said}
        found[row] = Expected(words(post.versions[said[-1]][1]), deleted, len(contents))
    return found


def content(payload: dict[str, object]) -> tuple[object, ...]:
    """What makes a version: a post's words and, on 4chan, its file."""
    if "raw" in payload:
        return (payload["raw"],)
    return tuple(str(payload.get(name)) for name in ("sub", "com", "md5", "filename", "filedeleted"))


def visible(post: PostTruth, at: datetime) -> bool:
    return post.created_at <= at and not any(
        since <= at and (until is None or at < until) for since, until in post.absences
    )


def hour_readings(created: datetime, since: datetime, ticks: Sequence[datetime]) -> list[datetime]:
    """When the hour of a post's creation is read: at the first tick after its end, and after each revisit's time."""
    if created < since:
        return []
    end = created.replace(minute=0, second=0, microsecond=0) + HOUR
    firsts = (next((tick for tick in ticks if tick >= end + delay), None) for delay in REVISITS)
    return sorted({first for first in firsts if first})
