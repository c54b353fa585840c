"""SIGKILL to everything in the middle of a run, then `threadlake up`: nothing stuck, nothing lost."""

import time
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from extractors.platform import floor_hour
from orchestration.pipeline import Pipeline
from orchestration.settings import Settings
from tests.orchestration.conftest import System
from tests.orchestration.fake import fake_pipeline


def clean_rows(pipeline: Pipeline) -> int:
    try:
        with pipeline.warehouse.open(read_only=True) as connection:
            return int(connection.execute("select count(*) from clean.posts").fetchone()[0])  # type: ignore[index]
    except Exception:
        return 0


@pytest.mark.long
def test_after_everything_was_killed_the_schedules_catch_up(system: System) -> None:
    hours = 12
    start = floor_hour(datetime.now(UTC)) - timedelta(hours=hours)
    every_minute = {"THREADLAKE_EXTRACT_CRON": "* * * * *", "THREADLAKE_LOAD_CRON": "* * * * *"}
    system.env |= {"THREADLAKE_START": start.isoformat()} | every_minute
    (system.home / "communities.toml").write_text('communities = ["fourchan:slow"]\n')
    pipeline = fake_pipeline(Settings.from_env(system.env))
    system.up()
    system.wait(lambda: pipeline.lake.commits("fourchan"), 90, "nothing was crawled")
    system.kill()
    done = len(pipeline.lake.commits("fourchan"))
    assert 0 < done < hours, "it was not killed in the middle"

    with dg.DagsterInstance.from_config(str(system.home / "dagster")) as instance:
        dead = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        assert len(dead) == 1
        # the slot that a killed dbt would hold
        instance.event_log_storage.initialize_concurrency_limit_to_default("warehouse")
        instance.event_log_storage.claim_concurrency_slot("warehouse", dead[0].run_id, "dbt")
        system.up()
        assert b"1 dead runs failed, 1 slots freed" in system.log()
        assert instance.get_run_by_id(dead[0].run_id).is_failure  # type: ignore[union-attr]
        system.wait(lambda: clean_rows(pipeline) >= 3 * hours, 150, "the schedules did not catch up")
    assert clean_rows(pipeline) == 3 * hours
    began = time.monotonic()
    assert system.down() == 0
    assert system.family() == []
    assert time.monotonic() - began < 15, "something did not end when it was asked"  # 3 s on a quiet machine
