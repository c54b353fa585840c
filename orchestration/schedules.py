"""When runs begin: an ingest job a platform, one transform job, upkeep. Each tick asks the lake and the warehouse what
there is to do, says why it does nothing, and asks nobody else: after an outage the missing hours fill themselves.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta

import dagster as dg
from dagster import DagsterRunStatus

from extractors.history import progress
from extractors.lake import HOUR_FORMAT, Tracked
from extractors.plan import LOOK_BACK, backoff
from extractors.platform import Platform, floor_hour, instant
from orchestration.assets import Hours, Reading, partition_of
from orchestration.communities import unfinished
from orchestration.community_assets import HISTORY_TAG
from orchestration.imports import has_news, import_job
from orchestration.pipeline import Pipeline
from orchestration.upkeep import upkeep_job
from orchestration.warehouse import WarehouseBusyError

UNDER_WAY = [
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
Tick = dg.RunRequest | dg.SkipReason


class Look:
    """What is wanted: of all time at the first look of a process and of a day, and again as long as that finds older
    hours and they change; else of the last days, because a year's commits take seconds to read."""

    def __init__(self, wanted: Callable[[bool], list[datetime]]) -> None:
        self._wanted = wanted
        self._done: date | None = None
        self._older: list[datetime] = []

    def __call__(self, now: datetime) -> list[datetime]:
        everything = self._done != now.date()
        hours = self._wanted(everything)
        if everything:
            older = [hour for hour in hours if hour < now - LOOK_BACK]
            if not older or older == self._older:
                self._done = now.date()
            self._older = older
        return hours


def ingest_schedules(platform: Platform, pipeline: Pipeline) -> list[dg.ScheduleDefinition]:
    """The platform's own job, so that a dead platform stops nobody; the poll of the open hour; the past."""
    name = f"ingest_{platform.name}"
    op = f"lake__{platform.name}"
    job = dg.define_asset_job(
        name,
        dg.AssetSelection.assets(dg.AssetKey(["lake", platform.name])),
        executor_def=dg.in_process_executor,
        description=f"Read {platform.name} into the lake: what is missing, and what is due to be read again.",
    )

    look = Look(lambda everything: pipeline.wanted(platform, everything))

    @dg.schedule(name=name, job=job, cron_schedule=pipeline.settings.extract_cron, default_status=_status(pipeline))
    def ingest(context: dg.ScheduleEvaluationContext) -> Tick:
        """The closed hours that somebody tracked wants read."""
        if waiting := _under_way(context, name):
            return waiting
        if not pipeline.lake.tracked(platform.name):
            return dg.SkipReason(f"Nobody is tracked on {platform.name}.")
        hours = look(pipeline.settings.now())
        if not hours:
            return dg.SkipReason(f"Every closed hour of {platform.name} is read, and none is due again.")
        reading = Reading(hours=[f"{hour:{HOUR_FORMAT}}" for hour in hours], refresh=False)
        return _request(context, partition_of(pipeline.closed_hour()), {op: reading})

    @dg.schedule(
        name=f"poll_{platform.name}",
        job=job,
        cron_schedule=pipeline.settings.poll_cron,
        default_status=_status(pipeline),
    )
    def poll(context: dg.ScheduleEvaluationContext) -> Tick:
        """The hour that is still open, for those who are read more often than hourly."""
        if waiting := _under_way(context, name):
            return waiting
        if not pipeline.polled(platform):
            return dg.SkipReason(f"Nobody on {platform.name} is to be read more often than hourly, and is due.")
        hour = floor_hour(pipeline.settings.now())
        return _request(context, partition_of(hour), {op: Reading(hours=[f"{hour:{HOUR_FORMAT}}"], refresh=False)})

    return [ingest, poll, history_schedule(platform, pipeline)]


def history_schedule(platform: Platform, pipeline: Pipeline) -> dg.ScheduleDefinition:
    """Goes on with whoever's past is not read yet, one community of a platform at a time; makes the partitions too, so
    that a community shows in the UI within a minute after it was tracked, wherever that was."""
    name = f"history_{platform.name}"
    job = dg.define_asset_job(
        name,
        dg.AssetSelection.assets(dg.AssetKey(["lake", f"{platform.name}_history"])),
        executor_def=dg.in_process_executor,
        tags={HISTORY_TAG: platform.name},
        description=f"Go on with the past of a community of {platform.name}.",
    )

    @dg.schedule(name=name, job=job, cron_schedule="* * * * *", default_status=_status(pipeline))
    def history(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        """The next community whose past is not read."""
        everybody = pipeline.lake.tracked(platform.name)
        partitions = f"{platform.name}_communities"
        if new := {one.key for one in everybody} - set(context.instance.get_dynamic_partitions(partitions)):
            context.instance.add_dynamic_partitions(partitions, sorted(new))
        if waiting := _under_way(context, name):
            return waiting
        for one in next_pasts(pipeline, everybody):
            tick = context.scheduled_execution_time.isoformat()
            return dg.RunRequest(run_key=f"{one.key} {tick}", partition_key=one.key)
        return dg.SkipReason(f"Everybody's past on {platform.name} is read, or waits after a failure.")

    return history


def next_pasts(pipeline: Pipeline, everybody: Iterable[Tracked]) -> list[Tracked]:
    """Whose past may be read now: whoever has the least of it comes first; who failed is left alone for a while."""
    now, found = pipeline.settings.now(), []
    for one in everybody:
        past = progress(pipeline.lake, one.community)
        if not unfinished(pipeline, one, past):
            continue
        if past is None or past.failed_at is None or instant(past.failed_at) + backoff(past.failures + 2) <= now:
            found.append((past.posts if past else 0, one.tracked_at, one))
    return [one for *_, one in sorted(found, key=lambda entry: entry[:2])]


def transform_schedules(pipeline: Pipeline, assets: Sequence[dg.AssetsDefinition]) -> list[dg.ScheduleDefinition]:
    """Load and dbt over the hours with something new: of the last days every hour, of all time every week."""
    job = dg.define_asset_job(
        "transform",
        dg.AssetSelection.assets(*assets),
        executor_def=dg.in_process_executor,
        description="Load what the lake has new into the raw tables, and build the dbt models of these hours.",
    )

    def decide(context: dg.ScheduleEvaluationContext, look_back: timedelta | None) -> Tick:
        if waiting := _under_way(context, "transform"):
            return waiting
        since = floor_hour(pipeline.settings.now() - look_back) if look_back else None
        try:
            hours = pipeline.unmerged(since, patience=0)
        except WarehouseBusyError as busy:
            return dg.SkipReason(f"{busy} The next tick looks again.")
        if not hours:
            return dg.SkipReason("The lake has nothing that the clean tables lack.")
        hours = pipeline.warehouse.portions(hours)[0]  # the next tick takes what is left
        config = Hours(hours=[f"{hour:{HOUR_FORMAT}}" for hour in hours])
        # hours before the first partition are merged as well, but there is no partition to show them by
        shown = max(max(hours), floor_hour(pipeline.settings.start))
        return _request(context, partition_of(shown), {"load": config, "dbt": config})

    @dg.schedule(name="transform", job=job, cron_schedule=pipeline.settings.load_cron, default_status=_status(pipeline))
    def transform(context: dg.ScheduleEvaluationContext) -> Tick:
        """The last days, as far back as hours are read again."""
        return decide(context, LOOK_BACK)

    @dg.schedule(name="transform_everything", job=job, cron_schedule="10 3 * * 1", default_status=_status(pipeline))
    def transform_everything(context: dg.ScheduleEvaluationContext) -> Tick:
        """Whatever is older and was never merged."""
        return decide(context, None)

    return [transform, transform_everything]


def import_schedules(pipeline: Pipeline) -> list[dg.ScheduleDefinition]:
    """Files that people drop into the folder or bucket of exports, if there is one; the next transform loads them."""
    place = pipeline.settings.exports
    if place is None:
        return []
    job = import_job(pipeline, place)

    @dg.schedule(name=job.name, job=job, cron_schedule=pipeline.settings.extract_cron, default_status=_status(pipeline))
    def import_new(context: dg.ScheduleEvaluationContext) -> Tick:
        """Whatever came or changed since the last import."""
        if waiting := _under_way(context, job.name):
            return waiting
        if not has_news(pipeline, place):
            return dg.SkipReason(f"There is nothing new in {place}.")
        return dg.RunRequest(run_key=_key(context))

    return [import_new]


def upkeep_schedules(pipeline: Pipeline) -> list[dg.ScheduleDefinition]:
    """Sweeping, once a day."""
    job = upkeep_job(pipeline)

    @dg.schedule(name="upkeep", job=job, cron_schedule="45 4 * * *", default_status=_status(pipeline))
    def upkeep(context: dg.ScheduleEvaluationContext) -> Tick:
        """What is left over, what is old, and the tests of whole tables."""
        return _under_way(context, "upkeep") or dg.RunRequest(run_key=_key(context))

    return [upkeep]


def _status(pipeline: Pipeline) -> dg.DefaultScheduleStatus:
    on = pipeline.settings.schedules_on
    return dg.DefaultScheduleStatus.RUNNING if on else dg.DefaultScheduleStatus.STOPPED


def _key(context: dg.ScheduleEvaluationContext) -> str:
    return f"{context.scheduled_execution_time.isoformat()}"  # one run a tick, also where the tick is evaluated twice


def _request(context: dg.ScheduleEvaluationContext, partition: str, ops: dict[str, dg.Config]) -> dg.RunRequest:
    return dg.RunRequest(run_key=_key(context), partition_key=partition, run_config=dg.RunConfig(ops=dict(ops)))


def _under_way(context: dg.ScheduleEvaluationContext, job: str) -> dg.SkipReason | None:
    """Why a tick does nothing while a run of the job is queued or goes on."""
    runs = context.instance.get_runs(dg.RunsFilter(job_name=job, statuses=UNDER_WAY), limit=1)
    return dg.SkipReason(f"Run {runs[0].run_id[:8]} of {job} is still under way.") if runs else None
