"""The drill of the runbook: warehouse and Dagster are gone, no platform answers, and the lake brings all of it back."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from orchestration import cli
from sandbox.server import Sandbox
from sandbox.world import World

NOW = datetime(2026, 11, 18, 2, 30, tzinfo=UTC)
TRACKED = ["fourchan:po", "lemmy:lemmy.example/folding"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A lake that two readings made, and what was merged from them, some hours apart."""
    home, clock = tmp_path / "home", tmp_path / "clock"
    world = World(seed=3, start=NOW - timedelta(days=2), hours=60, scale=0.2)
    with Sandbox(world, now=NOW - timedelta(hours=5), clock_file=clock) as sandbox:
        start = f"{NOW - timedelta(hours=9):%Y-%m-%dT%H}"
        places = {"HOME": home, "VIA": sandbox.url, "CLOCK": clock, "PACE": 3000, "START": start}
        for name, value in places.items():
            monkeypatch.setenv(f"THREADLAKE_{name}", str(value))
        for key in TRACKED:
            assert cli.main(["track", key]) == 0
        assert cli.main(["crawl", "--since", start]) == 0
        sandbox.now = NOW
        assert cli.main(["catch-up"]) == 0
    yield home


def tables(home: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every clean table, in one order; without the columns that say when it came here."""
    with duckdb.connect(home / "warehouse.duckdb", read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        names = connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'clean' and not temporary"
        ).fetchall()
        query = "select columns(lambda name: name not in ('loaded_at', 'merged_at')) from clean.\"{}\" order by all"
        return {name: connection.execute(query.format(name)).fetchall() for (name,) in names}


@pytest.mark.timeout(300)
def test_the_lake_brings_everything_back(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tables(home)
    assert len(before["posts"]) > 50 and any(row for row in before["observations"])
    for path in home.iterdir():
        if path.name not in ("lake", "dbt"):  # dbt's is a cache, which only costs time to make anew
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    monkeypatch.setattr(cli, "RESTORED_AT_ONCE", 6)  # more than one load, as with more than a month
    capsys.readouterr()
    assert cli.main(["restore"]) == 0
    assert capsys.readouterr().out.count(" hours\n") >= 2
    after = tables(home)
    assert before.keys() == after.keys()
    for name in before:
        assert after[name] == before[name], name
    assert cli.main(["restore"]) == 0
    assert "nothing that the clean tables lack" in capsys.readouterr().out
