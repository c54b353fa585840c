"""Runs that are too big for the machine: a load or dbt goes to a Cloud Run job where the run's tag asks for it.

Crawls stay: their host's limits and the one reading of a community are kept by locks of one machine. The warehouse's
pool is Dagster's, so it holds everywhere.
"""

import logging
from collections.abc import Mapping
from typing import Any

import requests
from dagster import DagsterRun
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClassData

from orchestration.google_api import GoogleApi
from orchestration.settings import Settings

ENDPOINT = "https://run.googleapis.com"
TAG = "threadlake/cloud-run"
"""Of a run that is to go there; any value."""
EXECUTION = "threadlake/cloud-run-execution"
"""Of a run that went there: its execution's resource name."""

log = logging.getLogger(__name__)


class CloudRunLauncher(DefaultRunLauncher):
    """`deploy/dagster.yaml` names this class. Without a job in the settings, every run stays on the machine."""

    def __init__(self, inst_data: ConfigurableClassData | None = None, endpoint: str = ENDPOINT) -> None:
        super().__init__(inst_data)
        self._api = GoogleApi(endpoint)
        self._job = Settings.from_env().cloud_run_job

    @classmethod
    def config_type(cls) -> Any:
        from dagster import Field

        return {"endpoint": Field(str, default_value=ENDPOINT)}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "CloudRunLauncher":
        return cls(inst_data=inst_data, **config_value)

    def launch_run(self, context: LaunchRunContext) -> None:
        run = context.dagster_run
        if TAG not in run.tags:
            return super().launch_run(context)
        reason = self._stays(run)
        if reason:
            self._instance.report_engine_event(f"This run stays on the machine: {reason}", run, cls=type(self))
            return super().launch_run(context)
        origin = context.job_code_origin
        assert origin is not None
        command = ExecuteRunArgs(origin, run.run_id, self._instance.get_ref()).get_command_args()
        override = {"containerOverrides": [{"args": list(command)}]}
        operation = self._api.post(f"v2/{self._job}:run", {"overrides": override})
        execution = str(operation["metadata"]["name"])
        self._instance.add_run_tags(run.run_id, {EXECUTION: execution})
        self._instance.report_engine_event(f"Sent to Cloud Run: {execution}", run, cls=type(self))
        return None

    def _stays(self, run: DagsterRun) -> str | None:
        """Why a run that asks to go cannot."""
        if not self._job:
            return "THREADLAKE_CLOUD_RUN_JOB names no job."
        if not run.asset_selection:
            return "only loads and dbt models may go, and its assets are not named."
        if any(key.path[0] == "lake" for key in run.asset_selection):
            return "it crawls, and crawls keep their hosts' limits by locks of the machine."
        return None

    def terminate(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        execution = run.tags.get(EXECUTION) if run else None
        if run is None or execution is None:
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        if run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        try:
            self._api.post(f"v2/{execution}:cancel", {})
        except requests.RequestException as problem:
            log.warning("%s cannot be cancelled: %s", execution, type(problem).__name__)
            return False
        self._instance.report_run_canceled(run)
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Of one that went there, what Cloud Run says. Of one that stayed nothing is known, as without this class."""
        execution = run.tags.get(EXECUTION)
        if execution is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        try:
            found = self._api.get(f"v2/{execution}")
        except requests.RequestException as problem:
            return CheckRunHealthResult(WorkerStatus.UNKNOWN, f"Cloud Run does not answer: {type(problem).__name__}")
        if found.get("failedCount") or found.get("cancelledCount"):
            return CheckRunHealthResult(WorkerStatus.FAILED, f"{execution} failed")
        done = found.get("succeededCount")
        return CheckRunHealthResult(WorkerStatus.SUCCESS if done else WorkerStatus.RUNNING)
