"""A backfill of a range gives the tables that hour by hour gives, in one load and one dbt call."""

from collections.abc import Callable
from datetime import timedelta
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
HOURS = 16
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


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, list[tuple[str, str]]], Path]:
    """Builds a home by `threadlake run` over the given ranges."""

    def build(name: str, via: str, ranges: list[tuple[str, str]]) -> Path:
        for variable, value in {"HOME": tmp_path / name, "VIA": via, "CLOCK": tmp_path / "clock", "PACE": 3000}.items():
            monkeypatch.setenv(f"THREADLAKE_{variable}", str(value))
        monkeypatch.setenv("DISCORD_TOKEN", TOKEN)
        for community in COMMUNITIES:
            assert main(["track", community]) == 0
        for since, until in ranges:
            assert main(["run", "--refresh", "--since", since, "--until", until]) == 0
        return tmp_path / name

    return build


@pytest.mark.timeout(1500)
def test_a_range_equals_hour_by_hour(tmp_path: Path, build: Callable[[str, str, list[tuple[str, str]]], Path]) -> None:
    world = World(seed=5, start=START - timedelta(hours=HOURS), hours=100, scale=0.4)
    hours = [START - HOUR * (HOURS - i) for i in range(HOURS)]
    with Sandbox(world, now=START + timedelta(minutes=5), clock_file=tmp_path / "clock") as sandbox:
        single = [(f"{hour:%Y-%m-%dT%H}", f"{hour + HOUR:%Y-%m-%dT%H}") for hour in hours]
        one = build("range", sandbox.url, [(single[0][0], single[-1][1])])
        each = build("hours", sandbox.url, single)
    once, often = contents(one), contents(each)
    assert {table: len(rows) for table, rows in once.items()}["posts"] > 300
    for table in TABLES:
        assert once[table] == often[table], table
