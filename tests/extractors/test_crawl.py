"""The crawl itself, whatever the platform: hours, receipts, failures, locks, memory, and the plug pulled."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from extractors import crawl as crawling
from extractors import spool
from extractors.errors import Malformed
from extractors.http import Http
from extractors.locks import READING, alone
from extractors.plan import health
from extractors.platform import HOUR, Community, Page, Row, State, Window, floor_hour
from extractors.spool import Spool
from extractors.store import StoreError
from orchestration.checks import complete
from sandbox.limits import Limit
from sandbox.server import Sandbox
from sandbox.world import World
from tests.extractors.crawling import (
    CHAT,
    FOLDING,
    FORUM,
    OUT,
    PO,
    PUBLIC,
    START,
    Crawler,
    board_truth,
    discourse,
    forum_truth,
    fourchan,
    track,
)

ROOT = Path(__file__).parents[2]
A, B, C = (Community(f"discourse:{name}.example", f"{name}.example") for name in "abc")
NOON = START + 12 * HOUR
Script = Callable[[Window], Iterator[Page]]


class Scripted(type(discourse())):  # type: ignore[misc]
    """Discourse's columns, and pages that a test writes."""

    def __init__(self, scripts: Mapping[Community, Script]) -> None:
        super().__init__()
        self.scripts = scripts
        self.seen: list[dict[datetime, State]] = []

    def crawl(
        self, community: Community, window: Window, http: Http, states: Mapping[datetime, State], *, refresh: bool
    ) -> Iterator[Page]:
        self.seen.append(dict(states))
        return self.scripts[community](window)


def post(id: int, created: datetime, raw: object = "x") -> Row:
    fields = {"id": id, "topic_id": 1, "raw": raw, "cooked": "x", "post_number": 1}
    return Row("1", str(id), created, NOON + 10 * HOUR, fields, b'{"id":%d}' % id)


def by_hours(window: Window) -> Iterator[Page]:
    for hour in window.hours:
        yield Page(posts=[post(int((hour - START) / HOUR), hour)])
        yield Page(reached=hour, state={"posts": hour.hour})


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Callable[[Mapping[Community, Script]], Crawler]]:
    with Sandbox(now=NOON + 10 * HOUR) as sandbox:
        yield lambda scripts: Crawler(Scripted(scripts), sandbox, tmp_path)


Make = Callable[[Mapping[Community, Script]], Crawler]


# -- hours, states, receipts ---------------------------------------------------------------------------------------


def test_each_hour_is_committed_as_soon_as_all_have_reached_it_newest_first(scripted: Make) -> None:
    crawler = scripted({A: by_hours, B: by_hours})
    window = Window(NOON, NOON + 3 * HOUR)
    commits = crawler.crawl(window, A, B)
    assert [commit.hour for commit in commits] == window.hours
    assert all(commit.closes(A.key) and commit.closes(B.key) and commit.rows == 2 for commit in commits)
    assert len({commit.name for commit in crawler.lake.commits("discourse")}) == 3
    rows = crawler.lake.table(commits[0], "posts")
    assert rows["community"].to_pylist() == [A.key, B.key], "sorted by community"
    crawler.crawl(window, A)
    expected = {commit.hour: {"posts": commit.hour.hour, "commit": commit.name} for commit in commits}
    assert crawler.platform.seen[-1] == expected  # type: ignore[attr-defined]


def test_rows_stand_in_the_hour_they_were_created_in_or_with_the_hour_that_is_read(scripted: Make) -> None:
    def all_at_once(window: Window) -> Iterator[Page]:
        hours = window.hours
        yield Page(posts=[post(1, hours[1]), post(2, hours[0]), post(3, START), post(4, NOON + 9 * HOUR)])
        yield Page(reached=hours[0])
        yield Page(posts=[post(5, hours[0])])  # its hour is committed: it must not be lost
        yield Page(reached=hours[1])
        yield Page(reached=window.start)

    crawler = scripted({A: all_at_once})
    commits = crawler.crawl(Window(NOON, NOON + 3 * HOUR), A)
    posts = [crawler.lake.table(commit, "posts")["post_id"].to_pylist() for commit in commits[:2]]
    assert [set(some) for some in posts] == [{"2", "3", "4"}, {"1", "5"}] and commits[2].rows == 0


def test_one_that_fails_keeps_what_it_read_and_takes_no_other_with_it(scripted: Make) -> None:
    def fails(window: Window) -> Iterator[Page]:
        yield from list(by_hours(Window(window.end - HOUR, window.end)))
        yield Page(posts=[post(77, window.start)])
        raise Malformed("https://a.example/x", None, "a", "b")

    def has_a_defect(window: Window) -> Iterator[Page]:
        yield Page(posts=[post(78, window.end - HOUR)])
        raise AssertionError("typo")

    crawler = scripted({A: fails, B: by_hours, C: has_a_defect})
    window = Window(NOON, NOON + 3 * HOUR)
    commits = crawler.crawl(window, A, B, C)
    assert [commit.communities[B.key].complete for commit in commits] == [True] * 3
    assert [commit.communities[A.key].complete for commit in commits] == [True, False, False]
    assert [commit.communities[C.key].complete for commit in commits] == [False] * 3
    assert commits[0].communities[A.key].error is None
    said = "discourse:a.example: https://a.example/x: expected a, got b"
    assert all((commit.communities[A.key].error or "").startswith(said) for commit in commits[1:])
    defect = commits[0].communities[C.key].error or ""
    assert defect.startswith("discourse:c.example: AssertionError: typo") and "report" in defect
    assert {"77", "78"} <= {post for _, post in crawler.latest()}


def test_an_error_is_told_though_nobody_has_rows(scripted: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crawling, "LONG", 3)

    def fails(window: Window) -> Iterator[Page]:
        yield Page(reached=window.end - 2 * HOUR)
        raise Malformed("https://a.example/x", None, "a", "b")

    crawler = scripted({A: fails})
    commits = crawler.crawl(Window(NOON - 5 * HOUR, NOON), A)
    assert [commit.communities[A.key].complete for commit in commits] == [True, False]
    assert commits[-1].hour == NOON - 3 * HOUR


def test_a_long_window_commits_what_has_rows_or_a_state(scripted: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crawling, "LONG", 3)

    def sparse(window: Window) -> Iterator[Page]:
        yield Page(posts=[post(1, window.end - 3 * HOUR)])
        yield Page(reached=window.end - 3 * HOUR)
        yield Page(reached=window.start, state={"posts": 1})

    crawler = scripted({A: sparse})
    commits = crawler.crawl(Window(NOON - 5 * HOUR, NOON), A)
    assert [commit.hour for commit in commits] == [NOON - HOUR, NOON - 3 * HOUR, NOON - 5 * HOUR]
    assert [commit.rows for commit in commits] == [0, 1, 0] and commits[-1].communities[A.key].state


def test_quarantined_ids_are_told_to_the_generator(scripted: Make) -> None:
    told = []

    def misfit(window: Window) -> Iterator[Page]:
        page = Page(posts=[post(1, window.start), post(2, window.start, raw=7)])
        yield page
        told.append(page.quarantined)
        yield Page(reached=window.start)

    crawler = scripted({A: misfit})
    receipt = crawler.crawl(Window.hour(NOON), A)[0].communities[A.key]
    assert told == [{"2"}] and receipt.parse_errors == 1 and (receipt.first_id, receipt.last_id) == ("1", "2")


def test_a_lake_that_cannot_be_written_stops_the_crawl_and_says_so(
    scripted: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = threading.Event()

    def slow(window: Window) -> Iterator[Page]:
        going.wait(2)
        yield from by_hours(window)

    def broken(window: Window) -> Iterator[Page]:
        raise StoreError("The lake cannot be used: its disk is full.")
        yield

    crawler = scripted({A: broken, B: slow})
    threading.Timer(0.1, going.set).start()
    with pytest.raises(StoreError, match="disk is full"):
        crawler.crawl(Window.hour(NOON), A, B)
    assert crawler.lake.commits("discourse") == []
    crawler.platform.scripts = {A: by_hours, B: by_hours}  # type: ignore[attr-defined]
    assert crawler.crawl(Window.hour(NOON), A, B)[0].closes(A.key), "no lock is left"


# -- two at once ---------------------------------------------------------------------------------------------------


def test_two_runs_that_read_the_same_communities_wait_for_each_other(scripted: Make) -> None:
    inside: list[str] = []
    most = 0

    def slow(window: Window) -> Iterator[Page]:
        nonlocal most
        inside.append("in")
        most = max(most, len(inside))
        time.sleep(0.1)
        inside.pop()
        yield from by_hours(window)

    crawler = scripted({A: slow})
    other = Crawler(crawler.platform, crawler.sandbox, crawler.folder, runs=100)
    threads = [threading.Thread(target=some.crawl, args=(Window.hour(NOON), A)) for some in (crawler, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == 1
    commits = crawler.lake.commits("discourse")
    assert len(commits) == 2 and all(commit.closes(A.key) for commit in commits)
    assert [len(states) for states in crawler.platform.seen] == [0, 1], "the second knows what the first read"  # type: ignore[attr-defined]


def test_two_runs_over_the_same_communities_do_not_block_each_other_for_ever(
    scripted: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crawling, "PATIENCE", 5.0)
    locked = crawling._locked

    def slowly(*arguments: Any) -> bool:
        time.sleep(0.02)
        return locked(*arguments)

    monkeypatch.setattr(crawling, "_locked", slowly)
    crawler = scripted(dict.fromkeys((A, B, C), by_hours))
    other = Crawler(crawler.platform, crawler.sandbox, crawler.folder, runs=100)
    orders = [(A, B, C), (C, B, A)]
    for _ in range(5):
        threads = [
            threading.Thread(target=some.crawl, args=(Window.hour(NOON), *order))
            for some, order in zip((crawler, other), orders, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads), "each waits for what the other holds"
    assert all(receipt.complete for receipt in crawler.receipts(A) + crawler.receipts(B) + crawler.receipts(C))


def test_one_that_another_run_reads_for_too_long_is_left_to_the_next(
    scripted: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crawling, "PATIENCE", 0.1)
    crawler = scripted({A: by_hours, B: by_hours})
    with alone(READING, A.key, crawler.lake.store, crawler.folder / "scratch", 0):
        first, late = crawler.crawl(Window.hour(NOON), A, B)
        assert first.communities.keys() == {B.key} and first.closes(B.key)
        receipt = late.communities[A.key]
        assert not receipt.complete and receipt.error is None and "another run" in (receipt.note or "")
        assert health([first, late], A.key).failures == 0 and complete([first, late], crawler.sandbox.now)[0]
    assert crawler.crawl(Window.hour(NOON), A, B)[0].closes(A.key)


def test_who_is_free_is_read_before_who_is_not(scripted: Make) -> None:
    crawler = scripted({A: by_hours, B: by_hours, C: by_hours})
    commits = crawling.crawl(
        crawler.platform, [A, B, C], Window.hour(NOON), lake=crawler.lake, http=crawler.http, run_id="run",
        clock=crawler.clock, scratch=crawler.folder / "scratch",
    )  # fmt: skip
    with alone(READING, A.key, crawler.lake.store, crawler.folder / "scratch", 0):
        first = next(commits)
        assert first.closes(B.key) and first.closes(C.key) and A.key not in first.communities
    (last,) = commits
    assert last.closes(A.key) and len(last.communities) == 1


def test_who_was_untracked_meanwhile_leaves_nothing(scripted: Make) -> None:
    crawler = scripted({A: by_hours, B: by_hours})
    for community in (A, B):
        track(crawler.lake, community, START)
    commits = crawling.crawl(
        crawler.platform, [A, B], Window.hour(NOON), lake=crawler.lake, http=crawler.http, run_id="run",
        clock=crawler.clock, scratch=crawler.folder / "scratch", only_tracked=True,
    )  # fmt: skip
    with alone(READING, A.key, crawler.lake.store, crawler.folder / "scratch", 0):
        assert next(commits).communities.keys() == {B.key}
        crawler.lake.untrack(A.key)
    assert list(commits) == [] and crawler.receipts(A) == [] and len(crawler.platform.seen) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("keys", "host", "hours"),
    [
        ([PO.key, OUT.key], "a.4cdn.org", 12), ([FORUM.key], FORUM.name, 12), ([CHAT.key], CHAT.instance, 2),
        ([FOLDING.key, "lemmy:lemmy.example/quiet"], FOLDING.instance, 12), ([PUBLIC.key], PUBLIC.instance, 1),
    ], ids=["fourchan", "discourse", "discord", "lemmy", "mods_de"],
)  # fmt: skip
def test_two_processes_keep_a_hosts_limit_together(keys: list[str], host: str, hours: int, tmp_path: Path) -> None:
    requests, seconds = 10, 2.0
    with Sandbox(World(start=START, hours=20, scale=1.5), now=NOON + HOUR) as sandbox:
        at_least = 0.55 * seconds  # on a busy machine some come late; two that knew nothing of each other took 0.5
        sandbox.limits.set(host, Limit(requests, at_least))
        runs = [
            start(
                sandbox, tmp_path / str(n), keys, hours=hours, pace=f"{requests} {int(seconds * 1000)}", locks=tmp_path
            )
            for n in range(2)
        ]
        until = time.monotonic() + 60
        while len(sandbox.requests.times(host)) < 4 * requests and any(run.poll() is None for run in runs):
            assert time.monotonic() < until
            time.sleep(0.1)
        for run in runs:
            run.kill()
            assert run.wait() in (0, -9)
        asked = sorted(sandbox.requests.times(host))
        assert len(asked) >= 2 * requests
        assert all(one.status in (200, 304) for one in sandbox.requests), "nobody was sent away"
        windows = [asked[i + requests] - asked[i] for i in range(len(asked) - requests)]
        assert min(windows) >= at_least


def start(
    sandbox: Sandbox, folder: Path, keys: list[str], *, hours: int, pace: str = "100000 1000",
    locks: Path | None = None, kill: int | None = None, more: Mapping[str, str] | None = None,
) -> "subprocess.Popen[bytes]":  # fmt: skip
    """A crawl of the hours up to now in a process of its own, killed at its n-th touch of a file if `kill` is given."""
    folder.mkdir(parents=True, exist_ok=True)
    if locks is not None:
        (locks / "locks").mkdir(exist_ok=True)
        (folder / "locks").symlink_to(locks / "locks")
    now = sandbox.now
    first = floor_hour(now) - hours * HOUR
    module = ["tests.extractors.crawl_once", sandbox.url, now.isoformat(), str(folder), first.isoformat(), str(hours)]
    plug = ["tests/plug.py", str(kill), "0", str(folder), "--"] if kill is not None else ["-m"]
    environment = os.environ | {"PACE": pace, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | (more or {})
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, *plug, *module, *keys], cwd=ROOT, env=environment, stdout=pipe, stderr=pipe
    )


# -- the plug pulled -----------------------------------------------------------------------------------------------

KILLS = 8


@pytest.mark.parametrize("community", [PO, FORUM], ids=["fourchan", "discourse"])
def test_killed_anywhere_the_next_crawl_brings_the_truth(community: Community, tmp_path: Path) -> None:
    world = World(start=START, hours=10, scale=0.3)
    hours = 3
    platform = fourchan() if community == PO else discourse()
    with Sandbox(world, now=START + 8 * HOUR) as sandbox:

        def prepared(name: str) -> Crawler:
            sandbox.now = START + 7 * HOUR
            crawler = Crawler(platform, sandbox, tmp_path / name)
            crawler.crawl(Window(START + 5 * HOUR, START + 7 * HOUR), community)
            sandbox.now = START + 8 * HOUR
            return crawler

        prepared("count")
        out, _ = start(sandbox, tmp_path / "count", [community.key], hours=hours, kill=0).communicate(timeout=60)
        touches = int(out.split()[-1])
        points = sorted({1 + (touches - 1) * n // (KILLS - 1) for n in range(KILLS)})
        crawlers = {point: prepared(str(point)) for point in points}
        for some in (points[::2], points[1::2]):
            runs = [start(sandbox, crawlers[p].folder, [community.key], hours=hours, kill=p) for p in some]
            for run in runs:
                _, problem = run.communicate(timeout=60)
                assert run.returncode in (-9, 0), problem.decode()[-2000:]
        for point, crawler in crawlers.items():
            before = crawler.lake.commits(platform.name)
            assert all((crawler.folder / "lake" / f.name).exists() for c in before for f in c.files.values()), point
            sandbox.now += timedelta(minutes=2)
            again = crawler.crawl(Window(START + 5 * HOUR, START + 8 * HOUR), community)
            assert all(commit.closes(community.key) for commit in again), (point, "locks of the dead block nobody")
            if community == PO:
                board_truth(world, PO, [START + 7 * HOUR, sandbox.now]).check(crawler)
            else:
                forum_truth(world, FORUM, crawler.lake.commits("discourse")).check(crawler)
            rows = crawler.rows()
            latest = crawler.latest()
            crawler.lake.sweep(platform, datetime.now(START.tzinfo) + HOUR)
            assert crawler.rows() == rows and crawler.latest() == latest, point
            named = {f.name for c in crawler.lake.commits(platform.name) for f in c.files.values()}
            lake = crawler.folder / "lake"
            files = {str(path.relative_to(lake)) for path in lake.rglob("*") if path.is_file()}
            assert {f for f in files if f.endswith(".parquet")} == named, point
            assert not [f for f in files if ".tmp-" in f], point
            nothing_new = crawler.crawl(Window(START + 5 * HOUR, START + 8 * HOUR), community)
            assert sum(commit.rows for commit in nothing_new) == 0, point


# -- memory --------------------------------------------------------------------------------------------------------


def blob(size: int, mark: int = 0) -> pa.Table:
    return pa.table({"mark": [mark], "blob": ["x" * size]})


def test_a_spool_keeps_little_in_memory_and_gives_back_what_was_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "GROUP", 10_000)
    piles = Spool(tmp_path / "scratch", 20_000)
    added: dict[int, list[int]] = {}
    for mark in range(500):
        pile = mark * mark % 7
        piles.add(pile, blob(100 + mark * 7 % 3000, mark))
        added.setdefault(pile, []).append(mark)
        assert piles.held < 20_000
    assert list((tmp_path / "scratch").iterdir()) == [], "what a killed process leaves behind"
    for pile, marks in added.items():
        assert pile in piles
        groups = list(piles.take(pile))
        assert [mark for group in groups for mark in group["mark"].to_pylist()] == marks
        assert max(group.nbytes for group in groups) < 20_000
        assert pile not in piles and list(piles.take(pile)) == []
    assert list(piles.take(99)) == []
    piles.close()


def test_a_window_of_many_posts_passes_through_a_bounded_spool(scripted: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """All at once, of all hours, as 4chan gives them."""
    monkeypatch.setattr(crawling, "MOST", 100_000)
    held: list[int] = []
    add = Spool.add

    def measured(self: Spool, pile: Any, table: pa.Table) -> None:
        add(self, pile, table)
        held.append(self.held)

    monkeypatch.setattr(Spool, "add", measured)

    def many(window: Window) -> Iterator[Page]:
        hours = window.hours
        for n in range(60):
            yield Page(posts=[post(n * 100 + i, hours[(n + i) % len(hours)], "y" * 300) for i in range(100)])
        yield Page(reached=window.start)

    crawler = scripted({A: many})
    commits = crawler.crawl(Window(NOON, NOON + 10 * HOUR), A)
    assert sum(commit.rows for commit in commits) == 6_000 and len(crawler.latest()) == 6_000
    assert max(held) < 100_000, "of some two million bytes"
