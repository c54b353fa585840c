"""What Dagster shows of communities one by one: `lake/<platform>_history`, and the jobs that track and untrack them."""

import time
from typing import Any

import dagster as dg

from extractors.platform import Platform
from orchestration.communities import communities_table, track, untrack
from orchestration.pipeline import Pipeline

HISTORY_TAG = "threadlake/history"
"""On every run that reads the past, so that only some of them take a place among the runs."""


class Track(dg.Config):
    """`community`: its URL or key; `since`: a span such as 7d, or a date, nothing for all of it; `every`: 10m to 1d."""

    community: str
    since: str = ""
    every: str = ""


class Untrack(dg.Config):
    """`purge`: also delete all that was fetched of it, everywhere."""

    key: str
    purge: bool = False


def partitions_of(platform: Platform) -> dg.DynamicPartitionsDefinition:
    return dg.DynamicPartitionsDefinition(name=f"{platform.name}_communities")


def history_asset(platform: Platform, pipeline: Pipeline) -> dg.AssetsDefinition:
    """`lake/<platform>_history`: a run goes on with a community's past for ten minutes at most. When all is read, the
    next run reads it again, and so sees its edits."""

    @dg.asset(
        key=["lake", f"{platform.name}_history"],
        partitions_def=partitions_of(platform),
        backfill_policy=dg.BackfillPolicy.multi_run(1),
        group_name="history",  # apart from the hourly ones, which are materialised together
        kinds={"parquet"},
        op_tags={HISTORY_TAG: platform.name},
        description=f"The whole past of a community of {platform.name}, newest first, chunk by chunk.",
    )
    def history(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        began, key = time.monotonic(), context.partition_key
        known = {one.key: one for one in pipeline.lake.tracked(platform.name)}
        if key not in known:
            raise dg.Failure(f"{key} is not tracked: run the job track_community first.")
        chunks = list(pipeline.history(known[key], context.run.run_id.replace("-", "")[:12]))
        if not chunks:
            return dg.MaterializeResult(metadata={"rows": 0, "state": "another run is reading it"})
        progress = chunks[-1][1]
        if progress.error:
            raise dg.Failure(progress.error, metadata={"done_percent": round(100 * progress.share, 1)})
        return dg.MaterializeResult(
            metadata={
                "rows": sum(commit.rows for commit, _ in chunks),
                "chunks": len(chunks),
                "requests": sum(commit.communities[key].requests for commit, _ in chunks),
                "posts": progress.posts,
                "done_percent": round(100 * progress.share, 1),
                "posts_per_second": round(progress.rate, 1),
                "seconds_left": round(progress.left or 0),
                "finished": progress.finished,
                "seconds": round(time.monotonic() - began, 3),
            }
        )

    return history


def community_jobs(pipeline: Pipeline) -> list[dg.JobDefinition]:
    """`track_community`, `untrack_community` and `communities`, as the commands do it."""

    @dg.op
    def ask_and_track(context: dg.OpExecutionContext, config: Track) -> None:
        tracked, about = track(pipeline, config.community, config.since, config.every)
        platform = pipeline.platform(tracked.community.platform)
        context.instance.add_dynamic_partitions(f"{platform.name}_communities", [tracked.key])
        context.log.info("%s is tracked: %s", tracked.key, about.title)
        _show(context, pipeline)

    @dg.op(pool="warehouse")
    def stop_tracking(context: dg.OpExecutionContext, config: Untrack) -> None:
        purged = untrack(pipeline, config.key, config.purge)
        context.instance.delete_dynamic_partition(f"{config.key.partition(':')[0]}_communities", config.key)
        context.log.info("%s is tracked no more%s", config.key, f"; {purged}" if config.purge else "")
        _show(context, pipeline)

    @dg.op
    def list_communities(context: dg.OpExecutionContext) -> None:
        _show(context, pipeline)

    @dg.job(executor_def=dg.in_process_executor, description="Ask a platform about a community, and track it.")
    def track_community() -> None:
        ask_and_track()

    @dg.job(executor_def=dg.in_process_executor, description="Track a community no more; with purge, forget it.")
    def untrack_community() -> None:
        stop_tracking()

    @dg.job(executor_def=dg.in_process_executor, description="Show who is tracked, and how they do.")
    def communities() -> None:
        list_communities()

    return [track_community, untrack_community, communities]


def _show(context: dg.OpExecutionContext, pipeline: Pipeline) -> None:
    names, rows = communities_table(pipeline)
    lines = [names, ["---"] * len(names), *rows]
    text = "\n".join("| " + " | ".join("-" if cell is None else str(cell) for cell in line) + " |" for line in lines)
    context.add_output_metadata({"communities": dg.MetadataValue.md(text)})
