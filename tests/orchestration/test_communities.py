"""Communities that people add and drop: by command, by job, with their past, and all traces of them."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from extractors.history import progress
from extractors.lake import Tracked
from extractors.locks import HISTORY, alone
from extractors.plan import Health
from extractors.platform import HOUR
from orchestration.cli import main
from orchestration.communities import (
    EVERYTHING,
    communities,
    parse_every,
    parse_since,
    span,
    state,
    track_file,
    untrack,
)
from orchestration.definitions import build_defs
from orchestration.pipeline import Pipeline, Purged
from orchestration.settings import Settings, SettingsError
from sandbox import discord_world
from sandbox.discord import TOKEN
from sandbox.lemmy_community import LemmyComment, LemmyPost
from sandbox.server import Sandbox
from sandbox.world import World
from tests.orchestration.conftest import env_of, track
from tests.orchestration.fake import fake_pipeline
from tests.orchestration.test_schedules import launch, tick

NOW = datetime(2026, 11, 10, 12, 25, tzinfo=UTC)
WORLD = World(seed=2, start=NOW - timedelta(days=2), hours=60, scale=0.3)
TRACKED = {
    "https://boards.4chan.org/po/thread/570368/a-slug#p570370": "fourchan:po is tracked: /po/ - Papercraft & Origami;",
    "https://lemmy.example/c/folding?dataType=Post&sort=New": "lemmy:lemmy.example/folding is tracked: Folding paper, ",
    "https://forum.example/t/a-slug/11/2?u=me": "discourse:forum.example is tracked: A busy forum, ",
    f"https://discord.com/channels/{discord_world.GENERAL}": f"discord:{discord_world.GENERAL} is tracked: #general;",
    "https://forum.mods.de/bb/board.php?BID=14": "mods_de:14 is tracked: public offtopic & Büro, ",
}
WRONG = {  # no such host, no such board, no key, no right, no platform
    "https://forum.nowhere.example/": r"discourse:forum\.nowhere\.example: .*got 502 .*; check the address, or",
    "https://boards.4chan.org/nope/": r"fourchan:nope: .*expected a board /nope/, got \d+ others; look at the list",
    "https://private.example/": r"discourse:private\.example: .*put a user API key into DISCOURSE_KEY_PRIVATE_EXAMPLE",
    f"https://discord.com/channels/{discord_world.STAFF}": r"discord:.*got 403 .*; invite the bot into the guild",
    "ftp://forum.example/": r"'ftp://forum.example/' names no community of .*: paste its URL, such as ",
}
MORE_WRONG = {
    "https://a.4cdn.org.example/t/1": r"discourse:a\.4cdn\.org\.example: ",
    "https://forum.mods.de/bb/board.php?BID=16": r"mods_de:16: .*got no access; it is for members",
    "https://forum.mods.de/bb/board.php?BID=99": r"mods_de:99: .*got the word that there is none; check its number",
    "https://lemmy.example/c/nobody": r"lemmy:lemmy\.example/nobody: .*couldnt_find_community.*; check the host and",
    "https://lemmy.example/u/somebody": r"only Discourse forums can be tracked by their host",
    "https://discord.com/channels/900000000000000001": r"discord:900000000000000001: .*Unknown Guild",
    "https://discord.gg/abcdef": r"names no community of ",
    "": r"names no community of ",
}


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A real pipeline's environment over the invented world."""
    with Sandbox(WORLD, now=NOW, clock_file=tmp_path / "clock") as sandbox:
        for name, value in {
            "HOME": tmp_path / "home", "VIA": sandbox.url, "CLOCK": tmp_path / "clock", "PACE": 3000,
            "START": f"{NOW - timedelta(hours=6):%Y-%m-%dT%H}",
        }.items():  # fmt: skip
            monkeypatch.setenv(f"THREADLAKE_{name}", str(value))
        monkeypatch.setenv("DISCORD_TOKEN", TOKEN)
        yield sandbox


def said(capsys: pytest.CaptureFixture[str]) -> str:
    out = capsys.readouterr()
    return out.out + out.err


@pytest.mark.usefixtures("sandbox")
def test_ten_urls_that_people_paste(capsys: pytest.CaptureFixture[str]) -> None:
    """Half of them wrong, each in its own way: ten sentences, and five communities."""
    for url, sentence in TRACKED.items():
        assert main(["track", url]) == 0, said(capsys)
        assert said(capsys).startswith(sentence)
    for url, expected in WRONG.items():
        assert main(["track", url]) in (1, 2), url
        *_, last = said(capsys).splitlines()
        assert re.search(f"^threadlake: {expected}", last), last
    assert main(["communities"]) == 0
    rows = said(capsys).splitlines()
    assert rows[0].split() == ["key", "title", "since", "every", "last", "success", "posts", "state"]
    assert [row.split()[0] for row in rows[2:]] == [sentence.split()[0] for sentence in TRACKED.values()]
    assert all("the beginning" in row and "its past is next" in row for row in rows[2:])


@pytest.mark.usefixtures("sandbox")
def test_other_ways_to_name_a_community(capsys: pytest.CaptureFixture[str]) -> None:
    for url, key in {
        "/out/": "fourchan:out",
        "old.example": "discourse:old.example",
        "forum.example/t/a-slug/11": "discourse:forum.example",
        "boards.4chan.org/po/": "fourchan:po",
        "!folding@lemmy.example": "lemmy:lemmy.example/folding",
        f"discord:{discord_world.GUILD}": f"discord:{discord_world.GUILD}",
    }.items():
        assert main(["track", url]) == 0
        assert f"{key} is tracked: " in said(capsys)


@pytest.mark.usefixtures("sandbox")
def test_an_address_of_a_post_names_its_community(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Which one, only the instance knows; so it does not do where nobody asks."""
    invented = WORLD.lemmy_community("lemmy.example/folding")
    shown = [post for post in invented.posts() if post.visible(NOW.timestamp())]
    post = next(item for item in shown if isinstance(item, LemmyPost))
    comment = next(item for item in shown if isinstance(item, LemmyComment))
    for url in (f"https://lemmy.example/post/{post.id}", f"lemmy.example/comment/{comment.id}?scrollTo=1"):
        assert main(["track", url]) == 0, said(capsys)
        assert said(capsys).startswith("lemmy:lemmy.example/folding is tracked: ")
    assert main(["track", "https://lemmy.example/post/99999999"]) == 1
    assert re.search(r"lemmy\.example/post/99999999: .*expected a post, got none; check", said(capsys))
    file = tmp_path / "communities.toml"
    file.write_text(f'communities = ["https://lemmy.example/post/{post.id}"]')
    with pytest.raises(SettingsError, match="is a post: name its community"):
        track_file(Pipeline.of(Settings.from_env()), file)


@pytest.mark.parametrize("url", MORE_WRONG)
@pytest.mark.usefixtures("sandbox")
def test_other_ways_to_be_wrong(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["track", url]) in (1, 2)
    assert re.search(MORE_WRONG[url], said(capsys))
    assert Pipeline.of(Settings.from_env()).lake.tracked() == []


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "https://192.168.0.1/c/technology", "https://[::1]/t/a-slug/1"])
@pytest.mark.usefixtures("sandbox")
def test_a_private_address_is_refused(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("THREADLAKE_VIA")
    monkeypatch.delenv("THREADLAKE_PACE")
    assert main(["track", url]) == 1
    assert "got the address" in (words := said(capsys)) and "; name it in THREADLAKE_ALLOW_HOSTS" in words


def test_tracking_again_changes_only_what_is_said(sandbox: Sandbox) -> None:
    assert main(["track", "fourchan:po", "--since", "7d", "--every", "10m"]) == 0
    pipeline = Pipeline.of(Settings.from_env())
    (first,) = pipeline.lake.tracked()
    assert NOW - timedelta(days=7) <= first.since < NOW - timedelta(days=7) + timedelta(minutes=1)
    assert first.every == timedelta(minutes=10) and first.title == "/po/ - Papercraft & Origami"
    sandbox.now += timedelta(hours=3)
    assert main(["track", "https://boards.4chan.org/po/", "--every", "6h"]) == 0
    (again,) = pipeline.lake.tracked()
    assert (again.since, again.tracked_at) == (first.since, first.tracked_at) and again.every == timedelta(hours=6)


@pytest.mark.parametrize("arguments", [["--every", "5m"], ["--every", "2d"], ["--every", "x"], ["--since", "soon"]])
@pytest.mark.usefixtures("sandbox")
def test_what_cannot_be_is_a_sentence(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["track", "fourchan:po", *arguments]) == 2
    assert re.search(rf"{arguments[0]} must be .*, not '{arguments[1]}'", said(capsys))


def test_spans() -> None:
    assert [span(parse_every(text)) for text in ("", "10m", "90m", "6h", "24h", "1d")] == [
        "1h", "10m", "90m", "6h", "1d", "1d",
    ]  # fmt: skip
    assert parse_since("", NOW) == EVERYTHING and parse_since("2w", NOW) == NOW - timedelta(weeks=2)
    assert parse_since("2013-05-01", NOW) == datetime(2013, 5, 1, tzinfo=UTC)


@pytest.mark.timeout(400)
@pytest.mark.usefixtures("sandbox")
def test_its_past_then_its_hours_then_nothing_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    for url in ("https://boards.4chan.org/po/", "https://forum.example/", "https://old.example/"):
        assert main(["track", url]) == 0
    assert main(["history", "discourse:forum.example"]) == 0
    assert "discourse:forum.example: the whole past is read" in said(capsys)
    assert main(["catch-up"]) == 0
    pipeline = Pipeline.of(Settings.from_env())

    def count(relation: str, where: str = "true") -> int:
        with pipeline.warehouse.open(read_only=True) as connection:
            (found,) = connection.execute(f"select count(*) from {relation} where {where}").fetchone() or (0,)
        return int(found)

    mine = "community = 'discourse:forum.example'"
    posts, everybody = count("clean.all_posts", mine), count("clean.all_posts")
    assert posts > 300 and count("clean.all_posts", f"{mine} and created_at < '{pipeline.settings.start}'") > 100
    assert count("clean.observations", f"{mine} and source = 'history' and error is null") >= 1
    assert count("clean.authors", "instance = 'forum.example' and avatar like 'https://%'") > 5
    capsys.readouterr()
    assert main(["communities"]) == 0
    assert re.search(rf"discourse:forum\.example +\S.* {posts}  up to date", said(capsys))

    assert main(["untrack", "discourse:forum.example"]) == 0
    assert count("clean.all_posts", mine) == posts, "what was fetched stays"
    assert main(["untrack", "discourse:forum.example", "--purge"]) == 0
    with pipeline.warehouse.open(read_only=True) as connection:
        tables = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables"
        ).fetchall()
    assert {"raw.discourse_posts", "clean.posts", "clean.author_names"} <= {name for (name,) in tables}
    for (name,) in tables:
        with pipeline.warehouse.open(read_only=True) as connection:
            found = connection.execute(f"select * from {name} as row where row::varchar like '%forum.example%'")
            assert found.fetchall() == [], name
    assert count("clean.all_posts") == everybody - posts and count("clean.authors") > 5
    assert b"forum.example" not in b"".join(file.read_bytes() for file in (pipeline.settings.lake).rglob("*.json"))
    assert pipeline.unmerged(None) == [], "and nothing is merged anew"
    assert main(["untrack", "discourse:forum.example", "--purge"]) == 0
    assert "nothing of it was there" in said(capsys)


# -- in Dagster ----------------------------------------------------------------------------------------------------


@pytest.fixture
def recent(home: Path) -> Pipeline:
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    return fake_pipeline(Settings.from_env(env_of(home, START=start.isoformat())))


def run(pipeline: Pipeline, instance: dg.DagsterInstance, job: str, **ops: dict[str, object]) -> bool:
    config = {"ops": {name: {"config": values} for name, values in ops.items()}}
    made = build_defs(pipeline.settings, pipeline).resolve_job_def(job)
    return made.execute_in_process(instance=instance, run_config=config, raise_on_error=False).success


def test_the_jobs_do_what_the_commands_do(recent: Pipeline, instance: dg.DagsterInstance) -> None:
    assert run(recent, instance, "track_community", ask_and_track={"community": "https://fourchan.example/po"})
    assert [one.title for one in recent.lake.tracked()] == ["All of po"]
    assert instance.get_dynamic_partitions("fourchan_communities") == ["fourchan:po"]
    assert not run(recent, instance, "track_community", ask_and_track={"community": "fourchan:missing"})
    assert run(recent, instance, "communities")
    assert run(recent, instance, "untrack_community", stop_tracking={"key": "fourchan:po"})
    assert recent.lake.tracked() == [] and instance.get_dynamic_partitions("fourchan_communities") == []


def test_a_community_s_past_is_read_by_schedule_until_it_is_finished(
    recent: Pipeline, instance: dg.DagsterInstance
) -> None:
    assert "is read, or waits" in str(tick(recent, instance, "history_fourchan"))
    assert run(recent, instance, "track_community", ask_and_track={"community": "fourchan:po"})
    request = tick(recent, instance, "history_fourchan")
    assert isinstance(request, dg.RunRequest) and request.partition_key == "fourchan:po"
    assert launch(recent, instance, "history_fourchan").success
    done = progress(recent.lake, recent.lake.tracked()[0].community)
    assert done is not None and done.finished and done.posts == 3
    assert "is read, or waits" in str(tick(recent, instance, "history_fourchan"))
    event = instance.get_latest_materialization_event(dg.AssetKey(["lake", "fourchan_history"]))
    assert event is not None and event.asset_materialization is not None
    shown = {name: value.value for name, value in event.asset_materialization.metadata.items()}
    assert shown["finished"] is True and shown["done_percent"] == 100 and shown["posts"] == 3
    assert event.asset_materialization.partition == "fourchan:po"
    assert isinstance(tick(recent, instance, "transform"), dg.RunRequest), "and then it is loaded"


def test_a_past_that_cannot_be_read_waits(recent: Pipeline, instance: dg.DagsterInstance) -> None:
    recent.lake.track(_tracked(recent, "fourchan:broken"))
    recent.lake.track(_tracked(recent, "fourchan:well"))
    request = tick(recent, instance, "history_fourchan")
    assert isinstance(request, dg.RunRequest) and request.partition_key == "fourchan:broken"
    assert list(recent.history(recent.lake.tracked()[0], "run"))[-1][1].error
    assert "its past failed once" in communities(recent)
    request = tick(recent, instance, "history_fourchan")
    assert isinstance(request, dg.RunRequest) and request.partition_key == "fourchan:well"


def test_a_purge_that_was_killed_halfway_is_finished_by_the_next(
    recent: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    track(recent, "fourchan:po", "fourchan:other")
    asked = recent.asked(recent.platforms[0], [recent.closed_hour()], True)
    list(recent.crawl(recent.platforms[0], asked, "run", True))
    recent.load([recent.closed_hour()])

    def rows() -> dict[str, int]:
        with recent.warehouse.open(read_only=True) as connection:
            query = "select community, count(*) from raw.fourchan_posts group by 1"
            return dict(connection.execute(query).fetchall())

    assert rows() == {"fourchan:po": 3, "fourchan:other": 3}

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(recent.warehouse, "purge", killed)
        with pytest.raises(KeyboardInterrupt):
            untrack(recent, "fourchan:po", purge=True)
    assert rows() == {"fourchan:po": 3, "fourchan:other": 3}
    assert untrack(recent, "fourchan:po", purge=True) == Purged(0, 5)
    assert rows() == {"fourchan:other": 3}
    assert str(untrack(recent, "fourchan:po", purge=True)) == "nothing of it was there"
    with pytest.raises(ValueError, match="no platform"):
        untrack(recent, "nowhere:po", purge=True)


def test_a_purge_waits_for_whoever_reads_its_past(recent: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    track(recent, "fourchan:po")
    monkeypatch.setattr("extractors.crawl.PATIENCE", 0.1)
    chunks = recent.history(recent.lake.tracked()[0], "run")
    with alone(HISTORY, "fourchan:po", recent.lake.store, recent.scratch, 0), pytest.raises(TimeoutError):
        untrack(recent, "fourchan:po", purge=True)
    assert list(chunks) == [], "it is tracked no more"
    assert recent.lake.commits("fourchan") == []


def test_who_wants_more_than_an_hourly_reading_is_polled(recent: Pipeline, instance: dg.DagsterInstance) -> None:
    track(recent, "fourchan:po")
    assert "more often than hourly" in str(tick(recent, instance, "poll_fourchan"))
    run(recent, instance, "track_community", ask_and_track={"community": "fourchan:fast", "every": "10m"})
    assert launch(recent, instance, "poll_fourchan", "ingest_fourchan").success
    assert {key for commit in recent.lake.commits("fourchan") for key in commit.communities} == {"fourchan:fast"}
    assert "more often than hourly" in str(tick(recent, instance, "poll_fourchan"))


def test_who_fails_is_shown_as_such(recent: Pipeline) -> None:
    tracked = _tracked(recent, "fourchan:po")
    recent.lake.track(tracked)
    words = state(recent, tracked, Health(failed_at=NOW - HOUR, failures=3))
    assert words == "failed 3 times, next try after 2026-11-10 12:25"


def _tracked(pipeline: Pipeline, key: str) -> Tracked:
    return Tracked(key, "fourchan.example", EVERYTHING, pipeline.settings.now())
