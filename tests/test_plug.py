"""The plug pulled, as a plain process: killed at many points of crawling, writing, committing, loading and dbt."""

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from orchestration.cli import main
from sandbox.discord import TOKEN
from sandbox.discord_world import GENERAL, HELP
from sandbox.server import Sandbox
from sandbox.world import World
from tests.truth import Expected, expected, words

START = datetime(2026, 10, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
SINCE = START - 3 * HOUR
COMMUNITIES = (
    "fourchan:po", "fourchan:out", "discourse:forum.example", "discourse:old.example", "lemmy:lemmy.example/folding",
    "lemmy:old.lemmy.example/trails", "lemmy:new.lemmy.example/maps", f"discord:{GENERAL}", f"discord:{HELP}",
    "mods_de:14",
)  # fmt: skip
PLUG = Path(__file__).with_name("plug.py")


def tables(home: Path) -> dict[str, dict[str, Expected]]:
    """What the clean tables say, in the words of `expected`."""
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        rows = connection.execute(
            "select community, post_id, payload, deleted_at is not null, version_count from clean.all_posts"
        ).fetchall()
        twice = connection.execute(
            "select post_id from clean.all_posts group by platform, instance, post_id having count(*) > 1"
        ).fetchall()
        strays = connection.execute(
            "select distinct thread_id from clean.all_posts"
            " anti join clean.all_threads using (platform, instance, thread_id)"
        ).fetchall()
    assert twice == [] and strays == []
    found: dict[str, dict[str, Expected]] = {}
    for community, post, payload, deleted, versions in rows:
        said = words(json.loads(payload)) if payload else None
        found.setdefault(community, {})[post] = Expected(said, deleted, versions)
    return found


def differences(world: World, home: Path, ticks: list[datetime]) -> list[str]:
    """What is lost, what is too much, and what is not as it should be, one line each."""
    found, lines = tables(home), []
    for key in COMMUNITIES:
        wanted, mine = expected(world, key, SINCE, ticks), found.pop(key, {})
        for post in sorted(wanted.keys() | mine.keys()):
            if mine.get(post) not in wanted.get(post, {None}):
                lines.append(f"{key} {post}: {mine.get(post)} instead of {wanted.get(post)}")
    return lines + [f"{key} is followed by nobody" for key in found]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("points", [3, pytest.param(50, marks=pytest.mark.long)])
def test_killed_at_these_points_the_tables_equal_the_truth(
    points: int, tmp_path: Path, parsed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(seed=3, start=START - timedelta(hours=8), hours=200, scale=0.4)
    home, clock = tmp_path / "home", tmp_path / "clock"
    shutil.copytree(parsed, home / "dbt")
    with Sandbox(world, now=START + timedelta(minutes=25), clock_file=clock) as sandbox:
        for name, value in {
            "HOME": home, "VIA": sandbox.url, "CLOCK": clock, "PACE": 2000, "START": f"{SINCE:%Y-%m-%dT%H}",
        }.items():  # fmt: skip
            monkeypatch.setenv(f"THREADLAKE_{name}", str(value))
        monkeypatch.setenv("DISCORD_TOKEN", TOKEN)
        for community in COMMUNITIES:
            assert main(["track", community, "--since", f"{SINCE:%Y-%m-%dT%H}"]) == 0
        ticks = [sandbox.now]
        assert main(["catch-up"]) == 0
        touched = 0
        for point in range(points + 1):
            sandbox.now += HOUR
            ticks.append(sandbox.now)
            # the first run lives and counts; then a point each, with a moment's delay at every other one
            number, delay = point * touched // (points + 1), (0.0, 0.02, 0.0, 0.1)[point % 4]
            run = subprocess.run(
                [sys.executable, PLUG, str(number), str(delay), home, "--", "orchestration.cli", "catch-up"],
                capture_output=True, text=True, timeout=300, env=os.environ | {"PYTHONPATH": str(PLUG.parent.parent)},
            )  # fmt: skip
            if not point:
                assert run.returncode == 0, run.stderr
                touched = int(run.stdout.split()[-1])
            else:
                assert run.returncode == -9 or (delay and not run.returncode), (number, run.stderr)
            assert main(["catch-up"]) == 0, point
            assert differences(world, home, ticks) == [], (point, number)
    assert touched > points
