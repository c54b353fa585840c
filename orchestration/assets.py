"""Two factories for all platforms: what is in the lake, and what is in the raw tables. Bodies are short: the work is
in `pipeline`, and here it gets its hours, its progress and its numbers.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from extractors.lake import HOUR_FORMAT, Commit
from extractors.platform import Platform
from extractors.records import entities
from orchestration.pipeline import Pipeline

PARTITION_FORMAT = "%Y-%m-%d-%H:%M"  # Dagster's own for hours
WAREHOUSE_POOL = "warehouse"
FITS = "Every row loaded fits the columns that its platform declares today."
SAY_EVERY = 10.0  # seconds between two lines of progress


def merged_at_once(pipeline: Pipeline) -> dg.BackfillPolicy:
    """One run for a range, where the warehouse takes as many hours; else as few as it takes. The same for what is read:
    Dagster makes a run of their own of assets that have another policy, and those that need nothing before others."""
    most = pipeline.warehouse.most_hours
    return dg.BackfillPolicy.multi_run(most) if most else dg.BackfillPolicy.single_run()


class Hours(dg.Config):
    """The hours to work on, as `2026-11-22T13`; without any, the run's partitions."""

    hours: list[str] = []  # noqa: RUF012 - a field of a model, which copies it


class Reading(Hours):
    """`refresh`: read everybody anew, changed or not, as a person means who asks for a partition. The schedules say
    false: then only those communities are read that want the hour."""

    refresh: bool = True


def lake_asset(
    platform: Platform, pipeline: Pipeline, partitions: dg.HourlyPartitionsDefinition
) -> dg.AssetsDefinition:
    """`lake/<platform>`: the observations committed to the lake. One community that fails does not fail it."""

    @dg.asset(
        key=["lake", platform.name],
        partitions_def=partitions,
        backfill_policy=merged_at_once(pipeline),
        group_name="lake",
        kinds={"parquet"},
        description=f"What {platform.name} had, as committed to the lake: files, states, receipts.",
    )
    def lake(context: dg.AssetExecutionContext, config: Reading) -> dg.MaterializeResult[Any]:
        began = time.monotonic()
        hours = hours_of(context, config)
        asked = pipeline.asked(platform, hours, config.refresh)
        if not asked:
            context.log.info("Nobody tracked on %s wants any of these %d hours read.", platform.name, len(hours))
        run_id = context.run.run_id.replace("-", "")[:12]
        commits = list(_told(context, pipeline.crawl(platform, asked, run_id, config.refresh), len(asked)))
        for error, hours_without in errors(commits).items():
            context.log.error("%d hours, %s to %s: %s", *hours_without, error)
        by_hour = {hour: numbers([commit for commit in commits if commit.hour == hour]) for hour in hours}
        show(context, context.asset_key, by_hour)
        return dg.MaterializeResult(metadata={"seconds": round(time.monotonic() - began, 3)})

    return lake


def raw_assets(pipeline: Pipeline, partitions: dg.HourlyPartitionsDefinition) -> dg.AssetsDefinition:
    """`raw/<platform>_threads`, `_posts`, `_authors` where there are any, and `raw/observations`: one transaction."""
    tables = {
        f"{platform.name}_{entity}": [platform] for platform in pipeline.platforms for entity in entities(platform)
    } | {"observations": list(pipeline.platforms)}

    @dg.multi_asset(
        name="load",
        specs=[
            dg.AssetSpec(
                ["raw", table],
                deps=[["lake", platform.name] for platform in some],
                group_name="raw",
                kinds={pipeline.warehouse.kind},
                description=f"raw.{table}: whole hours, replaced from all that the lake has committed of them.",
            )
            for table, some in tables.items()
        ],
        check_specs=[dg.AssetCheckSpec("fits", asset=["raw", table], description=FITS) for table in tables],
        can_subset=True,
        partitions_def=partitions,
        backfill_policy=merged_at_once(pipeline),
        pool=WAREHOUSE_POOL,
    )
    def load(
        context: dg.AssetExecutionContext, config: Hours
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        began = time.monotonic()
        hours = hours_of(context, config)
        chosen = list(context.selected_asset_keys)
        platforms = {platform.name: platform for key in chosen for platform in tables[key.path[-1]]}
        loaded = pipeline.load(hours, list(platforms.values()))
        context.log.info("%d files of %d hours loaded in %.1f s", loaded.files, len(hours), time.monotonic() - began)
        for key in sorted(chosen):
            rows = loaded.rows.get(key.path[-1], {})
            show(context, key, {hour: {"rows": rows.get(hour, 0)} for hour in hours})
            yield dg.MaterializeResult(asset_key=key, metadata={"seconds": round(time.monotonic() - began, 3)})
        for check in sorted(context.selected_asset_check_keys):
            misfits = loaded.misfits.get(check.asset_key.path[-1], ())
            yield dg.AssetCheckResult(
                passed=not misfits,
                asset_key=check.asset_key,
                check_name=check.name,
                description=" ".join(misfits) or FITS,
            )

    return load


# -- hours and numbers ---------------------------------------------------------------------------------------------


def partition_of(hour: datetime) -> str:
    """An hour as Dagster's partition key."""
    return f"{hour:{PARTITION_FORMAT}}"


def hours_of(context: dg.AssetExecutionContext, config: Hours) -> list[datetime]:
    """The hours that the configuration names, else the run's partitions; ascending."""
    named = [datetime.strptime(hour, HOUR_FORMAT).replace(tzinfo=UTC) for hour in config.hours]
    return sorted(set(named or [_hour(key) for key in context.partition_keys]))


def _hour(partition: str) -> datetime:
    return datetime.strptime(partition, PARTITION_FORMAT).replace(tzinfo=UTC)


def show(context: dg.AssetExecutionContext, key: dg.AssetKey, by_hour: Mapping[datetime, Mapping[str, Any]]) -> None:
    """Give each hour's partition its own numbers, also the hours that the run read beside its partition."""
    own = set(context.partition_keys)
    for hour, metadata in by_hour.items():
        partition = partition_of(hour)
        if partition in own:
            context.add_asset_metadata(metadata, asset_key=key, partition_key=partition)
        else:
            context.log_event(dg.AssetMaterialization(key, partition=partition, metadata=dict(metadata)))


def numbers(commits: Sequence[Commit]) -> dict[str, Any]:
    """What some commits got and cost, for the plots."""
    receipts = [receipt for commit in commits for receipt in commit.communities.values()]
    complete = sum(receipt.complete for receipt in receipts)
    found: dict[str, Any] = {
        "rows": sum(commit.rows for commit in commits),
        "requests": sum(receipt.requests for receipt in receipts),
        "not_modified": sum(receipt.not_modified for receipt in receipts),
        "bytes": sum(receipt.bytes for receipt in receipts),
        "waited_seconds": round(sum(receipt.waited for receipt in receipts), 3),
        "parse_errors": sum(receipt.parse_errors for receipt in receipts),
        "complete_percent": round(100 * complete / len(receipts), 1) if receipts else 100.0,
    }
    incomplete = sorted({key for commit in commits for key, r in commit.communities.items() if not r.complete})
    return found | ({"incomplete": ", ".join(incomplete)} if incomplete else {})


def errors(commits: Iterable[Commit]) -> dict[str, tuple[int, str, str]]:
    """What went wrong: each error once, with how many hours it concerns, the first and the last."""
    found: dict[str, list[str]] = {}
    for commit in commits:
        for receipt in commit.communities.values():
            if receipt.error:
                found.setdefault(receipt.error, []).append(f"{commit.hour:{HOUR_FORMAT}}")
    return {error: (len(hours), min(hours), max(hours)) for error, hours in found.items()}


def _told(context: dg.AssetExecutionContext, commits: Iterable[Commit], total: int) -> Iterator[Commit]:
    began = said = time.monotonic()
    rows = 0
    for done, commit in enumerate(commits, 1):
        rows += commit.rows
        now = time.monotonic()
        if now - said > SAY_EVERY or done == total:
            said, spent = now, max(now - began, 0.001)
            left = spent / done * (total - done)
            context.log.info(
                "%s: %d of %d hours, %d rows, %.0f rows/s, about %.0f s left",
                f"{commit.hour:{HOUR_FORMAT}}", done, total, rows, rows / spent, left,
            )  # fmt: skip
        yield commit
