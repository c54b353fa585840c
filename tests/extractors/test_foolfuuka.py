"""4chan's past from a FoolFuuka archive."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extractors import foolfuuka
from extractors.foolfuuka import fields
from extractors.platform import HOUR, Window
from sandbox.faults import Fault
from sandbox.fourchan_text import EASTERN
from sandbox.server import Sandbox
from sandbox.world import World
from tests.extractors.crawling import ARCHIVES, PO, START, Crawler, fourchan

NOW = START + 100 * HOUR  # when nothing of the first day stands or is in 4chan's own archive


@pytest.fixture(scope="module")
def world() -> World:
    return World(start=START, hours=80, scale=0.3)


@pytest.fixture
def sandbox(world: World) -> Iterator[Sandbox]:
    with Sandbox(world, now=NOW) as sandbox:
        yield sandbox


def created_in(world: World, window: Window) -> dict[str, Any]:
    board = world.fourchan_board("po")
    first, last = window.start.timestamp(), window.end.timestamp()
    return {f"po/{post.id}": post for post in board.posts() if first <= post.created < last}


@pytest.mark.parametrize("host", ["archive.example", "shifted.example"])
@pytest.mark.parametrize(("first", "last"), [(3, 5), (22, 27), (0, 1)])
def test_an_old_window_comes_whole_from_the_archive(
    host: str, first: int, last: int, sandbox: Sandbox, world: World, tmp_path: Path
) -> None:
    crawler = Crawler(fourchan(archives={"po": f"https://{host}"}), sandbox, tmp_path)
    window = Window(START + first * HOUR, START + last * HOUR)
    commits = crawler.crawl(window, PO, refresh=True)
    assert all(commit.closes(PO.key) and commit.communities[PO.key].parse_errors == 0 for commit in commits)
    rows = [row for row in crawler.rows() if row["source"] == "archive"]
    expected = created_in(world, window)
    assert {row["post_id"] for row in rows} == expected.keys() and len(expected) > 5
    board = world.fourchan_board("po")
    for row in rows:
        post = expected[row["post_id"]]
        api = board.payload(post, post.created)
        assert row["created_at"].timestamp() == post.created
        assert row["thread_id"] == f"po/{board.thread_of(post, post.created)}"
        assert (row["no"], row["time"], row["md5"], row["w"]) == (api["no"], api["time"], api.get("md5"), api.get("w"))
        assert orjson.loads(row["payload"])["num"] == str(post.id), "as the archive gave it"
        assert not row["gone"]
    opened = {row["thread_id"] for row in crawler.rows("threads") if row["source"] == "archive"}
    assert opened == {f"po/{post.id}" for post in expected.values() if not post.resto}


def test_rows_of_the_archive_stand_in_the_hours_they_were_created_in(sandbox: Sandbox, tmp_path: Path) -> None:
    crawler = Crawler(fourchan(archives=ARCHIVES), sandbox, tmp_path)
    for commit in crawler.crawl(Window(START + 3 * HOUR, START + 6 * HOUR), PO, refresh=True):
        rows = crawler.lake.table(commit, "posts").to_pylist() if "posts" in commit.files else []
        archived = [row for row in rows if row["source"] == "archive"]
        assert archived and all(commit.hour <= row["created_at"] < commit.hour + HOUR for row in archived)


def test_without_an_archive_it_says_what_is_lost(sandbox: Sandbox, tmp_path: Path) -> None:
    crawler = Crawler(fourchan(), sandbox, tmp_path)
    receipt = crawler.crawl(Window.hour(START), PO, refresh=True)[0].communities[PO.key]
    assert receipt.complete and receipt.note and "are lost" in receipt.note


@pytest.mark.parametrize("kind", ["html", "invalid_json", "wrong_type"])
def test_an_archive_that_fails_takes_nothing_with_it_and_is_asked_again(
    kind: Any, sandbox: Sandbox, world: World, tmp_path: Path
) -> None:
    window = Window(START + 76 * HOUR, START + 78 * HOUR)
    sandbox.now = START + 79 * HOUR
    crawler = Crawler(fourchan(archives=ARCHIVES), sandbox, tmp_path)
    sandbox.faults.add(Fault(kind, host="archive", times=1, field="timestamp", value="soon"))
    receipt = crawler.crawl(window, PO)[0].communities[PO.key]
    assert receipt.posts > 50, "what the board shows is kept"
    if kind == "wrong_type":
        assert receipt.complete and receipt.parse_errors == 1
        return
    assert not receipt.complete and receipt.error
    assert receipt.error.startswith("fourchan:po: https://archive.example/_/api/chan/search/?boards=po")
    crawler.sandbox.requests.clear()
    assert all(commit.closes(PO.key) for commit in crawler.crawl(window, PO))
    assert crawler.asked("archive.example") > 0 and crawler.asked("a.4cdn.org", "/po/thread/") == 0
    archived = {row["post_id"] for row in crawler.rows() if row["source"] == "archive"}
    assert archived == created_in(world, window).keys()


def test_a_day_with_more_posts_than_the_archive_shows_is_said(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.foolfuuka.MAX_MATCHES", 50)
    crawler = Crawler(fourchan(archives=ARCHIVES), sandbox, tmp_path)
    receipt = crawler.crawl(Window.hour(START), PO, refresh=True)[0].communities[PO.key]
    assert receipt.note and receipt.note.startswith(
        "https://archive.example shows at most 50 posts a day; those of 2026-11-01 before them are not"
    )


@given(st.integers(1_100_000_000, 1_900_000_000), st.booleans(), st.booleans())
def test_times_are_right_whatever_the_archive_made_of_them(time: int, shifted: bool, seconds: bool) -> None:
    there = datetime.fromtimestamp(time, EASTERN)
    if there.replace(fold=0).utcoffset() != there.replace(fold=1).utcoffset():
        return  # the hour that happens twice: nobody can know
    date = f"{there.month}/{there.day}/{there:%y(%a)%H:%M}" + (f":{there:%S}" if seconds else "")
    stored = time + int(there.utcoffset().total_seconds()) if shifted else time  # type: ignore[union-attr]
    record = {"num": "7", "thread_num": "7", "timestamp": str(stored), "fourchan_date": date}
    assert fields(record)["time"] == time


def test_an_archives_post_under_4chans_names() -> None:
    record = {
        "num": "8", "thread_num": "7", "timestamp": "1600000000", "capcode": "M", "title": "t", "comment": "a > b",
        "comment_processed": "a &gt; b", "poster_hash": None, "sticky": "0", "locked": "", "nreplies": None,
        "media": {"media_filename": "a.b.png", "media_hash": "x==", "media_w": "3", "media_h": "4", "media_size": "5"},
    }  # fmt: skip
    assert foolfuuka.fields(record) == {
        "no": 8, "resto": 7, "time": 1600000000, "capcode": "mod", "sub": "t", "com": "a &gt; b", "filename": "a.b",
        "md5": "x==", "fsize": 5, "w": 3, "h": 4, "sticky": 0,
    }  # fmt: skip
