"""What a system that runs for years must do once a day: sweep the lake, raw tables, Dagster's runs, dbt's folders."""

import logging
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster import DagsterEventType, DagsterInstance, RunsFilter

from extractors.lake import Commit
from extractors.platform import Platform
from orchestration.dbt import explain, failed
from orchestration.pipeline import Pipeline
from orchestration.resources import COPIES

ORPHANS_AFTER = timedelta(days=1)  # longer than any crawl writes one file
RAW_KEPT = timedelta(days=14)
DBT_TARGETS_KEPT = timedelta(days=2)
TABLES_TESTED = {"heal": True, "whole": True}  # the dbt project's words: repair first, test whole tables
log = logging.getLogger(__name__)


def upkeep_job(pipeline: Pipeline) -> dg.JobDefinition:
    """The steps do not depend on one another: one that fails does not keep the others from running."""

    @dg.op
    def sweep_lake(context: dg.OpExecutionContext) -> None:
        for platform in pipeline.platforms:
            context.log.info("%s: %d leftovers swept", platform.name, sweep(pipeline, platform))

    @dg.op(pool="warehouse")
    def drop_raw(context: dg.OpExecutionContext) -> None:
        dropped = pipeline.warehouse.drop_raw(pipeline.platforms, pipeline.settings.now() - RAW_KEPT)
        context.log.info("%d raw partitions dropped", dropped)

    @dg.op
    def sweep_runs(context: dg.OpExecutionContext) -> None:
        before = datetime.now(UTC) - timedelta(days=pipeline.settings.keep_runs_days)
        context.log.info("%d runs deleted", delete_runs(context.instance, before))

    @dg.op
    def sweep_targets(context: dg.OpExecutionContext) -> None:
        folder = pipeline.settings.dbt_target / "runs"
        context.log.info("%d dbt folders deleted", delete_folders(folder, DBT_TARGETS_KEPT))
        copies = pipeline.scratch / COPIES
        context.log.info("%d folders of copies deleted that a crash left", delete_folders(copies, ORPHANS_AFTER))

    @dg.op(pool="warehouse")
    def test_tables(context: dg.OpExecutionContext) -> None:
        nodes = pipeline.dbt.build((), pipeline.settings.now(), (), context.run_id, TABLES_TESTED)
        if broken := failed(nodes):
            raise dg.Failure(explain(broken))
        if published := pipeline.publish():
            context.log.info("Published %s", published)

    @dg.job(executor_def=dg.in_process_executor, description="Daily sweeping, and the tests of whole tables.")
    def upkeep() -> None:
        sweep_lake()
        drop_raw()
        sweep_runs()
        sweep_targets()
        test_tables()

    return upkeep


def sweep(pipeline: Pipeline, platform: Platform) -> int:
    """Finish what a killed rewrite left, delete what no commit names; return how many objects went."""
    with pipeline.rewriting(platform):
        done = pipeline.lake.finish_rewrites(platform.name)
    return done + len(pipeline.lake.sweep(platform, datetime.now(UTC) - ORPHANS_AFTER))


def delete_runs(instance: DagsterInstance, before: datetime) -> int:
    """Delete the runs that ended before then. A partition would count as missing without the run that made it, so what
    the doomed runs made is said once more, without a run."""
    old = (record.dagster_run for record in instance.get_run_records(RunsFilter(created_before=before)))
    doomed = {run.run_id for run in old if run.is_finished}
    for key in instance.all_asset_keys() if doomed else ():
        kind = DagsterEventType.ASSET_MATERIALIZATION
        ids = sorted(instance.event_log_storage.get_latest_storage_id_by_partition(key, kind).values())
        for i in range(0, len(ids), 500):
            wanted = dg.EventRecordsFilter(kind, asset_key=key, storage_ids=ids[i : i + 500])
            for record in instance.event_log_storage.get_event_records(wanted):
                made = record.asset_materialization
                if record.run_id in doomed and made is not None:
                    instance.report_runless_asset_event(made)
    for run_id in doomed:
        instance.delete_run(run_id)
    return len(doomed)


def delete_folders(folder: Path, older_than: timedelta) -> int:
    """Delete the subfolders last written before then; return how many."""
    if not folder.exists():
        return 0
    old = [path for path in folder.iterdir() if time.time() - path.stat().st_mtime > older_than.total_seconds()]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    return len(old)


def reparse(pipeline: Pipeline, platform: Platform) -> Iterator[Commit]:
    """Parse the quarantined records of every commit again; yield the commits that got better."""
    from extractors.records import parse_again

    with pipeline.rewriting(platform):
        pipeline.lake.finish_rewrites(platform.name)
        for commit in pipeline.lake.commits(platform.name):
            if any(receipt.parse_errors for receipt in commit.communities.values()):
                changed = pipeline.lake.rewrite(commit, lambda entity, old: parse_again(platform, entity, old))
                if changed is not None:
                    yield changed
