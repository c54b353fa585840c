"""A crawl into a bucket, as a process of its own, whose plug the storage server pulls at some request of its."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from extractors.platform import HOUR, Community, Window
from extractors.store import Bucket
from sandbox.gcs import address
from sandbox.server import Sandbox
from sandbox.world import World
from tests.extractors.crawling import FORUM, PO, START, Crawler, board_truth, discourse, forum_truth, fourchan
from tests.extractors.test_crawl import start
from tests.stores import Plug, gcs


@pytest.fixture
def plug(tmp_path: Path) -> Plug:
    return Plug(tmp_path / "storage")


@pytest.fixture
def storage(plug: Plug) -> Iterator[Sandbox]:
    with Sandbox(now=datetime.now(UTC), sites=[plug]) as sandbox:
        yield sandbox


@pytest.mark.timeout(900)
@pytest.mark.parametrize("points", [3, pytest.param(15, marks=pytest.mark.long)])
@pytest.mark.parametrize("community", [PO, FORUM], ids=["fourchan", "discourse"])
def test_killed_at_any_request_the_next_crawl_brings_the_truth(
    community: Community, points: int, plug: Plug, storage: Sandbox, tmp_path: Path
) -> None:
    """Every point is a request, before or after the server did it; the last one is the commit of the last hour."""
    world = World(start=START, hours=10, scale=0.3)
    platform = fourchan() if community == PO else discourse()
    with Sandbox(world, now=START + 8 * HOUR) as sandbox:

        def prepared(name: str) -> Crawler:
            sandbox.now = START + 7 * HOUR
            store = gcs(storage, tmp_path, Bucket("lake", name))
            crawler = Crawler(platform, sandbox, tmp_path / name, store=store)
            crawler.crawl(Window(START + 5 * HOUR, START + 7 * HOUR), community)
            sandbox.now = START + 8 * HOUR
            return crawler

        def run(crawler: Crawler, number: int, after: bool) -> int:
            """Crawl, be killed at the request; return the exit code."""
            place = {"LAKE": str(crawler.lake.store.place), "STORAGE_EMULATOR_HOST": address(storage)}  # type: ignore[attr-defined]
            plug.set(number, after)
            with start(sandbox, crawler.folder, [community.key], hours=3, more=place) as plug.victim:
                _, problem = plug.victim.communicate(timeout=60)
                assert plug.victim.returncode in (-9, 0), problem.decode()[-2000:]
                return int(plug.victim.returncode)

        assert run(prepared("count"), 0, False) == 0
        requests = plug.count
        assert 2 * (requests - 1) >= points
        some = random.Random(points).sample([(n, after) for n in range(1, requests) for after in (False, True)], points)
        for number, after in [*some[1:], (requests, True)]:
            crawler = prepared(f"{number}-{after}")
            assert run(crawler, number, after) == -9
            plug.set()
            names = set(crawler.lake.store.list(""))
            commits = crawler.lake.commits(platform.name)
            assert {file.name for commit in commits for file in commit.files.values()} <= names, "none before its files"
            sandbox.now += timedelta(minutes=2)
            again = crawler.crawl(Window(START + 5 * HOUR, START + 8 * HOUR), community)
            assert all(commit.closes(community.key) for commit in again), (number, after)
            if community == PO:
                board_truth(world, PO, [START + 7 * HOUR, sandbox.now]).check(crawler)
            else:
                forum_truth(world, FORUM, crawler.lake.commits("discourse")).check(crawler)
            rows = crawler.rows()
            crawler.lake.sweep(platform, datetime.now(UTC) + HOUR)
            assert crawler.rows() == rows
            named = {file.name for commit in crawler.lake.commits(platform.name) for file in commit.files.values()}
            assert {name for name in crawler.lake.store.list("") if name.endswith(".parquet")} == named
            nothing_new = crawler.crawl(Window(START + 5 * HOUR, START + 8 * HOUR), community)
            assert sum(commit.rows for commit in nothing_new) == 0, (number, after)
