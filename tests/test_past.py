"""The past of communities through lake, load and dbt: killed in its midst and gone on with, it is the truth, and so are
the marts."""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from extractors.history import progress
from orchestration.cli import main
from orchestration.pipeline import Pipeline
from orchestration.settings import Settings
from sandbox.discord import TOKEN
from sandbox.discord_world import GENERAL
from sandbox.server import Sandbox
from sandbox.world import World
from tests.marts_truth import differences
from tests.test_plug import PLUG, tables
from tests.truth import standing

START = datetime(2026, 10, 1, tzinfo=UTC)
NOW = START + timedelta(hours=20)
COMMUNITIES = (
    "fourchan:po",
    "discourse:forum.example",
    "lemmy:lemmy.example/folding",
    f"discord:{GENERAL}",
    "mods_de:14",
)
CHUNK = 60
TOUCHES = 8  # of a platform's commits: so many come before the third


@pytest.mark.timeout(600)
def test_killed_in_its_midst_the_tables_equal_the_truth(
    tmp_path: Path, parsed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(seed=7, start=START, hours=30, scale=0.6)
    home = tmp_path / "home"
    shutil.copytree(parsed, home / "dbt")
    with Sandbox(world, now=NOW, clock_file=tmp_path / "clock") as sandbox:
        for name, value in {
            "HOME": home, "VIA": sandbox.url, "CLOCK": tmp_path / "clock", "PACE": 2000, "START": f"{NOW:%Y-%m-%dT%H}",
            "TIMEZONE": "Europe/Berlin",
        }.items():  # fmt: skip
            monkeypatch.setenv(f"THREADLAKE_{name}", str(value))
        monkeypatch.setenv("DISCORD_TOKEN", TOKEN)
        pipeline = Pipeline.of(Settings.from_env())
        for key in COMMUNITIES:
            assert main(["track", key]) == 0

        def read_on(touches: int) -> None:
            for one in pipeline.lake.tracked():
                plug = [PLUG, str(touches), "0", home / "lake" / one.community.platform / "commits", "--"]
                once = ["tests.extractors.history_once", sandbox.url, NOW.isoformat(), home, one.key, str(CHUNK)]
                run = subprocess.run(
                    [sys.executable, *plug, *once], capture_output=True, text=True, timeout=120,
                    env=os.environ | {"PYTHONPATH": str(PLUG.parents[1])},
                )  # fmt: skip
                assert run.returncode == (-9 if touches else 0), (one.key, run.stderr)
                past = progress(pipeline.lake, one.community)
                assert past and past.posts and past.finished == (not touches)

        read_on(TOUCHES)
        assert main(["catch-up"]) == 0
        found = tables(home)
        assert found.keys() == set(COMMUNITIES), "readable from the first chunk"
        for key, posts in found.items():
            wanted = standing(world, key, NOW)
            assert all(post in wanted.get(row, {post}) for row, post in posts.items()), key
            assert len(posts) < sum(None not in some for some in wanted.values())
        read_on(0)
        assert main(["catch-up"]) == 0
        found = tables(home)
        for key in COMMUNITIES:
            for row, wanted_of_it in standing(world, key, NOW).items():
                assert found[key].get(row) in wanted_of_it, (key, row)
        assert differences(world, home, NOW, found, ZoneInfo("Europe/Berlin")) == []
