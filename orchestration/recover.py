"""What a crash of everything leaves, put right before anything starts again.

After a SIGKILL of daemon, code server and workers a run stays «started» and keeps its pool slots for ever, and a worker
that outlived its parent may still write. Nobody else's processes are touched: ours carry this home in their
environment.
Half-written lake files are invisible, half-done transactions are rolled back by DuckDB, so nothing else needs repair.
"""

import fcntl
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from orchestration.cloud_run import EXECUTION
from orchestration.instance import SESSION
from orchestration.settings import Settings

DEAD = [
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
    DagsterRunStatus.MANAGED,
]
GRACE = 10.0  # seconds between asking an orphan to end and ending it
log = logging.getLogger(__name__)


class RunningError(Exception):
    """Another `threadlake up` has this home."""


@dataclass(frozen=True)
class Recovered:
    """What there was to do: processes ended, runs failed, runs whose pool slots were freed."""

    orphans: int = 0
    runs: int = 0
    slots: int = 0

    def __str__(self) -> str:
        if self == Recovered():
            return "Nothing to recover."
        done = f"{self.orphans} orphaned processes ended, {self.runs} dead runs failed, {self.slots} slots freed"
        return f"Recovered: {done}."


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold the home's lock, which the kernel frees however this process ends. Raises RunningError."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "up.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise RunningError(
                f"`threadlake up` is running with {home} already (process {file.read().strip()})."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def recover(settings: Settings, instance: DagsterInstance) -> Recovered:
    """End orphans, fail their runs, free their slots. The caller holds `only_one`: whatever runs is an orphan."""
    ended = end(orphans(settings))
    # what was sent to Cloud Run goes on there, and Dagster asks Cloud Run about it
    under_way = instance.get_runs(RunsFilter(statuses=DEAD))
    away = {run.run_id for run in under_way if EXECUTION in run.tags}
    runs = [run for run in under_way if run.run_id not in away]
    for run in runs:
        if run.status == DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, "Its worker was gone when threadlake started again.")
        else:
            instance.report_run_failed(run, "Its worker was gone when threadlake started again.")
    # who waits for a slot is still queued or gets a new worker: with all workers dead no claim is anybody's
    holders = instance.event_log_storage.get_concurrency_run_ids() - away
    for run_id in holders:
        instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    return Recovered(ended, len(runs), len(holders))


def orphans(settings: Settings) -> list[psutil.Process]:
    """Processes that an earlier `threadlake up` of this home started, however deep, and that still live."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(SESSION) == str(settings.home):
                found.append(process)
    return found


def end(processes: list[psutil.Process], grace: float = GRACE) -> int:
    """Ask them to end, then end them; return how many there were."""
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(processes, timeout=grace)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=grace)
    return len(processes)
