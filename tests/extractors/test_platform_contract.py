"""What every platform promises. A new one adds a line to CASES and inherits all of it."""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest

from extractors.errors import CrawlError
from extractors.platform import HOUR, Community, Page, Platform, Window
from extractors.platforms import PLATFORMS, recognise
from extractors.records import COMMON, entities, schema
from sandbox.faults import Fault
from sandbox.server import Sandbox
from sandbox.world import World
from tests.extractors.crawling import (
    CHAT,
    FOLDING,
    FORUM,
    MINUTE,
    OLD,
    OUT,
    PO,
    PUBLIC,
    QUESTIONS,
    START,
    TENTS,
    TRAILS,
    Crawler,
    client,
    discord,
    discourse,
    fourchan,
    lemmy,
    mods_de,
)

WINDOW = Window(START + 5 * HOUR, START + 8 * HOUR)


@dataclass(frozen=True)
class Case:
    """A platform, two of its communities in the sandbox, and of the first: its host, the path that lists its newest,
    the path of its posts, a post's key, another field of a declared number, URLs of it. `within`: under which names a
    payload holds the record itself, where it stands beside others."""

    platform: Platform
    first: Community
    second: Community
    host: str
    index: str
    posts: str
    key: str
    number: str
    urls: tuple[str, ...]
    within: tuple[str, ...] = ()

    def own(self, payload: str | bytes) -> dict[str, Any]:
        record = orjson.loads(payload)
        found: dict[str, Any] = next((record[name] for name in self.within if name in record), record)
        return found

    def told(self, payload: str | bytes) -> Any:
        """What it holds in its field of a number; a dot leads to one inside of a field."""
        return reduce(lambda inside, name: inside[name], self.number.split("."), self.own(payload))


CASES = {
    "fourchan": Case(
        fourchan(), PO, OUT, r"a\.4cdn\.org", r"/po/threads\.json", "/po/thread/", "no", "time",
        ("https://boards.4chan.org/po/", "https://boards.4chan.org/po/thread/570368/a-slug", "/po/"),
    ),
    "lemmy": Case(
        lemmy(), FOLDING, TRAILS, r"lemmy\.example", "/api/v3/post/list", "/api/v3/comment/list", "id", "creator_id",
        ("!folding@lemmy.example", "lemmy.example/c/folding", "https://lemmy.example/c/folding"), ("comment", "post"),
    ),
    "discourse": Case(
        discourse(), FORUM, OLD, r"forum\.example", r"/posts\.json", r"/posts\.json", "id", "post_type",
        ("https://forum.example/", "https://forum.example/t/a-slug/11/2", "forum.example"),
    ),
    "discord": Case(
        discord(), CHAT, QUESTIONS, r"discord\.com", f"/api/v10/channels/{CHAT.name[19:]}",
        r"/api/v10/channels/\d+/messages", "id", "type",
        (f"https://discord.com/channels/{CHAT.name}", f"ptb.discord.com/channels/{CHAT.name}/700000000000000099"),
    ),
    "mods_de": Case(
        mods_de(), PUBLIC, TENTS, r"forum\.mods\.de", r"/bb/xml/board\.php\?BID=14&", r"/bb/xml/thread\.php", "id",
        "date.timestamp", ("http://forum.mods.de/bb/board.php?BID=14", "https://forum.mods.de/bb/board.php?page=2&BID=14"),
    ),
}  # fmt: skip


@pytest.fixture(params=[platform.name for platform in PLATFORMS])
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture(scope="module")
def world() -> World:
    return World(start=START, hours=10)


@pytest.fixture
def sandbox(world: World) -> Iterator[Sandbox]:
    with Sandbox(world, now=WINDOW.end) as sandbox:
        yield sandbox


@pytest.fixture
def crawler(case: Case, sandbox: Sandbox, tmp_path: Path) -> Crawler:
    return Crawler(case.platform, sandbox, tmp_path)


# -- what it declares ----------------------------------------------------------------------------------------------


def test_importing_the_platforms_asks_nobody_and_reads_no_environment() -> None:
    code = (
        "import sys; events = []; hook = lambda e, a: events.append((e, a)) if e.startswith('socket.') else None;"
        "import requests; sys.addaudithook(hook);"
        "from extractors.platforms import PLATFORMS; made = [p() for p in PLATFORMS];"
        "bad = [e for e in events if e[0] not in ('socket.__new__',)];"
        "loaded = {'dagster', 'dbt', 'duckdb'} & sys.modules.keys();"
        "sys.exit(str((bad, loaded)) if bad or loaded else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_making_a_crawl_asks_nobody(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with Sandbox(now=START) as sandbox:
        http = client(sandbox, tmp_path)
        case.platform.crawl(case.first, WINDOW, http, {}, refresh=False)
    assert type(case.platform)().name == case.first.platform


def test_its_columns_are_typed_and_hide_none_of_the_common_ones(case: Case) -> None:
    for entity in entities(case.platform):
        own = getattr(case.platform, entity)
        names = schema(case.platform, entity).names
        assert len(own) > 5 and len(names) == len(set(names)) == len(COMMON) + len(own)
        assert not any(pa.types.is_null(field.type) for field in own)


def test_names_are_of_its_own_and_round_trip(case: Case) -> None:
    platforms: list[Platform] = [other.platform for other in CASES.values()]
    for community in (case.first, case.second):
        for url in (community.key, case.platform.url(community)):
            assert recognise(platforms, f" {url}\n") == community
        assert community.platform == case.platform.name and community.key == f"{community.platform}:{community.name}"
    assert {recognise(platforms, url) for url in case.urls} == {case.first}
    for other in CASES.values():
        if other is not case:
            taken = [case.platform.community(url) for url in (*other.urls[:2], other.first.key)]
            # a forum may be in a folder of any host: the last resort, which `recognise` does not take here
            assert all(found is None or found.host != found.instance for found in taken)
            assert recognise(platforms, other.urls[0]) == other.first


@pytest.mark.parametrize("url", ["", " ", "nothing of the kind", "https://", "ftp://forum.example/", "http://[", "a b"])
def test_what_names_nothing_is_refused_in_a_sentence(url: str) -> None:
    platforms: list[Platform] = [case.platform for case in CASES.values()]
    with pytest.raises(ValueError, match=r"names no community of .*: paste its URL"):
        recognise(platforms, url)


@pytest.mark.parametrize("record", [{}, [], None, 7, "x", {"id": {}, "no": []}], ids=str)
def test_no_record_is_too_odd_to_keep(case: Case, record: Any) -> None:
    for entity in entities(case.platform):
        row = case.platform.row(entity, case.first, record, START)
        assert row.error and row.payload is not None and orjson.loads(row.payload) == record


def test_it_says_what_a_community_is(case: Case, sandbox: Sandbox, tmp_path: Path) -> None:
    about = case.platform.about(case.first, client(sandbox, tmp_path))
    assert about.community == case.first and about.title.strip() and (about.posts or 1) > 0
    assert len(sandbox.requests) <= 4


@pytest.mark.parametrize("kind", ["500", "html", "cut"])
def test_a_community_that_cannot_be_asked_about_is_a_sentence(
    case: Case, sandbox: Sandbox, tmp_path: Path, kind: Any
) -> None:
    sandbox.faults.add(Fault(kind))
    with pytest.raises(CrawlError, match=r"expected .*, got .*; .*\."):
        case.platform.about(case.first, client(sandbox, tmp_path))


# -- what it yields ------------------------------------------------------------------------------------------------


def test_rows_are_whole(crawler: Crawler, case: Case) -> None:
    commits = crawler.crawl(WINDOW, case.first)
    assert [commit.hour for commit in commits] == WINDOW.hours
    for entity in entities(case.platform)[:2]:  # not the authors, whom not every reading shows
        rows = crawler.rows(entity)
        assert len(rows) > 2
        for row in rows:
            assert (row["platform"], row["community"]) == (case.platform.name, case.first.key)
            assert row["instance"] == case.first.instance and row["run_id"] == "run0001"
            assert row["source"] in ("api", "archive", "export", "derived") and row["gone"] is False
            assert row["thread_id"] and (row["post_id"] or entity == "threads") and row["content_hash"]
            assert row["created_at"] <= row["observed_at"] == crawler.sandbox.now
            assert isinstance(orjson.loads(row["payload"]), dict) and row["parse_error"] is None
            assert row["text"] is not None or entity == "threads"
    posts = {row["thread_id"] for row in crawler.rows()}
    assert posts <= {row["thread_id"] for row in crawler.rows("threads")}, "each post's thread is known"
    receipts = crawler.receipts(case.first)
    assert sum(r.posts for r in receipts) == len(crawler.rows()) and sum(r.requests for r in receipts) > 1
    assert sum(r.threads for r in receipts) == len(crawler.rows("threads"))
    assert all(r.complete and r.error is None and r.parse_errors == 0 for r in receipts)
    assert sum(r.requests for r in receipts) == len(crawler.sandbox.requests)


def test_crawling_twice_gives_nothing_new(crawler: Crawler, case: Case) -> None:
    crawler.crawl(WINDOW, case.first)
    again = crawler.crawl(WINDOW, case.first)
    assert len(again) == len(WINDOW.hours) and all(commit.closes(case.first.key) for commit in again)
    assert sum(commit.rows for commit in again) == 0


def test_a_refresh_gives_everything_anew_and_the_same(crawler: Crawler, case: Case) -> None:
    crawler.crawl(WINDOW, case.first)
    posts = {row["post_id"]: row["content_hash"] for row in crawler.rows()}
    crawler.sandbox.requests.clear()
    crawler.crawl(WINDOW, case.first, refresh=True)
    anew = [row for row in crawler.rows() if row["run_id"] == "run0002"]
    inside = {post for post, row in crawler.latest().items() if row["created_at"] in WINDOW}
    assert inside <= {(row["community"], row["post_id"]) for row in anew}
    assert all(row["content_hash"] == posts[row["post_id"]] and not row["gone"] for row in anew)
    assert not any("if-modified-since" in one.headers for one in crawler.sandbox.requests)


def test_pages_come_one_by_one_and_say_how_far_they_reach(
    case: Case, sandbox: Sandbox, world: World, tmp_path: Path
) -> None:
    pages = case.platform.crawl(case.first, WINDOW, client(sandbox, tmp_path), {}, refresh=False)
    first = next(iter(pages))
    assert isinstance(first, Page)
    everything = world.truth(case.platform.name, case.first.name, sandbox.now)
    assert len(first.posts) < len(everything), "the world is not built in a list"
    reached = [page.reached for page in [first, *pages] if page.reached]
    assert reached == sorted(reached, reverse=True) and reached[-1] == WINDOW.start


def test_one_open_hour_can_be_read_again_and_again(crawler: Crawler, case: Case) -> None:
    hour = Window.hour(WINDOW.start)
    for minutes in (10, 30, 50):
        crawler.sandbox.now = hour.start + minutes * MINUTE
        commit = crawler.poll(case.first)
        assert commit.communities[case.first.key].complete and not commit.closes(case.first.key)
    crawler.sandbox.now = hour.end + 5 * MINUTE
    assert crawler.crawl(hour, case.first)[0].closes(case.first.key)
    rows = [row for row in crawler.rows() if row["created_at"] in hour]
    assert len({row["observed_at"] for row in rows}) >= 3
    assert len({row["post_id"] for row in rows}) > 10


# -- what goes wrong -----------------------------------------------------------------------------------------------


def test_one_community_that_fails_takes_no_other_with_it(crawler: Crawler, case: Case) -> None:
    crawler.sandbox.faults.add(Fault("500", host=case.host, path=case.index))
    commits = crawler.crawl(WINDOW, case.first, case.second)
    assert all(commit.closes(case.second.key) and not commit.closes(case.first.key) for commit in commits)
    error = commits[0].communities[case.first.key].error
    assert error and re.match(rf"{case.first.key}: https?://", error) and "500" in error
    assert {row["community"] for row in crawler.rows()} == {case.second.key}
    crawler.sandbox.faults.clear()
    assert all(commit.closes(case.first.key) for commit in crawler.crawl(WINDOW, case.first))
    assert {row["community"] for row in crawler.rows()} == {case.first.key, case.second.key}


def test_a_quarantined_record_lands_is_counted_and_heals(crawler: Crawler, case: Case) -> None:
    crawler.sandbox.faults.add(
        Fault("wrong_type", host=case.host, path=case.posts, times=1, field=case.number, value="odd")
    )
    commits = crawler.crawl(WINDOW, case.first)
    assert sum(commit.communities[case.first.key].parse_errors for commit in commits) >= 1
    bad = [row for row in crawler.rows() if row["parse_error"]]
    assert len(bad) == 1 and case.told(bad[0]["payload"]) == "odd"
    assert bad[0][case.number.replace(".", "_")] is None
    crawler.sandbox.faults.clear()
    crawler.sandbox.now += 2 * MINUTE
    crawler.crawl(WINDOW, case.first)
    healed = [row for row in crawler.rows() if row["run_id"] == "run0002" and row["parse_error"] is None]
    record = case.own(bad[0]["payload"])
    assert any(name in record and case.own(row["payload"]).get(name) == record[name] for row in healed
               for name in ("id", "no"))  # fmt: skip
    assert not any(row["gone"] for row in crawler.rows())
    crawler.crawl(WINDOW, case.first)
    assert not [row for row in crawler.rows() if row["run_id"] == "run0003"], "and then it is known"


def test_a_record_without_its_key_makes_no_deletion(crawler: Crawler, case: Case) -> None:
    crawler.crawl(WINDOW, case.first)
    crawler.sandbox.now += 2 * MINUTE
    crawler.sandbox.faults.add(Fault("wrong_type", host=case.host, path=case.posts, field=case.key, value=None))
    commits = crawler.crawl(WINDOW, case.first, refresh=True)
    assert sum(commit.communities[case.first.key].parse_errors for commit in commits) >= 1
    world = World(start=START, hours=10)
    stand = {post.id for post in world.truth(case.platform.name, case.first.name, crawler.sandbox.now) if post.visible}
    gone = {row["post_id"].rpartition("/")[2] for row in crawler.rows() if row["gone"]}
    assert not gone & stand
    lost = [row for row in crawler.rows() if row["parse_error"]]
    assert all(case.own(row["payload"]).get(case.key) is None for row in lost) and len(lost) >= 1


def test_a_key_stays_out_of_everything_that_is_kept(
    case: Case, sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "s3cret-value-of-a-key"
    host = "a.4cdn.org" if case.platform.name == "fourchan" else case.first.instance
    crawler = Crawler(case.platform, sandbox, tmp_path, {"secrets": {host: {"Api-Key": secret}}})
    sandbox.faults.add(Fault("500", path=case.index, times=1))
    with caplog.at_level("DEBUG"):
        crawler.crawl(WINDOW, case.first)
    assert secret not in caplog.text and len(crawler.rows()) > 10
    assert all(secret.encode() not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
