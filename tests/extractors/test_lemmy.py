"""Lemmy, crawled from the sandbox over HTTP: three versions of its API, trees, late arrivals, limits, and the past."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from extractors.errors import CrawlError, NotFound, Refused
from extractors.lake import Commit
from extractors.lemmy import Lemmy
from extractors.lemmy_crawl import COUNTERS
from extractors.platform import HOUR, Community, Entity, Page, Window, floor_hour
from extractors.records import table
from sandbox.faults import Fault
from sandbox.history import Version, moment
from sandbox.lemmy import Lemmy as Instances
from sandbox.lemmy_community import LemmyComment, LemmyCommunity, LemmyItem, LemmyPost, LemmySpec, key
from sandbox.limits import RATE_LIMIT_ERROR, Limit
from sandbox.server import Sandbox
from sandbox.world import World
from tests.extractors.crawling import (
    FAST,
    FOLDING,
    MAPS,
    MINUTE,
    START,
    TRAILS,
    Crawler,
    client,
    hourly,
    impatient,
    lemmy,
    track,
)
from tests.recorded import RECORDED, needs_recorded

BOTH: tuple[Entity, ...] = ("threads", "posts")
POSTS_ONLY = BOTH[1:]
EVERY = [TRAILS, FOLDING, MAPS]
MIRROR = Community("lemmy:old.lemmy.example/folding@lemmy.example", "old.lemmy.example")
COMMENTS, POSTS, SITE = r"/api/v./comment/list", r"/api/v./post/list", r"/api/v3/site"
each = pytest.mark.parametrize("community", EVERY, ids=["0.18", "0.19", "1.0"])


@pytest.fixture(scope="module")
def world() -> World:
    return World(start=START, hours=52, scale=0.7)


@pytest.fixture
def sandbox(world: World) -> Iterator[Sandbox]:
    with Sandbox(world, now=START + 52 * HOUR) as sandbox:
        yield sandbox


@pytest.fixture
def crawler(sandbox: Sandbox, tmp_path: Path) -> Crawler:
    return Crawler(lemmy(), sandbox, tmp_path)


def own(payload: dict[str, Any]) -> dict[str, Any]:
    """A record's own fields, without counters; counters of 1.0 stand among them."""
    record = payload["comment" if "comment" in payload else "post"]
    return {name: value for name, value in record.items() if name not in COUNTERS}


class Truth:
    """What readings of hours must have brought, told from the world alone."""

    def __init__(self, world: World, community: Community, commits: Sequence[Commit]) -> None:
        self.community = community
        self.invented: LemmyCommunity = world.lemmy_community(community.name)
        self.shown: dict[str, tuple[str, datetime, dict[str, Any]]] = {}
        self.gone: set[str] = set()
        by_hour: dict[datetime, list[LemmyItem]] = {}
        for item in self.invented.posts():
            by_hour.setdefault(floor_hour(moment(item.created)), []).append(item)
        for commit in sorted(commits, key=lambda commit: commit.observed_at):
            for item in by_hour.get(commit.hour, []):
                self.see(item, commit.observed_at.timestamp())

    def see(self, item: LemmyItem, at: float) -> None:
        if item.listed(at) if isinstance(item, LemmyComment) else item.visible(at):
            thread = str(self.invented.thread_of(item, at))
            self.shown[key(item)] = thread, moment(item.created), own(self.invented.payload(item, at))
            self.gone.discard(key(item))
        elif key(item) in self.shown and at - item.created >= 300:
            self.gone.add(key(item))

    def check(self, crawler: Crawler) -> None:
        """The lake's latest rows are this, and nothing else."""
        latest = {post: row for (name, post), row in crawler.latest().items() if name == self.community.key}
        assert latest.keys() == self.shown.keys()
        assert {post for post, row in latest.items() if row["gone"]} == self.gone
        mine = [row for row in crawler.rows() if row["community"] == self.community.key and row["payload"] is not None]
        alive = {row["post_id"]: row for row in mine if not row["parse_error"]}
        for post, (thread, created, said) in self.shown.items():
            row = alive[post]
            assert (row["thread_id"], row["created_at"]) == (thread, created)
            assert own(orjson.loads(row["payload"])) == said
        self.check_threads(crawler)

    def check_threads(self, crawler: Crawler) -> None:
        threads = {
            thread: row for (name, thread), row in crawler.latest("threads").items() if name == self.community.key
        }
        assert threads.keys() >= {thread for thread, _, _ in self.shown.values()}
        posts = {str(post.id): post for post in self.invented.all_posts}
        for thread, row in threads.items():
            post = posts[thread]
            if row["gone"]:
                assert f"p{thread}" in self.gone
            else:
                assert row["name"] == orjson.loads(post.versions[0].payload)["name"]
            assert abs(row["created_at"].timestamp() - post.created) < 1


# -- the truth -----------------------------------------------------------------------------------------------------


@each
def test_two_days_hour_by_hour_are_the_truth(community: Community, world: World, tmp_path: Path) -> None:
    """Edits, deletions, returns, late arrivals; an outage of ten hours; polls of an open hour; revisits."""
    with Sandbox(world, now=START + 3 * HOUR) as sandbox:
        crawler = Crawler(lemmy(), sandbox, tmp_path)
        track(crawler.lake, community, START)
        list(hourly(crawler, START + 15 * HOUR, crawler.catch_up))
        for _ in range(3):
            sandbox.now += 10 * MINUTE
            crawler.poll(community)
        sandbox.now = START + 24 * HOUR + 25 * MINUTE
        crawler.catch_up()
        list(hourly(crawler, START + 52 * HOUR, crawler.catch_up))
        assert all(receipt.complete and not receipt.error for receipt in crawler.receipts(community))
        truth = Truth(world, community, crawler.lake.commits("lemmy"))
        truth.check(crawler)
        assert truth.gone or community != FOLDING
        rows = [row for row in crawler.rows() if row["payload"]]
        assert len({(row["post_id"], row["content_hash"]) for row in rows}) > len(truth.shown), "edits were seen"
        assert any(row["deleted"] and row["content"] == "" for row in rows)
        late = [row for row in rows if row["observed_at"] - row["created_at"] > 2 * HOUR and row["run_id"] > "run0020"]
        assert {row["post_id"] for row in late} - {row["post_id"] for row in rows if row not in late}, "what came late"


@each
def test_old_windows_are_found(community: Community, crawler: Crawler, world: World) -> None:
    for first, last in ((20, 23), (0, 2), (40, 41), (7, 8)):
        crawler.crawl(Window(START + first * HOUR, START + last * HOUR), community)
    truth = Truth(world, community, crawler.lake.commits("lemmy"))
    truth.check(crawler)
    assert len(truth.shown) > 40


@each
def test_the_whole_history_in_one_window(community: Community, crawler: Crawler, world: World) -> None:
    commits = crawler.crawl(Window(START, START + 52 * HOUR), community)
    assert len(commits) == 52 and all(commit.closes(community.key) for commit in commits)
    Truth(world, community, commits).check(crawler)
    again = crawler.crawl(Window(START, START + 52 * HOUR), community)
    assert sum(commit.rows for commit in again) == 0


def test_the_tree_and_the_words(crawler: Crawler, world: World) -> None:
    crawler.crawl(Window(START, START + 52 * HOUR), FOLDING)
    invented = world.lemmy_community(FOLDING.name)
    rows = crawler.latest()
    for comment in invented.listed_comments(crawler.sandbox.now.timestamp()):
        row = rows[FOLDING.key, f"c{comment.id}"]
        assert row["depth"] == (
            1 if comment.parent is None else rows[FOLDING.key, f"c{comment.parent.id}"]["depth"] + 1
        )
        assert row["parent_id"] == (comment.parent.id if comment.parent else None)
        assert row["quotes"] == [f"c{comment.parent.id}" if comment.parent else f"p{comment.post.id}"]
        assert row["creator_name"] == comment.author["name"]
    texts = [row for row in rows.values() if row["content"]]
    assert not any(mark in row["text"] for row in texts for mark in ("**", ":::", "```", "]("))
    linking = [row for row in texts if "See [this]" in row["content"]]
    assert linking and all(len(row["links"]) >= 1 for row in linking)


def test_the_same_post_from_two_instances(crawler: Crawler) -> None:
    crawler.crawl(Window(START, START + 10 * HOUR), FOLDING, MIRROR)
    here, there = ({row["ap_id"]: row for row in crawler.latest().values() if row["community"] == community.key}
                   for community in (FOLDING, MIRROR))  # fmt: skip
    both = here.keys() & there.keys()
    assert len(both) > 0.8 * len(here) and len(both) > 100
    assert all(here[ap]["created_at"] == there[ap]["created_at"] for ap in both)
    assert any(here[ap]["post_id"] != there[ap]["post_id"] for ap in both)


# -- its past ------------------------------------------------------------------------------------------------------


def read(
    sandbox: Sandbox, community: Community, locks: Path, cursor: Any = None, since: datetime = START
) -> Iterator[Page]:
    http = client(sandbox, locks)
    return lemmy().history(community, since, http, json.loads(json.dumps(cursor)))


def listed(world: World, community: Community, at: datetime, since: datetime = START) -> set[str]:
    invented, moment = world.lemmy_community(community.name), at.timestamp()
    items = [*invented.listed_posts(moment), *invented.listed_comments(moment)]
    return {key(item) for item in items if item.created >= since.timestamp()}


@each
@pytest.mark.parametrize("hours", [0, 30])
def test_the_past_is_whole_and_newest_first(
    community: Community, hours: int, sandbox: Sandbox, world: World, tmp_path: Path
) -> None:
    since = START + hours * HOUR
    pages = list(read(sandbox, community, tmp_path, since=since))
    rows = [row for page in pages for row in page.posts]
    assert {row.post_id for row in rows} == listed(world, community, sandbox.now, since)
    assert len(rows) == len({row.post_id for row in rows}) and not any(row.error for row in rows)
    threads = [row.thread_id for page in pages for row in page.threads]
    assert set(threads) == {row.thread_id for row in rows if (row.post_id or "").startswith("p")}
    done = [page.progress for page in pages if page.progress]
    assert all(a[0] <= b[0] <= b[1] for a, b in pairwise(done)) and done[-1][0] > 0.9 * done[-1][1]
    assert all(len(page.posts) <= 350 for page in pages)


@each
def test_the_past_goes_on_where_it_was_killed(
    community: Community, sandbox: Sandbox, world: World, tmp_path: Path
) -> None:
    whole = [row.post_id for page in read(sandbox, community, tmp_path) for row in page.posts]
    asked = len(sandbox.requests)
    pages = sum(1 for _ in read(sandbox, community, tmp_path))
    for kill in range(pages):
        sandbox.requests.clear()
        got: list[str | None] = []
        cursor = None
        for number, page in enumerate(read(sandbox, community, tmp_path)):
            got += [row.post_id for row in page.posts]
            cursor = page.state
            if number == kill:
                break
        got += [row.post_id for page in read(sandbox, community, tmp_path, cursor) for row in page.posts]
        again = 0 if community == MAPS else 2 if community == TRAILS else 1  # of the lists whose pages are numbered
        assert set(got) == set(whole) and len(got) <= len(whole) + 50 * again
        assert len(sandbox.requests) <= asked + 1 + again, "the version, and at most a page of each list again"


def test_the_past_goes_on_though_new_comments_move_the_pages(sandbox: Sandbox, world: World, tmp_path: Path) -> None:
    sandbox.now = START + 40 * HOUR
    stood = listed(world, FOLDING, sandbox.now)
    got: set[str | None] = set()
    cursor, requests = None, 0
    while True:
        pages = read(sandbox, FOLDING, tmp_path, cursor)
        some = [page for _, page in zip(range(2), pages, strict=False)]
        if not some:
            break
        got |= {row.post_id for page in some for row in page.posts}
        cursor, requests = some[-1].state, requests + 1
        sandbox.now += 20 * MINUTE
    assert stood & listed(world, FOLDING, sandbox.now) <= got


# -- what it costs -------------------------------------------------------------------------------------------------


@each
def test_an_hour_costs_a_request_per_50_and_two(community: Community, crawler: Crawler, world: World) -> None:
    for first in (31, 33, 36):
        crawler.sandbox.now = START + first * HOUR + 5 * MINUTE
        window = Window(START + (first - 1) * HOUR, START + first * HOUR)
        crawler.sandbox.requests.clear()
        crawler.crawl(window, community)
        host = community.instance
        assert crawler.asked(host, SITE) == 1, "the version, once a crawl"
        assert crawler.asked(host, COMMENTS) == 1
        assert crawler.asked(host, POSTS) <= 2, "the posts, and those with new comments"
        assert crawler.asked(host) == len(crawler.sandbox.requests) <= 4


@each
def test_an_old_window_is_searched_once(community: Community, crawler: Crawler) -> None:
    window = Window(START + 20 * HOUR, START + 22 * HOUR)
    crawler.crawl(window, community)
    first = len(crawler.sandbox.requests)
    assert first <= 16
    crawler.sandbox.requests.clear()
    crawler.crawl(window, community)
    assert len(crawler.sandbox.requests) <= 6


class Big(Instances):
    """An instance with one community made by hand: how many comments each post has, a minute between any two."""

    def __init__(self, version: tuple[int, int, int], talks: Sequence[int]) -> None:
        spec = LemmySpec(FOLDING.instance, "folding", "Many", version, 1)
        author, said = {"id": 1, "name": "anna", "bot_account": False}, b'{"name": "n", "content": "c"}'
        posts: list[LemmyPost] = []
        comments: list[LemmyComment] = []
        time, number = START.timestamp(), 0
        for count in talks:
            post = LemmyPost(len(posts) + 1, time, [Version(time, said)], arrived=time, author=author)
            posts.append(post)
            for _ in range(count):
                time, number = time + 60, number + 1
                post.talk.append(time)
                comments.append(
                    LemmyComment(number, time, [Version(time, said)], arrived=time, author=author, post=post)
                )
            time += 60
        self.end = datetime.fromtimestamp(time, UTC)
        self.made = LemmyCommunity(spec, START.timestamp(), posts, comments)
        self.hosts = (FOLDING.instance,)
        super().__init__(self)  # type: ignore[arg-type]

    def lemmy_community(self, name: str) -> LemmyCommunity:
        return self.made

    def version(self, host: str) -> tuple[int, int, int]:
        return self.made.spec.version


@pytest.mark.parametrize(
    ("version", "requests"),
    [
        # the version; 20 pages of posts and two requests that find no more; 400 pages of comments and two
        ((0, 18, 5), 1 + 22 + 402),
        ((1, 0, 0), 1 + 22 + 402),
        # 100 pages of comments from either end, and one request for each of the 501 posts between
        ((0, 19, 15), 1 + 22 + 200 + 501),
    ],
)
def test_a_past_of_1000_posts_and_20000_comments(version: tuple[int, int, int], requests: int, tmp_path: Path) -> None:
    site = Big(version, [20] * 1000)
    with Sandbox(now=site.end, sites=[site]) as sandbox:
        rows = [row.post_id for page in read(sandbox, FOLDING, tmp_path) for row in page.posts]
        assert len(set(rows)) == 21_000 and len(rows) <= 21_000 + 100
        assert len(sandbox.requests) <= requests


def test_posts_with_many_comments_are_read_page_by_page(tmp_path: Path) -> None:
    site = Big((0, 19, 15), [5000, 299, 300, 301, 700, 40, 5000])
    with Sandbox(now=site.end, sites=[site]) as sandbox:
        rows = [row.post_id for page in read(sandbox, FOLDING, tmp_path) for row in page.posts]
        assert set(rows) == listed_in(site)
        assert asked_with(sandbox, "max_depth") == 2 and asked_with(sandbox, "post_id") == 2 + 8 + 7 + 16 + 1


def test_a_post_with_more_comments_than_an_instance_lists_is_said(tmp_path: Path) -> None:
    site = Big((0, 19, 15), [16_000])
    with Sandbox(now=site.end, sites=[site]) as sandbox:
        pages = list(read(sandbox, FOLDING, tmp_path))
        assert len({row.post_id for page in pages for row in page.posts}) >= 10_000
        assert [page.note for page in pages if page.note] == ["post 1 has more comments than lemmy.example lists"]


def test_a_window_beyond_the_last_page_is_read_by_its_posts(tmp_path: Path) -> None:
    site = Big((0, 19, 15), [20] * 600)
    with Sandbox(now=site.end, sites=[site]) as sandbox:
        crawler = Crawler(lemmy(), sandbox, tmp_path)
        hour = START + 50 * HOUR
        commit = crawler.crawl(Window.hour(hour), FOLDING)[0]
        assert commit.closes(FOLDING.key) and commit.communities[FOLDING.key].posts == 60


def listed_in(site: Big) -> set[str]:
    return {key(item) for item in site.made.posts()}


def asked_with(sandbox: Sandbox, words: str) -> int:
    return sum(words in one.target for one in sandbox.requests)


# -- limits and errors ---------------------------------------------------------------------------------------------


def test_a_400_that_is_a_limit_is_waited_for(crawler: Crawler) -> None:
    crawler.sandbox.limits.set("lemmy.example", Limit(2, 0.3, RATE_LIMIT_ERROR))
    crawler.http = client(crawler.sandbox, crawler.folder / "slow", attempts=8, backoff=0.1, patience=5)
    commit = crawler.crawl(Window.hour(START + 51 * HOUR), FOLDING)[0]
    assert commit.communities[FOLDING.key].complete and len(crawler.rows()) > 5


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("lemmy:private.lemmy.example/folding", Refused, "shows nothing without a login"),
        ("lemmy:lemmy.example/nothing", NotFound, "check the host and the community's name"),
        ("lemmy:lemmy.example/folding@elsewhere.example", NotFound, "unknown there"),
        ("lemmy:forum.example/folding", CrawlError, "lemmy:forum.example/folding"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(
    url: str, error: type[CrawlError], words: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    community = lemmy().community(url)
    assert community
    with pytest.raises(error) as caught:
        lemmy().about(community, client(sandbox, tmp_path))
    assert words in str(caught.value) and str(caught.value).startswith(f"{community.key}: https://")


@pytest.mark.parametrize(
    ("url", "named", "title"),
    [
        ("https://lemmy.example/c/Folding", FOLDING.key, "Folding paper"),
        ("https://lemmy.example/c/folding@lemmy.example", FOLDING.key, "Folding paper"),
        ("https://moved.lemmy.example/c/folding", FOLDING.key, "Folding paper"),
        ("!trails@old.lemmy.example", TRAILS.key, "Trails"),
        ("https://new.lemmy.example/c/maps?dataType=Post", MAPS.key, "Maps"),
        ("https://old.lemmy.example/c/folding@lemmy.example", MIRROR.key, "Folding paper"),
    ],
)
def test_about_names_the_community_as_its_instance_does(
    url: str, named: str, title: str, sandbox: Sandbox, world: World, tmp_path: Path
) -> None:
    community = lemmy().community(url)
    assert community
    about = lemmy().about(community, client(sandbox, tmp_path))
    assert (about.community.key, about.title) == (named, title)
    assert about.posts and about.posts > 300 and len(sandbox.requests) <= 4


FAULTS = [
    Fault("500", path=COMMENTS, times=2),
    Fault("502", path=POSTS, times=2),
    Fault("reset", path=SITE, times=2),
    Fault("hang", path=COMMENTS, times=2, seconds=1),
    Fault("cut", path=POSTS, times=2),
    *(Fault(kind, path=path, times=1) for kind in ("html", "text", "invalid_json")  # type: ignore[arg-type]
      for path in (SITE, POSTS, COMMENTS)),
    Fault("empty_list", path=COMMENTS),
    Fault("empty_list", path=POSTS),
    Fault("empty_list", path=COMMENTS, times=1),
    Fault("wrong_type", path=COMMENTS, times=1, field="id", value=None),
    Fault("wrong_type", path=POSTS, times=1, field="id", value="x"),
    Fault("wrong_type", path=COMMENTS, times=1, field="creator_id", value="many"),
    Fault("new_field", field="mood", value={"a": 1}, times=5),
    Fault("shift", times=5, seconds=60),
]  # fmt: skip


@pytest.mark.parametrize("known", [False, True], ids=["first", "later"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.kind}-{fault.path[-12:-5]}-{fault.field}")
def test_a_fault_is_named_keeps_everything_else_and_heals(
    fault: Fault, known: bool, world: World, tmp_path: Path
) -> None:
    window = Window(START + 9 * HOUR, START + 14 * HOUR)
    with Sandbox(world, now=window.end) as sandbox:
        crawler = Crawler(lemmy(), sandbox, tmp_path, impatient(fault))
        if known:
            crawler.crawl(window, FOLDING)
            sandbox.now += 10 * MINUTE
        sandbox.faults.add(Fault(**{**vars(fault), "host": r"lemmy\.example"}))
        commits = crawler.crawl(window, FOLDING, MAPS)
        assert sandbox.faults.describe()[0]["struck"] > 0
        assert all(commit.communities[MAPS.key].complete for commit in commits), "the other goes on"
        errors = [r.error for commit in commits if not (r := commit.communities[FOLDING.key]).complete]
        always = fault.kind == "empty_list" and fault.times is None
        if fault.kind in ("new_field", "shift", "wrong_type", "empty_list") and not (always and known):
            assert errors == []
            found = sum(commit.communities[FOLDING.key].parse_errors for commit in commits)
            unknown = not known or fault.field == "id"  # the newest comment is younger than the window
            assert (found >= 1) == (fault.kind == "wrong_type" and unknown)
        else:
            assert errors and errors[0] and errors[0].startswith(f"{FOLDING.key}: https://lemmy.example/api/v3/")
            assert "expected" in errors[0]
        stand = listed(world, FOLDING, sandbox.now)
        gone = {row["post_id"] for row in crawler.rows() if row["gone"] and row["community"] == FOLDING.key}
        assert not gone & stand
        sandbox.faults.clear()
        sandbox.now += 2 * MINUTE
        assert all(commit.closes(FOLDING.key) for commit in crawler.crawl(window, FOLDING, MAPS))
        done = [commit for commit in crawler.lake.commits("lemmy") if commit.closes(FOLDING.key)]
        if always:  # what an empty list brought nothing of
            done = [commit for commit in done if known or commit.observed_at >= sandbox.now]
        Truth(world, FOLDING, done).check(crawler)


# -- recorded ------------------------------------------------------------------------------------------------------


@needs_recorded
def test_the_recorded_answers_fit(tmp_path: Path) -> None:
    assert RECORDED
    seen = {"threads": 0, "posts": 0}
    for file in sorted((RECORDED / "lemmy").rglob("*.json")):
        answer = json.loads(file.read_bytes())
        views = [
            answer.get("comment_view"),
            answer.get("post_view"),
            *answer.get("comments", []),
            *answer.get("posts", []),
        ]
        for view in filter(None, views):
            for entity in POSTS_ONLY if "comment" in view else BOTH:
                row = lemmy().row(entity, FOLDING, view, datetime.now(UTC))
                [out] = table(lemmy(), entity, FOLDING, "run", [row]).to_pylist()
                assert out["parse_error"] is None and orjson.loads(out["payload"]) == view and out["ap_id"]
                assert out["created_at"].year == 2023 and out["text"] is not None and out["creator_name"]
                seen[entity] += 1
    assert seen["posts"] >= 9 and seen["threads"] >= 1


# -- what it declares ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", [
    "https://lemmy.example/c/folding", "lemmy.example/c/folding/", "http://lemmy.example/feeds/c/folding.xml?sort=New",
    "!folding@lemmy.example", "lemmy:lemmy.example/folding", "https://LEMMY.example/c/Folding#x",
])  # fmt: skip
def test_what_names_a_community(url: str) -> None:
    assert lemmy().community(url) == FOLDING


@pytest.mark.parametrize("url", [
    "https://lemmy.example/", "https://lemmy.example/post/", "https://lemmy.example/u/anna", "folding@lemmy.example",
    "https://forum.example/c/general/4", "ftp://lemmy.example/c/folding", "https://a:b@lemmy.example/c/folding",
])  # fmt: skip
def test_what_names_none(url: str) -> None:
    assert lemmy().community(url) is None


def test_its_pace_is_that_of_an_instance() -> None:
    assert Lemmy().pace.requests / Lemmy().pace.seconds <= 1 < FAST.requests
