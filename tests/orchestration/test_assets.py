"""Assets in process, on a real instance: one run for a range, one load, one dbt call; failures stay where they are."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from orchestration.assets import partition_of
from orchestration.dbt import Dbt
from orchestration.definitions import build_defs
from orchestration.duckdb_file import DuckDBFile
from orchestration.pipeline import Pipeline
from orchestration.upkeep import TABLES_TESTED
from tests.orchestration.conftest import track

START = datetime(2026, 11, 1, tzinfo=UTC)
HISTORIES = (["lake", "fourchan_history"], ["lake", "discourse_history"])


def hour(number: int) -> datetime:
    return START + timedelta(hours=number)


def run(pipeline: Pipeline, instance: dg.DagsterInstance, first: int, last: int) -> dg.ExecuteInProcessResult:
    """What the asset page's backfill of the hourly assets runs."""
    definitions = build_defs(pipeline.settings, pipeline)
    job = dg.Definitions(
        assets=definitions.assets,
        asset_checks=definitions.asset_checks,
        jobs=[dg.define_asset_job("hourly", dg.AssetSelection.all() - dg.AssetSelection.keys(*HISTORIES))],
        executor=dg.in_process_executor,
    ).resolve_job_def("hourly")
    tags = {
        "dagster/asset_partition_range_start": partition_of(hour(first)),
        "dagster/asset_partition_range_end": partition_of(hour(last)),
    }
    return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)


def rows(pipeline: Pipeline, query: str) -> list[tuple[Any, ...]]:
    with pipeline.warehouse.open(read_only=True) as connection:
        return connection.execute(query).fetchall()


def count(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> list[int]:
    calls: list[int] = []
    real = getattr(owner, name)

    def counted(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        return real(*arguments, **named)

    monkeypatch.setattr(owner, name, counted)
    return calls


def test_a_range_is_one_load_and_one_dbt_call(
    pipeline: Pipeline, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads, builds = count(monkeypatch, DuckDBFile, "load"), count(monkeypatch, Dbt, "build")
    result = run(pipeline, instance, 0, 29)
    assert result.success
    assert (len(loads), len(builds)) == (1, 1)
    assert rows(pipeline, "select platform, count(*) from clean.posts group by 1 order by 1") == [
        ("discourse", 90),
        ("fourchan", 90),
    ]
    last = instance.get_latest_materialization_event(dg.AssetKey(["lake", "fourchan"]))
    assert last is not None and last.asset_materialization is not None
    assert last.asset_materialization.metadata["rows"].value == 4  # its own hour's, not the run's
    status = instance.event_log_storage.get_materialized_partitions(dg.AssetKey(["clean", "posts"]))
    assert len(status) == 30


def test_one_community_that_fails_stops_nobody(pipeline: Pipeline, instance: dg.DagsterInstance) -> None:
    track(pipeline, "fourchan:broken")
    result = run(pipeline, instance, 0, 1)
    assert result.success
    checks = {(c.asset_key.path[-1], c.check_name): c for c in result.get_asset_check_evaluations()}
    complete = checks["fourchan", "complete"]
    assert not complete.passed and complete.severity == dg.AssetCheckSeverity.ERROR
    assert "fourchan:broken" in (complete.description or "") and "503" in (complete.description or "")
    assert checks["discourse", "complete"].passed
    assert rows(pipeline, "select count(*) from clean.posts") == [(12,)]
    assert rows(pipeline, "select distinct community from clean.observations where not complete") == [
        ("fourchan:broken",)
    ]


def test_by_hour_and_by_range_are_the_same(pipeline: Pipeline, instance: dg.DagsterInstance, tmp_path: Path) -> None:
    run(pipeline, instance, 0, 4)
    query = "select platform, post_id, payload, created_at from clean.posts order by all"
    by_range = rows(pipeline, query)
    again = pipeline.with_settings(warehouse=tmp_path / "other" / "warehouse.duckdb")
    for number in (3, 0, 4, 2, 1, 3):
        again.load([hour(number)])
        again.dbt.build([hour(number)], again.settings.now())
    assert rows(again, query) == by_range
    assert again.unmerged(None) == []


def test_whole_tables_are_tested_once_a_day_only(pipeline: Pipeline, instance: dg.DagsterInstance) -> None:
    result = run(pipeline, instance, 0, 0)
    assert {c.check_name for c in result.get_asset_check_evaluations() if c.asset_key.path[0] == "clean"} == {
        "not_null_posts_post_id"
    }
    for variables, unique in (({}, False), (TABLES_TESTED, True)):
        nodes = pipeline.dbt.build((), pipeline.settings.now(), variables=variables)
        assert ("unique_posts_post_id" in {node.name for node in nodes}) == unique


def test_a_failed_model_fails_the_run_and_says_why(
    pipeline: Pipeline, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    import shutil

    project = shutil.copytree(pipeline.settings.dbt_project, tmp_path / "project")
    (project / "models" / "clean" / "posts.sql").write_text(
        "select no_such_column from {{ ref('stg_fourchan__posts') }}"
    )
    broken = pipeline.with_settings(dbt_project=project)
    result = run(broken, instance, 0, 0)
    assert not result.success
    failure = next(event for event in result.all_events if event.is_step_failure)
    assert "no_such_column" in str(failure.step_failure_data.error)
    assert broken.unmerged(None) == [hour(0)]  # nothing is taken for merged


@pytest.mark.parametrize("most", [None, 4000])
def test_a_backfill_of_everything_is_one_run(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, most: int | None
) -> None:
    """Dagster parts runs by policy: models that follow nothing would run before what others of them test is there."""
    monkeypatch.setattr(DuckDBFile, "most_hours", most)
    assets = [
        one for one in build_defs(pipeline.settings, pipeline).assets or () if isinstance(one, dg.AssetsDefinition)
    ]
    hourly = [one for one in assets if isinstance(one.partitions_def, dg.HourlyPartitionsDefinition)]
    assert len(hourly) > 2 and {one.backfill_policy for one in hourly} == {
        dg.BackfillPolicy.multi_run(most) if most else dg.BackfillPolicy.single_run()
    }
