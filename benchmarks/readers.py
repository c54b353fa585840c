"""What readers wait for beside so many posts: each page and answer, searching, and fifty people at once.

A warehouse of invented posts is built by the real dbt project, published and indexed; the real application serves it
as a process of its own. Beside each page stands the time of the SQL it runs. Searching is compared with DuckDB's ILIKE
on what is published, and with PostgreSQL's tsvector where Debian's package is installed, on the same rows.
"""

import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import requests
from starlette.testclient import TestClient

from benchmarks import searching
from benchmarks.readers_world import NOW, add_posts, build
from benchmarks.tables import Line, show
from dashboard.app import make_app
from dashboard.pages import TABLES
from dashboard.reader import PublishedReader, Row
from dashboard.screenshots import pages
from orchestration.pipeline import Pipeline
from orchestration.settings import Settings
from sandbox.running import free_port

POSTS, PEOPLE, SECONDS = 10_000_000, 50, 60
TURNS = 5
PAGE_TARGET, SEARCH_TARGET = 150.0, 200.0  # milliseconds, of the median
PAUSE = (1.0, 3.0)
"""Seconds in which a person looks at a page."""


def run(quick: bool, posts: int = POSTS) -> None:
    """Print all of it."""
    posts, seconds = (100_000, 10) if quick else (posts, SECONDS)
    with tempfile.TemporaryDirectory(prefix="threadlake-readers-") as name:
        told = {"THREADLAKE_HOME": name, "THREADLAKE_CLOCK": f"{name}/clock", "THREADLAKE_DASHBOARD_RATE": "1000000"}
        Path(name, "clock").write_text(NOW.isoformat())
        with patch.dict(os.environ, told):
            pipeline = Pipeline.of(Settings.from_env())
            build(pipeline, posts)
            _measure(pipeline, posts, seconds)


def _measure(pipeline: Pipeline, posts: int, seconds: int) -> None:
    paths = {name: path for name, path in pages(pipeline).items() if name != "not-found"}
    paths |= {f"/api/{name}": f"/api/{name}" for name in TABLES} | {"/api/overview": "/api/overview"}
    asked = _asked(pipeline, paths)
    with _served(pipeline) as url:
        took = {name: _wait(url + path) for name, path in paths.items()}
        lines = [
            Line(name, f"{warm:.0f} ms", f"{PAGE_TARGET:.0f} ms", _met(warm, PAGE_TARGET),
                 f"the first time {first:.0f} ms, its SQL {asked[name]:.0f} ms")
            for name, (first, warm) in sorted(took.items(), key=lambda one: -one[1][0])
        ]  # fmt: skip
        about = f"Beside {posts:,} posts, warm, the median of {TURNS}; what takes longest the first time on top."
        show("Pages and answers", about, lines)
        found = searching.compare(pipeline, lambda question: _wait(f"{url}/api/search?q={quote(question)}")[0])
        lines = [
            Line(question, f"{each['ours']:.0f} ms", f"{SEARCH_TARGET:.0f} ms", _met(each["ours"], SEARCH_TARGET),
                 ", ".join(f"{name} {took:.0f} ms" for name, took in each.items() if name != "ours"))
            for question, each in found.items()
        ]  # fmt: skip
        about = "Ours over HTTP and the first time, with the total and 20 marked pieces; beside it the others' SQL."
        show("Searching", about, lines)
        _crowd(url, list(paths.values()), seconds)


class _Timed(PublishedReader):
    """Adds up the seconds of what is asked, and asks anew what it was asked before."""

    seconds, asked = 0.0, 0

    def query(self, sql: str, values: Mapping[str, Any] | None = None) -> list[Row]:
        began, self.asked = time.perf_counter(), self.asked + 1
        try:
            return super().query(f"{sql}\n-- {self.asked}", values)
        finally:
            self.seconds += time.perf_counter() - began


def _asked(pipeline: Pipeline, paths: Mapping[str, str]) -> dict[str, float]:
    """Milliseconds of the SQL behind each path, warm."""
    reader, found = _Timed(pipeline.settings.published), {}
    with TestClient(make_app(pipeline, reader), base_url="http://localhost") as client:
        for name, path in paths.items():
            times = []
            for _ in range(TURNS + 1):
                reader.seconds = 0.0
                client.get(path)
                times.append(reader.seconds)
            found[name] = statistics.median(times[1:]) * 1000
    return found


def _wait(address: str) -> tuple[float, float]:
    """Milliseconds of an answer: the first time, and the median of the next ones."""
    times = []
    with requests.Session() as session:
        for _ in range(TURNS + 1):
            began = time.perf_counter()
            answer = session.get(address, timeout=300)
            times.append(time.perf_counter() - began)
            assert answer.status_code == 200, (address, answer.status_code, answer.text[:500])
    return times[0] * 1000, statistics.median(times[1:]) * 1000


def _met(took: float, target: float) -> str:
    return "yes" if took <= target else "no"


@contextmanager
def _served(pipeline: Pipeline) -> Iterator[str]:
    """The application as a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "dashboard", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            for _ in range(600):
                try:
                    requests.get(f"{url}/healthz", timeout=5).raise_for_status()
                    break
                except requests.RequestException:
                    time.sleep(0.1)
            else:
                raise RuntimeError(f"{' '.join(command)} does not answer")
            yield url
        finally:
            process.terminate()


def _crowd(url: str, paths: list[str], seconds: int) -> None:
    """People who open a page, look at it, and open another, while runs write and publish."""
    times: list[float] = []
    errors: list[str] = []
    until = time.monotonic() + seconds

    def person(number: int) -> None:
        chance = random.Random(number)
        with requests.Session() as session:
            while time.monotonic() < until:
                time.sleep(chance.uniform(*PAUSE))
                path, began = chance.choice(paths), time.perf_counter()
                try:
                    session.get(url + path, timeout=60).raise_for_status()
                    times.append(time.perf_counter() - began)
                except requests.RequestException as problem:
                    errors.append(f"{path}: {problem}")

    people = [threading.Thread(target=person, args=(number,)) for number in range(PEOPLE)]
    for one in people:
        one.start()
    with subprocess.Popen([sys.executable, "-m", "benchmarks.readers"], stdout=subprocess.PIPE, text=True) as writer:
        for one in people:
            one.join()
        writer.terminate()
        assert writer.stdout
        runs = len(writer.stdout.readlines())
    times.sort()
    middle, slow = (times[int(len(times) * share)] * 1000 for share in (0.5, 0.95))
    told = f"{len(times):,} answers, 95 in 100 within {slow:.0f} ms, {runs} publications meanwhile"
    lines = [
        Line("errors", str(len(errors)), "0", "no" if errors else "yes", "; ".join(errors[:3])),
        Line("median", f"{middle:.0f} ms", detail=told),
    ]
    show(
        "A crowd", f"{PEOPLE} people for {seconds} s, who look at each page for {PAUSE[0]:g} to {PAUSE[1]:g} s.", lines
    )


def write_on() -> None:
    """Add posts and publish them, again and again; a line for each time."""
    pipeline = Pipeline.of(Settings.from_env())
    for turn in range(1, 1000):
        add_posts(pipeline, 5_000, turn)
        pipeline.publish()
        print(turn, flush=True)


if __name__ == "__main__":
    write_on()
