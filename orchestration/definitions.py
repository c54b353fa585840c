"""The whole system on a screen. To add a platform: its module, a line in `extractors.platforms`, its staging models."""

import warnings

import dagster as dg

from orchestration.alerts import alert_sensors
from orchestration.assets import lake_asset, raw_assets
from orchestration.checks import lake_checks
from orchestration.community_assets import community_jobs, history_asset
from orchestration.pipeline import Pipeline
from orchestration.resources import resources
from orchestration.schedules import import_schedules, ingest_schedules, transform_schedules, upkeep_schedules
from orchestration.settings import Settings
from orchestration.transform import transform_assets

warnings.filterwarnings("ignore", category=dg.BetaWarning)  # backfill policies, pools: used on purpose


def build_defs(settings: Settings, pipeline: Pipeline | None = None) -> dg.Definitions:
    """A fresh system. `pipeline`: another set of platforms, for tests."""
    pipeline = pipeline or Pipeline.of(settings)
    partitions = dg.HourlyPartitionsDefinition(settings.start, end_offset=1)  # the open hour is one of them
    lakes = [lake_asset(platform, pipeline, partitions) for platform in pipeline.platforms]
    histories = [history_asset(platform, pipeline) for platform in pipeline.platforms]
    raw = raw_assets(pipeline, partitions)
    transform = transform_assets(pipeline, partitions)
    checks = [lake_checks(platform, pipeline) for platform in pipeline.platforms]
    return dg.Definitions(
        assets=[*lakes, *histories, raw, transform],
        asset_checks=checks,
        jobs=community_jobs(pipeline),
        schedules=[
            *(schedule for platform in pipeline.platforms for schedule in ingest_schedules(platform, pipeline)),
            *transform_schedules(pipeline, [raw, transform]),
            *import_schedules(pipeline),
            *upkeep_schedules(pipeline),
        ],
        sensors=alert_sensors(settings),
        resources=resources(settings),
        executor=dg.in_process_executor,  # five empty steps take 5 s with a process each, under 1 s in one
    )
