"""Discourse, crawled from the sandbox over HTTP: both meanings of `before`, bad answers, how often it asks, what was
recorded."""

import gzip
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from extractors.discourse_pages import Pages
from extractors.pace import Pace
from extractors.platform import HOUR, Community, Window, floor_hour, windows
from sandbox.discourse import KEY
from sandbox.discourse import Discourse as ForumSite
from sandbox.faults import Fault
from sandbox.recorded import RecordedDiscourse, RecordedVersions
from sandbox.server import Sandbox
from sandbox.site import Request, Response, Site, json_response
from sandbox.world import World
from tests.extractors.crawling import (
    FORUM,
    MINUTE,
    OLD,
    PRIVATE,
    START,
    Crawler,
    discourse,
    forum_truth,
    hourly,
    impatient,
    track,
)
from tests.recorded import RECORDED, needs_recorded

HOST = "forum.example"
DELVING = Community("discourse:delvingbitcoin.org", "delvingbitcoin.org")


@pytest.fixture(scope="module")
def world() -> World:
    return World(start=START, hours=52, scale=0.5)


@pytest.fixture
def sandbox(world: World) -> Iterator[Sandbox]:
    with Sandbox(world, now=START + 30 * HOUR + 25 * MINUTE) as sandbox:
        yield sandbox


@pytest.fixture
def crawler(sandbox: Sandbox, tmp_path: Path) -> Crawler:
    return Crawler(discourse(), sandbox, tmp_path)


def topics_are_right(crawler: Crawler, community: Community, truth_threads: set[str], world: World) -> None:
    threads = {thread: row for (key, thread), row in crawler.latest("threads").items() if key == community.key}
    assert threads.keys() >= truth_threads
    forum = world.discourse_forum(community.name)
    for thread, row in threads.items():
        topic = forum.topics[int(thread)]
        if not row["gone"]:
            assert row["title"] == topic.title and row["slug"] == topic.slug
        else:
            assert not topic.visible(crawler.sandbox.now.timestamp())
        assert abs(row["created_at"].timestamp() - topic.created) < 1


# -- the truth -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("community", [FORUM, OLD], ids=lambda community: str(community.name))
def test_two_days_hour_by_hour_are_the_truth(community: Community, world: World, tmp_path: Path) -> None:
    """Edits, deletions, returns, moves, hidden posts; gaps in the ids; ten hours of outage; three polls of one open
    hour; revisits after one hour and after a day."""
    with Sandbox(world, now=START + 3 * HOUR) as sandbox:
        crawler = Crawler(discourse(), sandbox, tmp_path)
        track(crawler.lake, community, START)
        list(hourly(crawler, START + 15 * HOUR, crawler.catch_up))
        for _ in range(3):
            sandbox.now += 10 * MINUTE
            crawler.poll(community)
        sandbox.now = START + 24 * HOUR + 25 * MINUTE
        assert len(crawler.catch_up()) == 11, "the hours of the outage, and one again"
        list(hourly(crawler, START + 52 * HOUR, crawler.catch_up))
        assert all(receipt.complete and not receipt.error for receipt in crawler.receipts(community))
        truth = forum_truth(world, community, crawler.lake.commits("discourse"))
        truth.check(crawler)
        topics_are_right(crawler, community, {shown.thread for shown in truth.shown.values()}, world)
        if community == FORUM:
            assert sum(shown.gone for shown in truth.shown.values()) > 3
            versions = {(row["post_id"], row["content_hash"]) for row in crawler.rows() if row["payload"]}
            assert len(versions) > len(truth.shown), "edits were seen"
        window = Window(START + 4 * HOUR, START + 8 * HOUR)
        again = crawler.crawl(window, community, refresh=True)
        assert len(again) == 4 and (community == OLD or all(commit.rows for commit in again))
        forum_truth(world, community, crawler.lake.commits("discourse")).check(crawler)


@pytest.mark.parametrize("community", [FORUM, OLD], ids=lambda community: str(community.name))
def test_old_windows_are_found_by_bisecting(community: Community, crawler: Crawler, world: World) -> None:
    crawler.sandbox.now = START + 52 * HOUR
    for first, last in ((20, 23), (0, 2), (40, 41), (7, 8)):
        crawler.crawl(Window(START + first * HOUR, START + last * HOUR), community)
    truth = forum_truth(world, community, crawler.lake.commits("discourse"))
    truth.check(crawler)
    assert len(truth.shown) > (8 if community == OLD else 100)
    opened = {shown.thread for shown in truth.shown.values() if shown.payload["post_number"] == 1}
    topics_are_right(crawler, community, opened, world)  # the others' rows come with their opening posts


def test_a_short_page_is_not_the_end(crawler: Crawler, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a plugin takes some posts out of a page."""
    whole = {row.post_id for page in discourse().history(FORUM, START, crawler.http, None) for row in page.posts}
    asked = Pages._posts
    pages: list[int] = []

    def short(self: Pages, before: int | None) -> list[Any]:
        records = asked(self, before)
        pages.append(len(records))
        return records[:-1] if len(pages) == 3 else records

    monkeypatch.setattr(Pages, "_posts", short)
    found = {row.post_id for page in discourse().history(FORUM, START, crawler.http, None) for row in page.posts}
    assert len(pages) > 6 and len(whole) - 1 <= len(found) and found <= whole


@pytest.mark.parametrize("community", [FORUM, OLD], ids=lambda community: str(community.name))
def test_the_whole_history_in_one_window(community: Community, crawler: Crawler, world: World) -> None:
    crawler.sandbox.now = START + 52 * HOUR + 10 * MINUTE
    commits = crawler.crawl(Window(START, START + 52 * HOUR), community)
    assert len(commits) == 52 and all(commit.closes(community.key) for commit in commits)
    forum_truth(world, community, commits).check(crawler)


# -- one hour, by hand ---------------------------------------------------------------------------------------------


class Forum(Site):
    """A forum made by hand, modern: ids to hours after START, as a float."""

    hosts = (HOST,)

    def __init__(self, posts: dict[int, float]) -> None:
        self.made, self.hidden = posts, set[int]()

    def post(self, id: int) -> dict[str, Any]:
        created = (START + self.made[id] * HOUR).isoformat().replace("+00:00", "Z")
        topic = {"topic_id": 1, "post_number": id, "topic_title": "t", "topic_slug": "t", "category_id": 1}
        return topic | {"id": id, "created_at": created, "raw": f"post {id}", "cooked": f"<p>post {id}</p>"}

    def answer(self, request: Request, now: datetime) -> Response:
        if request.path == "/posts.json":
            before = int(request.argument("before") or 2**60)
            ids = [id for id in self.made if id < before and id not in self.hidden]
            return json_response({"latest_posts": [self.post(id) for id in sorted(ids, reverse=True)[:50]]})
        return json_response({"topic_list": {"topics": [{"id": 1, "title": "t"}]}})


def test_a_post_that_came_back_at_the_end_of_its_hour_is_seen_by_a_revisit(tmp_path: Path) -> None:
    forum = Forum({10: 0.1, 11: 0.2, 12: 0.9, 13: 1.1, 14: 1.2})
    forum.hidden = {12}
    with Sandbox(now=START + 2 * HOUR, sites=[forum]) as sandbox:
        crawler = Crawler(discourse(), sandbox, tmp_path)
        crawler.crawl(Window(START, START + 2 * HOUR), FORUM)
        forum.hidden = set()
        crawler.crawl(Window.hour(START), FORUM)
        assert {post for _, post in crawler.latest()} == {"10", "11", "12", "13", "14"}


def test_a_post_whose_date_was_changed_is_not_called_gone(tmp_path: Path) -> None:
    forum = Forum({10: 0.1, 11: 0.2, 12: 0.9, 13: 1.1, 14: 1.2})
    with Sandbox(now=START + 2 * HOUR, sites=[forum]) as sandbox:
        crawler = Crawler(discourse(), sandbox, tmp_path)
        crawler.crawl(Window(START, START + 2 * HOUR), FORUM)
        forum.made[12] = -7
        crawler.crawl(Window.hour(START), FORUM)
        row = crawler.latest()[FORUM.key, "12"]
        assert not row["gone"] and row["created_at"] == START - 7 * HOUR


def test_a_borrowed_date_neither_ends_an_hour_nor_makes_a_deletion(tmp_path: Path) -> None:
    forum = Forum({10: 0.1, 11: 0.2, 12: -5, 13: 0.3, 14: 1.1, 15: 0.5, 16: 1.2, 17: 2.1})
    with Sandbox(now=START + 3 * HOUR, sites=[forum]) as sandbox:
        crawler = Crawler(discourse(), sandbox, tmp_path)
        crawler.crawl(Window(START - 6 * HOUR, START + 3 * HOUR), FORUM)
        assert {post for _, post in crawler.latest()} == {str(id) for id in forum.made}
        crawler.crawl(Window.hour(START + HOUR), FORUM)
        crawler.crawl(Window.hour(START), FORUM)
        assert not any(row["gone"] for row in crawler.rows())


# -- bad input -----------------------------------------------------------------------------------------------------

POSTS, TOPICS = r"/posts\.json", r"/latest\.json"
FAULTS = [
    Fault("429", path=POSTS, times=2, retry_after=0),
    Fault("500", path=POSTS, after=1, times=2),
    Fault("502", path=TOPICS, times=2),
    Fault("reset", path=POSTS, after=1, times=2),
    Fault("hang", path=POSTS, after=1, times=2, seconds=1),
    Fault("cut", path=TOPICS, times=2),
    *(Fault(kind, path=path, after=after, times=1) for kind in ("html", "text", "invalid_json", "304")
      for path, after in ((POSTS, 0), (POSTS, 1), (TOPICS, 0))),  # type: ignore[arg-type]
    Fault("empty_list", path=POSTS, times=1),
    Fault("empty_list", path=POSTS, after=1, times=1),
    Fault("huge", path=POSTS, times=1, size=3_000_000),
    Fault("redirect", path=POSTS, times=1, location="https://forum.example/login"),
    Fault("wrong_type", path=POSTS, times=1, field="id", value=None),
    Fault("wrong_type", path=POSTS, times=1, field="created_at", value=7),
    Fault("wrong_type", path=POSTS, times=1, field="topic_id", value="x"),
    Fault("wrong_type", path=POSTS, times=1, field="reads", value="many"),
    Fault("wrong_type", path=TOPICS, times=1, field="id", value=None),
    Fault("wrong_type", path=TOPICS, times=1, field="bumped_at", value="soon"),
    Fault("wrong_type", path=TOPICS, times=1, field="views", value="many"),
    Fault("new_field", field="mood", value={"a": 1}, times=5),
    Fault("shift", times=5, seconds=60),
]  # fmt: skip


@pytest.mark.parametrize("known", [False, True], ids=["first", "later"])
@pytest.mark.parametrize(
    "fault", FAULTS, ids=lambda fault: f"{fault.kind}-{fault.path[1:4]}-{fault.after}-{fault.field}"
)
def test_a_fault_is_named_keeps_everything_else_and_heals(
    fault: Fault, known: bool, world: World, tmp_path: Path
) -> None:
    window = Window(START + 9 * HOUR, START + 14 * HOUR)
    with Sandbox(world, now=window.end) as sandbox:
        in_turn = Pace(requests=100_000, seconds=1)
        crawler = Crawler(discourse(pace=in_turn), sandbox, tmp_path, impatient(fault))
        if known:
            sandbox.now = window.end - HOUR
            crawler.crawl(Window(window.start, sandbox.now), FORUM)
            sandbox.now = window.end
        sandbox.faults.add(Fault(**{**vars(fault), "host": r"forum\.example"}))
        commits = crawler.crawl(window, FORUM, OLD)
        assert sandbox.faults.describe()[0]["struck"] > 0
        assert all(commit.communities[OLD.key].complete for commit in commits), "the other goes on"
        errors = [r.error for commit in commits if not (r := commit.communities[FORUM.key]).complete]
        assert [commit.hour for commit in commits] == window.hours, "each hour says whether it was read"
        silent = fault.kind in ("new_field", "shift") or (fault.kind == "empty_list" and fault.after)
        quarantined = fault.kind == "wrong_type" and (fault.path == POSTS or fault.field == "views")
        if silent or quarantined:
            assert errors == []
            found = sum(commit.communities[FORUM.key].parse_errors for commit in commits)
            assert (found == 1) == quarantined
        else:
            assert errors and all(errors)
            url = "https://forum.example/" + ("posts.json" if fault.path == POSTS else "latest.json")
            assert errors[0] and errors[0].startswith(f"discourse:forum.example: {url}") and "expected" in errors[0]
            if fault.path == TOPICS or fault.after:
                assert sum(commit.communities[FORUM.key].posts for commit in commits) >= 5, "what came is kept"
        gone = {int(row["post_id"]) for row in crawler.rows() if row["gone"] and row["community"] == FORUM.key}
        assert not gone & set(world.forum(HOST, sandbox.now).post_ids)
        sandbox.faults.clear()
        sandbox.now += 2 * MINUTE  # beyond the forum's own cache
        healed = crawler.crawl(window, FORUM, OLD)
        assert all(commit.closes(FORUM.key) for commit in healed)
        at = [commit for commit in crawler.lake.commits("discourse") if commit.communities[FORUM.key].complete]
        truth = forum_truth(world, FORUM, at)
        truth.check(crawler)
        topics_are_right(crawler, FORUM, {shown.thread for shown in truth.shown.values()}, world)


def test_a_forum_that_needs_a_key_says_so_and_is_read_with_one(world: World, tmp_path: Path) -> None:
    window = Window(START, START + 6 * HOUR)
    with Sandbox(world, now=window.end) as sandbox:
        without = Crawler(discourse(), sandbox, tmp_path / "without")
        commits = without.crawl(window, PRIVATE, FORUM)
        error = commits[0].communities[PRIVATE.key].error
        assert error and "discourse:private.example: https://private.example/posts.json" in error
        assert "403" in error and "key" in error and "logged in" in error
        assert all(commit.closes(FORUM.key) and not commit.closes(PRIVATE.key) for commit in commits)
        keyed = Crawler(
            discourse(), sandbox, tmp_path / "with", {"secrets": {"private.example": {"User-Api-Key": KEY}}}
        )
        commits = keyed.crawl(window, PRIVATE, FORUM)
        assert all(commit.closes(PRIVATE.key) for commit in commits)
        forum_truth(world, PRIVATE, commits).check(keyed)
        assert all("user-api-key" not in one.headers for one in sandbox.requests if one.host != "private.example")
        files = [file for file in (tmp_path / "with").rglob("*") if file.is_file()]
        assert not any(KEY.encode() in file.read_bytes() for file in files)


def test_a_forum_that_does_not_exist_is_an_error_that_says_so(crawler: Crawler) -> None:
    nowhere = Community("discourse:nowhere.example", "nowhere.example")
    commit = crawler.crawl(Window.hour(START + 29 * HOUR), nowhere, FORUM)[0]
    error = commit.communities[nowhere.key].error
    assert error and "https://nowhere.example/posts.json" in error
    assert commit.closes(FORUM.key) and not commit.closes(nowhere.key)


# -- polite --------------------------------------------------------------------------------------------------------


def test_new_posts_cost_a_request_per_50_and_one_for_the_topics(crawler: Crawler, world: World) -> None:
    forum = world.discourse_forum(HOST)
    crawler.crawl(Window.hour(START + 29 * HOUR), FORUM)
    for first in (31, 33, 36):
        end = floor_hour(crawler.sandbox.now)
        crawler.sandbox.now = START + first * HOUR + 5 * MINUTE
        window = Window(end, START + first * HOUR)
        above = crawler.sandbox.now.timestamp()
        new = [post for post in forum.posts() if window.start.timestamp() <= post.created <= above]
        crawler.sandbox.requests.clear()
        crawler.crawl(window, FORUM)
        assert crawler.asked(HOST, POSTS) <= len(new) // 50 + 1
        assert crawler.asked(HOST, TOPICS) == 1 and crawler.asked(HOST) == crawler.asked(HOST, POSTS) + 1


@pytest.mark.parametrize("community", [FORUM, OLD], ids=lambda community: str(community.name))
@pytest.mark.parametrize("first", [10, 13, 17, 21, 25, 28])
def test_an_old_window_is_bisected_once(first: int, community: Community, crawler: Crawler, world: World) -> None:
    crawler.sandbox.now = START + 52 * HOUR
    window = Window(START + first * HOUR, START + (first + 2) * HOUR)
    crawler.crawl(window, community)
    posts = sum(receipt.posts for receipt in crawler.receipts(community))
    ids = list(world.discourse_forum(community.name).posts())[-1].id
    gaps = 3 if community == FORUM else 36  # which an old forum makes a reader step through
    assert 3 <= crawler.asked(community.name, POSTS) <= (ids // 50).bit_length() + posts // 50 + gaps
    for refresh in (False, True):
        crawler.sandbox.requests.clear()
        crawler.sandbox.now += 2 * MINUTE
        crawler.crawl(window, community, refresh=refresh)
        assert crawler.asked(community.name, POSTS) <= posts // 50 + 2 + gaps // 4, "now it is known where it begins"
        assert all("before=" in one.target for one in crawler.sandbox.requests if "/posts.json" in one.target)


def test_a_window_that_begins_with_a_page_is_bisected_once_too(tmp_path: Path) -> None:
    forum = Forum({id: 0.5 if id <= 350 else 1.5 for id in range(1, 401)})
    with Sandbox(now=START + 2 * HOUR, sites=[forum]) as sandbox:
        crawler = Crawler(discourse(), sandbox, tmp_path)
        crawler.crawl(Window.hour(START), FORUM)
        assert len(crawler.latest()) == 350
        sandbox.requests.clear()
        crawler.crawl(Window.hour(START), FORUM)
        assert crawler.asked(HOST, POSTS) == 7 and crawler.asked(HOST, r"/posts\.json$") == 0


def test_nothing_unchanged_is_written_twice(crawler: Crawler) -> None:
    window = Window(START + 20 * HOUR, START + 25 * HOUR)
    crawler.crawl(window, FORUM)
    again = crawler.crawl(window, FORUM)
    assert sum(commit.rows for commit in again) == 0 and all(commit.closes(FORUM.key) for commit in again)


# -- recorded ------------------------------------------------------------------------------------------------------


@pytest.mark.long  # 3,558 commits
@needs_recorded
def test_the_recorded_forum_comes_whole_and_unchanged(tmp_path: Path) -> None:
    assert RECORDED
    files = sorted((RECORDED / "discourse" / "delvingbitcoin").glob("posts-*.ndjson.gz"))
    site = RecordedDiscourse(files, DELVING.name)
    expected = {str(post["id"]): post for post in site.posts(datetime(2026, 11, 1, tzinfo=UTC))}
    with Sandbox(now=datetime(2026, 11, 1, tzinfo=UTC), sites=[site]) as sandbox:
        crawler = Crawler(discourse(), sandbox, tmp_path)
        window = Window(datetime(2022, 8, 1, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC))
        commits = crawler.crawl(window, DELVING)
        assert sum(commit.communities[DELVING.key].parse_errors for commit in commits) == 0
        rows = crawler.rows()
        assert len(rows) == 4_661 == len(expected)
        assert {row["post_id"]: orjson.loads(row["payload"]) for row in rows} == expected
        threads = crawler.rows("threads")
        assert len(threads) == len({row["thread_id"] for row in threads}) == 635
        assert crawler.asked(DELVING.name, POSTS) <= 4_661 // 50 + 20


@needs_recorded
def test_recorded_versions_capture_by_capture(tmp_path: Path) -> None:
    assert RECORDED
    files = sorted((RECORDED / "discourse" / "delvingbitcoin_versions").glob("*.gz"))
    site = RecordedVersions(files, DELVING.name)
    changes = changed_at(files)
    with Sandbox(now=site.captured_at[0], sites=[site]) as sandbox:
        crawler = Crawler(discourse(), sandbox, tmp_path)
        hours: set[datetime] = set()
        for moment, created in changes.items():
            sandbox.now = moment
            hours |= {floor_hour(hour) for hour in created}
            for window in windows([floor_hour(hour) for hour in created]):
                assert all(commit.communities[DELVING.key].complete for commit in crawler.crawl(window, DELVING))
        rows = [row for row in crawler.rows() if row["payload"]]
        assert len({row["post_id"] for row in rows}) == 107
        assert len({(row["post_id"], orjson.loads(row["payload"]).get("raw")) for row in rows}) == 118
        assert len({(row["post_id"], row["content_hash"]) for row in rows}) == 118, "counters make no version"


def changed_at(files: list[Path]) -> dict[datetime, list[datetime]]:
    """When captures were made of which something but counters was new, and when those posts were created."""
    found: dict[datetime, list[datetime]] = {}
    seen: dict[int, object] = {}
    captures = [orjson.loads(line) for file in files for line in gzip.decompress(file.read_bytes()).splitlines()]
    for capture in sorted(captures, key=lambda capture: datetime.fromisoformat(capture["captured_at"])):
        post = capture["post"]
        if post and seen.get(post["id"]) != (state := (capture["status"], post.get("raw"), post.get("version"))):
            seen[post["id"]] = state
            moment = datetime.fromisoformat(capture["captured_at"]).astimezone(UTC)
            found.setdefault(moment, []).append(datetime.fromisoformat(post["created_at"]).astimezone(UTC))
    return found


class InFolder(ForumSite):
    """The busy forum, at site.example/forum."""

    hosts = ("site.example",)

    def answer(self, request: Request, now: datetime) -> Response:
        if not request.path.startswith("/forum/"):
            return json_response({}, 404)
        return super().answer(replace(request, host=HOST, path=request.path.removeprefix("/forum")), now)


def test_a_forum_in_a_folder_of_its_host(world: World, tmp_path: Path) -> None:
    """Its posts are the forum's, and its instance is not its host, which may have two such."""
    moment = START + 30 * HOUR
    with Sandbox(now=moment, sites=[InFolder(world)]) as sandbox:
        crawler = Crawler(discourse(), sandbox, tmp_path)
        community = Community("discourse:site.example/forum", "site.example/forum")
        assert crawler.platform.about(community, crawler.http).community == community
        commits = crawler.crawl(Window(moment - 6 * HOUR, moment), community)
        rows = crawler.latest()
    assert {row["instance"] for row in rows.values()} == {"site.example/forum"}
    assert {id for _, id in rows} == forum_truth(world, FORUM, commits).shown.keys() and len(rows) > 20


# -- what it declares ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["https://forum.example", "https://Forum.example/t/a-topic/12", "https://forum.example/latest", "forum.example",
     "discourse:forum.example"],
)  # fmt: skip
def test_what_names_a_forum(url: str) -> None:
    assert discourse().community(url) == FORUM


@pytest.mark.parametrize("url", ["https://site.example/forum/", "https://Site.example/Forum/t/a-topic/12",
                                 "https://site.example/forum/latest", "discourse:site.example/forum"])  # fmt: skip
def test_what_names_a_forum_in_a_folder(url: str) -> None:
    assert discourse().community(url) == Community("discourse:site.example/forum", "site.example/forum")


@pytest.mark.parametrize("url", ["ftp://forum.example/", "https://a:b@forum.example/", "forum", "fourchan:po", "/po/"])
def test_what_names_none(url: str) -> None:
    assert discourse().community(url) is None
