"""A small lake of all five platforms, crawled from the sandbox, built by dbt and published, with what hostile people
write put among it; and the application over it on loopback.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import requests

from dashboard.screenshots import serving
from orchestration.cli import main
from orchestration.duckdb_file import DuckDBFile
from orchestration.pipeline import Pipeline
from orchestration.settings import Settings
from sandbox.discord import TOKEN as DISCORD_TOKEN
from sandbox.discord_world import GENERAL
from sandbox.server import Sandbox
from sandbox.world import World

START = datetime(2026, 11, 20, tzinfo=UTC)
NOW = START + timedelta(hours=18, minutes=10)
COMMUNITIES = (
    "fourchan:po",
    "discourse:forum.example",
    "lemmy:lemmy.example/folding",
    f"discord:{GENERAL}",
    "mods_de:14",
)
TOKEN = "a-token-for-tests"
HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)><b>bold</b>",
    "\"><svg onload=alert(3)>{{ 7 * 7 }}{% raw %}' or 1=1; --",
    "\u202egnitirw derorrim\u202c and \u2067isolated",
    "nul \0 bell \x07 escape \x1b[31m end",
    "w" * 100_000,
    ">>578479 <wbr>&gt;&gt;greentext &amp; [spoiler]x[/spoiler]",
    '=HYPERLINK("https://evil.example")',
)


@dataclass(frozen=True)
class Served:
    """The application, and the warehouse it was published from."""

    url: str
    pipeline: Pipeline

    def get(self, path: str, **more: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=60, **more)

    def sql(self, statement: str, values: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.pipeline.warehouse.query(statement, values).rows]


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, parsed: Path) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("dashboard")
    shutil.copytree(parsed, home / "dbt")
    world = World(seed=7, start=START, hours=30, scale=0.4)
    with Sandbox(world, now=NOW, clock_file=home / "clock") as sandbox:
        told = {
            "THREADLAKE_HOME": str(home), "THREADLAKE_VIA": sandbox.url, "THREADLAKE_CLOCK": str(home / "clock"),
            "THREADLAKE_PACE": "2000", "THREADLAKE_START": f"{START:%Y-%m-%dT%H}", "DISCORD_TOKEN": DISCORD_TOKEN,
            "THREADLAKE_DASHBOARD_TOKEN": TOKEN, "THREADLAKE_DASHBOARD_RATE": "10000",
        }  # fmt: skip
        with patch.dict(os.environ, told):  # not for what else this process tests
            pipeline = Pipeline.of(Settings.from_env())
            for key in COMMUNITIES:
                assert main(["track", key, "--since", "2d"]) == 0
            assert main(["catch-up"]) == 0
            _be_hostile(home)
            pipeline.publish()
        with serving(pipeline) as url:
            yield Served(url, pipeline)


def _be_hostile(home: Path) -> None:
    """Some posts of a thread with answers say what strangers say; and so are they named."""
    with DuckDBFile(home / "warehouse.duckdb").open() as connection:
        (thread,) = connection.execute(
            "select min(thread_id) from (select thread_id from clean.posts where platform = 'lemmy' and text <> '' "
            "group by 1 having count(*) >= $n)",
            {"n": len(HOSTILE) + 2},
        ).fetchall()[0]
        posts = connection.execute(
            "select post_id, author_id from clean.posts where thread_id = $thread and platform = 'lemmy' "
            "and text <> '' order by created_at, post_id",
            {"thread": thread},
        ).fetchall()
        for (post, author), text in zip(posts, HOSTILE, strict=False):
            name = text.replace("\0", "")[:300]
            connection.execute(
                "update clean.posts set text = $text, author_name = $name, run_id = 'hostile' where post_id = $post",
                {"post": post, "text": text, "name": name},
            )
            connection.execute(
                "update clean.authors set author_name = $name where author_id = $author",
                {"author": author, "name": name},
            )
        title = {"thread": thread, "text": HOSTILE[0]}
        connection.execute(
            "update clean.threads set title = $text, run_id = 'hostile' "
            "where thread_id = $thread and platform = 'lemmy'",
            title,
        )
        connection.execute("update marts.thread_lives set title = $text where thread_id = $thread", title)
        connection.execute(
            "insert into marts.trending_words "
            "(platform, instance, community, word, trend_rank, posts, posts_before, score, as_of) "
            "select 'lemmy', 'lemmy.example', 'lemmy:lemmy.example/folding', $text, 1, 9, 0, 99, current_date",
            {"text": HOSTILE[1]},
        )
        later = NOW - timedelta(hours=1)
        connection.execute(
            "update clean.posts set version_count = 2, edited_at = $later, run_id = 'edited' where post_id = $post",
            {"post": posts[-1][0], "later": later},
        )
        connection.execute(
            "insert into clean.post_versions by name select * replace ('words that stood there before' as text, "
            "'another' as content_hash) from clean.post_versions where post_id = $post and platform = 'lemmy'",
            {"post": posts[-1][0]},
        )
        connection.execute(
            "update clean.posts set deleted_at = $later, gone_at = $later, run_id = 'gone' where post_id = $post",
            {"post": posts[-2][0], "later": later},
        )
