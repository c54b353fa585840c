"""The system with its lake, and people's exports, in a bucket: what a user sees differs in nothing but the place."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from orjson import dumps

from extractors.platform import HOUR
from extractors.store import Bucket
from orchestration.cli import main
from orchestration.communities import untrack
from orchestration.definitions import build_defs
from orchestration.pipeline import Pipeline
from orchestration.resources import COPIES, open_store
from orchestration.settings import Settings, SettingsError
from orchestration.show import status
from orchestration.upkeep import sweep
from sandbox.gcs import address, served
from tests.extractors.crawling import discord
from tests.extractors.test_discord_export import document, message
from tests.orchestration.conftest import env_of, track
from tests.orchestration.fake import fake_pipeline
from tests.orchestration.test_schedules import launch, tick

START = datetime(2026, 11, 1, tzinfo=UTC)
HOURS = [START + n * HOUR for n in range(3)]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the objects of the bucket `lake` lie."""
    with served(tmp_path / "storage", "lake") as sandbox:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", address(sandbox))
        yield tmp_path / "storage" / "lake"


def crawled(settings: Settings) -> Pipeline:
    pipeline = fake_pipeline(settings)
    track(pipeline, "fourchan:po", "fourchan:gone", "discourse:meta.example")
    for platform in pipeline.platforms:
        list(pipeline.crawl(platform, pipeline.asked(platform, HOURS, True), "run", True))
    return pipeline


def rows(pipeline: Pipeline) -> list[tuple[object, ...]]:
    query = """select community, hour, thread_id, post_id, payload, body, run_id from raw.fourchan_posts
               union all select community, hour, thread_id, post_id, payload, body, run_id from raw.discourse_posts"""
    with pipeline.warehouse.open(read_only=True) as connection:  # type: ignore[attr-defined]
        return sorted(connection.execute(query).fetchall())


def test_the_same_tables_come_of_a_folder_and_of_a_bucket(
    files: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extractors.lake.LOCAL_BYTES", 5000)
    made = []
    for place in (settings.home / "lake", Bucket("lake", "a/b")):
        home = settings.home.parent / type(place).__name__
        pipeline = crawled(replace(settings, lake=place, home=home, warehouse=home / "warehouse.duckdb"))
        loaded = pipeline.load(HOURS)
        assert loaded.files == 12
        made.append(rows(pipeline))
    assert made[0] == made[1] and len(made[0]) == 27
    assert not list((pipeline.scratch / COPIES).iterdir()), "no copy is left"
    assert {path.name for path in (files / "a" / "b").iterdir()} == {"communities", "discourse", "fourchan"}
    assert status(pipeline).startswith("Lake gs://lake/a/b\n")

    platform = pipeline.platforms[0]
    pipeline.lake.observe("fourchan", START, START, "killed").state(platform.community("fourchan:po"), {})  # type: ignore[arg-type]
    assert sweep(pipeline, platform) == 0 and rows(pipeline) == made[1], "it may be a running crawl's"
    assert len(pipeline.lake.sweep(platform, datetime.now(UTC) + HOUR)) == 1
    assert untrack(pipeline, "fourchan:gone", purge=True).commits == len(HOURS)
    pipeline.load(HOURS)
    assert rows(pipeline) == [row for row in made[0] if row[0] != "fourchan:gone"]
    assert b"fourchan:gone" not in b"".join(path.read_bytes() for path in files.rglob("*.json"))


def test_a_file_that_a_rewrite_deletes_while_it_is_fetched_is_loaded_by_its_successors_name(
    files: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = crawled(replace(settings, lake=Bucket("lake")))
    lake = pipeline.lake
    local, once = lake.local, iter([True])

    def late(some: object) -> object:
        if next(once, False):
            for commit in lake.commits("fourchan"):
                lake.rewrite(commit, lambda entity, old: old.slice(0, 1))
        return local(some)  # type: ignore[arg-type]

    monkeypatch.setattr(lake, "local", late)
    assert pipeline.load(HOURS).total("fourchan_posts") == 3


def test_exports_come_out_of_a_bucket_once(
    home: Path, files: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.from_env(env_of(home, LAKE="gs://lake/lake", EXPORTS="gs://lake/exports"))
    pipeline = Pipeline(settings, (*fake_pipeline(settings).platforms, discord()))
    store = open_store(Bucket("lake", "exports"), settings.home / "scratch")
    assert "nothing new in gs://lake/exports" in str(tick(pipeline, instance, "import_exports"))
    store.create("a/a.json", dumps(document([message(1), message(2)], at="2026-10-01T00:00:00+00:00")))
    store.create("b.json", b"no export")
    store.create("c.txt", b"something else")
    assert launch(pipeline, instance, "import_exports").success
    assert [commit.rows for commit in pipeline.lake.commits("discord")] == [3]
    monkeypatch.setattr("orchestration.imports.SKEW", 0.0)
    assert "nothing new" in str(tick(pipeline, instance, "import_exports"))
    store.create("d.json", dumps(document([message(3)], at=None)))
    assert launch(pipeline, instance, "import_exports").success
    second = pipeline.lake.commits("discord")[-1]
    assert abs(second.observed_at - datetime.now(UTC)) < timedelta(minutes=5), "an old file counts as of its upload"
    assert not list((pipeline.scratch / COPIES).iterdir())


Commands = Callable[..., int]


@pytest.fixture
def threadlake(home: Path, files: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    def run(*arguments: str, **env: str) -> int:
        for name, value in env_of(home, **env).items():
            monkeypatch.setenv(name, value)
        return main(arguments)

    return run


def test_the_command_line_says_what_is_wrong_with_a_bucket(
    threadlake: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    assert threadlake("communities", LAKE="gs://lake") == 0
    assert threadlake("communities", LAKE="gs://none-such/x") == 1
    assert "gs://none-such/x cannot be used: it does not exist: create it" in capsys.readouterr().err
    assert threadlake("communities", LAKE="gs://Not A Bucket") == 2
    assert "THREADLAKE_LAKE: 'gs://Not A Bucket' is no bucket: write gs://bucket" in capsys.readouterr().err
    assert threadlake("import", "gs://lake/exports", LAKE="gs://lake") == 2
    assert "gs://lake/exports holds no export" in capsys.readouterr().err


def test_dagster_shows_its_resource(home: Path, settings: Settings) -> None:
    assert build_defs(settings).resources == {}
    with_bucket = build_defs(Settings.from_env(env_of(home, LAKE="gs://lake/x")))
    assert set(with_bucket.resources or {}) == {"gcs"}
    with pytest.raises(SettingsError, match="THREADLAKE_EXPORTS"):
        Settings.from_env(env_of(home, EXPORTS="gs://"))
