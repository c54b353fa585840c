"""The drill of the runbook: warehouse and Dagster are gone, no platform answers, and the lake brings all of it back."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from orchestration import cli
from orchestration.pipeline import Pipeline
from orchestration.settings import Settings
from sandbox import bigquery, gcs
from sandbox.server import Sandbox
from sandbox.world import World

NOW = datetime(2026, 11, 18, 2, 30, tzinfo=UTC)
PARTITIONS = {
    **{f"clean.{name}{more}": "created_hour" for name in ("posts", "threads") for more in ("", "_history")},
    "clean.post_versions": "created_hour", "clean.thread_snapshots": "snapshot_hour", "clean.observations": "hour",
}  # fmt: skip
"""Tables of BigQuery that answer nobody who names no partitions."""
WHEN = ("loaded_at", "merged_at")
TRACKED = ["fourchan:po", "lemmy:lemmy.example/folding"]


@pytest.fixture
def home(tmp_path: Path, parsed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    shutil.copytree(parsed, tmp_path / "home" / "dbt")
    yield filled(tmp_path / "home", tmp_path / "clock", monkeypatch)


def filled(home: Path, clock: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a lake that two readings made, and what was merged from them, some hours apart."""
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
    return home


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


def in_bigquery() -> dict[str, list[str]]:
    """The same of BigQuery, of clean tables and marts, as texts."""
    warehouse = Pipeline.of(Settings.from_env()).warehouse
    found = {}
    for name in warehouse.tables():
        if name.startswith("raw.") or name == "marts.marts_built":
            continue
        part = PARTITIONS.get(name)
        everywhere = f" where {part} >= timestamp '1970-01-01 00:00:00+00'" if part else ""
        columns = [one for one in warehouse.columns(f"select * from {name}{everywhere}") if one not in WHEN]
        found[name] = sorted(map(repr, warehouse.query(f"select {', '.join(columns)} from {name}{everywhere}").rows))
    return found


@pytest.mark.long
@pytest.mark.skipif(bool(bigquery.missing()), reason=bigquery.missing() or "")
@pytest.mark.timeout(1800)
def test_a_bucket_brings_everything_back_into_an_empty_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home, buckets = tmp_path / "home", tmp_path / "buckets"
    with gcs.served(buckets, "lake") as storage:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.address(storage))
        monkeypatch.setenv("THREADLAKE_LAKE", "gs://lake/drill")
        kept = []
        for project in ("old", "new"):
            with bigquery.served(tmp_path / project, buckets) as server:
                for name, value in server.environment.items():
                    monkeypatch.setenv(name, value)
                if project == "old":
                    filled(home, tmp_path / "clock", monkeypatch)
                    shutil.rmtree(home)
                else:
                    assert cli.main(["restore"]) == 0
                    assert cli.main(["restore"]) == 0
                    assert "nothing that the clean tables lack" in capsys.readouterr().out
                kept.append(in_bigquery())
    before, after = kept
    assert len(before["clean.posts"]) > 50 and before["marts.posters_by_year"] and before.keys() == after.keys()
    for name in before:
        assert after[name] == before[name], name
