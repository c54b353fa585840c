"""A sandbox and a real `threadlake up` over it, as processes, and what a person clicks there; for demo and bench."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from sandbox.discord import TOKEN

PARTITION = "%Y-%m-%d-%H:%M"
STARTING, RUNNING = 120.0, 900.0
"""Seconds that a start and a run may take; on the stand-in for BigQuery an hour takes 150."""
REPOSITORY = "repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } }"
ASSETS = "{ assetNodes { assetKey { path } partitionDefinition { name } isPartitioned } }"
BACKFILL = """
mutation ($assets: [AssetKeyInput!], $partitions: [String!]) {
  launchPartitionBackfill(backfillParams: {assetSelection: $assets, partitionNames: $partitions}) {
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}"""
TICK = """
mutation ($selector: ScheduleSelector!, $timestamp: Float) {
  scheduleDryRun(selectorData: $selector, timestamp: $timestamp) {
    ... on DryRunInstigationTick {
      evaluationResult { skipReason error { message } runRequests { runConfigYaml tags { key value } jobName } }
    }
    ... on PythonError { message }
  }
}"""
LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}"""
RUN = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status creationTime endTime } } }"
RUNS_OF = "query ($filter: RunsFilter!) { runsOrError(filter: $filter) { ... on Runs { results { runId } } } }"


class SystemFailed(Exception):
    """What went wrong, and where to look."""


@contextmanager
def served(home: Path, start: datetime, now: datetime, hours: int, scale: float = 1.0) -> Iterator[str]:
    """A sandbox in a process of its own, its clock in `home`; yields its URL. People post for `hours` from `start`."""
    command = [sys.executable, "-m", "sandbox", "--start", start.isoformat(), "--hours", str(hours)]
    command += ["--scale", str(scale), "--now", now.isoformat(), "--clock-file", str(home / "clock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


@contextmanager
def system(
    home: Path, via: str, start: datetime, communities: Sequence[str], dashboard: int | None = None
) -> Iterator["Dagster"]:
    """`threadlake up` without schedules, tracking these communities, until the block ends; with the dashboard where its
    port is named. Also the environment of this process is theirs from now on. Raises SystemFailed."""
    os.environ |= {
        "THREADLAKE_HOME": str(home),
        "THREADLAKE_VIA": via,
        "THREADLAKE_PACE": "500",
        "THREADLAKE_CLOCK": str(home / "clock"),
        "THREADLAKE_START": f"{start:%Y-%m-%dT%H}",
        "DISCORD_TOKEN": TOKEN,
    }
    listed, port = home / "communities.toml", free_port()
    listed.write_text(f"communities = {json.dumps(communities)}\n")
    command = [sys.executable, "-m", "orchestration.cli", "up", "--no-schedules", "--port", str(port)]
    command += ["--dashboard-port", str(dashboard)] if dashboard else ["--no-dashboard"]
    with (home / "up.log").open("w") as log:
        process = subprocess.Popen([*command, "--communities", str(listed)], stdout=log, stderr=subprocess.STDOUT)
    try:
        dagster = Dagster(f"http://127.0.0.1:{port}", home)
        for _ in dagster.patiently("Dagster's start", STARTING):
            if process.poll() is not None:
                raise SystemFailed((home / "up.log").read_text())
            try:
                urllib.request.urlopen(f"{dagster.url}/server_info", timeout=5).close()
                break
            except OSError:
                continue
        yield dagster
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


class Dagster:
    """The few things a person clicks in the UI, asked of its own API; each raises SystemFailed."""

    def __init__(self, url: str, home: Path) -> None:
        self.url = url
        self._home = home

    def backfill(self, hours: Sequence[datetime]) -> list[str]:
        """Ask for these hours of every asset that has any; the runs that the daemon makes of it."""
        nodes = self._ask(ASSETS, {})["assetNodes"]
        assets = [
            {"path": node["assetKey"]["path"]}
            for node in nodes
            if node["isPartitioned"] and not node["partitionDefinition"]["name"]
        ]
        partitions = [f"{hour:{PARTITION}}" for hour in hours]
        launched = self._ask(BACKFILL, {"assets": assets, "partitions": partitions})["launchPartitionBackfill"]
        tag = {"key": "dagster/backfill", "value": launched.get("backfillId") or _fail(launched)}
        for _ in self.patiently("the start of the backfill", STARTING):
            if runs := self._ask(RUNS_OF, {"filter": {"tags": [tag]}})["runsOrError"]["results"]:
                return [run["runId"] for run in runs]
        return []

    def hour(self, platforms: Sequence[str]) -> tuple[float, float]:
        """What the schedules do each hour: an ingest run a platform, then load and dbt; the seconds each took, from
        launch to end, 0 for what there was no need to do."""
        ingests = [self.tick(f"ingest_{platform}") for platform in platforms]
        return self.wait(*ingests), self.wait(self.tick("transform"))

    def tick(self, schedule: str) -> str | None:
        """The run that the schedule asks for now; None where it has nothing to do, which is said."""
        selector = {**self._repository, "scheduleName": schedule}
        tick = self._ask(TICK, {"selector": selector, "timestamp": time.time()})["scheduleDryRun"]
        result = tick.get("evaluationResult") or _fail(tick)
        if result["error"]:
            _fail(result["error"]["message"])
        if not result["runRequests"]:
            print(f"          {schedule}: {result['skipReason']}", flush=True)
            return None
        request = result["runRequests"][0]
        params = {
            "selector": {**self._repository, "jobName": request["jobName"] or schedule},
            "runConfigData": request["runConfigYaml"],
            "executionMetadata": {"tags": [{"key": t["key"], "value": t["value"]} for t in request["tags"]]},
        }
        launched = self._ask(LAUNCH, {"params": params})["launchRun"]
        run: str = (launched.get("run") or _fail(launched))["runId"]
        return run

    def wait(self, *runs: str | None) -> float:
        """Until all have ended well; the seconds the longest took."""
        longest = 0.0
        for run in filter(None, runs):
            for _ in self.patiently(f"run {run}"):
                status = self._ask(RUN, {"id": run})["runOrError"]
                if status["status"] in ("FAILURE", "CANCELED"):
                    _fail(f"run {run} ended as {status['status']}: see {self._home}/logs and the UI")
                if status["status"] == "SUCCESS":
                    longest = max(longest, float(status["endTime"] - status["creationTime"]))
                    break
        return longest

    def patiently(self, what: str, seconds: float = RUNNING) -> Iterator[None]:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            yield
            time.sleep(0.3)
        _fail(f"{what} took more than {seconds:.0f} s: see {self._home}/up.log and {self._home}/logs")

    @cached_property
    def _repository(self) -> dict[str, str]:
        node = self._ask(f"{{ {REPOSITORY} }}", {})["repositoriesOrError"]["nodes"][0]
        return {"repositoryName": node["name"], "repositoryLocationName": node["location"]["name"]}

    def _ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            document = json.load(answer)
        if document.get("errors"):
            _fail(document["errors"])
        data: dict[str, Any] = document["data"]
        return data


def set_clock(url: str, now: datetime) -> None:
    """Let the world go on to a moment."""
    body = json.dumps({"now": now.isoformat()}).encode()
    urllib.request.urlopen(urllib.request.Request(f"{url}/_sandbox/clock", body), timeout=10).close()


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _fail(why: object) -> Any:
    raise SystemFailed(str(why))
