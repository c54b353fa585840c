"""Asset checks of `lake/<platform>`, from the receipts in its commits alone: no table is opened, no host is asked."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median

import dagster as dg

from extractors.lake import HOUR_FORMAT, Commit, Receipt, Tracked
from extractors.plan import first_hour
from extractors.platform import HOUR, Platform
from orchestration.pipeline import Pipeline

LOOK_BACK = timedelta(days=8)  # revisits go back seven days
LATEST_ALLOWED = timedelta(hours=2)
FACTOR = 5  # volume: so many times more or fewer than usual
FEWEST = 20  # below so many posts an hour is no sample
MOST_GONE = 50

CHECKS = {
    "complete": "Every community was read to the end of every hour that was asked for.",
    "fresh": "Everybody tracked was read up to an hour that ended in the last two.",
    "volume": "The last closed hour brought about as many posts as the same hour of the last 14 days.",
    "parse_errors": "Every record fits its declared types; those that do not are kept with their payload.",
    "shrinkage": "No reading says that far more has vanished than usual.",
}
Verdict = tuple[bool, str]


def lake_checks(platform: Platform, pipeline: Pipeline) -> dg.AssetChecksDefinition:
    """The five checks of a platform, in one step."""
    key = dg.AssetKey(["lake", platform.name])
    specs = [dg.AssetCheckSpec(name, asset=key, description=text) for name, text in CHECKS.items()]

    @dg.multi_asset_check(name=f"check_{platform.name}", specs=specs, can_subset=True)
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        now = pipeline.settings.now()
        commits = pipeline.lake.commits(platform.name, _start(context, now))
        tracked = pipeline.lake.tracked(platform.name)
        same_hours = [pipeline.closed_hour() - timedelta(days=day) for day in range(15)]
        verdicts: Mapping[str, Verdict] = {
            "complete": complete(commits, now),
            "fresh": fresh(commits, tracked, now, pipeline.settings.start),
            "volume": volume([pipeline.lake.commits(platform.name, hour, hour + HOUR) for hour in same_hours]),
            "parse_errors": parse_errors(commits),
            "shrinkage": shrinkage(commits),
        }
        for selected in context.selected_asset_check_keys:
            passed, text = verdicts[selected.name]
            error = selected.name in ("complete", "parse_errors", "shrinkage")
            yield dg.AssetCheckResult(
                passed=passed,
                asset_key=key,
                check_name=selected.name,
                severity=dg.AssetCheckSeverity.ERROR if error else dg.AssetCheckSeverity.WARN,
                description=text,
            )

    return check


def complete(commits: Iterable[Commit], now: datetime) -> Verdict:
    """Whether the last reading of each hour and community got all of it; that another run was at it is no failure."""
    last: dict[tuple[str, datetime], Receipt] = {}
    for commit in sorted(commits, key=lambda commit: commit.observed_at):
        for key, receipt in commit.communities.items():
            if not receipt.of_hour or not (receipt.complete or receipt.error):  # another run was reading it
                continue
            before = last.get((key, commit.hour))
            if receipt.complete or before is None or not before.complete or receipt.error:
                last[key, commit.hour] = receipt
    broken = {pair: receipt for pair, receipt in last.items() if not receipt.complete and pair[1] + HOUR <= now}
    if not broken:
        return True, "Every community is complete."
    told: dict[str, str] = {}
    for (key, hour), receipt in sorted(broken.items(), key=lambda item: item[0][1]):
        told[key] = f"{key} (last: hour {hour:{HOUR_FORMAT}}): {receipt.error}"
    return False, f"{len(broken)} hours are incomplete. " + " ".join(told.values())


def fresh(commits: Iterable[Commit], tracked: Sequence[Tracked], now: datetime, start: datetime) -> Verdict:
    """Whether everybody tracked has an hour read to its end that is as recent as they are read often."""
    newest = {one.key: first_hour(one, start) for one in tracked}
    for commit in commits:
        for key in newest:
            if commit.closes(key):
                newest[key] = max(newest[key], commit.hour + HOUR)
    allowed = {one.key: LATEST_ALLOWED + max(one.every - HOUR, timedelta(0)) for one in tracked}
    late = {key: end for key, end in newest.items() if now - end > allowed[key]}
    if not late:
        return True, f"{len(tracked)} communities are up to date."
    return False, " ".join(f"{key} was last read to its end up to {end:%Y-%m-%d %H:%M}." for key, end in late.items())


def volume(same_hours: Sequence[Sequence[Commit]]) -> Verdict:
    """Compare the first of these hours with the others; each is given by its commits."""
    counts = [_posts(commits) for commits in same_hours]
    before = [count for count in counts[1:] if count is not None]
    if counts[0] is None or len(before) < 4:
        return True, f"Too early to say: {len(before)} of the same hours before are there."
    usual = median(before)
    text = f"{counts[0]} posts; the same hour usually brings {usual:.0f}."
    strange = not usual / FACTOR <= counts[0] <= usual * FACTOR
    return not (strange and max(usual, counts[0]) >= FEWEST), text


def parse_errors(commits: Iterable[Commit]) -> Verdict:
    """Count quarantined records by community."""
    counts: dict[str, int] = {}
    for commit in commits:
        for key, receipt in commit.communities.items():
            counts[key] = counts.get(key, 0) + receipt.parse_errors
    told = ", ".join(f"{key}: {count}" for key, count in counts.items() if count)
    if not told:
        return True, "Every record was parsed."
    return False, f"Records kept without typed columns: {told}. `threadlake reparse` parses them with today's code."


def shrinkage(commits: Sequence[Commit]) -> Verdict:
    """Whether the last run says that far more is gone than the runs before it did."""
    runs: dict[str, dict[str, int]] = {}
    for commit in sorted(commits, key=lambda commit: commit.observed_at):
        counts = runs.setdefault(commit.run_id, {})
        for key, receipt in commit.communities.items():
            counts[key] = counts.get(key, 0) + receipt.gone
    if not runs:
        return True, "Nothing was read."
    *before, last = runs.values()
    strange = []
    for key, gone in last.items():
        usual = median([counts[key] for counts in before if key in counts] or [0])
        if gone > max(MOST_GONE, 10 * usual):
            strange.append(f"{key}: {gone} gone at once, usually {usual:.0f}.")
    return not strange, " ".join(strange) or "No more has vanished than usual."


def _posts(commits: Iterable[Commit]) -> int | None:
    """Posts of the first readings that saw the whole hour; None if there was none."""
    first: dict[str, int] = {}
    for commit in sorted(commits, key=lambda commit: commit.observed_at):
        for key, receipt in commit.communities.items():
            if commit.closes(key):
                first.setdefault(key, receipt.posts)
    return sum(first.values()) if first else None


def _start(context: dg.AssetCheckExecutionContext, now: datetime) -> datetime:
    """The first hour to look at: the last days, and the partitions of this run if they are older."""
    tags = context.run.tags
    first = tags.get("dagster/asset_partition_range_start") or tags.get("dagster/partition")
    start = now - LOOK_BACK
    return min(start, datetime.strptime(first, "%Y-%m-%d-%H:%M").replace(tzinfo=UTC)) if first else start
