"""What is still to be read: a question to the lake, never to the orchestrator.

A community has its turn once in its interval, at a phase that its key decides, so that many of one interval do not all
come at once. Nothing of this is kept anywhere: whoever asks again, after whatever crash, gets the same answer.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from extractors.lake import Commit, Lake, Tracked
from extractors.platform import HOUR, Community, Platform, Window, floor_hour, windows
from extractors.records import digest

DAY = timedelta(days=1)
LOOK_BACK = timedelta(days=8)
"""How far before it was tracked a community is read hour by hour, which revisits need; what is older is history's."""
PATIENT = 2
"""Failures in a row after which the next one costs a pause."""


@dataclass(frozen=True)
class Health:
    """How the last readings of a community went; `failures` in a row, not counting a run twice."""

    succeeded_at: datetime | None = None
    failed_at: datetime | None = None
    failures: int = 0
    error: str | None = None

    @property
    def pause_until(self) -> datetime | None:
        """It is left alone until then: an hour after the third failure in a row, then twice as long, a day at most."""
        if self.failed_at is None or self.failures <= PATIENT:
            return None
        return self.failed_at + backoff(self.failures)


def backoff(failures: int) -> timedelta:
    """After so many failures in a row, more than PATIENT of them."""
    return min(HOUR * float(2 ** min(failures - PATIENT - 1, 10)), DAY)


def health(commits: Iterable[Commit], key: str) -> Health:
    """From the receipts of its hourly readings."""
    runs: dict[str, None] = {}
    failed_at = succeeded_at = error = None
    for commit in sorted(commits, key=lambda commit: commit.observed_at, reverse=True):
        receipt = commit.communities.get(key)
        if receipt is None or not receipt.of_hour:
            continue
        if receipt.complete:
            if commit.run_id in runs:  # of the same run, which failed later
                continue
            succeeded_at = commit.observed_at
            break
        if receipt.error:
            failed_at, error = failed_at or commit.observed_at, error or receipt.error
            runs[commit.run_id] = None
    return Health(succeeded_at, failed_at, len(runs), error)


def turn(key: str, every: timedelta, now: datetime) -> datetime:
    """The last moment, `now` or before, at which the community had its turn."""
    span = int(every.total_seconds())
    step = 3600 if every > HOUR else 600
    phase = int(digest(key.encode()), 16) % max(span // step, 1) * step if every != HOUR else 0
    return datetime.fromtimestamp((int(now.timestamp()) - phase) // span * span + phase, UTC)


def first_hour(tracked: Tracked, start: datetime) -> datetime:
    """From which hour on a community is read hour by hour."""
    return floor_hour(max(start, tracked.since, tracked.tracked_at - LOOK_BACK))


def wanted(
    lake: Lake, platform: Platform, now: datetime, start: datetime, everything: bool = True
) -> dict[datetime, list[Community]]:
    """The closed hours since `start` that a tracked community wants read, newest first: those never read to their end,
    and those whose next revisit is due. A first reading, a failure and an outage are all the same to it. An hour's
    communities stand in the order of their last success, the stalest first.

    Commits are read LOOK_BACK at a time; unless `everything`, no further back than the oldest hour there is missing.
    """
    found: dict[datetime, list[Community]] = {}
    ready: list[tuple[Tracked, Health]] | None = None
    end = now
    while end > start:
        begin = max(start, floor_hour(end - LOOK_BACK))
        commits = lake.commits(platform.name, begin, end)
        if ready is None:
            ready = _by_staleness(lake.tracked(platform.name), commits, now)
        by_hour: dict[datetime, list[Commit]] = {}
        for commit in commits:
            by_hour.setdefault(commit.hour, []).append(commit)
        for tracked, _ in ready:
            until = turn(tracked.key, max(tracked.every, HOUR), now)
            for hour in _hours(max(begin, first_hour(tracked, start)), min(end, until)):
                due = max(delay for delay in (timedelta(0), *platform.revisits) if hour + HOUR + delay <= until)
                read = (commit.observed_at for commit in by_hour.get(hour, ()) if commit.closes(tracked.key))
                if max(read, default=hour) < hour + HOUR + due:
                    found.setdefault(hour, []).append(tracked.community)
        if not (everything or begin in found):
            break
        end = begin
    return dict(sorted(found.items(), reverse=True))


def polled(lake: Lake, platform: Platform, now: datetime) -> list[Community]:
    """Who is read more often than hourly and has not been read since its turn, the stalest first."""
    often = [tracked for tracked in lake.tracked(platform.name) if tracked.every < HOUR]
    if not often:  # as on most platforms, every ten minutes
        return []
    hour = floor_hour(now)
    commits = lake.commits(platform.name, hour - DAY, hour + HOUR)
    return [
        tracked.community
        for tracked, last in _by_staleness(often, commits, now)
        if last.succeeded_at is None or last.succeeded_at < turn(tracked.key, tracked.every, now)
    ]


def groups(hours: dict[datetime, list[Community]]) -> list[tuple[Window, list[Community]]]:
    """The fewest crawls that read just what is wanted: neighbouring hours that the same communities want."""
    alike: dict[frozenset[Community], list[datetime]] = {}
    order: dict[frozenset[Community], list[Community]] = {}
    for hour, communities in hours.items():
        alike.setdefault(frozenset(communities), []).append(hour)
        order.setdefault(frozenset(communities), communities)
    found = [(window, order[communities]) for communities, some in alike.items() for window in windows(some)]
    return sorted(found, key=lambda group: group[0], reverse=True)


def _by_staleness(everybody: list[Tracked], commits: list[Commit], now: datetime) -> list[tuple[Tracked, Health]]:
    """Who of them is not paused for its failures, with its health; who succeeded longest ago comes first."""
    known = [(tracked, health(commits, tracked.key)) for tracked in everybody]
    ready = [(tracked, last) for tracked, last in known if not (last.pause_until and now < last.pause_until)]
    never = datetime.min.replace(tzinfo=UTC)
    return sorted(ready, key=lambda one: (one[1].succeeded_at or never, one[0].key))


def _hours(start: datetime, now: datetime) -> Iterator[datetime]:
    hour = start
    while hour + HOUR <= now:
        yield hour
        hour += HOUR
