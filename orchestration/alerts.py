"""What goes to the webhook: failed runs, and failed checks of runs that did not fail. Slack's shape, `{"text": …}`.

A webhook that does not answer is a line in the log and nothing else.
"""

import logging
from collections.abc import Sequence

import dagster as dg
from dagster import DagsterEventType

from extractors.errors import mask
from orchestration.settings import Settings

log = logging.getLogger(__name__)
TIMEOUT = 5.0
LONGEST = 3000  # characters; Slack cuts at 4,000


def alert_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """None without a webhook: a sensor that does nothing still costs a look every few seconds."""
    if not settings.webhook:
        return []

    @dg.run_failure_sensor(
        name="alert_failures", minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING
    )
    def failures(context: dg.RunFailureSensorContext) -> None:
        """A run failed."""
        errors = [event.step_failure_data.error for event in context.get_step_failure_events()]
        causes = [(error.cause or error).message.strip() for error in errors if error]
        post(settings, f"Run {_name(context.dagster_run)} failed: {' '.join(causes) or context.failure_event.message}")

    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.SUCCESS,
        name="alert_checks",
        minimum_interval_seconds=15,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def checks(context: dg.RunStatusSensorContext) -> None:
        """A run succeeded, with checks that did not pass."""
        told = failed_checks(context.instance, context.dagster_run.run_id)
        if told:
            post(settings, f"Run {_name(context.dagster_run)} ended with failed checks:\n" + "\n".join(told))

    return [failures, checks]


def failed_checks(instance: dg.DagsterInstance, run_id: str) -> Sequence[str]:
    """A line for each check of the run that did not pass."""
    records = instance.get_records_for_run(run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION).records
    told = []
    for record in records:
        event = record.event_log_entry.dagster_event
        check = event.asset_check_evaluation_data if event else None
        if check and not check.passed:
            told.append(f"{check.asset_key.to_user_string()} {check.check_name}: {check.description or 'did not pass'}")
    return told


def post(settings: Settings, text: str) -> bool:
    """Send a text; return whether it arrived. Secrets in it are masked."""
    import requests

    if not settings.webhook:
        return False
    secrets = {settings.webhook, settings.discord_token, *settings.discourse_keys.values()}
    secrets |= {value.rpartition(":")[2] for value in settings.discourse_keys.values()}
    text = mask(text)
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    try:
        requests.post(settings.webhook, json={"text": text[:LONGEST]}, timeout=TIMEOUT).raise_for_status()
    except requests.RequestException as problem:
        # not the exception's text, which holds the webhook's URL, and that is a secret
        log.warning("The alert did not reach the webhook (%s): %s", type(problem).__name__, text[:200])
        return False
    return True


def _name(run: dg.DagsterRun) -> str:
    return f"{run.run_id[:8]} of {run.job_name}"
