"""What a tick decides: what the lake lacks, or a reason to do nothing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from extractors.platform import HOUR, floor_hour
from orchestration.definitions import build_defs
from orchestration.pipeline import Pipeline
from orchestration.schedules import Look
from orchestration.settings import Settings
from tests.orchestration.conftest import env_of, track
from tests.orchestration.fake import fake_pipeline


@pytest.fixture
def recent(home: Path) -> Pipeline:
    """Partitions of the last five closed hours."""
    start = floor_hour(datetime.now(UTC)) - timedelta(hours=5)
    return fake_pipeline(Settings.from_env(env_of(home, START=start.isoformat())))


def tick(pipeline: Pipeline, instance: dg.DagsterInstance, name: str) -> dg.RunRequest | str:
    """The run a schedule asks for, or why it does not."""
    definitions = build_defs(pipeline.settings, pipeline)
    schedule = definitions.resolve_schedule_def(name)
    context = dg.build_schedule_context(
        instance, scheduled_execution_time=datetime.now(UTC), repository_def=definitions.get_repository_def()
    )
    decided = schedule.evaluate_tick(context)
    return decided.run_requests[0] if decided.run_requests else str(decided.skip_message)


def launch(
    pipeline: Pipeline, instance: dg.DagsterInstance, name: str, job_name: str | None = None
) -> dg.ExecuteInProcessResult:
    """What the schedule asks for; it is named after its job, where `job_name` does not say otherwise."""
    request = tick(pipeline, instance, name)
    assert isinstance(request, dg.RunRequest), request
    job = build_defs(pipeline.settings, pipeline).resolve_job_def(job_name or name)
    return job.execute_in_process(
        instance=instance, run_config=request.run_config, partition_key=request.partition_key, tags=request.tags
    )


def test_nobody_tracked(recent: Pipeline, instance: dg.DagsterInstance) -> None:
    assert tick(recent, instance, "ingest_fourchan") == "Nobody is tracked on fourchan."


def test_missing_hours_are_caught_up_in_one_run_then_nothing_is_left(
    recent: Pipeline, instance: dg.DagsterInstance
) -> None:
    track(recent, "fourchan:po")
    assert "nothing" in str(tick(recent, instance, "transform"))
    request = tick(recent, instance, "ingest_fourchan")
    assert isinstance(request, dg.RunRequest)
    config = request.run_config["ops"]["lake__fourchan"]["config"]
    assert len(config["hours"]) == 5 and config["refresh"] is False
    assert launch(recent, instance, "ingest_fourchan").success
    assert "none is due" in str(tick(recent, instance, "ingest_fourchan"))
    assert len(instance.event_log_storage.get_materialized_partitions(dg.AssetKey(["lake", "fourchan"]))) == 5

    assert launch(recent, instance, "transform").success
    assert "nothing" in str(tick(recent, instance, "transform"))
    assert len(instance.event_log_storage.get_materialized_partitions(dg.AssetKey(["clean", "posts"]))) == 5


def test_an_hour_with_nothing_new_starts_no_transform(recent: Pipeline, instance: dg.DagsterInstance) -> None:
    track(recent, "fourchan:quiet")
    assert launch(recent, instance, "ingest_fourchan").success
    assert "nothing" in str(tick(recent, instance, "transform"))


def test_an_hour_of_failures_is_told_to_the_clean_tables(recent: Pipeline, instance: dg.DagsterInstance) -> None:
    track(recent, "fourchan:broken")
    assert launch(recent, instance, "ingest_fourchan").success
    assert isinstance(tick(recent, instance, "transform"), dg.RunRequest)


def test_a_tick_gives_way_to_a_run_and_to_whoever_has_the_warehouse(
    recent: Pipeline, instance: dg.DagsterInstance
) -> None:
    track(recent, "fourchan:po")
    assert launch(recent, instance, "ingest_fourchan").success
    assert launch(recent, instance, "transform").success
    track(recent, "fourchan:other")
    assert launch(recent, instance, "ingest_fourchan").success
    with recent.warehouse.alone():
        assert "in use" in str(tick(recent, instance, "transform"))
    instance.create_run_for_job(
        build_defs(recent.settings, recent).resolve_job_def("transform"), status=dg.DagsterRunStatus.STARTED
    )
    assert "under way" in str(tick(recent, instance, "transform"))


def test_all_time_is_looked_at_once_a_day_and_while_that_finds_more() -> None:
    now = datetime(2026, 11, 22, 12, 25, tzinfo=UTC)
    old, new = [now - timedelta(days=30 + n) for n in range(3)], [now - timedelta(hours=2)]
    looks: list[bool] = []

    def wanted(everything: bool) -> list[datetime]:
        looks.append(everything)
        return new + (old if everything else [])

    look = Look(wanted)
    assert look(now) == new + old
    old.pop()  # read since
    assert look(now + HOUR) == new + old and look(now + 2 * HOUR) == new + old  # of which nothing came
    assert look(now + 3 * HOUR) == new and look(now + 4 * HOUR) == new
    assert look(now + timedelta(days=1)) == new + old
    assert looks == [True, True, True, False, False, True]
