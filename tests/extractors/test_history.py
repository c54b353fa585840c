"""The whole past, chunk by chunk: of every platform when it is killed, and of two of them against the world's truth."""

import gzip
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import filelock
import orjson
import pyarrow.compute as pc
import pytest

from extractors import history as module
from extractors.history import Progress, history, progress
from extractors.lake import Commit
from extractors.locks import HISTORY, READING, alone
from extractors.platform import HOUR, Community, Page, Platform, instant
from sandbox.faults import Fault
from sandbox.recorded import RecordedDiscourse
from sandbox.server import Sandbox
from sandbox.world import World
from tests.extractors.crawling import (
    ARCHIVES,
    FORUM,
    OLD,
    OUT,
    PO,
    START,
    Crawler,
    constant,
    discourse,
    fourchan,
    track,
)
from tests.extractors.history_once import PAST
from tests.extractors.test_platform_contract import CASES, Case

NOW = START + 20 * HOUR
PLUG = Path(__file__).parents[1] / "plug.py"
POINTS = 20
CHUNK = 60


@pytest.fixture(scope="module")
def world() -> World:
    return World(start=START, hours=30, scale=0.6)


@pytest.fixture
def sandbox(world: World) -> Iterator[Sandbox]:
    with Sandbox(world, now=NOW) as sandbox:
        yield sandbox


def go_on(crawler: Crawler, community: Community, **options: Any) -> list[tuple[Commit, Progress]]:
    """One run."""
    crawler.runs += 1
    since = options.pop("since", PAST)
    chunks = history(
        crawler.platform, community, since, lake=crawler.lake, http=crawler.http, run_id=f"run{crawler.runs:04}",
        clock=lambda: crawler.sandbox.now, scratch=crawler.folder / "scratch", **options,
    )  # fmt: skip
    return list(chunks)


def contents(crawler: Crawler, *entities: str) -> dict[str, dict[Any, bytes]]:
    """The latest rows by key, without when and by whom they were read."""
    return {
        entity: {key: row["payload"] for key, row in crawler.latest(entity).items()}  # type: ignore[arg-type]
        for entity in entities or ("threads", "posts")
    }


# -- every platform ------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
@pytest.mark.timeout(600)
def test_killed_at_twenty_points_it_ends_as_if_nothing_had_been(
    name: str, world: World, sandbox: Sandbox, tmp_path: Path
) -> None:
    case = CASES[name]
    whole = Crawler(case.platform, sandbox, tmp_path / "whole")
    chunks = [commit.communities[case.first.key] for commit, _ in go_on(whole, case.first, chunk=CHUNK)]
    assert len(chunks) > 2 and sum(chunk.posts for chunk in chunks) > 100
    asked = Counter(f"{one.host}{one.target}" for one in sandbox.requests)
    truth = contents(whole)

    def run(folder: Path, point: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, PLUG, str(point), "0", folder, "--", "tests.extractors.history_once"]
        return subprocess.run(
            [*command, sandbox.url, NOW.isoformat(), folder, case.first.key, str(CHUNK)],
            capture_output=True, text=True, timeout=120, env=os.environ | {"PYTHONPATH": str(PLUG.parent.parent)},
        )  # fmt: skip

    lived = run(tmp_path / "lived", 0)
    assert lived.returncode == 0, lived.stderr
    touched = int(lived.stdout.split()[-1])
    assert touched > POINTS
    for point in range(1, POINTS + 1):
        folder = tmp_path / f"killed{point}"
        sandbox.requests.clear()
        killed = run(folder, point * touched // (POINTS + 1))
        assert killed.returncode == -9, killed.stderr
        crawler = Crawler(case.platform, sandbox, folder)
        done = go_on(crawler, case.first, chunk=CHUNK)
        assert done[-1][1].finished
        assert contents(crawler) == truth
        again = Counter(f"{one.host}{one.target}" for one in sandbox.requests) - asked
        begin = 3  # what is asked before the cursor says anything, such as a list of what stands
        assert again.total() <= max(chunk.requests for chunk in chunks) + begin, again


@pytest.mark.parametrize("name", CASES)
def test_long_posts_make_shorter_chunks(
    name: str, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    whole = Crawler(case.platform, sandbox, tmp_path / "whole")
    few = go_on(whole, case.first)
    monkeypatch.setattr("extractors.history.CHUNK_BYTES", 50_000)
    crawler = Crawler(case.platform, sandbox, tmp_path / "long")
    many = go_on(crawler, case.first)
    assert len(many) > len(few) and many[-1][1].finished
    assert contents(crawler) == contents(whole)


@pytest.mark.parametrize("name", CASES)
def test_progress_only_grows(name: str, sandbox: Sandbox, tmp_path: Path) -> None:
    case = CASES[name]
    crawler = Crawler(case.platform, sandbox, tmp_path)
    seen: list[Progress] = []
    while not seen or not seen[-1].finished:
        seen += [one for _, one in go_on(crawler, case.first, seconds=0)]  # a page a run
        assert progress(crawler.lake, case.first) == seen[-1], "it is kept with the commit"
        assert len(seen) < 2000
    assert [one.posts for one in seen] == sorted(one.posts for one in seen) and seen[-1].share == 1
    assert all(0 <= one.share <= 1 for one in seen) and sum(one.whole > 0 for one in seen) > len(seen) / 2
    assert seen[-1].posts == len(crawler.rows())


def test_a_platform_that_cannot_go_on_says_so_and_keeps_what_it_read(
    case: Case, sandbox: Sandbox, tmp_path: Path
) -> None:
    crawler = Crawler(case.platform, sandbox, tmp_path)
    go_on(crawler, case.first, seconds=0)
    sandbox.faults.add(Fault("500", host=case.host))
    (commit, failed), *more = go_on(crawler, case.first)
    assert not more and failed.failures == 1 and failed.error and "500" in failed.error
    receipt = commit.communities[case.first.key]
    assert receipt.error == failed.error and not receipt.complete
    sandbox.faults.clear()
    *_, (_, last) = go_on(crawler, case.first)
    assert last.finished and last.failures == 0 and last.error is None


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


# -- against the truth ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "community"), [(discourse(), FORUM), (discourse(), OLD), (fourchan(), PO), (fourchan(), OUT)],
    ids=["forum", "old forum", "board with an archive", "board"],
)  # fmt: skip
def test_all_that_stands_is_there(
    platform: Platform, community: Community, world: World, sandbox: Sandbox, tmp_path: Path
) -> None:
    crawler = Crawler(platform, sandbox, tmp_path)
    go_on(crawler, community)
    stands = {
        post.id: post
        for post in world.truth(platform.name, community.name, NOW)
        if post.visible and post.payload.get("post_type", 1) == 1
    }
    rows = {row["post_id"].rpartition("/")[2]: row for row in crawler.rows()}
    archived = rows.keys() - stands.keys()
    assert stands.keys() <= rows.keys() and (not archived or platform.name == "fourchan")
    for key, post in stands.items():
        assert constant(orjson.loads(rows[key]["payload"])) == constant(post.payload)
    threads = {row["thread_id"] for row in crawler.rows("threads")}
    assert {row["thread_id"] for row in rows.values()} <= threads
    created = [row["created_at"] for row in crawler.rows()]
    if platform.name == "discourse":
        assert created == sorted(created, reverse=True), "newest first"


def test_a_board_s_past_comes_from_its_archive(world: World, sandbox: Sandbox, tmp_path: Path) -> None:
    crawler = Crawler(fourchan(archives=ARCHIVES), sandbox, tmp_path)
    done = go_on(crawler, PO, chunk=500)
    known = {post.id for post in world.truth("fourchan", "po", NOW)}
    assert {row["post_id"].rpartition("/")[2] for row in crawler.rows()} == known
    assert {row["source"] for row in crawler.rows()} == {"api", "archive"} and len(done) > 2


def test_edits_and_late_arrivals_are_seen_by_running_it_again(world: World, sandbox: Sandbox, tmp_path: Path) -> None:
    crawler = Crawler(discourse(), sandbox, tmp_path)
    go_on(crawler, FORUM)
    sandbox.now = NOW + 8 * HOUR
    before = {key: row["content_hash"] for key, row in crawler.latest().items()}
    assert go_on(crawler, FORUM)[-1][1].finished
    after = {key: row["content_hash"] for key, row in crawler.latest().items()}
    assert any(after[key] != before[key] for key in before) and len(after) > len(before)


def test_only_what_is_wanted_of_the_past_is_read(sandbox: Sandbox, tmp_path: Path) -> None:
    crawler = Crawler(discourse(), sandbox, tmp_path)
    go_on(crawler, FORUM, since=NOW - 3 * HOUR)
    few = len(sandbox.requests)
    rows = crawler.rows()
    assert rows and min(row["created_at"] for row in rows) >= NOW - 3 * HOUR
    sandbox.requests.clear()
    go_on(crawler, FORUM, since=PAST)  # more is wanted: it begins anew
    assert len(sandbox.requests) > few and len(crawler.latest()) > len(rows)


def test_less_can_be_wanted_while_it_is_read(sandbox: Sandbox, tmp_path: Path) -> None:
    crawler = Crawler(discourse(), sandbox, tmp_path)
    assert not go_on(crawler, FORUM, seconds=0)[-1][1].finished
    begun = len(sandbox.requests)
    since = NOW - HOUR
    done = go_on(crawler, FORUM, since=since)[-1][1]
    few = len(sandbox.requests) - begun
    assert done.finished and instant(done.since) == since
    sandbox.requests.clear()
    go_on(crawler, FORUM)  # all is wanted again: the end of less is not the end of all
    assert len(sandbox.requests) > 3 * few


def test_a_past_ends_where_it_is_tracked_no_more(sandbox: Sandbox, tmp_path: Path) -> None:
    crawler = Crawler(discourse(), sandbox, tmp_path)
    track(crawler.lake, FORUM, START)
    chunks = history(
        crawler.platform, FORUM, PAST, lake=crawler.lake, http=crawler.http, run_id="run",
        clock=lambda: sandbox.now, scratch=tmp_path / "scratch", chunk=1, only_tracked=True,
    )  # fmt: skip
    next(chunks)
    with pytest.raises(filelock.Timeout), alone(HISTORY, FORUM.key, crawler.lake.store, tmp_path / "scratch", 0):
        pass
    crawler.lake.untrack(FORUM.key)
    assert list(chunks) == []
    with alone(HISTORY, FORUM.key, crawler.lake.store, tmp_path / "scratch", 0):
        pass


# -- what it costs -------------------------------------------------------------------------------------------------


def test_thirty_thousand_posts_of_a_forum(tmp_path: Path) -> None:
    """As many requests as pages of posts and of topics, over 13 years, in little memory."""
    posts, topics, start = 30_000, 1_500, datetime(2013, 1, 1, tzinfo=UTC)
    file = tmp_path / "posts.ndjson.gz"
    with gzip.open(file, "wb", compresslevel=1) as out:
        for n in range(posts):
            topic = n % topics if n >= topics else n
            out.write(orjson.dumps({
                "id": n + 1, "topic_id": topic + 1, "post_number": n // topics + 1, "post_type": 1, "user_id": n % 500,
                "username": f"user{n % 500}", "created_at": (start + timedelta(hours=n * 3.7)).isoformat(),
                "updated_at": (start + timedelta(hours=n * 3.7)).isoformat(), "raw": f"Folded {n} times " * 20,
                "cooked": f"<p>Folded {n} times</p>" * 20, "topic_title": f"Fold {topic}", "category_id": 4,
                "topic_slug": f"fold-{topic}", "reply_count": 0, "version": 1,
            }) + b"\n")  # fmt: skip
    forum = RecordedDiscourse([file], host="old.forum.example")
    with Sandbox(now=datetime(2026, 11, 1, tzinfo=UTC), sites=[forum]) as sandbox:
        command = [
            sys.executable,
            "-m",
            "tests.extractors.history_once",
            sandbox.url,
            sandbox.now.isoformat(),
            tmp_path,
        ]
        done = subprocess.run([*command, "discourse:old.forum.example", "2000"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert sandbox.requests.count("old.forum.example", r"/latest\.json") <= topics // 30 + 1
        assert len(sandbox.requests) <= 620 + topics / 30
        crawler = Crawler(discourse(), sandbox, tmp_path)
        commits = crawler.lake.commits("discourse")
        ids = {i for c in commits if "posts" in c.files for i in crawler.lake.table(c, "posts")["post_id"].to_pylist()}
        assert len(ids) == posts == sum(c.files["posts"].rows for c in commits if "posts" in c.files)
        assert len(commits) <= 20 and {commit.hour for commit in commits} == {sandbox.now}
        assert int(done.stdout) <= 300, "MB"


# -- beside other runs ---------------------------------------------------------------------------------------------


def test_it_gives_way_to_whoever_reads_the_same_host(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    crawler = Crawler(fourchan(), sandbox, tmp_path)
    track(crawler.lake, OUT, START)
    track(crawler.lake, FORUM, START)
    with alone(READING, OUT.key, crawler.lake.store, crawler.folder / "scratch", 0):
        run = threading.Thread(target=go_on, args=(crawler, PO))
        run.start()
        time.sleep(1.0)
        assert len(sandbox.requests) == 0, "somebody reads 4chan"
    run.join(60)
    assert len(sandbox.requests) > 10 and progress(crawler.lake, PO).finished  # type: ignore[union-attr]
    sandbox.requests.clear()
    with alone(READING, FORUM.key, crawler.lake.store, crawler.folder / "scratch", 0):
        go_on(crawler, PO)
    assert len(sandbox.requests) > 10, "a forum is no business of 4chan's"


def test_two_runs_do_not_read_one_past(sandbox: Sandbox, tmp_path: Path) -> None:
    crawler = Crawler(discourse(), sandbox, tmp_path)
    chunks = history(
        crawler.platform, FORUM, PAST, lake=crawler.lake, http=crawler.http, run_id="first",
        clock=lambda: sandbox.now, scratch=tmp_path / "scratch", chunk=1,
    )  # fmt: skip
    next(chunks)
    assert go_on(crawler, FORUM) == []
    chunks.close()  # type: ignore[attr-defined]
    assert go_on(crawler, FORUM)[-1][1].finished


def test_the_cursor_outlives_sweeping_rewriting_and_a_crawl(sandbox: Sandbox, tmp_path: Path) -> None:
    crawler = Crawler(fourchan(), sandbox, tmp_path)
    for _ in range(3):
        go_on(crawler, PO, seconds=0)
    before = progress(crawler.lake, PO)
    crawler.poll(PO)
    state = crawler.lake.state("fourchan", PO)
    last = crawler.lake.commits("fourchan")[-2]
    assert last.communities[PO.key].history
    crawler.lake.rewrite(last, lambda _, old: old.slice(0, 1))
    crawler.lake.sweep(crawler.platform, datetime.now(UTC) + HOUR)
    assert progress(crawler.lake, PO) == before and crawler.lake.state("fourchan", PO) == state
    assert len(list(crawler.lake.store.list("fourchan/history/"))) == 1
    assert go_on(crawler, PO)[-1][1].finished


def test_a_defect_of_a_platform_is_told_and_loses_nothing(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crawler = Crawler(discourse(), sandbox, tmp_path)
    real = crawler.platform.history

    def broken(*arguments: Any) -> Iterator[Page]:
        for number, page in enumerate(real(*arguments)):
            if number == 5:
                raise ZeroDivisionError("by zero")
            yield page

    monkeypatch.setattr(crawler.platform, "history", broken)
    *_, (_, failed) = go_on(crawler, FORUM)
    assert failed.error and "this is a defect" in failed.error and len(crawler.rows()) > 50


def test_a_purge_leaves_nothing_of_one_community_and_all_of_the_others(sandbox: Sandbox, tmp_path: Path) -> None:
    crawler = Crawler(fourchan(), sandbox, tmp_path)
    crawler.poll(PO, OUT)
    go_on(crawler, PO, chunk=100)
    other = [row for row in crawler.rows() if row["community"] == OUT.key]
    renamed = list(crawler.lake.purge("fourchan", PO.key))
    assert any(new is None for _, new in renamed) and any(new for _, new in renamed)
    assert crawler.rows() == other and progress(crawler.lake, PO) is None
    assert crawler.lake.state("fourchan", PO) is None and crawler.lake.state("fourchan", OUT)
    for file in crawler.lake.store.root.rglob("*"):  # type: ignore[attr-defined]
        assert file.is_dir() or (PO.key not in str(file) and b'"fourchan:po"' not in file.read_bytes())
    assert list(crawler.lake.purge("fourchan", PO.key)) == []
    assert all(
        pc.all(pc.equal(crawler.lake.table(commit, entity)["community"], OUT.key)).as_py()
        for commit in crawler.lake.commits("fourchan")
        for entity in commit.files
    )


def test_what_it_says_of_itself() -> None:
    some = Progress("2000-01-01T00:00:00+00:00", "2026-01-01T00:00:00+00:00", None, 250, 1000, 5000, 100.0)
    assert (some.share, some.rate, some.left) == (0.25, 50.0, 300.0)
    assert str(some) == "25% of the past, 5000 posts, 50 posts/s, about 0:05:00 left"
    assert instant(some.since) == PAST
