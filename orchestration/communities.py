"""Who is tracked: from a pasted URL, a key, or `communities.toml`; changed, shown and forgotten."""

import re
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from extractors.errors import CrawlError, Malformed, NotFound, Unavailable
from extractors.history import Progress, progress
from extractors.lake import Tracked
from extractors.plan import Health, first_hour, health
from extractors.platform import HOUR, About, Community
from extractors.platforms import candidates, recognise
from orchestration.pipeline import Pipeline, Purged
from orchestration.settings import SettingsError, parse_hour
from orchestration.show import table
from orchestration.warehouse import WarehouseError

EVERYTHING = datetime(1990, 1, 1, tzinfo=UTC)
"""Older than any community: whoever names no time wants the whole past."""
SPAN = re.compile(r"(\d+)(m|h|d|w)")
UNITS = {"m": timedelta(minutes=1), "h": HOUR, "d": timedelta(days=1), "w": timedelta(weeks=1)}
OFTEN, SELDOM = timedelta(minutes=10), timedelta(days=1)


def track(pipeline: Pipeline, url: str, since: str = "", every: str = "") -> tuple[Tracked, About]:
    """Ask the platform about the community that a URL or key names, and track it; one that is tracked already is
    tracked from now on as is said here.

    `since`: a span such as 7d, or a date; `every`: from 10m to 1d. Raises ValueError for what cannot be understood and
    CrawlError for what cannot be read, in a sentence.
    """
    now = pipeline.settings.now()
    start, interval = parse_since(since, now), parse_every(every)
    about = ask(pipeline, candidates(pipeline.platforms, url))
    known = {one.key: one for one in pipeline.lake.tracked()}.get(about.community.key)
    tracked = Tracked(
        about.community.key,
        about.community.instance,
        start if since or known is None else known.since,
        known.tracked_at if known else now,
        interval if every or known is None else known.every,
        about.title,
    )
    pipeline.lake.track(tracked)
    return tracked, about


def ask(pipeline: Pipeline, communities: list[Community]) -> About:
    """What the platform says of the first of these that is one. Raises CrawlError: of the first that is none."""
    problems: list[CrawlError] = []
    for community in communities:
        with pipeline.http([community.host], attempts=2) as http:
            try:
                return pipeline.platform(community.platform).about(community, http)
            except (NotFound, Malformed) as problem:  # of this kind; it may be one of another
                problem.community = problem.community or community.key
                problems.append(problem)
            except CrawlError as problem:
                problem.community = problem.community or community.key
                if isinstance(problem, Unavailable):
                    problem.advice = "check the address, or try again later: nobody is tracked by it"
                raise
    raise problems[0]


def track_file(pipeline: Pipeline, file: Path) -> list[Tracked]:
    """Track every community of a file from the first partition on, without asking anybody: the first crawl does. What
    is tracked stays as it is. Raises SettingsError with the line at fault."""
    try:
        listed = tomllib.loads(file.read_text())["communities"]
    except FileNotFoundError:
        raise SettingsError(f"There is no file {file}.") from None
    except (tomllib.TOMLDecodeError, KeyError) as problem:
        raise SettingsError(f'{file} must hold one list, communities = ["https://…"]: {problem}.') from None
    known = {one.key: one for one in pipeline.lake.tracked()}
    found = []
    for url in listed:
        try:
            community = recognise(pipeline.platforms, url)
        except ValueError as problem:
            raise SettingsError(f"{file}: {problem}.") from None
        if pipeline.platform(community.platform).community(community.key) is None:
            raise SettingsError(f"{file}: {url} is a post: name its community, or paste it to `threadlake track`.")
        tracked = known.get(community.key) or Tracked(
            community.key, community.instance, pipeline.settings.start, pipeline.settings.now()
        )
        if community.key not in known:
            pipeline.lake.track(tracked)
        found.append(tracked)
    return found


def untrack(pipeline: Pipeline, key: str, purge: bool = False) -> Purged:
    """Track it no more; with `purge`, tracked or not, also take all that was fetched of it out of lake and warehouse:
    so a purge finishes one that was killed. Raises ValueError where there is no such community."""
    if not purge and not pipeline.lake.is_tracked(key):
        raise ValueError(f"{key} is not tracked; `threadlake communities` shows who is.")
    pipeline.lake.untrack(key)
    return pipeline.purge(key) if purge else Purged()


def communities(pipeline: Pipeline) -> str:
    """A table of who is tracked, and how they do."""
    return table(*communities_table(pipeline))


def communities_table(pipeline: Pipeline) -> tuple[list[str], list[list[Any]]]:
    """Its names and rows."""
    names = ["key", "title", "since", "every", "last success", "posts", "state"]
    posts, rows = _posts(pipeline), []
    now = pipeline.settings.now()
    for platform in pipeline.platforms:
        commits = pipeline.lake.commits(platform.name, now - timedelta(days=9))
        for one in pipeline.lake.tracked(platform.name):
            last = health(commits, one.key)
            rows.append([
                one.key, one.title or None,
                "the beginning" if one.since <= EVERYTHING else f"{one.since:%Y-%m-%d %H:%M}",
                span(one.every),
                f"{last.succeeded_at:%Y-%m-%d %H:%M}" if last.succeeded_at else None,
                posts.get(one.key, 0) if posts is not None else None,
                state(pipeline, one, last),
            ])  # fmt: skip
    return names, rows


def state(pipeline: Pipeline, one: Tracked, last: Health) -> str:
    """A few words."""
    if last.failures:
        words = f"failed {last.failures} times" if last.failures > 1 else "failed once"
        return words + (f", next try after {last.pause_until:%Y-%m-%d %H:%M}" if last.pause_until else "")
    past = progress(pipeline.lake, one.community)
    if past is not None and past.error:
        return f"its past failed {past.failures} times" if past.failures > 1 else "its past failed once"
    if unfinished(pipeline, one, past):
        return f"reading its past, {past.share:.0%}" if past else "its past is next"
    return "up to date" if last.succeeded_at else "new"


def unfinished(pipeline: Pipeline, one: Tracked, past: Progress | None) -> bool:
    """Whether something of its past, read as far as `past`, is still to be read."""
    if past is not None and datetime.fromisoformat(past.since) <= one.since:
        return not past.finished
    return one.since < first_hour(one, pipeline.settings.start)


def parse_since(text: str, now: datetime) -> datetime:
    """A span before now, or a date; nothing means everything. Raises ValueError."""
    if not text:
        return EVERYTHING
    if found := SPAN.fullmatch(text):
        return now - int(found[1]) * UNITS[found[2]]
    try:
        return parse_hour(text, "--since")
    except SettingsError:
        raise ValueError(f"--since must be a span such as 7d or a date such as 2026-11-01, not {text!r}.") from None


def parse_every(text: str) -> timedelta:
    """Raises ValueError."""
    if not text:
        return HOUR
    found = SPAN.fullmatch(text)
    every = int(found[1]) * UNITS[found[2]] if found else timedelta(0)
    if not OFTEN <= every <= SELDOM:
        raise ValueError(f"--every must be from 10m to 1d, such as 30m or 6h, not {text!r}.")
    return every


def span(every: timedelta) -> str:
    """As `parse_every` reads it."""
    minutes = int(every / UNITS["m"])
    if minutes % 60:
        return f"{minutes}m"
    return "1d" if minutes == 1440 else f"{minutes // 60}h"


def _posts(pipeline: Pipeline) -> dict[str, int] | None:
    """Posts by community in the clean tables; None while a run has the warehouse."""
    try:
        if not pipeline.warehouse.has("clean", "all_posts", patience=2):
            return {}
        query = "select community, count(*) from clean.all_posts group by community"
        return dict(pipeline.warehouse.query(query, patience=2).rows)
    except WarehouseError:
        return None
