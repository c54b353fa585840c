"""Exports dropped into a folder: imported by schedule, each once, and merged however old they are."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from extractors.platform import floor_hour
from orchestration.pipeline import Pipeline
from orchestration.settings import Settings
from tests.extractors.crawling import discord
from tests.extractors.test_discord_export import document, drop, message
from tests.orchestration.conftest import env_of
from tests.orchestration.fake import fake_pipeline
from tests.orchestration.test_schedules import launch, tick

OLD = datetime(2020, 5, 1, 7, tzinfo=UTC)


@pytest.fixture
def pipeline(home: Path, tmp_path: Path) -> Pipeline:
    start = floor_hour(datetime.now(UTC)) - timedelta(hours=2)
    settings = Settings.from_env(env_of(home, START=start.isoformat(), EXPORTS=str(tmp_path / "exports")))
    return Pipeline(settings, (*fake_pipeline(settings).platforms, discord()))


def test_what_is_dropped_is_imported_once_and_merged(
    pipeline: Pipeline, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    folder = tmp_path / "exports"
    assert "nothing new" in str(tick(pipeline, instance, "import_exports"))
    drop(folder, "a.json", document([message(1), message(2)], at=OLD.isoformat()))
    drop(folder, "b.json", b"no export")
    assert launch(pipeline, instance, "import_exports").success
    assert [commit.rows for commit in pipeline.lake.commits("discord")] == [3]
    assert "nothing new" in str(tick(pipeline, instance, "import_exports"))
    drop(tmp_path, "c.json", document([message(3)], at=OLD.isoformat())).rename(folder / "c.json")
    assert launch(pipeline, instance, "import_exports").success
    assert len(pipeline.lake.commits("discord")) == 2

    recent = floor_hour(datetime.now(UTC)) - timedelta(days=8)
    assert pipeline.unmerged(recent) == [OLD], "however old it is, the next transform merges it"
    assert pipeline.unmerged(None) == [OLD]
    assert launch(pipeline, instance, "transform").success
    assert pipeline.unmerged(recent) == []


def test_without_a_folder_there_is_no_schedule(settings: Settings) -> None:
    from orchestration.schedules import import_schedules

    assert import_schedules(Pipeline(settings, (discord(),))) == []
