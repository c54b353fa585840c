"""4chan, crawled from the sandbox over HTTP: the truth, bad answers, how often it asks, the recorded boards."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from extractors.pace import Pace
from extractors.platform import HOUR, Community, Window, floor_hour
from sandbox.faults import Fault
from sandbox.recorded import RecordedFourchan
from sandbox.server import Sandbox
from sandbox.site import Request, Response, Site, conditional
from sandbox.world import World
from tests.extractors.crawling import MINUTE, OUT, PO, START, Crawler, board_truth, fourchan, hourly, impatient, track
from tests.recorded import RECORDED, needs_recorded

HOST = "a.4cdn.org"


@pytest.fixture(scope="module")
def world() -> World:
    return World(start=START, hours=54, scale=0.5)


@pytest.fixture
def sandbox(world: World) -> Iterator[Sandbox]:
    with Sandbox(world, now=START + 20 * HOUR + 25 * MINUTE) as sandbox:
        yield sandbox


@pytest.fixture
def crawler(sandbox: Sandbox, tmp_path: Path) -> Crawler:
    return Crawler(fourchan(), sandbox, tmp_path)


# -- the truth -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("community", [PO, OUT], ids=lambda community: str(community.name))
def test_two_days_hour_by_hour_are_the_truth(community: Community, world: World, tmp_path: Path) -> None:
    """Edits, deletions, returns, archived last posts, what was pruned or fell off a sticky; ten hours of outage; three
    polls of one open hour."""
    with Sandbox(world, now=START + 3 * HOUR) as sandbox:
        crawler = Crawler(fourchan(), sandbox, tmp_path)
        track(crawler.lake, community, START)
        polls = list(hourly(crawler, START + 15 * HOUR, crawler.catch_up))
        for _ in range(3):
            sandbox.now += 10 * MINUTE
            crawler.poll(community)
            polls.append(sandbox.now)
        sandbox.now = START + 24 * HOUR + 25 * MINUTE
        assert len(crawler.catch_up()) == 10, "the hours of the outage"
        polls.append(sandbox.now)
        polls += hourly(crawler, START + 54 * HOUR, crawler.catch_up)
        truth = board_truth(world, community, polls)
        truth.check(crawler)
        assert sum(shown.gone for shown in truth.shown.values()) > 3
        assert all(receipt.complete and not receipt.error for receipt in crawler.receipts(community))
        rows = len(crawler.rows())
        crawler.crawl(Window.hour(START + 40 * HOUR), community, refresh=True)
        assert len(crawler.rows()) > rows, "a backfill reads everything anew"
        truth.check(crawler)
        threads = crawler.latest("threads")
        assert {thread for _, thread in threads} == {shown.thread for shown in truth.shown.values()}
        deleted = {shown.thread for key, shown in truth.shown.items() if key == shown.thread and shown.gone}
        assert {thread for (_, thread), row in threads.items() if row["gone"]} == deleted


def test_what_came_and_went_between_two_readings_is_fetched_from_the_archive(crawler: Crawler, world: World) -> None:
    crawler.sandbox.now = START + HOUR
    crawler.poll(PO)
    crawler.sandbox.now = START + 53 * HOUR
    crawler.poll(PO)
    board = world.board("po", crawler.sandbox.now)
    expected = {f"po/{no}" for no in board.archive} | {f"po/{thread.no}" for thread in board.threads}
    assert {thread for _, thread in crawler.latest("threads")} >= expected


def test_an_untouched_sticky_does_not_hide_that_all_others_came_and_went(tmp_path: Path) -> None:
    """On real boards one stands for years, with replies."""
    boards = Boards({1: [(1, 100)] * 3})
    with Sandbox(now=START, sites=[boards]) as sandbox:
        crawler = Crawler(fourchan(), sandbox, tmp_path)
        crawler.poll(PO)
        sandbox.now += HOUR
        at = int(sandbox.now.timestamp()) - 60
        boards.threads[50] = [(50, at), (51, at)]
        boards.threads[40] = [(40, at)]
        boards.archive = [40]
        crawler.poll(PO)
        assert {post for _, post in crawler.latest()} == {"po/1", "po/40", "po/50", "po/51"}


class Boards(Site):
    """A board made by hand: thread number to (post, time); the first thread is sticky and has page 1 to itself."""

    hosts = (HOST,)

    def __init__(self, threads: dict[int, list[tuple[int, int]]]) -> None:
        self.threads, self.archive, self.behind = threads, list[int](), 0
        self.silent = 0  # seconds by which a thread's own Last-Modified is later than the index says
        self.extra: dict[int, dict[str, Any]] = {}

    def answer(self, request: Request, now: Any) -> Response:
        live = [no for no in self.threads if no not in self.archive]
        if request.path == "/po/threads.json":
            pages = [
                {
                    "page": 1 + (n > 0),
                    "threads": [
                        {
                            "no": no,
                            "last_modified": self.threads[no][-1][1],
                            "replies": len(self.threads[no]) - 1 + self.behind,
                        }
                    ],
                }
                for n, no in enumerate(live)
            ]
            return conditional(request, orjson.dumps(pages), max(self.threads[no][-1][1] for no in live))
        if request.path == "/po/archive.json":
            return conditional(request, orjson.dumps(self.archive), 0)
        no = int(request.path.rpartition("/")[2].partition(".")[0])
        if no not in self.threads:
            return Response(404)
        posts = [
            {"no": post, "resto": no if post != no else 0, "time": time, **self.extra.get(post, {})}
            for post, time in dict(self.threads[no]).items()
        ]
        posts[0] |= {"archived": 1} if no in self.archive else {}
        return conditional(
            request, orjson.dumps({"posts": posts}), posts[-1]["time"] + (no in self.archive) + self.silent
        )


def test_a_thread_older_than_the_index_is_fetched_again(tmp_path: Path) -> None:
    """A cache may give it so; its last posts must not be lost."""
    boards = Boards({1: [(1, 100)], 10: [(10, 200), (11, 300)]})
    boards.behind = 1
    with Sandbox(now=START, sites=[boards]) as sandbox:
        crawler = Crawler(fourchan(), sandbox, tmp_path)
        crawler.poll(PO)
        boards.threads[10].append((12, 301))
        boards.behind = 0
        boards.extra = {}
        index = boards.answer(Request("GET", HOST, "/po/threads.json"), START).body
        assert orjson.loads(index)[1]["threads"][0]["replies"] == 2, "as before"
        crawler.poll(PO)
        assert ("fourchan:po", "po/12") in crawler.latest()


def test_a_thread_archived_while_the_board_is_read_is_not_called_hidden(tmp_path: Path) -> None:
    boards = Boards({1: [(1, 100)], 10: [(10, 200), (11, 300)]})
    with Sandbox(now=START, sites=[boards]) as sandbox:
        crawler = Crawler(fourchan(), sandbox, tmp_path)
        index = boards.answer
        boards.answer = lambda request, now: (  # type: ignore[method-assign]
            setattr(boards, "archive", [10] if "thread" in request.path else []),
            index(request, now),
        )[1]
        crawler.poll(PO)
        boards.answer = index  # type: ignore[method-assign]
        boards.archive = [10]
        for n in range(3):
            sandbox.now += HOUR
            boards.threads[1].append((20 + n, 400 + n))
            crawler.poll(PO)
        assert not any(row["gone"] for row in crawler.rows())


def test_a_thread_served_but_not_listed_twice_was_hidden(tmp_path: Path) -> None:
    boards = Boards({1: [(1, 100)], 10: [(10, 200), (11, 300)]})
    with Sandbox(now=START, sites=[boards]) as sandbox:
        crawler = Crawler(fourchan(), sandbox, tmp_path)
        crawler.poll(PO)
        shown = boards.answer
        for n in range(2):
            sandbox.now += HOUR
            boards.threads[1].append((20 + n, 400 + n))

            def hiding(request: Request, now: Any) -> Response:
                if request.path != "/po/threads.json":
                    return shown(request, now)
                hidden, boards.threads = boards.threads, {1: boards.threads[1]}
                try:
                    return shown(request, now)
                finally:
                    boards.threads = hidden

            boards.answer = hiding  # type: ignore[method-assign]
            crawler.poll(PO)
            gone = {post for (_, post), row in crawler.latest().items() if row["gone"]}
            assert gone == (set() if n == 0 else {"po/10", "po/11"})


def test_replies_that_go_without_a_new_last_modified_are_missed(tmp_path: Path) -> None:
    """All posts of a banned address go at once, and the index tells only by the count."""
    boards = Boards({1: [(1, 100)], 10: [(10, 200), (11, 300), (12, 400)]})
    with Sandbox(now=START, sites=[boards]) as sandbox:
        crawler = Crawler(fourchan(), sandbox, tmp_path)
        crawler.poll(PO)
        boards.threads = {1: [(1, 100), (13, 401)], 10: [(10, 200), (12, 400)]}
        boards.silent = 1
        crawler.poll(PO)
        assert {post for (_, post), row in crawler.latest().items() if row["gone"]} == {"po/11"}


def test_what_was_pruned_is_not_called_deleted_and_what_others_outlived_is(tmp_path: Path) -> None:
    boards = Boards({1: [(1, 100)], 40: [(40, 900)], 30: [(30, 800), (31, 810)], 20: [(20, 700)], 10: [(10, 600)]})
    with Sandbox(now=START, sites=[boards]) as sandbox:
        crawler = Crawler(fourchan(), sandbox, tmp_path)
        crawler.poll(PO)
        boards.threads = {1: [(1, 100), (50, 950)], 40: [(40, 900)], 20: [(20, 700)]}
        crawler.poll(PO)
        assert {post for (_, post), row in crawler.latest().items() if row["gone"]} == {"po/30", "po/31"}
        assert {thread for (_, thread), row in crawler.latest("threads").items() if row["gone"]} == {"po/30"}
        assert {row["created_at"].timestamp() for row in crawler.rows() if row["gone"]} == {800, 810}


def test_a_post_too_young_to_be_called_gone_is_looked_at_again(tmp_path: Path) -> None:
    at = int(START.timestamp())
    boards = Boards({1: [(1, 100)], 10: [(10, 200), (11, at)]})
    with Sandbox(now=START + MINUTE, sites=[boards]) as sandbox:
        crawler = Crawler(fourchan(), sandbox, tmp_path)
        crawler.poll(PO)
        boards.threads[10] = [(10, 200), (12, at + 30)]
        sandbox.now += MINUTE
        crawler.poll(PO)
        assert not crawler.latest()["fourchan:po", "po/11"]["gone"]
        sandbox.now += 10 * MINUTE
        crawler.poll(PO)
        row = crawler.latest()["fourchan:po", "po/11"]
        assert row["gone"] and row["thread_id"] == "po/10" and row["created_at"].timestamp() == at


# -- bad input -----------------------------------------------------------------------------------------------------

INDEX, THREAD = r"/po/threads\.json", r"/po/thread/"
ONCE_MORE = 2  # as often as the client tries
FAULTS = [
    Fault("429", path=INDEX, times=ONCE_MORE, retry_after=0),
    Fault("500", path=THREAD, after=3, times=ONCE_MORE),
    Fault("502", path=INDEX, times=ONCE_MORE),
    Fault("reset", path=THREAD, after=3, times=ONCE_MORE),
    Fault("hang", path=THREAD, after=3, times=ONCE_MORE, seconds=1),
    Fault("cut", path=THREAD, after=3, times=ONCE_MORE),
    *(Fault(kind, path=path, after=after, times=1) for kind in ("html", "text", "invalid_json", "empty_list", "304")
      for path, after in ((INDEX, 0), (THREAD, 3))),  # type: ignore[arg-type]
    Fault("redirect", path=THREAD, times=2),
    Fault("huge", path=THREAD, after=3, times=1, size=3_000_000),
    Fault("wrong_type", path=INDEX, times=1, field="no", value=None),
    Fault("wrong_type", path=INDEX, times=1, field="replies", value="many"),
    Fault("wrong_type", path=THREAD, times=1, field="no", value=None),
    Fault("wrong_type", path=THREAD, times=1, field="time", value="soon"),
    Fault("wrong_type", path=THREAD, times=1, field="com", value=7),
    Fault("new_field", path=r"/po/", field="mood", value={"a": 1}, times=5),
    Fault("shift", path=r"/po/", times=5, seconds=300),
]  # fmt: skip
SILENT = {"new_field", "shift", "wrong_type", "304"}


@pytest.mark.parametrize("known", [False, True], ids=["first", "later"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.kind}-{fault.path[4:10].strip('/')}-{fault.field}")
def test_a_fault_is_named_keeps_everything_else_and_heals(
    fault: Fault, known: bool, world: World, tmp_path: Path
) -> None:
    at = START + 6 * HOUR
    with Sandbox(world, now=at - HOUR) as sandbox:
        in_turn = Pace(requests=100_000, seconds=1)
        crawler = Crawler(fourchan(pace=in_turn), sandbox, tmp_path, impatient(fault))
        polls = []
        if known:
            crawler.poll(PO)
            polls.append(sandbox.now)
        sandbox.now = at
        sandbox.faults.add(fault)
        commit = crawler.crawl(Window.hour(floor_hour(sandbox.now)), OUT, PO)[0]
        receipt = commit.communities[PO.key]
        assert commit.communities[OUT.key].complete and commit.communities[OUT.key].posts > 20, "the other goes on"
        assert sandbox.faults.describe()[0]["struck"] > 0
        if fault.kind not in SILENT or (fault.path == INDEX and fault.kind != "304"):
            assert not receipt.complete and receipt.error
            url = fault.location if fault.kind == "redirect" else "https://a.4cdn.org/po/t"
            assert receipt.error.startswith(f"fourchan:po: {url}") and "expected" in receipt.error
            if fault.path != INDEX:
                assert receipt.posts >= (5 if known else 50), "what could be read is kept"
        elif fault.kind == "wrong_type":
            assert receipt.complete and receipt.parse_errors >= 1
        gone = {int(row["post_id"].partition("/")[2]) for row in crawler.rows() if row["gone"] and row["post_id"]}
        boards = [world.board(name, sandbox.now) for name in ("po", "out")]
        stand = {post["no"] for board in boards for thread in board.threads for post in thread.posts}
        assert not gone & stand, "nothing odd makes a deletion"
        sandbox.faults.clear()
        if fault.kind == "shift":
            polls.append(at)
        crawler.poll(PO)
        polls.append(sandbox.now)
        if fault.kind != "shift":  # whose truth has no one moment
            board_truth(world, PO, polls).check(crawler)
        assert crawler.receipts(PO)[-1].complete
        crawler.sandbox.requests.clear()
        crawler.poll(PO)
        assert crawler.asked(HOST) == 1, "all is known and well"
        assert {post for _, post in crawler.latest()} >= {
            f"po/{post['no']}" for thread in world.board("po", sandbox.now).threads for post in thread.posts
        }


def test_a_board_that_does_not_exist_is_an_error_that_says_so(crawler: Crawler) -> None:
    commit = crawler.crawl(Window.hour(START + 19 * HOUR), Community("fourchan:nope", "4chan.org"), PO)[0]
    error = commit.communities["fourchan:nope"].error
    assert error and "fourchan:nope: https://a.4cdn.org/nope/threads.json" in error and "404" in error
    assert not commit.closes("fourchan:nope") and commit.closes("fourchan:po")


def test_an_archived_thread_that_was_quarantined_is_read_again(tmp_path: Path) -> None:
    boards = Boards({1: [(1, 100)], 10: [(10, 200), (11, 300)]})
    with Sandbox(now=START, sites=[boards]) as sandbox:
        crawler = Crawler(fourchan(), sandbox, tmp_path)
        crawler.poll(PO)
        boards.archive, boards.extra = [10], {11: {"com": 7}}
        boards.threads[1].append((20, 400))
        crawler.poll(PO)
        boards.extra = {11: {"com": "well"}}
        boards.threads[1].append((21, 401))
        crawler.poll(PO)
        assert crawler.latest()["fourchan:po", "po/11"]["text"] == "well"
        sandbox.requests.clear()
        boards.threads[1].append((22, 402))
        crawler.poll(PO)
        assert crawler.asked(HOST, "/po/thread/10") == 0, "and then no more"


# -- polite --------------------------------------------------------------------------------------------------------


def test_a_day_of_polls_costs_a_request_a_changed_thread_and_the_index(crawler: Crawler, world: World) -> None:
    crawler.poll(PO)
    board = world.fourchan_board("po")
    changed = polls = 0
    before = crawler.sandbox.now
    crawler.sandbox.requests.clear()
    for _ in hourly(crawler, START + 45 * HOUR, lambda: crawler.poll(PO)):
        now, polls = crawler.sandbox.now, polls + 1
        changed += sum(
            any(before.timestamp() < time <= now.timestamp() for time in thread.changes)
            for thread in board.threads.values()
            if thread.created <= now.timestamp() and thread.left > before.timestamp()
        )
        before = now
    assert polls == 24 and changed > 100
    assert crawler.asked(HOST) - polls <= 1.05 * changed
    assert crawler.asked(HOST, "/po/threads") == polls
    again = [one for one in crawler.sandbox.requests if one.status == 304]
    assert len(again) <= 0.05 * changed, "nothing unchanged is fetched"


def test_an_unchanged_board_costs_one_request(crawler: Crawler) -> None:
    crawler.poll(PO)
    rows = crawler.rows()
    crawler.sandbox.requests.clear()
    commit = crawler.poll(PO)
    assert [(one.target, one.status) for one in crawler.sandbox.requests] == [("/po/threads.json", 304)]
    assert commit.rows == 0 and commit.communities[PO.key].not_modified == 1 and crawler.rows() == rows


def test_a_thread_that_always_fails_does_not_make_the_others_be_fetched_again(crawler: Crawler, world: World) -> None:
    no = world.board("po", crawler.sandbox.now).threads[5].no
    crawler.sandbox.faults.add(Fault("500", path=rf"/po/thread/{no}"))
    assert not crawler.poll(PO).communities[PO.key].complete
    crawler.sandbox.requests.clear()
    crawler.sandbox.now += timedelta(seconds=30)
    crawler.poll(PO)
    assert crawler.asked(HOST) <= 10


# -- recorded ------------------------------------------------------------------------------------------------------


@needs_recorded
def test_the_recorded_boards_come_whole_and_unchanged(tmp_path: Path) -> None:
    assert RECORDED
    folder = RECORDED / "fourchan"
    boards = [Community(f"fourchan:{name}", "4chan.org") for name in ("po", "an", "out", "ck")]
    expected = {}
    for board in boards:
        for file in folder.glob(f"{board.name}/thread/*.json"):
            for post in orjson.loads(file.read_bytes())["posts"]:
                expected[board.key, f"{board.name}/{post['no']}"] = post
    with Sandbox(now=START, sites=[RecordedFourchan(folder)]) as sandbox:
        crawler = Crawler(fourchan(), sandbox, tmp_path)
        commit = crawler.crawl(Window.hour(START - HOUR), *boards)[0]
        assert all(receipt.complete and not receipt.parse_errors for receipt in commit.communities.values())
        posts = crawler.lake.table(commit, "posts").select(["community", "post_id", "payload", "parse_error"])
        assert posts.num_rows == 33_287 == len(expected) and posts["parse_error"].null_count == 33_287
        found = {(row["community"], row["post_id"]): orjson.loads(row["payload"]) for row in posts.to_pylist()}
        assert found == expected
        assert len(set(crawler.lake.table(commit, "threads")["thread_id"].to_pylist())) == commit.files["threads"].rows
        assert commit.files["threads"].rows == 582
        sandbox.requests.clear()
        assert crawler.crawl(Window.hour(START - HOUR), *boards)[0].rows == 0
        # 54 threads had moved on when they were recorded: they are asked for once more, on a condition
        assert len(sandbox.requests) <= 4 + 54 and crawler.crawl(Window.hour(START - HOUR), *boards)[0].rows == 0
        sandbox.requests.clear()
        crawler.crawl(Window.hour(START - HOUR), *boards)
        assert len(sandbox.requests) == 4


# -- what it declares ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://boards.4chan.org/po/",
        "https://boards.4channel.org/PO/thread/570368",
        "boards.4chan.org/po",
        "https://a.4cdn.org/po/threads.json",
        "/po/",
        "fourchan:po",
    ],
)
def test_what_names_a_board(url: str) -> None:
    assert fourchan().community(url) == PO


@pytest.mark.parametrize("url", ["https://4chan.org/", "https://example.org/po/", "po", "fourchan:", "fourchan:a/b"])
def test_what_names_none(url: str) -> None:
    assert fourchan().community(url) is None


def test_words_of_a_comment() -> None:
    com = (
        '<a href="#p7" class="quotelink">&gt;&gt;7</a><br><a href="/out/thread/9#p10" class="quotelink">&gt;&gt;10</a>'
        '<br><span class="quote">&gt;see https://example.org/<wbr>long</span>'
    )
    words = fourchan().words("posts", PO, [{"com": com}, {}])
    assert words[0].quotes == ["po/7", "out/10"] and words[0].links == ["https://example.org/long"]
    assert words[0].text and ">see https://example.org/long" in words[0].text
    assert words[1].quotes == [] and not words[1].text
