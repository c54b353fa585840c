"""mods.de, crawled from the sandbox over HTTP: its encoding, its counts, threads that move and vanish, how often
it asks, the whole past."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from extractors.errors import NotFound, Refused
from extractors.mods_de import PROFILES
from extractors.pace import Pace
from extractors.platform import HOUR, Community, Page, State, Window, floor_hour, windows
from sandbox.faults import Fault
from sandbox.mods_de_board import Board, BoardPost
from sandbox.mods_de_xml import XML, dumps, mangle
from sandbox.server import Sandbox
from sandbox.site import Request, Response, Site
from sandbox.world import World
from tests.extractors.crawling import MINUTE, PUBLIC, START, TENTS, Crawler, client, impatient, mods_de

HOST = "forum.mods.de"
BOARD, QUIET = PUBLIC, TENTS
QUOTING = '[quote=1,1000,"[Höhl]e, n"][b]x[/b][/quote]5 € ½'
LIST, THREAD, TAGS = r"/bb/xml/board\.php", r"/bb/xml/thread\.php", r"/bb/thread\.php"


@pytest.fixture(scope="module")
def world() -> World:
    world = World(start=START, hours=52)
    for name in ("14", "15"):  # not while a client waits
        world.mods_de_board(name)
    return world


@pytest.fixture
def sandbox(world: World) -> Iterator[Sandbox]:
    with Sandbox(world, now=START + 30 * HOUR + 25 * MINUTE) as sandbox:
        yield sandbox


@pytest.fixture
def crawler(sandbox: Sandbox, tmp_path: Path) -> Crawler:
    return Crawler(mods_de(), sandbox, tmp_path)


def without_volatile(payload: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name not in ("avatar", "in-thread", "in-board", "mood")}


def is_true(crawler: Crawler, world: World, community: Community = BOARD) -> int:
    """The lake's latest rows are what each hour's last reading must have seen, or newer; the number of posts gone."""
    board = world.mods_de_board(community.name)
    read: dict[datetime, datetime] = {}
    for commit in crawler.lake.commits("mods_de"):
        if commit.communities[community.key].complete:
            read[commit.hour] = commit.observed_at
    rows = {key: row for (mine, key), row in crawler.latest().items() if mine == community.key}
    by_time = sorted(crawler.rows(), key=lambda row: (row["observed_at"], row["run_id"]))
    alive = {row["post_id"]: row["payload"] for row in by_time if row["payload"] and row["post_id"]}
    seen = set()
    for post in board.posts():
        hour = floor_hour(datetime.fromtimestamp(post.created, START.tzinfo))
        row = rows.get(str(post.id))
        if hour not in read or post.created > (at := read[hour].timestamp()):
            continue
        here = board.threads[post.thread].board(at, community.name) == community.name
        if post.visible(at) and here:
            assert row is not None, post
        elif row is not None and here and at - post.created >= 300:
            assert row["gone"], (post, row)
        if row is None:
            continue
        seen.add(str(post.id))
        then = row["observed_at"].timestamp()
        assert (row["thread_id"], row["created_at"].timestamp()) == (str(post.thread), post.created)
        if row["gone"]:
            assert not post.visible(then)
        else:
            moment = max(then, at) if post.visible(at) and here else then
            assert without_volatile(orjson.loads(alive[str(post.id)])) == without_volatile(board.payload(post, moment))
    own = {str(post.id) for post in board.posts()}
    healed = [row for row in by_time if row["parse_error"]]
    assert len((rows.keys() & own) - seen) <= len(healed), "what else there is was moved here"
    return sum(row["gone"] for row in rows.values())


def titles_are_right(crawler: Crawler, world: World) -> None:
    board = world.mods_de_board("14")
    threads = {key: row for (_, key), row in crawler.latest("threads").items()}
    assert {row["thread_id"] for row in crawler.rows()} <= threads.keys()
    for key, row in threads.items():
        thread = board.threads[int(key)]
        assert row["created_at"].timestamp() == thread.created
        if row["gone"]:
            assert not thread.visible(row["observed_at"].timestamp())
        else:
            assert (row["title"], row["subtitle"]) == thread.title(row["observed_at"].timestamp())
            assert sorted(row["tags"]) == sorted(thread.tags)


# -- the truth -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("community", [BOARD, QUIET], ids=lambda community: str(community.name))
def test_two_days_hour_by_hour_are_the_truth(community: Community, world: World, tmp_path: Path) -> None:
    """Edits, hidden posts that come back, deleted and moved and renamed threads; an outage; polls of an open hour;
    revisits after one hour and after a day."""
    with Sandbox(world, now=START + 3 * HOUR) as sandbox:
        crawler = Crawler(mods_de(), sandbox, tmp_path)
        for number in range(1, 52):
            sandbox.now = START + number * HOUR + 25 * MINUTE
            if 15 <= number < 24:
                continue
            ago = range(1, 11) if number == 24 else (1, 2, 25)
            hours = [floor_hour(sandbox.now) - hours * HOUR for hours in ago]
            for window in windows([hour for hour in hours if hour >= START]):
                crawler.crawl(window, community)
            if number == 14:
                for _ in range(3):
                    sandbox.now += 10 * MINUTE
                    crawler.poll(community)
        assert all(receipt.complete and not receipt.error for receipt in crawler.receipts(community))
        gone = is_true(crawler, world, community)
        if community == BOARD:
            titles_are_right(crawler, world)
            assert gone > 10
            rows = [row for row in crawler.rows() if row["payload"]]
            assert any(row["is_hidden"] == "texthidden" for row in rows)
            versions = {(row["post_id"], row["content_hash"]) for row in rows}
            assert len(versions) > len({row["post_id"] for row in rows}) + 20, "edits were seen"
            boards = {row["thread_id"]: row["in_board_id"] for row in crawler.latest("threads").values()}
            assert 15 in boards.values(), "a thread that was moved says so"
            window = Window(START + 4 * HOUR, START + 8 * HOUR)
            assert all(commit.rows for commit in crawler.crawl(window, community, refresh=True))
            is_true(crawler, world, community)


def test_old_windows_are_found_in_long_threads(crawler: Crawler, world: World) -> None:
    crawler.sandbox.now = START + 52 * HOUR
    for first, last in ((20, 23), (0, 2), (40, 41), (7, 8)):
        commits = crawler.crawl(Window(START + first * HOUR, START + last * HOUR), BOARD)
        assert len(commits) == last - first
    is_true(crawler, world)
    assert len(crawler.latest()) > 150


def test_what_people_wrote_is_what_is_read(crawler: Crawler, world: World) -> None:
    crawler.crawl(Window(START, START + 30 * HOUR), BOARD)
    board = world.mods_de_board("14")
    leads = {str(post.id): post.lead for post in board.posts() if len(post.versions) == 1}
    rows = [row for row in crawler.rows() if row["post_id"] in leads and not row["is_hidden"]]
    everything = "".join(leads[row["post_id"]] for row in rows)
    assert all(character in everything for character in "é東🙂Łź½…"), "in Latin-9, and in it not"
    for row in rows:
        assert row["text"].startswith(leads[row["post_id"]]) and row["user_name"] == board.people[row["user_id"]].name
        thread = board.threads[int(row["thread_id"])]
        assert row["is_opening"] == (str(thread.members[0].id) == row["post_id"])
        assert not {"[b]", "[/quote]", "\x00", "&#", "¤"} & set(row["text"]) and "[quote" not in row["text"]
    ids = {str(post.id) for post in board.posts()}
    quotes = {quote for row in rows for quote in row["quotes"]}
    assert len(quotes) > 50 and quotes <= ids
    links = {link for row in rows for link in row["links"]}
    assert {"http://forum.mods.de/bb/img/icons/icon7.gif", "https://youtu.be/abcdefgh"} <= links


def test_profiles_come_with_who_is_new(crawler: Crawler, world: World) -> None:
    crawler.crawl(Window(START + 20 * HOUR, START + 30 * HOUR), BOARD)
    assert crawler.asked("my.mods.de") == PROFILES
    authors = {row["post_id"]: row for row in crawler.rows("authors")}
    people = world.mods_de_board("14").people
    assert PROFILES - 1 <= len(authors) <= PROFILES, "13 is hidden by a user of that name"
    for uid, row in authors.items():
        assert row["name"] == people[int(uid)].name and row["is_locked"] == people[int(uid)].locked
        assert row["created_at"] == row["registered"] and row["rank"] == "Gruß & Kuß"
        assert (row["last_seen"] is None) == (people[int(uid)].seen is None)
    crawler.sandbox.now += HOUR
    crawler.crawl(Window.hour(START + 30 * HOUR), BOARD)
    crawler.crawl(Window.hour(START + 30 * HOUR), BOARD)
    asked = [one.target for one in crawler.sandbox.requests if one.host == "my.mods.de"]
    assert len(asked) == len(set(asked)) > PROFILES, "each once"


def test_a_dead_profile_server_stops_nothing(crawler: Crawler, world: World) -> None:
    crawler.sandbox.faults.add(Fault("500", host=r"my\.mods\.de"))
    commits = crawler.crawl(Window(START + 20 * HOUR, START + 30 * HOUR), BOARD)
    assert all(commit.closes(BOARD.key) for commit in commits)
    assert "my.mods.de" in (crawler.receipts(BOARD)[-1].note or commits[-1].communities[BOARD.key].note or "")
    is_true(crawler, world)


# -- by hand -------------------------------------------------------------------------------------------------------


class ByHand(Site):
    """A board with one thread of posts made by hand: ids to hours after START."""

    hosts = (HOST,)

    def __init__(self, posts: dict[int, float], board: str = "14", pages: int = 0) -> None:
        self.made, self.board, self.pages, self.deleted = posts, board, pages, False

    def post(self, id: int) -> dict[str, Any]:
        at = str(int((START + self.made[id] * HOUR).timestamp()))
        where = {"in-thread": {"id": "1"}, "in-board": {"id": self.board}}
        message = {"edited": {"count": "0"}, "content": f"{id}", "title": ""}
        hidden = {"id": "0", "is-hidden": "hidden"} if id < 0 else {"id": str(id)}
        return {**hidden, "user": {"id": "7", "text": "Alice"}, "date": {"timestamp": at}, "message": message, **where}

    def answer(self, request: Request, now: datetime) -> Response:
        if request.path == "/bb/thread.php":
            return Response(200, b"<html></html>", "text/html")
        ids = sorted(self.made, key=abs)
        thread = {"id": "1", "title": "t", "subtitle": "", "in-board": {"id": self.board}}
        thread |= {"number-of-pages": {"value": str(self.pages or (len(ids) + 29) // 30)}, "flags": {}}
        thread |= {"number-of-replies": {"value": str(len(ids) + 5)}, "firstpost": {"post": self.post(ids[0])}}
        if request.path.endswith("board.php"):
            shown = [] if self.deleted or self.board != "14" else [thread | {"lastpost": {"post": self.post(ids[-1])}}]
            counts = {"number-of-threads": {"value": str(len(shown))}, "number-of-replies": {"value": "9"}}
            inside = {"threads": {"thread": shown if int(request.argument("offset") or 0) == 0 else []}}
            return Response(200, dumps("board", {"id": "14", "name": "b", **counts, **inside}), XML)
        if self.deleted:
            return Response(200, dumps("invalid-thread", {}), XML)
        first = (int(request.argument("page") or 1) - 1) * 30
        posts = [self.post(id) for id in ids[first : first + 30]]
        return Response(200, dumps("thread", {**thread, "posts": {"count": str(len(posts)), "post": posts}}), XML)


def test_a_hidden_post_without_a_number_is_kept(tmp_path: Path) -> None:
    with Sandbox(now=START + 2 * HOUR, sites=[ByHand({10: 0.1, -11: 0.2, 12: 0.3, -13: 0.4})]) as sandbox:
        crawler = Crawler(mods_de(), sandbox, tmp_path)
        crawler.crawl(Window.hour(START), BOARD)
        at = int(START.timestamp())
        assert {post for _, post in crawler.latest()} == {"10", f"1-{at + 720}", "12", f"1-{at + 1440}"}


def test_a_thread_whose_count_is_too_high_ends(tmp_path: Path) -> None:
    with Sandbox(now=START + 2 * HOUR, sites=[ByHand(dict.fromkeys(range(1, 41), 0.5), pages=5)]) as sandbox:
        crawler = Crawler(mods_de(), sandbox, tmp_path)
        crawler.crawl(Window.hour(START), BOARD)
        assert len(crawler.latest()) == 40
        pages = list(mods_de().history(BOARD, START, client(sandbox, tmp_path / "locks"), None))
        assert sum(len(page.posts) for page in pages) == 40


def test_a_deleted_thread_is_gone_and_a_moved_one_is_not(tmp_path: Path) -> None:
    for change in ("deleted", "moved"):
        site = ByHand({10: 0.1, 11: 0.2})
        with Sandbox(now=START + HOUR, sites=[site]) as sandbox:
            crawler = Crawler(mods_de(), sandbox, tmp_path / change)
            crawler.crawl(Window.hour(START), BOARD)
            if change == "deleted":
                site.deleted = True
            else:
                site.board = "15"
            sandbox.now += HOUR
            crawler.crawl(Window.hour(START), BOARD)
            rows = crawler.rows() + crawler.rows("threads")
            gone = {row["post_id"] or row["thread_id"] for row in rows if row["gone"]}
            assert gone == ({"1", "10", "11"} if change == "deleted" else set())


def test_a_hidden_post_that_comes_back_is_seen_by_its_revisit(tmp_path: Path) -> None:
    site = ByHand({10: 0.1, 11: 1.2, 12: 2.2})
    with Sandbox(now=START + 2 * HOUR, sites=[site]) as sandbox:
        crawler = Crawler(mods_de(), sandbox, tmp_path)
        crawler.crawl(Window(START, START + 2 * HOUR), BOARD)
        created = site.made.pop(11)
        sandbox.now += HOUR
        crawler.crawl(Window.hour(START + 2 * HOUR), BOARD)
        assert crawler.latest()[BOARD.key, "11"]["gone"], "it stood on the page that was read"
        site.made[11] = created
        sandbox.now += HOUR
        crawler.crawl(Window.hour(START + HOUR), BOARD)
        assert not crawler.latest()[BOARD.key, "11"]["gone"]
        assert sum(row["gone"] for row in crawler.rows()) == 1


# -- bad input -----------------------------------------------------------------------------------------------------

FAULTS = [
    Fault("429", path=LIST, times=2, retry_after=0),
    Fault("500", path=THREAD, after=1, times=2),
    Fault("502", path=THREAD, times=2),
    Fault("reset", path=LIST, times=2),
    Fault("hang", path=THREAD, after=1, times=2, seconds=1),
    Fault("cut", path=THREAD, times=2),
    *(Fault(kind, path=path, after=after, times=1) for kind in ("html", "text", "invalid_json", "304")
      for path, after in ((LIST, 0), (THREAD, 0), (THREAD, 3))),  # type: ignore[arg-type]
    Fault("empty_list", path=LIST, times=1),
    Fault("empty_list", path=THREAD, times=1),
    Fault("huge", path=THREAD, times=1, size=3_000_000),
    Fault("redirect", path=LIST, times=1, location="http://login.mods.de/login"),
    Fault("wrong_type", path=LIST, times=1, field="id", value="x"),
    Fault("wrong_type", path=THREAD, times=1, field="id", value=None),
    Fault("wrong_type", path=THREAD, times=1, field="date.timestamp", value="soon"),
    Fault("wrong_type", path=THREAD, times=1, field="in-thread.id", value="x"),
    Fault("wrong_type", path=THREAD, times=1, field="user.id", value="many"),
    Fault("new_field", field="mood", value={"a": 1}, times=5),
    Fault("shift", times=5, seconds=60),
]  # fmt: skip


@pytest.mark.parametrize("known", [False, True], ids=["first", "later"])
@pytest.mark.parametrize(
    "fault", FAULTS, ids=lambda fault: f"{fault.kind}-{fault.path[9:12]}-{fault.after}-{fault.field}"
)
def test_a_fault_is_named_keeps_everything_else_and_heals(
    fault: Fault, known: bool, world: World, tmp_path: Path
) -> None:
    window = Window(START + 9 * HOUR, START + 14 * HOUR)
    with Sandbox(world, now=window.end) as sandbox:
        in_turn = Pace(requests=100_000, seconds=1)
        crawler = Crawler(mods_de(pace=in_turn), sandbox, tmp_path, impatient(fault))
        if known:
            sandbox.now = window.end - HOUR
            crawler.crawl(Window(window.start, sandbox.now), BOARD)
            sandbox.now = window.end
        sandbox.faults.add(Fault(**{**vars(fault), "host": r"forum\.mods\.de"}))
        commits = crawler.crawl(window, BOARD)
        assert sandbox.faults.describe()[0]["struck"] > 0
        errors = [r.error for commit in commits if not (r := commit.communities[BOARD.key]).complete]
        assert [commit.hour for commit in commits] == window.hours
        quarantined = fault.kind == "wrong_type" and fault.path == THREAD
        if fault.kind in ("new_field", "shift") or quarantined or (fault.kind == "empty_list" and fault.path == THREAD):
            assert errors == []
            assert (sum(commit.communities[BOARD.key].parse_errors for commit in commits) == 1) == quarantined
        else:
            url = "http://forum.mods.de/bb/xml/" + ("board.php" if fault.path == LIST else "thread.php")
            assert errors and errors[0] and errors[0].startswith(f"mods_de:14: {url}") and "expected" in errors[0]
        board = world.mods_de_board("14")
        gone = {int(row["post_id"]) for row in crawler.rows() if row["gone"]}
        assert not any(post.id in gone and post.visible(sandbox.now.timestamp()) for post in board.posts())
        sandbox.faults.clear()
        sandbox.now += 2 * MINUTE
        healed = crawler.crawl(window, BOARD)
        assert all(commit.closes(BOARD.key) for commit in healed)
        is_true(crawler, world)
        titles_are_right(crawler, world)


# -- polite --------------------------------------------------------------------------------------------------------


def test_an_hour_costs_its_threads_and_a_poll_what_is_new(crawler: Crawler, world: World) -> None:
    board = world.mods_de_board("14")
    crawler.crawl(Window(START + 24 * HOUR, START + 30 * HOUR), BOARD)
    for minutes in (5, 10, 20, 30):
        before = crawler.sandbox.now.timestamp()
        crawler.sandbox.now = START + 30 * HOUR + (25 + minutes) * MINUTE
        now = crawler.sandbox.now.timestamp()
        crawler.sandbox.requests.clear()
        crawler.crawl(Window(START + 30 * HOUR, START + 31 * HOUR), BOARD)
        since = before if minutes > 5 else (START + 30 * HOUR).timestamp()
        threads = {post.thread for post in board.posts() if since < post.created <= now}
        changed = crawler.asked(HOST, THREAD)
        assert len(threads) <= changed <= len(threads) * 1.4 + 3, "hidden posts and renames count, too"
        assert crawler.asked(HOST, LIST) == 1
    crawler.sandbox.requests.clear()
    crawler.crawl(Window(START + 30 * HOUR, START + 31 * HOUR), BOARD)
    assert len(crawler.sandbox.requests) == 1, "nothing is new"


def test_a_revisit_asks_for_the_known_pages_alone(crawler: Crawler) -> None:
    window = Window.hour(START + 29 * HOUR)
    crawler.crawl(window, BOARD)
    crawler.sandbox.now += 20 * HOUR
    crawler.sandbox.requests.clear()
    crawler.crawl(window, BOARD)
    threads = {row["thread_id"] for row in crawler.rows()}
    assert crawler.asked(HOST, LIST) == 0 and crawler.asked(HOST, THREAD) <= len(threads) + 3
    assert crawler.asked(HOST, TAGS) <= 3, "of those that were renamed"


# -- the whole past ------------------------------------------------------------------------------------------------


def posts_of(pages: list[Page]) -> dict[str, bytes | None]:
    return {row.post_id or "": row.payload for page in pages for row in page.posts}


def standing(world: World, first: datetime, last: datetime, since: datetime = START) -> dict[str, BoardPost]:
    """The posts that stood on the board all the time between two moments."""
    board = world.mods_de_board("14")
    moments = [(first + (last - first) * i / 200).timestamp() for i in range(201)]
    return {
        str(post.id): post
        for post in board.posts()
        if since.timestamp() <= post.created <= first.timestamp() and all(post.visible(at) for at in moments)
        if all(board.threads[post.thread].board(at, "14") == "14" for at in moments)
    }


def test_the_past_is_whole_newest_first_and_in_proportion(crawler: Crawler, world: World) -> None:
    pages = list(mods_de().history(BOARD, START - 9 * HOUR, crawler.http, None))
    posts, board = posts_of(pages), world.mods_de_board("14")
    at = crawler.sandbox.now
    assert posts.keys() == standing(world, at, at).keys()
    for post, payload in posts.items():
        assert payload and orjson.loads(payload) == board.payload(standing(world, at, at)[post], at.timestamp())
        break
    threads = {row.thread_id for page in pages for row in page.threads}
    assert threads == {row.thread_id for page in pages for row in page.posts}
    assert sum(len(page.threads) for page in pages) == len(threads), "each once"
    newest = [max(row.created_at for row in page.posts if row.created_at) for page in pages if page.posts]
    assert newest[0] > at - HOUR and newest[-1] < at - 10 * HOUR
    done = [page.progress for page in pages if page.progress]
    assert (
        done == sorted(done, key=lambda progress: progress[0])
        and done[-1] == (len(posts), len(posts))
        and done[3][1] >= len(posts)
    )
    assert all(page.reached is None and page.state for page in pages)
    assert max(len(orjson.dumps(page.state)) for page in pages) < 4_000
    users = {row.fields["user_id"] for page in pages for row in page.posts}
    full = sum(-(-len(thread.written(at.timestamp())) // 30) for thread in board.threads.values()
               if str(thread.id) in threads)  # fmt: skip
    lists = -(-len(threads) // 29)
    assert crawler.asked(HOST, THREAD) == full and crawler.asked(HOST, TAGS) == len(threads)
    assert crawler.asked(HOST, LIST) <= 3 * lists + 2 and crawler.asked("my.mods.de") == len(users)


def test_a_limit_on_the_past_is_kept_and_saves_requests(crawler: Crawler, world: World) -> None:
    since = START + 20 * HOUR
    pages = list(mods_de().history(BOARD, since, crawler.http, None))
    assert posts_of(pages).keys() == standing(world, crawler.sandbox.now, crawler.sandbox.now, since).keys()
    assert crawler.asked(HOST, THREAD) < 90


def test_while_people_post_nothing_of_the_past_is_missed(crawler: Crawler, world: World) -> None:
    """A minute passes with each step: threads leap to the front, are deleted, moved and hidden."""
    began, pages = crawler.sandbox.now, []
    for page in mods_de().history(BOARD, START, crawler.http, None):
        pages.append(page)
        crawler.sandbox.now += 3 * MINUTE
    missed = standing(world, began, crawler.sandbox.now).keys() - posts_of(pages).keys()
    assert not missed
    assert sum(len(page.posts) for page in pages) <= len(posts_of(pages)) * 1.1, "hardly anything twice"


def test_a_past_that_is_killed_after_every_page_goes_on(crawler: Crawler) -> None:
    whole = list(mods_de().history(BOARD, START, crawler.http, None))
    asked = len(crawler.sandbox.requests)
    crawler.sandbox.requests.clear()
    pages: list[Page] = []
    cursor: State | None = None
    while True:
        steps = mods_de().history(BOARD, START, crawler.http, cursor)
        page = next(steps, None)
        if page is None:
            break
        pages.append(page)
        cursor = orjson.loads(orjson.dumps(page.state))
    assert posts_of(pages) == posts_of(whole) and len(pages) == len(whole)
    assert len(crawler.sandbox.requests) == asked, "nothing twice"


@pytest.mark.parametrize("killed", range(2, 90, 9))
def test_a_kill_before_a_page_is_kept_costs_that_page(killed: int, crawler: Crawler) -> None:
    whole = list(mods_de().history(BOARD, START + 20 * HOUR, crawler.http, None))
    asked = len(crawler.sandbox.requests)
    crawler.sandbox.requests.clear()
    pages = []
    for number, page in enumerate(mods_de().history(BOARD, START + 20 * HOUR, crawler.http, None)):
        if number == killed:  # it was fetched, and is lost
            break
        pages.append(page)
    cursor = orjson.loads(orjson.dumps(pages[-1].state))
    pages += mods_de().history(BOARD, START + 20 * HOUR, crawler.http, cursor)
    assert posts_of(pages) == posts_of(whole)
    assert len(crawler.sandbox.requests) <= asked + 4, "a page of the board comes with two looks at its front"


def test_a_thread_that_cannot_be_read_keeps_no_other_from_the_past(crawler: Crawler, world: World) -> None:
    crawler.sandbox.faults.add(Fault("html", path=THREAD, after=3, times=1))
    pages = []
    with pytest.raises(Exception, match=r"thread\.php.*expected the thread .*, got <html>"):
        for page in mods_de().history(BOARD, START, crawler.http, None):
            pages.append(page)
    everything = standing(world, crawler.sandbox.now, crawler.sandbox.now).keys()
    missed = everything - posts_of(pages).keys()
    board: Board = world.mods_de_board("14")
    assert len({post.thread for post in board.posts() if str(post.id) in missed}) == 1
    cursor = orjson.loads(orjson.dumps(pages[-1].state))
    crawler.sandbox.requests.clear()
    pages += mods_de().history(BOARD, START, crawler.http, cursor)
    assert everything <= posts_of(pages).keys(), "the next run reads it"
    assert len(crawler.sandbox.requests) < 12, "and little else"


# -- what it declares ----------------------------------------------------------------------------------------------


def test_what_a_board_says_of_itself(crawler: Crawler) -> None:
    about = mods_de().about(BOARD, crawler.http)
    assert (about.community, about.title) == (BOARD, "public offtopic & Büro") and about.posts and about.posts > 1000
    assert len(crawler.sandbox.requests) == 1
    with pytest.raises(NotFound, match=r"mods_de:99: .*expected the board 99, got the word that there is none"):
        mods_de().about(Community("mods_de:99", HOST), crawler.http)
    with pytest.raises(Refused, match=r"mods_de:16: .*no access; it is for members"):
        mods_de().about(Community("mods_de:16", HOST), crawler.http)


def test_a_thread_leads_to_its_board(crawler: Crawler, world: World) -> None:
    thread = next(iter(world.mods_de_board("15").threads))
    pasted = mods_de().community(f"http://forum.mods.de/bb/thread.php?TID={thread}&PID=7#reply_7")
    assert pasted and mods_de().about(pasted, crawler.http).community == QUIET
    unknown = mods_de().community("http://forum.mods.de/bb/thread.php?TID=5")
    with pytest.raises(NotFound, match="expected a thread, got the word that there is none"):
        assert unknown and mods_de().about(unknown, crawler.http)
    error = crawler.crawl(Window.hour(START), pasted)[0].communities[pasted.key].error
    assert error and "track its board instead" in error


@pytest.mark.parametrize(
    "url",
    ["mods_de:14", "http://forum.mods.de/bb/board.php?BID=14", "https://forum.mods.de/bb/board.php?page=2&BID=14#x",
     "forum.mods.de/bb/xml/board.php?BID=14&page=1"],
)  # fmt: skip
def test_what_names_a_board(url: str) -> None:
    assert mods_de().community(url) == BOARD


@pytest.mark.parametrize("url", ["mods_de:po", "http://forum.mods.de/bb/", "http://my.mods.de/14", "14", "mods_de:"])
def test_what_names_none(url: str) -> None:
    assert mods_de().community(url) is None


def test_the_documented_sample() -> None:
    record = {
        "id": "1001",
        "user": {"id": "7", "group-id": "3", "text": "Alice"},
        "date": {"timestamp": "1149182655", "text": "01.06.2006 19:24:15"},
        "message": {"edited": {"count": "1"}, "content": mangle(QUOTING), "title": ""},
        "avatar": "",
        "in-thread": {"id": "4711", "text": "t"},
        "in-board": {"id": "14"},
    }
    row = mods_de().row("posts", BOARD, record, START)
    assert (row.thread_id, row.post_id, row.error) == ("4711", "1001", None)
    words = mods_de().words("posts", BOARD, [row.fields])[0]
    assert words == ("5 € ½", ["1000"], []) and row.fields["user_name"] == "Alice"
    assert row.created_at == datetime(2006, 6, 1, 17, 24, 15, tzinfo=START.tzinfo)
    assert timedelta(0) == row.observed_at - START
