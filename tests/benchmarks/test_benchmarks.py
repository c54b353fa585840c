"""The benchmarks compare like with like: every side writes the same posts. How fast they are is not tested."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.crawl import NAMES, PLATFORMS, run
from benchmarks.server import served
from benchmarks.sides import payloads

POSTS = 120
needs_dlt = pytest.mark.skipif(
    importlib.util.find_spec("dlt") is None, reason="dlt is not installed: make bench does that"
)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with served(POSTS) as url:
        yield url


@needs_dlt
@pytest.mark.parametrize("platform", PLATFORMS)
def test_all_sides_write_the_same_posts(platform: str, server: str, tmp_path: Path) -> None:
    wrote = {}
    for side in ("threadlake", "dlt-rest-api", "dlt-arrow"):
        took = run(side, platform, server, out=tmp_path / side)
        found = list(payloads(tmp_path / side))
        assert took.posts == len(found) == POSTS, side
        wrote[side] = dict(found)
        assert len(wrote[side]) == POSTS, side
    assert wrote["threadlake"] == wrote["dlt-rest-api"] == wrote["dlt-arrow"]


def test_each_target_names_sides_that_run() -> None:
    done = subprocess.run([sys.executable, "-m", "benchmarks", "--help"], capture_output=True, text=True, check=True)
    for name in ("crawl", "latency", "memory", "merge", "hour"):
        assert f"\n  {name} " in done.stdout
    refused = subprocess.run([sys.executable, "-m", "benchmarks", "nothing"], capture_output=True, text=True)
    assert refused.returncode == 2 and "none of" in refused.stderr
    assert {"threadlake", "threadlake-wordless", "dlt-rest-api", "dlt-arrow"} <= NAMES.keys()
