"""A forum channel as Discord's API gave it on eleven days. Needs the recorded responses."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from extractors.discord_api import created_at
from extractors.platform import HOUR, Community, Window, floor_hour
from sandbox.recorded_discord import RecordedDiscord
from sandbox.server import Sandbox
from tests.extractors.crawling import Crawler, client, discord
from tests.recorded import RECORDED, needs_recorded

pytestmark = [needs_recorded, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def site() -> RecordedDiscord:
    assert RECORDED is not None
    return RecordedDiscord(RECORDED / "discord" / "api_snapshots")


@pytest.fixture
def crawler(site: RecordedDiscord, tmp_path: Path) -> Iterator[Crawler]:
    with Sandbox(now=site.captured_at[0], sites=[site]) as sandbox:
        yield Crawler(discord(), sandbox, tmp_path)


def captured(site: RecordedDiscord, days: list[datetime]) -> dict[str, list[dict[str, Any]]]:
    """Every message of those days, in all its captures."""
    found: dict[str, list[dict[str, Any]]] = {}
    for day in days:
        for thread in site._threads[day].values():
            for message in thread["messages"]:
                found.setdefault(message["id"], []).append(message)
    return found


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.long)])
def test_day_after_day_everything_once_and_nothing_gone(site: RecordedDiscord, crawler: Crawler, every: int) -> None:
    community = Community(f"discord:{site.community}", "discord.com")
    days = site.captured_at[::every]
    everything = captured(site, days)
    start = floor_hour(min(map(created_at, everything)))
    for day, now in enumerate(days):
        crawler.sandbox.now = now
        commits = crawler.crawl(Window(start, floor_hour(now)), community, refresh=True)
        assert all(receipt.complete for commit in commits for receipt in commit.communities.values())
        if not day:
            assert crawler.crawl(Window(start, floor_hour(now)), community) and crawler.runs == 2
            assert not [row for row in crawler.rows() if row["run_id"] == "run0002"], "read twice, nothing is new"
    rows, threads = crawler.rows(), crawler.rows("threads")
    assert not any(row["parse_error"] or row["gone"] for row in rows + threads)
    assert {row["post_id"] for row in rows} == everything.keys()
    found = len({row["thread_id"] for row in threads}), len(everything)
    assert found == (146, 1481) if every == 1 else min(found) > 100
    latest = {row["post_id"]: row for row in sorted(rows, key=lambda row: row["observed_at"])}
    ever = captured(site, site.captured_at)  # the site gives a thread as it was recorded last
    assert all(orjson.loads(latest[id]["payload"]) in ever[id] for id in everything)
    assert any(row["tags"] for row in threads)


def test_the_past_of_the_last_day(site: RecordedDiscord, tmp_path: Path) -> None:
    community, now = Community(f"discord:{site.community}", "discord.com"), site.captured_at[-1]
    with Sandbox(now=now, sites=[site]) as sandbox:
        pages = list(discord().history(community, now - 9999 * 24 * HOUR, client(sandbox, tmp_path), None))
        found = [row.post_id for page in pages for row in page.posts]
        assert len(found) == len(set(found)) == sum(len(t["messages"]) for t in site._threads[now].values())
        assert len(sandbox.requests) <= 96 * 2 + 5
