"""Real responses through the whole pipeline, each record once and unchanged. Needs the recorded responses."""

import gzip
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sandbox import replay
from tests.recorded import RECORDED, needs_recorded

# one worker for all of them: the fixture is the whole pipeline
pytestmark = [needs_recorded, pytest.mark.timeout(600), pytest.mark.xdist_group("recorded")]
Connection = duckdb.DuckDBPyConnection


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory, parsed: Path) -> Iterator[Connection]:
    home = tmp_path_factory.mktemp("recorded")
    shutil.copytree(parsed, home / "dbt")
    assert replay.main([str(RECORDED), "--home", str(home)]) == 0
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield connection


def one(connection: Connection, query: str) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row


def recorded_posts() -> Iterator[tuple[str, dict[str, Any]]]:
    assert RECORDED is not None
    for board in ("po", "an", "out", "ck"):
        for thread in (RECORDED / "fourchan" / board / "thread").glob("*.json"):
            for post in json.loads(thread.read_bytes())["posts"]:
                yield f"fourchan:{board} {board}/{post['no']}", post
    for file in (RECORDED / "discourse" / "delvingbitcoin").glob("*.ndjson.gz"):
        with gzip.open(file) as lines:
            for post in map(json.loads, lines):
                yield f"discourse:delvingbitcoin.org {post['id']}", post


def test_each_post_stands_once(warehouse: Connection) -> None:
    counts = "select count(*), count(distinct (instance, post_id)) from clean.all_posts where platform = '{}'"
    assert one(warehouse, counts.format("fourchan")) == (33287, 33287)
    assert one(warehouse, counts.format("discourse")) == (4661, 4661)
    threads = "select count(*), count(distinct (instance, thread_id)) from clean.all_threads where platform = '{}'"
    assert one(warehouse, threads.format("fourchan")) == (582, 582)
    assert one(warehouse, threads.format("discourse")) == (635, 635)


def test_each_payload_is_what_was_recorded(warehouse: Connection) -> None:
    recorded: dict[str, list[dict[str, Any]]] = {}
    for key, post in recorded_posts():
        recorded.setdefault(key, []).append(post)
    rows = warehouse.execute("select community || ' ' || post_id, payload from clean.all_posts").fetchall()
    assert {key for key, _ in rows} == recorded.keys()
    assert [key for key, payload in rows if json.loads(payload) not in recorded[key]] == []


def test_nothing_is_quarantined(warehouse: Connection) -> None:
    for table in ("fourchan_posts", "fourchan_threads", "discourse_posts", "discourse_threads"):
        assert one(warehouse, f"select count(*) from raw.{table} where parse_error is not null") == (0,)


def test_the_old_stand_in_history(warehouse: Connection) -> None:
    old = "created_at < timestamptz '2022-01-01 00:00:00+00'"
    in_history = one(warehouse, f"select count(*), min(year(created_at)) from clean.posts_history where {old}")
    assert in_history == one(warehouse, f"select count(*), 2013 from clean.all_posts where {old}")
    assert one(warehouse, f"select count(*) from clean.posts where {old}") == (0,)


def test_a_thread_without_a_date_has_that_of_its_earliest_post(warehouse: Connection) -> None:
    wrong = """
        select thread_id from clean.all_threads t
        join clean.all_posts p using (platform, instance, thread_id)
        where platform = 'discourse'
        group by thread_id, t.created_at having t.created_at <> min(p.created_at)"""
    assert warehouse.execute(wrong).fetchall() == []


def test_captures_over_time_make_versions_and_counters_make_none(tmp_path: Path, parsed: Path) -> None:
    shutil.copytree(parsed, tmp_path / "dbt")
    assert replay.main([str(RECORDED), "--versions", "--home", str(tmp_path)]) == 0
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        assert one(connection, "select count(distinct post_id), count(*) from clean.post_versions") == (107, 118)
        assert one(connection, "select count(*), sum(version_count) from clean.all_posts") == (107, 118)
        silent = "select count(*) - count(distinct (post_id, payload ->> '$.version')) from clean.post_versions"
        assert one(connection, silent) == (2,)  # edits that Discourse itself does not number
