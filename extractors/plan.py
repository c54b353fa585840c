"""What is still to be read: a question to the lake, never to the orchestrator."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from extractors.lake import Commit, Lake
from extractors.platform import HOUR, Community, Platform, Window, floor_hour, windows


def wanted(lake: Lake, platform: Platform, now: datetime, start: datetime) -> dict[datetime, list[Community]]:
    """The closed hours since `start` that a followed community wants read, newest first: those never read to their
    end, and those whose next revisit is due. A first reading, a failure and an outage are all the same to it.
    """
    commits: dict[datetime, list[Commit]] = {}
    for commit in lake.commits(platform.name, start, now):
        commits.setdefault(commit.hour, []).append(commit)
    found: dict[datetime, list[Community]] = {}
    for follow in lake.follows(platform.name):
        for hour in _hours(max(floor_hour(start), floor_hour(follow.since)), now):
            end = hour + HOUR
            due = max(delay for delay in (timedelta(0), *platform.revisits) if end + delay <= now)
            read = (commit.observed_at for commit in commits.get(hour, ()) if commit.closes(follow.key))
            if max(read, default=hour) < end + due:
                found.setdefault(hour, []).append(follow.community)
    return dict(sorted(found.items(), reverse=True))


def groups(hours: dict[datetime, list[Community]]) -> list[tuple[Window, list[Community]]]:
    """The fewest crawls that read just what is wanted: neighbouring hours that the same communities want."""
    alike: dict[tuple[Community, ...], list[datetime]] = {}
    for hour, communities in hours.items():
        alike.setdefault(tuple(sorted(communities)), []).append(hour)
    found = [(window, list(communities)) for communities, some in alike.items() for window in windows(some)]
    return sorted(found, key=lambda group: group[0], reverse=True)


def _hours(start: datetime, now: datetime) -> Iterator[datetime]:
    hour = start
    while hour + HOUR <= now:
        yield hour
        hour += HOUR
