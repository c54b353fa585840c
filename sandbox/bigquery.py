"""A stand-in for BigQuery on loopback, for tests and the demo: local-bigquery, as a process in `.venv-bigquery`.

What it does otherwise than BigQuery is mended in `bigquery_server.py`, and tests/sandbox/test_bigquery_site.py pins it.
It reads `gs://bucket/name` as the file `bucket/name` in a folder.
"""

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.running import SystemFailed, free_port

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv-bigquery" / "bin" / "python"
PROJECT, LOCATION = "threadlake-sandbox", "US"  # jobs of the server are always in US
STARTING = 120.0  # seconds; 4 on a quiet machine


@dataclass(frozen=True)
class BigQueryServer:
    """One that runs. `environment` is what makes the real client libraries, dbt and the settings find it."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        return {"BIGQUERY_EMULATOR_HOST": self.url, "THREADLAKE_WAREHOUSE": f"bigquery://{PROJECT}/{LOCATION}"}


def missing() -> str | None:
    """Why there can be no server here, in a sentence; None where there can."""
    return None if PYTHON.exists() else "There is no .venv-bigquery: `make .venv-bigquery/ready` makes it."


def complaints(tables: Mapping[str, Sequence[tuple[str, str]]], scripts: Sequence[str]) -> list[tuple[int, str, str]]:
    """What Google's analyser says against these scripts over these tables: a script's number, a statement, and why."""
    asked = json.dumps({"tables": tables, "scripts": scripts})
    command = [str(PYTHON), str(ROOT / "sandbox" / "bigquery_analyser.py")]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, env=_environment())
    if done.returncode:
        raise SystemFailed(done.stderr[-2000:])
    return [(number, statement, why) for number, statement, why in json.loads(done.stdout)]


def _environment() -> dict[str, str]:
    """DuckDB's extensions and the analyser's code are kept in a home, which shall not be a person's."""
    home = PYTHON.parent.parent / "home"
    home.mkdir(exist_ok=True)
    return {"PATH": os.environ.get("PATH", ""), "HOME": str(home), "PYTHONUNBUFFERED": "1"}


@contextmanager
def served(folder: Path, buckets: Path) -> Iterator[BigQueryServer]:
    """A server that keeps its tables in `folder` and has the objects of `gs://` in `buckets`; ended with the block."""
    if reason := missing():
        raise SystemFailed(reason)
    folder.mkdir(parents=True, exist_ok=True)
    buckets.mkdir(parents=True, exist_ok=True)
    port, log = free_port(), folder / "server.log"
    command = [str(PYTHON), str(ROOT / "sandbox" / "bigquery_server.py"), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--grpc-port", str(free_port()), "--project", PROJECT, "--data-dir", str(folder / "tables")]
    environment = _environment() | {"GCS_LOCAL_ROOT": str(buckets)}
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(process, url, log)
        yield BigQueryServer(url)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    until = time.monotonic() + STARTING
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"{url}/bigquery/v2/projects/{PROJECT}/datasets", timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemFailed(f"The stand-in for BigQuery did not start: {log.read_text()[-2000:]}")
