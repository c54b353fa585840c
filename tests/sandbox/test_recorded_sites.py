"""Recorded responses are served as the platform served them; skipped where the recordings are not at hand."""

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from conftest import Client

from sandbox.recorded import RecordedDiscourse, RecordedFourchan, RecordedVersions
from sandbox.server import Sandbox
from sandbox.site import Site
from tests.recorded import RECORDED, needs_recorded

HOST = "delvingbitcoin.org"
LATER = datetime(2027, 1, 1, tzinfo=UTC)


def served(site: Site, now: datetime = LATER) -> Sandbox:
    return Sandbox(now=now, sites=[site])


def write(file: Path, lines: list[dict[str, Any]]) -> Path:
    file.write_bytes(gzip.compress(b"\n".join(map(orjson.dumps, lines))))
    return file


def post(id: int, topic: int = 1, **attributes: Any) -> dict[str, Any]:
    created = f"2024-01-01T00:{id:02}:00.000Z"
    return {
        "id": id, "topic_id": topic, "topic_title": f"Topic {topic}", "topic_slug": f"topic-{topic}", "category_id": 7,
        "post_number": id, "created_at": created, "updated_at": created, "raw": "x",
    } | attributes  # fmt: skip


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Client]:
    """Two topics of 30 posts, one post recorded twice: the older capture last."""
    lines = [post(id, topic=1 + id % 2) for id in range(60)]
    lines[5]["updated_at"], lines[5]["raw"] = "2024-02-01T00:00:00.000Z", "newer"
    with served(RecordedDiscourse([write(tmp_path / "a.ndjson.gz", [*lines, post(5, topic=2)])])) as sandbox:
        yield Client(sandbox)


def test_a_forum_made_of_posts(small: Client) -> None:
    first = small.json(f"{HOST}/posts.json")["latest_posts"]
    assert [post["id"] for post in first] == list(range(59, 9, -1))
    second = small.json(f"{HOST}/posts.json?before=10")["latest_posts"]
    assert [post["id"] for post in second] == list(range(9, -1, -1))
    assert small.json(f"{HOST}/posts/5.json")["raw"] == "newer"
    topics = small.json(f"{HOST}/latest.json")["topic_list"]["topics"]
    assert [topic["id"] for topic in topics] == [2, 1]
    assert "created_at" not in topics[0] and "first_posted" not in topics[0]
    topic = small.json(f"{HOST}/t/2.json")
    assert topic["posts_count"] == len(topic["post_stream"]["stream"]) == 30
    assert len(topic["post_stream"]["posts"]) == 20
    assert small.get(f"{HOST}/t/3.json").status_code == 404


def test_versions_follow_the_clock(tmp_path: Path) -> None:
    def capture(day: int, status: str, raw: str) -> dict[str, Any]:
        return {"captured_at": f"2024-01-{day:02}T00:00:00-04:00", "status": status, "post": post(1, raw=raw)}

    lines = [capture(2, "A", "first"), capture(4, "M", "second"), capture(6, "D", "second")]
    site = RecordedVersions([write(tmp_path / "v.ndjson.gz", lines)])
    with served(site) as sandbox:
        seen = []
        for day in (1, 3, 5, 7):
            sandbox.now = datetime(2024, 1, day, tzinfo=UTC)
            seen.append([post["raw"] for post in Client(sandbox).json(f"{HOST}/posts.json")["latest_posts"]])
    assert seen == [[], ["first"], ["second"], []]
    assert len(site.captured_at) == 3


@needs_recorded
def test_recorded_boards() -> None:
    assert RECORDED is not None
    with served(RecordedFourchan(RECORDED / "fourchan")) as sandbox:
        client = Client(sandbox)
        assert [b["board"] for b in client.json("a.4cdn.org/boards.json")["boards"]] == ["an", "ck", "out", "po"]
        numbers = [t["no"] for page in client.json("a.4cdn.org/po/threads.json") for t in page["threads"]]
        thread = client.get(f"a.4cdn.org/po/thread/{numbers[5]}.json")
        assert thread.content == (RECORDED / f"fourchan/po/thread/{numbers[5]}.json").read_bytes()
        same = {"If-Modified-Since": thread.headers["Last-Modified"]}
        assert client.get(f"a.4cdn.org/po/thread/{numbers[5]}.json", headers=same).status_code == 304
        catalog = [t for page in client.json("a.4cdn.org/po/catalog.json") for t in page["threads"]]
        assert {t["no"] for t in catalog} <= set(numbers)
        assert client.get("a.4cdn.org/po/archive.json").status_code == 404


@needs_recorded
def test_recorded_forum() -> None:
    assert RECORDED is not None
    files = sorted((RECORDED / "discourse" / "delvingbitcoin").glob("*.ndjson.gz"))
    with served(RecordedDiscourse(files)) as sandbox:
        client = Client(sandbox)
        ids: list[int] = []
        while page := client.json(f"{HOST}/posts.json", params={"before": ids[-1]} if ids else {})["latest_posts"]:
            ids += [post["id"] for post in page]
        assert len(ids) == len(set(ids)) == 4661
        topics, number = 0, 0
        while listing := client.json(f"{HOST}/latest.json?page={number}")["topic_list"]["topics"]:
            topics, number = topics + len(listing), number + 1
        assert topics == 635


@needs_recorded
def test_recorded_versions() -> None:
    assert RECORDED is not None
    site = RecordedVersions(sorted((RECORDED / "discourse" / "delvingbitcoin_versions").glob("*.ndjson.gz")))
    edited_then_deleted = 3331
    versions = []
    for moment in site.captured_at:
        captured = {post["id"]: post for post in site.posts(moment)}.get(edited_then_deleted)
        if captured and captured["version"] not in versions:
            versions.append(captured["version"])
    assert versions == [1, 2, 3]
    last = {post["id"]: post for post in site.posts(LATER)}
    assert len(last) == 107
    assert last[edited_then_deleted]["user_deleted"]
