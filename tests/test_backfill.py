"""A backfill of a range gives the tables that hour by hour gives, in one load and one dbt call."""

import shutil
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest

from orchestration.cli import main
from sandbox.discord import TOKEN
from sandbox.server import Sandbox
from sandbox.world import World
from tests.test_plug import COMMUNITIES, HOUR, START

BOOKKEEPING = {  # when and by which run something was read, which differs by intent
    "run_id", "observed_at", "first_seen_at", "last_seen_at", "merged_at", "gone_at", "deleted_at", "edited_at",
    "snapshot_hour",
}  # fmt: skip
HOURS = 3
TABLES = ("posts", "posts_history", "threads", "threads_history", "post_versions", "thread_snapshots")
COUNTERS = {"payload", "reply_count", "view_count", "score", "last_activity_at"}  # they move between two readings
LISTED = {"tags", "source", "content_hash", "is_closed", "is_pinned", "is_archived"}
"""What only the list of recent topics says: of an old hour, a forum's threads are derived from their opening posts."""


def contents(home: Path) -> dict[str, list[str]]:
    """Every row of the clean tables, without bookkeeping, sorted."""
    found = {}
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        for table in TABLES:
            columns = [row[0] for row in connection.execute(f"describe clean.{table}").fetchall()]
            left_out = BOOKKEEPING | COUNTERS | (LISTED if table.startswith("thread") else set())
            kept = ", ".join(column for column in columns if column not in left_out)
            found[table] = sorted(
                map(repr, connection.execute(f"select distinct {kept} from clean.{table}").fetchall())
            )
    return found


Ranges = list[tuple[str, str]]
Build = Callable[..., Path]


@pytest.fixture
def build(tmp_path: Path, parsed: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    """Builds a home: crawls over the given ranges, each loaded and transformed at once, or over other ones after."""

    def build(
        name: str, via: str, crawled: Ranges, merged: Ranges | None = None, communities: Sequence[str] = COMMUNITIES
    ) -> Path:
        shutil.copytree(parsed, tmp_path / name / "dbt")
        for variable, value in {"HOME": tmp_path / name, "VIA": via, "CLOCK": tmp_path / "clock", "PACE": 3000}.items():
            monkeypatch.setenv(f"THREADLAKE_{variable}", str(value))
        monkeypatch.setenv("DISCORD_TOKEN", TOKEN)
        for community in communities:
            assert main(["track", community]) == 0
        for since, until in crawled:
            verb = "run" if merged is None else "crawl"
            assert main([verb, "--refresh", "--since", since, "--until", until]) == 0
        for since, until in merged or ():
            for verb in ("load", "transform"):
                assert main([verb, "--since", since, "--until", until]) == 0
        return tmp_path / name

    return build


def ranges(start: datetime, hours: int, width: int) -> Ranges:
    """The hours from `start` on, in pieces of `width`."""
    edges = [f"{start + HOUR * i:%Y-%m-%dT%H}" for i in range(0, hours + 1, width)]
    return list(pairwise(edges))


@pytest.mark.timeout(1500)
def test_a_range_equals_hour_by_hour(tmp_path: Path, build: Build) -> None:
    world = World(seed=5, start=START - timedelta(hours=HOURS), hours=100, scale=0.4)
    first = START - HOUR * HOURS
    with Sandbox(world, now=START + timedelta(minutes=5), clock_file=tmp_path / "clock") as sandbox:
        one = build("range", sandbox.url, ranges(first, HOURS, HOURS))
        each = build("hours", sandbox.url, ranges(first, HOURS, 1))
    same(one, each, posts=60)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_thirty_days_of_two_platforms_in_one_run(tmp_path: Path, build: Build) -> None:
    """Against hour by hour; there a day's hours are merged together, since 720 calls of dbt would take an hour."""
    days = 30
    first = START - timedelta(days=days)
    two = ("fourchan:po", "discourse:forum.example")
    world = World(seed=5, start=first, hours=24 * days + 24, scale=0.4)
    with Sandbox(world, now=START + timedelta(minutes=5), clock_file=tmp_path / "clock") as sandbox:
        one = build("range", sandbox.url, ranges(first, 24 * days, 24 * days), communities=two)
        hourly, daily = ranges(first, 24 * days, 1), ranges(first, 24 * days, 24)
        each = build("hours", sandbox.url, hourly, daily, communities=two)
    same(one, each, posts=3000)


def same(one: Path, other: Path, posts: int) -> None:
    """The tables are equal, and have at least so many posts."""
    once, often = contents(one), contents(other)
    assert len(once["posts"]) > posts
    for table in TABLES:
        assert once[table] == often[table], table
