"""`make demo`: three days of an invented world through everything real, in one command that ends by itself.

A sandbox of servers on loopback, `threadlake up` with Dagster's daemon, a backfill of a range, then hours one by one,
and at the end what lake and warehouse hold. Nothing here is known to the system: it is an operator's morning.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HOUR = timedelta(hours=1)
COMMUNITIES = ("fourchan:po", "fourchan:out", "discourse:forum.example", "discourse:old.example")
DAYS, SINGLE_HOURS = 3, 3
HOME = Path(".data/demo")
PARTITION = "%Y-%m-%d-%H:%M"
STARTING, RUNNING = 120.0, 300.0  # seconds that a start and a run may take
BACKFILL = """
mutation ($assets: [AssetKeyInput!], $partitions: [String!]) {
  launchPartitionBackfill(backfillParams: {assetSelection: $assets, partitionNames: $partitions}) {
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}"""
BACKFILL_STATUS = (
    "query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"
)
LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}"""
RUN_STATUS = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status creationTime endTime } } }"
ASSETS = "{ assetNodes { assetKey { path } partitionDefinition { name } isPartitioned } }"
QUESTIONS = {
    "Which communities are busiest, and what share of their posts was edited or deleted?": """
        select community, count(*) as posts, count(distinct author_name) as authors,
               round(100.0 * count(edited_at) / count(*), 1) as edited_percent,
               round(100.0 * count(deleted_at) / count(*), 1) as deleted_percent
        from clean.all_posts group by community order by posts desc""",
    "Which threads drew the most replies, and how long did they live?": """
        select t.community, coalesce(t.title, t.text[:40]) as title, count(*) - 1 as replies,
               date_diff('minute', min(p.created_at), max(p.created_at)) as minutes
        from clean.all_posts p join clean.all_threads t using (platform, instance, thread_id)
        group by all order by replies desc, minutes limit 5""",
    "What did somebody write first, and what does it say now?": """
        select community, post_id, min_by(text, first_seen_at) as first, max_by(text, first_seen_at) as now
        from clean.post_versions group by all having count(distinct text) > 1
        order by max(first_seen_at) desc limit 4""",
}


def main() -> None:
    began = time.monotonic()
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start = now - timedelta(days=DAYS)
    single = [now - HOUR * (SINGLE_HOURS - i) for i in range(SINGLE_HOURS)]
    port = free_port()
    with served(HOME, start - timedelta(days=2), now=single[0] + HOUR / 10) as url, system(HOME, url, start, port):
        dagster = Dagster(f"http://127.0.0.1:{port}/graphql")
        _say(f"{DAYS} days of an invented world are at {url}; Dagster is at http://127.0.0.1:{port}")
        hours = [start + HOUR * i for i in range(int((single[0] - start) / HOUR))]
        _say(f"Backfill of {len(hours)} hours of {len(COMMUNITIES)} communities, as from the asset page: one run")
        dagster.backfill(hours)
        for hour in single:
            set_clock(url, hour + HOUR + timedelta(minutes=25))
            _say(f"The world goes on to {hour + HOUR:%H:%M}; the hour's runs read it, and earlier hours again")
            dagster.hour()
        _show(start)
    _say(f"Done in {time.monotonic() - began:.0f} s.")
    env = f"THREADLAKE_HOME={HOME}"
    print(f"""
Look further (all of it stays in {HOME}):

  {env} .venv/bin/threadlake query "select * from clean.all_posts limit 5"
  {env} .venv/bin/threadlake status
  {env} .venv/bin/threadlake up --no-schedules      the runs, assets and plots in Dagster's UI
  find {HOME}/lake -name '*.parquet' | head         the lake itself

`make up` does the same for the real communities in communities.toml.""")


class Dagster:
    """The few things a person clicks in the UI, asked of its own API."""

    def __init__(self, url: str) -> None:
        self._url = url

    def backfill(self, hours: list[datetime]) -> None:
        """Materialise every partitioned asset for these hours, and wait."""
        nodes = self._ask(ASSETS, {})["assetNodes"]
        assets = [
            {"path": node["assetKey"]["path"]}
            for node in nodes
            if node["isPartitioned"] and not node["partitionDefinition"]["name"]
        ]
        partitions = [f"{hour:{PARTITION}}" for hour in hours]
        launched = self._ask(BACKFILL, {"assets": assets, "partitions": partitions})["launchPartitionBackfill"]
        backfill = launched.get("backfillId") or _fail(launched)
        for _ in _patiently(f"backfill {backfill}"):
            status = self._ask(BACKFILL_STATUS, {"id": backfill})["partitionBackfillOrError"]["status"]
            if status not in ("REQUESTED", "COMPLETED_SUCCESS"):
                _fail(f"the backfill is {status}")
            if status == "COMPLETED_SUCCESS":
                return

    def hour(self) -> tuple[float, float]:
        """What the schedules do each hour: an ingest run a platform, then load and dbt; the seconds each took, from
        launch to end, 0 for what there was no need to do."""
        ingests = [self._tick(f"ingest_{platform}") for platform in ("fourchan", "discourse")]
        read = max(self._wait(run) for run in ingests)
        return read, self._wait(self._tick("transform"))

    def _tick(self, schedule: str) -> str | None:
        """The run that the schedule asks for now; None where it has nothing to do, which is said."""
        query = """
        mutation ($selector: ScheduleSelector!, $timestamp: Float) {
          scheduleDryRun(selectorData: $selector, timestamp: $timestamp) {
            ... on DryRunInstigationTick {
              evaluationResult { skipReason error { message } runRequests { runConfigYaml tags { key value } jobName } }
            }
            ... on PythonError { message }
          }
        }"""
        selector = {**self._repository(), "scheduleName": schedule}
        tick = self._ask(query, {"selector": selector, "timestamp": time.time()})["scheduleDryRun"]
        result = tick.get("evaluationResult") or _fail(tick)
        if result["error"]:
            _fail(result["error"]["message"])
        if not result["runRequests"]:
            print(f"    {schedule}: {result['skipReason']}", flush=True)
            return None
        request = result["runRequests"][0]
        params = {
            "selector": {**self._repository(), "jobName": request["jobName"] or schedule},
            "runConfigData": request["runConfigYaml"],
            "executionMetadata": {"tags": [{"key": t["key"], "value": t["value"]} for t in request["tags"]]},
        }
        launched = self._ask(LAUNCH, {"params": params})["launchRun"]
        run: str = (launched.get("run") or _fail(launched))["runId"]
        return run

    def _wait(self, run: str | None) -> float:
        if run is None:
            return 0.0
        for _ in _patiently(f"run {run}"):
            status = self._ask(RUN_STATUS, {"id": run})["runOrError"]
            if status["status"] in ("FAILURE", "CANCELED"):
                _fail(f"run {run} ended as {status['status']}: see {HOME}/logs and the UI")
            if status["status"] == "SUCCESS":
                return float(status["endTime"] - status["creationTime"])
        return 0.0

    def _repository(self) -> dict[str, str]:
        found = self._ask(
            "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }", {}
        )
        node = found["repositoriesOrError"]["nodes"][0]
        return {"repositoryName": node["name"], "repositoryLocationName": node["location"]["name"]}

    def _ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            document = json.load(answer)
        if document.get("errors"):
            _fail(document["errors"])
        data: dict[str, Any] = document["data"]
        return data


@contextmanager
def served(home: Path, start: datetime, now: datetime) -> Iterator[str]:
    """A sandbox in a process of its own, its clock in `home`; yields its URL."""
    hours = str((DAYS + 4) * 24)
    command = [sys.executable, "-m", "sandbox", "--start", start.isoformat(), "--hours", hours]
    command += ["--now", now.isoformat(), "--clock-file", str(home / "clock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


@contextmanager
def system(home: Path, via: str, start: datetime, port: int) -> Iterator[None]:
    """`threadlake up` without schedules, tracking the demo's communities, until the block ends."""
    os.environ |= {
        "THREADLAKE_HOME": str(home),
        "THREADLAKE_VIA": via,
        "THREADLAKE_PACE": "500",
        "THREADLAKE_CLOCK": str(home / "clock"),
        "THREADLAKE_START": f"{start:%Y-%m-%dT%H}",
    }
    listed = home / "communities.toml"
    listed.write_text(f"communities = {json.dumps(COMMUNITIES)}\n")
    command = ["-m", "orchestration.cli", "up", "--no-schedules", "--port", str(port), "--communities", str(listed)]
    with (home / "up.log").open("w") as log:
        process = subprocess.Popen([sys.executable, *command], stdout=log, stderr=subprocess.STDOUT)
    try:
        _say("Starting Dagster: code server, daemon, UI")
        for _ in _patiently("Dagster's start", STARTING):
            if process.poll() is not None:
                _fail((home / "up.log").read_text())
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5)
                break
            except OSError:
                continue
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def set_clock(url: str, now: datetime) -> None:
    """Let the world go on to a moment."""
    body = json.dumps({"now": now.isoformat()}).encode()
    urllib.request.urlopen(urllib.request.Request(f"{url}/_sandbox/clock", body), timeout=10).close()


def _show(start: datetime) -> None:
    from orchestration.pipeline import Pipeline
    from orchestration.settings import Settings
    from orchestration.show import status, table

    pipeline = Pipeline.of(Settings.from_env())
    print(f"\n{status(pipeline)}")
    with pipeline.warehouse.open(read_only=True, patience=30) as connection:
        for question, query in QUESTIONS.items():
            found = connection.execute(query)
            print(f"\n{question}\n\n{table([column[0] for column in found.description or ()], found.fetchall())}")
    print()


def _patiently(what: str, seconds: float = RUNNING) -> Iterator[None]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield
        time.sleep(0.5)
    _fail(f"{what} took more than {seconds:.0f} s: see {HOME}/up.log and {HOME}/logs")


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def _fail(why: object) -> Any:
    raise SystemExit(f"The demo failed: {why}")


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
