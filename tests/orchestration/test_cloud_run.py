"""Runs that are sent to Cloud Run: its API on loopback starts what it is asked to, as a process of this machine."""

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import dagster as dg
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.launcher.base import WorkerStatus
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.test_utils import create_run_for_test
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from orchestration.cloud_run import EXECUTION, TAG, CloudRunLauncher
from orchestration.instance import open_instance, write_instance
from orchestration.recover import recover
from orchestration.settings import PROJECT, Settings
from tests.orchestration.cloud_location import defs

JOB = "projects/p/locations/europe-west1/jobs/threadlake-warehouse"
MODULE = "tests.orchestration.cloud_location"


class CloudRun(ThreadingHTTPServer):
    """`jobs.run`, `executions.get` and `executions.cancel`, of one job."""

    def __init__(self) -> None:
        self.executions: list[subprocess.Popen[bytes]] = []
        super().__init__(("127.0.0.1", 0), Handler)

    def ask(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        if (method, path) == ("POST", f"/v2/{JOB}:run"):
            (override,) = body["overrides"]["containerOverrides"]
            self.executions.append(subprocess.Popen(override["args"], cwd=PROJECT, stderr=subprocess.PIPE))
            return {"name": "operations/1", "metadata": {"name": f"{JOB}/executions/{len(self.executions) - 1}"}}
        name, _, verb = path.removeprefix(f"/v2/{JOB}/executions/").partition(":")
        process = self.executions[int(name)]
        if verb == "cancel":
            process.kill()
            return {}
        code = process.poll()
        return {} if code is None else {"succeededCount" if code == 0 else "failedCount": 1}


class Handler(BaseHTTPRequestHandler):
    server: CloudRun

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = json.dumps(self.server.ask(self.command, self.path, json.loads(body or b"{}"))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET

    def log_message(self, *arguments: object) -> None: ...


@pytest.fixture
def cloud_run() -> Iterator[CloudRun]:
    server = CloudRun()
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    for process in server.executions:
        process.kill()
        process.communicate()
    server.server_close()


@pytest.fixture
def deployed(cloud_run: CloudRun, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """A laptop's instance with the deployed one's launcher."""
    monkeypatch.setenv("THREADLAKE_CLOUD_RUN_JOB", JOB)
    folder = write_instance(settings)
    endpoint = f"http://127.0.0.1:{cloud_run.server_port}"
    launcher = {"module": "orchestration.cloud_run", "class": "CloudRunLauncher", "config": {"endpoint": endpoint}}
    with (folder / "dagster.yaml").open("a") as file:
        file.write(f"run_launcher: {json.dumps(launcher)}\n")
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        assert isinstance(instance.run_launcher, CloudRunLauncher)
        yield instance


def make_run(instance: dg.DagsterInstance, *key: str, tags: dict[str, str] | None = None) -> dg.DagsterRun:
    pointer = ModuleCodePointer(MODULE, "defs", working_directory=str(PROJECT))
    repository = RepositoryPythonOrigin(sys.executable, pointer, entry_point=[sys.executable, "-m", "dagster"])
    target = LoadableTargetOrigin(executable_path=sys.executable, module_name=MODULE)
    place = RemoteRepositoryOrigin(InProcessCodeLocationOrigin(target), "__repository__")
    job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection={dg.AssetKey(list(key))})
    return create_run_for_test(
        instance,
        job_name="__ASSET_JOB",
        asset_selection=frozenset({dg.AssetKey(list(key))}),
        job_code_origin=JobPythonOrigin("__ASSET_JOB", repository),
        remote_job_origin=RemoteJobOrigin(place, "__ASSET_JOB"),
        tags=tags if tags is not None else {TAG: "yes"},
        job_snapshot=job.get_job_snapshot(),
    )


@pytest.mark.parametrize("name", [pytest.param("posts", marks=pytest.mark.long), "broken"])
def test_a_load_goes_there_and_comes_to_its_end(deployed: dg.DagsterInstance, cloud_run: CloudRun, name: str) -> None:
    run = make_run(deployed, "clean", name)
    deployed.launch_run(run.run_id, None)
    _, said = cloud_run.executions[0].communicate(timeout=120)
    found = deployed.get_run_by_id(run.run_id)
    assert found and found.tags[EXECUTION] == f"{JOB}/executions/0"
    assert (
        deployed.run_launcher.check_run_worker_health(found).status == WorkerStatus.SUCCESS
    )  # the process, not the run
    if name == "broken":
        assert found.status == dg.DagsterRunStatus.FAILURE
        assert b" - RUN_FAILURE - " in said  # by which terraform/alerts.tf knows of it
    else:
        assert found.status == dg.DagsterRunStatus.SUCCESS


def test_what_goes_on_there_is_not_taken_for_dead_here_and_can_be_ended(
    deployed: dg.DagsterInstance, cloud_run: CloudRun, settings: Settings
) -> None:
    run = make_run(deployed, "clean", "posts")
    deployed.launch_run(run.run_id, None)
    deployed.report_engine_event("begins", run)
    assert recover(settings, deployed).runs == 0
    assert deployed.run_launcher.terminate(run.run_id)
    assert cloud_run.executions[0].wait(30) != 0
    found = deployed.get_run_by_id(run.run_id)
    assert found and found.status == dg.DagsterRunStatus.CANCELED
    assert deployed.run_launcher.check_run_worker_health(found).status == WorkerStatus.FAILED


@pytest.mark.parametrize(("key", "tags"), [(("lake", "fourchan"), {TAG: "yes"}), (("clean", "posts"), {})])
def test_crawls_and_whatever_does_not_ask_stay(
    deployed: dg.DagsterInstance, cloud_run: CloudRun, key: tuple[str, ...], tags: dict[str, str]
) -> None:
    run = make_run(deployed, *key, tags=tags)
    with pytest.raises(dg.DagsterInvariantViolationError, match="requires a workspace"):  # as Dagster's own would go on
        deployed.launch_run(run.run_id, None)
    told = [entry.message for entry in deployed.all_logs(run.run_id)]
    assert any("stays on the machine: it crawls" in text for text in told) == bool(tags)
    assert cloud_run.executions == []


def test_a_job_that_is_no_name_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="THREADLAKE_CLOUD_RUN_JOB must be named"):
        Settings.from_env({"THREADLAKE_CLOUD_RUN_JOB": "warehouse"})


def test_a_laptop_opens_its_own_instance(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with open_instance(settings) as instance:
        assert instance.root_directory == str(settings.dagster_home)
