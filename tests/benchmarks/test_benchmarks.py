"""The benchmarks compare like with like: every side writes the same posts. How fast they are is not tested."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.crawl import HISTORIES, NAMES, PLATFORMS, TARGETS, run
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


@pytest.mark.parametrize("platform", HISTORIES)
def test_the_whole_past_is_the_same_posts(platform: str, server: str, tmp_path: Path) -> None:
    assert run("threadlake-history", platform, server, out=tmp_path / "past").posts == POSTS
    run("threadlake", platform, server, out=tmp_path / "day")
    past = list(payloads(tmp_path / "past"))
    assert len(past) == POSTS and dict(past) == dict(payloads(tmp_path / "day"))


def test_each_target_names_sides_that_run() -> None:
    done = subprocess.run([sys.executable, "-m", "benchmarks", "--help"], capture_output=True, text=True, check=True)
    for name in ("crawl", "latency", "memory", "merge", "hour", "publish", "readers"):
        assert f"\n  {name} " in done.stdout
    refused = subprocess.run([sys.executable, "-m", "benchmarks", "nothing"], capture_output=True, text=True)
    assert refused.returncode == 2 and "none of" in refused.stderr
    assert TARGETS.keys() == set(PLATFORMS)
    assert {side for pairs in TARGETS.values() for pair in pairs for side in pair} <= NAMES.keys()
