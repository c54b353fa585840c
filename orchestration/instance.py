"""The Dagster instance of a laptop: its `dagster.yaml`, its workspace, the environment its processes get.

One with Postgres is set up in `deploy/`; DAGSTER_HOME names it there.
"""

import os
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from orchestration.events import BATCH_SIZE
from orchestration.settings import PREFIX, PROJECT, Settings

if TYPE_CHECKING:
    from dagster import DagsterInstance

SESSION = "THREADLAKE_SESSION"
"""In the environment of every process that `threadlake up` starts, and of theirs: the home it belongs to."""
LONGEST_RUN = 6 * 3600
"""Seconds after which the daemon gives a run up. Thirty days of a busy forum take about one hour of requests."""

DEPLOYED = PROJECT / "deploy"

DAGSTER_YAML = """\
# Written by `threadlake up`; changes are overwritten.
telemetry: {{enabled: false}}
nux: {{enabled: false}}

run_storage:
  module: dagster._core.storage.runs
  class: SqliteRunStorage
  config: {{base_dir: {runs}}}
event_log_storage:  # one transaction for what a backfill says of its partitions
  module: orchestration.events
  class: BatchedSqliteEvents
  config: {{base_dir: {events}}}
schedule_storage:
  module: dagster._core.storage.schedules
  class: SqliteScheduleStorage
  config: {{base_dir: {schedules}}}

run_coordinator:
  module: dagster._core.run_coordinator
  class: QueuedRunCoordinator
  config: {{dequeue_interval_seconds: 1, dequeue_use_threads: true}}
concurrency:
  runs:
    max_concurrent_runs: 4
    tag_concurrency_limits: [{{key: threadlake/history, limit: 2}}]  # so that the hourly runs find a place
  pools: {{default_limit: 1, granularity: op}}

# A worker that died is noticed here while all else runs, and by `threadlake recover` after everything died.
run_monitoring:
  enabled: true
  start_timeout_seconds: 180
  cancel_timeout_seconds: 60
  max_runtime_seconds: {longest}
  poll_interval_seconds: 30
  free_slots_after_run_end_seconds: 60
# A run whose worker died is begun again; one whose step failed is not: the next tick reads what is missing.
run_retries: {{enabled: true, max_retries: 2, retry_on_asset_or_op_failure: false}}

retention:
  schedule: {{purge_after_days: {{skipped: 3, started: 30, success: 30, failure: 30}}}}
  sensor: {{purge_after_days: {{skipped: 1, started: 7, success: 30, failure: 30}}}}
python_logs:
  managed_python_loggers: [extractors, orchestration]
  python_log_level: INFO
"""


def write_instance(settings: Settings) -> Path:
    """Write what Dagster reads at its start; return the folder, which is its DAGSTER_HOME."""
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    remember_start(settings)
    places = {name: orjson.dumps(str(home / name)).decode() for name in ("runs", "events", "schedules")}
    # the location's name and address stay the same: queued runs, backfills and schedules that wait refer to them
    server = {"socket": str(socket_of(settings)), "location_name": "threadlake"}
    (home / "workspace.yaml").write_bytes(orjson.dumps({"load_from": [{"grpc_server": server}]}))
    (home / "dagster.yaml").write_text(DAGSTER_YAML.format(longest=LONGEST_RUN, **places))
    return home


def remember_start(settings: Settings) -> None:
    """Else the first partition would move with every start."""
    start = settings.home / "start"
    if not start.exists():
        start.parent.mkdir(parents=True, exist_ok=True)
        start.write_text(settings.start.isoformat())


def open_instance(settings: Settings) -> "DagsterInstance":
    """The deployed instance, where DAGSTER_HOME names it; else the one of this home."""
    from dagster import DagsterInstance

    remember_start(settings)
    deployed = os.environ.get("DAGSTER_HOME") == str(DEPLOYED)
    return DagsterInstance.from_config(str(DEPLOYED if deployed else write_instance(settings)))


def socket_of(settings: Settings) -> Path:
    """The code server's socket. Not in the home: its path may have 107 bytes at the most, and a home may be deep."""
    folder = Path(os.environ.get("XDG_RUNTIME_DIR", "/tmp"))
    return folder / f"threadlake-{blake2b(str(settings.home).encode(), digest_size=6).hexdigest()}.sock"


def environment(settings: Settings) -> dict[str, str]:
    """The environment of Dagster's processes: this one's, and what makes them find this instance."""
    return os.environ | {
        "DAGSTER_HOME": str(settings.dagster_home),
        "DAGSTER_EVENT_BATCH_SIZE": str(BATCH_SIZE),
        f"{PREFIX}HOME": str(settings.home),
        SESSION: str(settings.home),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "PYTHONUNBUFFERED": "1",
    }
