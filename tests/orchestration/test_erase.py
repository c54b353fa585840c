"""An author or a post goes out of everything and stays out, while what others wrote stays as it was.

What is looked for here is looked for in ways of its own, not by the scan that `threadlake erase` ends with.
"""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import orjson
import pytest

from extractors.erasure import Traces, author_of, cut
from extractors.history import history
from extractors.platform import HOUR, Platform, Window
from extractors.platforms import PLATFORMS
from extractors.records import entities
from orchestration.cli import main
from orchestration.erase import erase, held, indexed
from orchestration.pipeline import Pipeline
from orchestration.publish import current
from orchestration.settings import Settings
from orchestration.upkeep import reparse
from sandbox.discord import TOKEN as DISCORD_TOKEN
from sandbox.server import Sandbox
from sandbox.world import World
from tests.extractors.crawling import START, Crawler, Row
from tests.extractors.crawling import track as track_in
from tests.extractors.test_discord_export import Exports, document, message
from tests.extractors.test_platform_contract import CASES, Case

WINDOW = Window(START, START + 6 * HOUR)


@pytest.fixture(scope="module")
def world() -> World:
    return World(start=START, hours=12, scale=0.4)


@dataclass(frozen=True)
class Person:
    """An author, as the rows of a crawl show them."""

    id: str
    names: frozenset[str]
    posts: frozenset[str]
    threads: frozenset[str]


def person(platform: Platform, rows: list[Row]) -> Person:
    """Of those who began a thread, the one whom others name most; else who wrote most."""
    wrote: dict[str, list[Row]] = {}
    for row in rows:
        if (author := author_of(platform, row)) is not None:
            wrote.setdefault(author, []).append(row)
    told = " ".join(row["payload"] or "" for row in rows)

    def rank(author: str) -> tuple[bool, int, str]:
        mine = wrote[author]
        names = {row[name] for row in mine for name in platform.called if row.get(name)}
        return any(platform.opens(row) for row in mine), sum(told.count(name) for name in names) + len(mine), author

    author = max(wrote, key=rank)
    mine = wrote[author]
    names = {str(row[name]) for row in mine for name in platform.called if row.get(name)}
    names -= {row[name] for other, some in wrote.items() if other != author for row in some for name in platform.called}
    begun = frozenset(row["thread_id"] for row in mine if platform.opens(row))
    return Person(author, frozenset(names), frozenset(row["post_id"] for row in mine), begun)


def shows(platform: Platform, who: Person, row: Row) -> bool:
    """Whether a row has anything of them."""
    if author_of(platform, row) == who.id or row["post_id"] in who.posts or who.posts & set(row["quotes"] or ()):
        return True
    record = orjson.loads(row["payload"] or "{}")
    if record.get("message_snapshots") and record["message_reference"]["message_id"] in who.posts:  # it is forwarded
        return True
    return _shows(record, who) or any(_said(str(row["text"]), name) for name in who.names)


def _shows(value: Any, who: Person, names: tuple[str, ...] = ("", "")) -> bool:
    if isinstance(value, dict):
        return any(_shows(one, who, (*names, name)) for name, one in value.items())
    if isinstance(value, list):
        return any(_shows(one, who, names) for one in value)
    person = names[-1] in ("user_id", "creator_id", "author_id", "owner_id", "uid", "trip") or (
        names[-1] == "id" and names[-2] in ("user", "creator", "author", "mentions")
    )
    return (person and str(value) == who.id) or any(_said(str(value), name) for name in who.names)


def _said(text: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def everything(crawler: Crawler) -> list[Row]:
    return [row for entity in entities(crawler.platform) for row in crawler.rows(entity)]


@pytest.fixture
def read(world: World, tmp_path: Path) -> Iterator[Any]:
    """Crawls of a case's first community into a home, and the pipeline of that home."""
    with Sandbox(world, now=WINDOW.end + timedelta(minutes=10)) as sandbox:

        def make(case: Case) -> tuple[Crawler, Pipeline]:
            crawler = Crawler(case.platform, sandbox, tmp_path)
            track_in(crawler.lake, case.first, START)
            crawler.crawl(WINDOW, case.first)
            return crawler, Pipeline.of(Settings.from_env({"THREADLAKE_HOME": str(tmp_path)}))

        yield make


@pytest.mark.parametrize("name", [platform.name for platform in PLATFORMS])
def test_an_author_goes_out_of_the_lake_and_never_comes_back(name: str, read: Any, world: World) -> None:
    case = CASES[name]
    crawler, pipeline = read(case)
    platform, before = crawler.platform, crawler.rows()
    who = person(platform, before)
    others = {key: row for key, row in crawler.latest().items() if key[1] not in who.posts}
    threads = crawler.latest("threads").keys()
    assert who.posts and sum(shows(platform, who, row) for row in everything(crawler)) >= len(who.posts)

    (done,) = erase(pipeline, [f"{name}:{case.first.instance}:{who.id}"])
    assert done.left == [] and done.posts == len(who.posts) and done.commits
    assert not [row for row in everything(crawler) if shows(platform, who, row)]

    def look() -> None:
        after = crawler.latest()
        assert others.keys() <= after.keys() and not {key for key in after if key[1] in who.posts}
        for key, row in others.items():
            if not after[key]["gone"]:  # by then the platform may have deleted it
                mine = {column: row[column] for column in ("thread_id", "created_at", *platform.writer)}
                assert {column: after[key][column] for column in mine} == mine
        assert threads <= crawler.latest("threads").keys()
        told = [row for row in crawler.rows("threads") if row["thread_id"] in who.threads and row["payload"]]
        assert bool(told) == bool(who.threads) and not [row for row in told if row.get("title") or row.get("sub")]
        assert not [row for row in everything(crawler) if shows(platform, who, row)]
        for file in crawler.folder.joinpath("lake").rglob("*.json"):
            said = file.read_text()
            assert not [one for one in who.names if _said(said, one)], file
            assert f'"authors":{{"{who.id}"' not in said and f',"{who.id}":17' not in said, file

    look()
    assert {key: row["text"] for key, row in crawler.latest().items()}.items() >= {
        key: row["text"] for key, row in others.items() if not shows(platform, who, row)
    }.items()
    crawler.crawl(WINDOW, case.first, refresh=True)
    look()
    crawler.sandbox.now += 3 * HOUR
    crawler.crawl(Window(START, START + 9 * HOUR), case.first, refresh=True)  # with what was edited, deleted, written
    look()
    told: dict[str, Any] = {"lake": crawler.lake, "http": crawler.http, "run_id": "past", "clock": crawler.clock}
    assert [*history(platform, case.first, START, scratch=crawler.folder / "scratch", **told)][-1][1].finished
    look()
    assert not [commit for platform in pipeline.platforms for commit in reparse(pipeline, platform)]
    (again,) = erase(pipeline, [f"{name}:{case.first.instance}:{who.id}"])
    assert again.commits == 0 and again.left == [] and not list(crawler.lake.store.list("erasing/"))


def test_an_export_brings_nobody_back(tmp_path: Path) -> None:
    exports, pipeline = Exports(tmp_path), Pipeline.of(Settings.from_env({"THREADLAKE_HOME": str(tmp_path)}))
    ada = message(1)["author"]
    other = message(2)["author"] | {"id": "600000000000000002", "name": "grace", "nickname": "Grace", "avatarUrl": ""}
    exports.drop(
        "before.json", document([message(1), message(2, author=other, mentions=[ada], content="@Ada, fold it, ada")])
    )
    exports.take_in()
    assert [row["author_id"] for row in exports.rows()] == [ada["id"], other["id"]]
    (done,) = erase(pipeline, [f"discord:discord.com:{ada['id']}"])
    answer = message(4, author=other, reference={"messageId": message(1)["id"], "channelId": "1", "guildId": "1"})
    exports.drop(
        "after.json", document([message(1), message(3), answer | {"type": "Reply"}], "2026-11-04T04:05:06-05:00")
    )
    exports.take_in()
    rows = exports.rows()
    assert [row["post_id"] for row in rows] == [message(2)["id"], message(4)["id"]]
    assert [row["quotes"] for row in rows] == [[], []] and "600000000000000001" not in str(rows)
    # what somebody says in words of their own stays, and is told
    assert rows[0]["text"] == "@erased, fold it, ada" and done.left == [
        "1 rows of the lake whose own words have the name or the text"
    ]
    assert not list(pipeline.lake.store.list("erasing/"))


# -- with a warehouse ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Home:
    """A home in which all platforms were crawled and transformed; whom to erase of it, by platform."""

    pipeline: Pipeline
    sandbox: Sandbox
    people: dict[str, tuple[str, Person]]
    post: tuple[str, str]

    @property
    def arguments(self) -> list[str]:
        told = [f"--author={name}:{instance}:{who.id}" for name, (instance, who) in self.people.items()]
        return [*told, f"--post=lemmy:{self.post[0]}:{self.post[1]}"]

    def sql(self, statement: str) -> list[Any]:
        return [tuple(row) for row in self.pipeline.warehouse.query(statement).rows]

    def everywhere(self) -> Iterator[tuple[str, str]]:
        """Every row of the warehouse and of what is published, as text, with where it stands."""
        published = current(self.pipeline.settings.published)
        assert published is not None and isinstance(self.pipeline.settings.warehouse, Path)
        for file in (self.pipeline.settings.warehouse, published):
            with duckdb.connect(file, read_only=True) as connection:
                tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
                assert len(tables) > 30
                for schema, table in tables:
                    for (row,) in connection.execute(f'select to_json(one) from {schema}."{table}" as one').fetchall():
                        yield f"{file.name} {schema}.{table}", row

    def left(self) -> list[tuple[str, str]]:
        found = []
        for place, row in self.everywhere():
            record = orjson.loads(row)
            platform = record.get("platform")
            if platform == "lemmy" and self.post[1] in (record.get("post_id"), record.get("quoted_post_id")):
                found.append((place, row[:300]))
            for name, (instance, who) in self.people.items():
                if platform not in (None, name) or record.get("instance") not in (None, instance):
                    continue
                ids = {record.get(one) for one in ("author_id", "quoted_author_id", "post_id", "quoted_post_id")}
                if (
                    (ids & {who.id, *who.posts} and platform)
                    or (who.id in (record.get("author_ids") or ()) and platform)
                    or any(_said(row, one) for one in who.names)
                ):
                    found.append((place, row[:300]))
        return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("erase")
    small = World(seed=7, start=START, hours=10, scale=0.2)
    with Sandbox(small, now=WINDOW.end + timedelta(minutes=10), clock_file=folder / "clock") as sandbox:
        settings = {
            "THREADLAKE_HOME": str(folder), "THREADLAKE_VIA": sandbox.url, "THREADLAKE_CLOCK": str(folder / "clock"),
            "THREADLAKE_PACE": "2000", "THREADLAKE_START": f"{START:%Y-%m-%dT%H}", "DISCORD_TOKEN": DISCORD_TOKEN,
        }  # fmt: skip
        with patch.dict(os.environ, settings):
            pipeline = Pipeline.of(Settings.from_env())
            people = {}
            for case in CASES.values():
                track_in(pipeline.lake, case.first, START)
            assert main(["catch-up"]) == 0
            for name, case in CASES.items():
                rows = Crawler(case.platform, sandbox, folder).rows()
                people[name] = (case.first.instance, person(case.platform, rows))
            theirs = people["lemmy"][1].posts
            rows = [
                row for row in Crawler(CASES["lemmy"].platform, sandbox, folder).rows() if row["post_id"] not in theirs
            ]
            quoted = Counter(one for row in rows for one in row["quotes"] if one.startswith("c") and one not in theirs)
            yield Home(pipeline, sandbox, people, (people["lemmy"][0], max(quoted, key=lambda one: (quoted[one], one))))


def counted(home: Home, writer: str) -> list[Any]:
    """All that marts count of others; not of the writer of the single post."""
    mine = [f"(platform = '{name}' and author_id = '{who.id}')" for name, (_, who) in home.people.items()]
    mine.append(f"(platform = 'lemmy' and author_id = '{writer}')")
    return home.sql(
        "select platform, author_id, posts, edits, deletions, threads, text_length from marts.posters "
        f"where not ({' or '.join(mine)}) order by all"
    )


def test_all_of_them_go_out_of_everything_even_by_way_of_a_kill(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(home.left()) > 100
    (posts,) = home.sql("select count(*) from clean.all_posts")
    observations = "select platform, count(*) from clean.observations group by 1 order by 1"
    where = f"where platform = 'lemmy' and post_id = '{home.post[1]}'"
    ((writer,),) = home.sql(f"select author_id from clean.all_posts {where}")
    before, observed = counted(home, writer), home.sql(observations)
    found = [
        (home.pipeline.platform(name), Traces(instance, who.id, set(who.posts)))
        for name, (instance, who) in home.people.items()
    ]
    assert all(indexed(home.pipeline, *one) for one in found)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for place, name in (
        (home.pipeline.lake, "rewrite"),
        (home.pipeline.warehouse, "forget"),
        (home.pipeline.dbt, "build"),
    ):
        with monkeypatch.context() as context:
            context.setattr(type(place), name, killed)
            assert main(["erase", *home.arguments]) == 130
    assert list(home.pipeline.lake.store.list("erasing/"))
    capsys.readouterr()
    assert main(["erase", *home.arguments]) == 0
    said = capsys.readouterr().out
    assert said.count("finds nothing of it") == 6 and "Freed blocks of the warehouse's file" in said
    assert home.left() == [] and not list(home.pipeline.lake.store.list("erasing/"))
    assert not any(indexed(home.pipeline, *one) for one in found)
    gone = sum(len(who.posts) for _, who in home.people.values()) + 1
    assert home.sql("select count(*) from clean.all_posts") == [(posts[0] - gone,)]
    assert counted(home, writer) == before
    assert home.sql(observations) == observed
    assert main(["erase", *home.arguments]) == 0
    assert capsys.readouterr().out.count("nothing of it was there; should it come, it stays out") == 6


@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_at_any_moment_it_is_finished_by_the_next(home: Home) -> None:
    folder, case = home.pipeline.settings.home, CASES["discourse"]
    who = person(case.platform, Crawler(case.platform, home.sandbox, folder).rows())
    one = replace(home, people={"discourse": (case.first.instance, who)}, post=("lemmy.example", "c0"))
    assert one.left()
    command = [sys.executable, "-m", "orchestration.cli", "erase", one.arguments[0]]
    for seconds in (2, 3, 4, 5, 6, 8, 10, 12):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "finds nothing of it" in done.stdout and one.left() == []
    assert not list(home.pipeline.lake.store.list("erasing/"))


@pytest.mark.long
def test_neither_a_new_reading_nor_a_new_warehouse_brings_them_back(home: Home) -> None:
    main(["erase", *home.arguments])
    home.sandbox.now += HOUR
    since = ["--since", f"{START:%Y-%m-%dT%H}"]
    assert main(["run", *since, "--refresh"]) == 0
    for case in CASES.values():
        assert main(["history", case.first.key]) == 0
    assert main(["catch-up"]) == 0 and home.left() == []
    assert isinstance(home.pipeline.settings.warehouse, Path)
    home.pipeline.settings.warehouse.unlink()
    assert main(["restore"]) == 0 and home.left() == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Say whom or what: --author PLATFORM:INSTANCE:ID"),
        (["--author", "jun13"], "--author must be PLATFORM:INSTANCE:ID, such as discourse:forum.example:42"),
        (["--post", "lemmy:lemmy.example"], "--post must be PLATFORM:INSTANCE:ID"),
        (["--author", "usenet:news.example:7"], "no platform 'usenet': choose fourchan or"),
    ],
)
def test_an_argument_that_names_nobody_is_a_sentence(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("THREADLAKE_HOME", str(tmp_path))
    assert main(["erase", *arguments]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "lake" / "tombstones").exists()


def test_it_says_what_holds_for_a_time_what_was_erased() -> None:
    places = {"THREADLAKE_LAKE": "gs://a-lake/x", "THREADLAKE_WAREHOUSE": "bigquery://a-project/EU"}
    lake, warehouse = held(Pipeline.of(Settings.from_env(places)))
    assert lake.startswith("gs://a-lake/x keeps what was deleted") and "time travel for 7 days" in warehouse
    (file,) = held(Pipeline.of(Settings.from_env({})))
    assert "until they are written again" in file


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a [q=x]one[/q] b", "a  b"),
        ("a [q=y]one[/q] b", "a [q=y]one[/q] b"),
        ("a [q=y]one [q=x]two[/q] three[/q] b", "a [q=y]one  three[/q] b"),
        ("a [q=x]one [q=y]two[/q] three[/q] b", "a  b"),
        ("a [q=x]one [q=x]two[/q] three", "a "),
        ("[/q] a [/q][q=x]one[/q][q=x]two[/q]", "[/q] a [/q]"),
    ],
)
def test_quotes_are_cut_out_nested_or_not(text: str, left: str) -> None:
    assert cut(text, re.compile(r"\[q=(.)\]"), re.compile(r"\[/q\]"), lambda found: found[1] == "x") == left
