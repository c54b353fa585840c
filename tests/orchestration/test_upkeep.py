"""Sweeping: what is old goes, what it made stays known."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from orchestration.pipeline import Pipeline
from orchestration.upkeep import delete_folders, delete_runs, reparse, sweep


def test_old_runs_go_and_their_partitions_stay(instance: dg.DagsterInstance) -> None:
    hours = dg.HourlyPartitionsDefinition("2026-11-01-00:00")

    @dg.asset(partitions_def=hours)
    def thing(context: dg.AssetExecutionContext) -> None:
        context.add_output_metadata({"rows": 3})

    for partition in ("2026-11-01-00:00", "2026-11-01-01:00"):
        assert dg.materialize([thing], partition_key=partition, instance=instance).success
    assert delete_runs(instance, datetime.now(UTC) - timedelta(days=1)) == 0
    assert delete_runs(instance, datetime.now(UTC) + timedelta(days=1)) == 2
    assert instance.get_runs_count() == 0
    assert instance.get_materialized_partitions(dg.AssetKey("thing")) == {"2026-11-01-00:00", "2026-11-01-01:00"}
    latest = instance.get_latest_materialization_event(dg.AssetKey("thing"))
    assert latest is not None and latest.asset_materialization is not None
    assert latest.asset_materialization.metadata["rows"].value == 3
    assert delete_runs(instance, datetime.now(UTC) + timedelta(days=1)) == 0


def test_old_folders_go(tmp_path: Path) -> None:
    for name, age in (("old", 3), ("new", 0)):
        (tmp_path / name).mkdir()
        then = time.time() - age * 86400
        os.utime(tmp_path / name, (then, then))
    assert delete_folders(tmp_path, timedelta(days=2)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert delete_folders(tmp_path / "none", timedelta(days=2)) == 0


def test_one_rewrites_at_a_time(pipeline: Pipeline) -> None:
    platform = pipeline.platforms[0]
    for rewrite in (lambda: list(reparse(pipeline, platform)), lambda: sweep(pipeline, platform)):
        with ThreadPoolExecutor(1) as pool:
            with pipeline.rewriting(platform):
                waiting = pool.submit(rewrite)
                with pytest.raises(TimeoutError):
                    waiting.result(timeout=0.3)
            assert not waiting.result(timeout=30)


def test_a_lake_without_leftovers_keeps_everything(pipeline: Pipeline) -> None:
    platform = pipeline.platforms[0]
    hours = [datetime(2026, 11, 1, tzinfo=UTC)]
    list(pipeline.crawl(platform, pipeline.asked(platform, hours, True), "run", True))
    before = sorted(pipeline.settings.lake.rglob("*"))
    assert sweep(pipeline, platform) == 0 and sorted(pipeline.settings.lake.rglob("*")) == before
