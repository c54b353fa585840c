"""What Dockerfile and compose.yaml say, tried without a Docker engine: linted, and their commands run as processes of
this machine, with their environment, their dagster.yaml and a real PostgreSQL.

Not tried here: the build of the image, users and volumes, a file system that is only read.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
import yaml

from orchestration.instance import DAGSTER_YAML
from orchestration.settings import PROJECT
from sandbox.postgres import Postgres
from sandbox.terraform import VENV
from tests.orchestration.conftest import free_port

DOCKERFILE = (PROJECT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "compose.yaml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if "build" in service}
ENVIRONMENT = dict(re.findall(r"([A-Z_]+)=(\S+)", re.findall(r"^ENV ((?:.*\\\n)*.*)", DOCKERFILE, re.M)[0]))


@pytest.mark.skipif(not VENV.exists(), reason=f"make {VENV.name}/ready sets up the checkers")
@pytest.mark.parametrize(
    "command",
    [
        ["hadolint", "Dockerfile"],
        ["checkov", "-f", "Dockerfile", "--framework", "dockerfile", "--quiet", "--compact", "--skip-download"],
        ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"],
    ],
    ids=lambda command: command[0],
)
def test_a_linter_finds_nothing(command: list[str]) -> None:
    done = subprocess.run([VENV / "bin" / command[0], *command[1:]], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_has_what_it_runs_and_nothing_else() -> None:
    copied = re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE, re.M)
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*" and {line[1:] for line in ignored if line.startswith("!")} == set(copied)
    assert all((PROJECT / name).exists() for name in copied)
    packages = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert {name.partition(".")[0] for name in packages} - {"sandbox"} <= set(copied)  # a sandbox is for trying out
    assert re.search(r"^USER 10001$", DOCKERFILE, re.M) and "--require-hashes" in DOCKERFILE
    for name in ("deploy/dagster.yaml", "deploy/workspace.yaml", "deploy/threadlake"):
        assert (PROJECT / name).exists()
    named = " ".join(str(service["command"]) for service in OURS.values()).replace("/app/", "")
    assert all((PROJECT / path).exists() for path in re.findall(r"deploy/[\w.]+", named))


def test_the_lock_of_the_image_has_hashes_names_no_host_and_no_tool_of_developers() -> None:
    lock = (PROJECT / "requirements.lock").read_text()
    packages = re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==", lock, re.M)
    assert lock.count("--hash=sha256:") > len(packages) > 100
    assert "dagster-postgres" in packages and not {"pytest", "ruff", "mypy", "playwright", "uv"} & set(packages)
    assert "://" not in lock
    asked = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {re.split("[<>=]", name)[0] for name in asked} <= set(packages), "make lock makes it anew"
    developers = (PROJECT / "requirements-dev.lock").read_text()
    pinned = re.findall(r"^(\S+==\S+)", lock, re.M)
    assert [line for line in pinned if line not in developers] == []  # what is tested is what is deployed


def test_the_deployed_instance_is_the_laptops_but_for_its_places() -> None:
    laptop = yaml.safe_load(DAGSTER_YAML.format(longest=21600, runs='""', events='""', schedules='""'))
    deployed = yaml.safe_load((PROJECT / "deploy" / "dagster.yaml").read_text())
    places = {"run_storage", "event_log_storage", "schedule_storage", "storage", "compute_logs"}
    places |= {"local_artifact_storage", "run_launcher"}
    assert {k: v for k, v in laptop.items() if k not in places} == {
        k: v for k, v in deployed.items() if k not in places
    }


def test_alerts_look_for_what_dagster_prints() -> None:
    """That a run which fails prints its line is shown by tests/orchestration/test_cloud_run.py."""
    scheduler = importlib.util.find_spec("dagster._scheduler.scheduler")
    assert scheduler and scheduler.origin
    alerts = (PROJECT / "terraform" / "alerts.tf").read_text()
    assert "Completed scheduled launch of run" in alerts
    assert "Completed scheduled launch of run" in Path(scheduler.origin).read_text()


def test_the_machine_of_terraform_runs_what_compose_runs() -> None:
    machine = (PROJECT / "terraform" / "cloud-init.yaml.tftpl").read_text()
    for name, service in OURS.items():
        if name == "dashboard":  # which is on Cloud Run there
            continue
        command = service["command"]
        said = command[2] if command[0] == "sh" else " ".join(command)
        assert re.search(rf'{name} += "[^\n]*{re.escape(said)}', machine), said
    assert COMPOSE["services"]["postgres"]["image"] in machine
    given = set(re.findall(r"--env ([A-Z_]+)=|^ +([A-Z_]+)=", machine, re.M))
    assert {"POSTGRES_HOST", "CODE_HOST", "THREADLAKE_SCHEDULES"} <= {a or b for a, b in given}


class Stack:
    """The services of compose.yaml as processes; the names of hosts are this one's, the ports free ones."""

    def __init__(self, home: Path, postgres: Postgres) -> None:
        self.code, self.web = free_port(), free_port()
        self.home = home
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.workspace = home / "workspace.yaml"
        workspace = (PROJECT / "deploy" / "workspace.yaml").read_text()
        self.workspace.write_text(workspace.replace("4000", str(self.code)))
        tools = home / "bin"
        tools.mkdir()
        shutil.copy(PROJECT / "deploy" / "threadlake", tools)
        path = f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        here = {"PATH": path, "PYTHONPATH": str(PROJECT), "DAGSTER_HOME": str(PROJECT / "deploy")}
        here |= {"THREADLAKE_HOME": str(home / "home"), "CODE_HOST": "127.0.0.1", "THREADLAKE_SCHEDULES": "off"}
        told = next(iter(OURS.values()))["environment"]
        self.env = {"HOME": str(home), **ENVIRONMENT, **dict.fromkeys(told, ""), **here, **postgres.env}

    def start(self, name: str) -> None:
        ports = {"4000": str(self.code), "3000": str(self.web), "0.0.0.0": "127.0.0.1"}
        ports["/app/deploy/workspace.yaml"] = str(self.workspace)
        command = [_replaced(word, ports) for word in OURS[name]["command"]]
        with (self.home / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(command, env=self.env, cwd=PROJECT, stdout=log, stderr=log)

    def healthy(self, name: str) -> bool:
        """As compose.yaml asks."""
        test = [_replaced(word, {"4000": str(self.code)}) for word in OURS[name]["healthcheck"]["test"][1:]]
        return subprocess.run(test, env=self.env, cwd=PROJECT, capture_output=True).returncode == 0

    def wait(self, what: Callable[[], object], seconds: float = 120) -> Any:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for name, process in self.processes.items():
                assert process.poll() is None, self.log(name)
            with suppress(requests.RequestException):
                if found := what():
                    return found
            time.sleep(0.5)
        raise AssertionError("\n".join(self.log(name) for name in self.processes))

    def log(self, name: str) -> str:
        return f"{name}: {(self.home / f'{name}.log').read_text()[-2000:]}"

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.web}/graphql"
        answer = requests.post(url, json={"query": query, "variables": variables}, timeout=30).json()
        assert "errors" not in answer, answer
        found: dict[str, Any] = answer["data"]
        return found

    def end(self) -> None:
        for process in self.processes.values():
            with suppress(psutil.Error):
                for one in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
                    one.kill()
            process.wait()
        self.processes.clear()


def _replaced(word: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        word = word.replace(old, new)
    return word


@pytest.fixture
def stack(tmp_path: Path, postgres: Postgres) -> Iterator[Stack]:
    made = Stack(tmp_path, postgres)
    yield made
    made.end()


LAUNCH = """
mutation ($selector: JobOrPipelineSelector!, $tags: [ExecutionTag!]) {
  launchRun(executionParams: {selector: $selector, mode: "default", executionMetadata: {tags: $tags}}) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}
"""
RUN = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_stack_runs_over_postgres(stack: Stack, postgres: Postgres) -> None:
    stack.start("code")
    stack.wait(lambda: b"Started Dagster code server" in (stack.home / "code.log").read_bytes())
    assert stack.healthy("code")  # it answers over gRPC
    stack.start("webserver")
    stack.start("daemon")
    stack.wait(lambda: requests.get(f"http://127.0.0.1:{stack.web}/server_info", timeout=5).ok)
    partition = {"key": "dagster/partition", "value": _first_partition(stack.home / "home")}
    selector = {
        "repositoryLocationName": "threadlake",
        "repositoryName": "__repository__",
        "jobName": "ingest_fourchan",
    }
    launched = stack.ask(LAUNCH, selector=selector, tags=[partition])["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id = launched["run"]["runId"]
    stack.wait(lambda: stack.ask(RUN, id=run_id)["runOrError"]["status"] == "SUCCESS", 60)
    assert f"{run_id}" in _stored(postgres)
    assert "Nobody tracked on fourchan" in (stack.home / "code.log").read_text()  # what a run says is the container's
    assert not (PROJECT / "deploy" / "history").exists() and not (PROJECT / "deploy" / "storage").exists()


def _first_partition(home: Path) -> str:
    return (home / "start").read_text()[:13].replace("T", "-") + ":00"


def _stored(postgres: Postgres) -> list[str]:
    import psycopg2

    with (
        psycopg2.connect(
            host="127.0.0.1", port=postgres.port, user="dagster", password=postgres.password, dbname="dagster"
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("select run_id from runs where status = 'SUCCESS'")
        return [run_id for (run_id,) in cursor.fetchall()]
