"""Loads: whole partitions, any order, any number of times; columns that come, and columns that change."""

import re
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import dagster as dg
import pyarrow as pa
import pytest

from extractors.platform import Community, Entity, Parsed, Platform, Record, Source
from orchestration.alerts import failed_checks
from orchestration.assets import raw_assets
from orchestration.duckdb_file import DuckDBFile
from orchestration.pipeline import Pipeline
from orchestration.warehouse import QueryError, WarehouseBusyError
from tests.orchestration.fake import FakeFourchan

START = datetime(2026, 11, 1, tzinfo=UTC)
HOURS = [START + timedelta(hours=number) for number in range(4)]


def crawl(pipeline: Pipeline, hours: Sequence[datetime]) -> None:
    for platform in pipeline.platforms:
        list(pipeline.crawl(platform, pipeline.asked(platform, hours, True), "test", True))


def rows(warehouse: DuckDBFile, query: str) -> list[tuple[Any, ...]]:
    with warehouse.open(read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_any_order_any_number_of_times(pipeline: Pipeline) -> None:
    crawl(pipeline, HOURS)
    pipeline.load(HOURS)
    query = "select * from raw.fourchan_posts order by all"
    expected = rows(pipeline.warehouse, query)
    assert len(expected) == 12
    crawl(pipeline, HOURS[:1])  # a second observation of the first hour: its partition has both
    for hours in (HOURS[2:], HOURS[:1], HOURS[:3], HOURS[:1]):
        pipeline.load(hours)
    counts = rows(pipeline.warehouse, "select hour, count(*) from raw.fourchan_posts group by 1 order by 1")
    assert counts == [(HOURS[0], 6), (HOURS[1], 3), (HOURS[2], 3), (HOURS[3], 3)]
    # each post's created_at is in its partition's hour, so the hour was read off the right file
    assert rows(
        pipeline.warehouse, "select count(*) from raw.fourchan_posts where date_trunc('hour', created_at) != hour"
    ) == [(0,)]
    assert rows(pipeline.warehouse, "select count(*) from raw.observations where platform = 'fourchan'") == [(5,)]


class Worded(FakeFourchan):
    """Its likes are words, of which one in three is no number."""

    posts: ClassVar[pa.Schema] = pa.schema([("body", pa.string()), ("likes", pa.string())])
    likes = ("1.0", "2.5", "many")

    def parse(self, entity: Entity, community: Community, record: Record, source: Source) -> Parsed:
        return super().parse(entity, community, record | {"likes": self.likes[record["likes"]]}, source)


def test_a_new_column_is_added(pipeline: Pipeline) -> None:
    class Wider(FakeFourchan):
        posts: ClassVar[pa.Schema] = FakeFourchan.posts.append(pa.field("flag", pa.string()))

    crawl(pipeline, HOURS[:1])
    pipeline.load(HOURS)
    wider: list[Platform] = [Wider()]
    pipeline.load(HOURS, wider)  # files that lack the column are loaded with nulls
    assert rows(pipeline.warehouse, "select distinct flag from raw.fourchan_posts") == [(None,)]


@pytest.mark.parametrize("together", [True, False])
def test_a_column_that_changes_its_kind_is_cast(pipeline: Pipeline, together: bool) -> None:
    """Files of both kinds, in one load or in two, under either declaration: what does not fit goes into quarantine."""
    crawl(pipeline, HOURS[:1])
    list(pipeline.crawl(Worded(), pipeline.asked(Worded(), HOURS[1:2], True), "test", True))
    query = """
        select hour(hour)::int, likes, body, text, content_hash is null, created_at is null, parse_error
        from raw.fourchan_posts order by hour, created_at
    """
    numbers = [(0, i, f"post {i}", f"post {i}", False, False, None) for i in range(3)]
    misfit = "likes: expected BIGINT, got"
    cast = [
        (1, 1, "post 0", "post 0", False, False, None),
        (1, None, None, None, True, False, f"{misfit} 2.5"),
        (1, None, None, None, True, False, f"{misfit} many"),
    ]
    for _ in range(2):
        for hours in [HOURS[:2]] if together else [HOURS[:1], HOURS[1:2]]:
            loaded = pipeline.load(hours)
        assert rows(pipeline.warehouse, query) == numbers + cast
        told = loaded.misfits["fourchan_posts"][-1]
        assert re.match(r"2 rows of \S+/fourchan/posts/\S+\.parquet .*likes from VARCHAR to BIGINT", told)
        assert not loaded.misfits["fourchan_threads"] and not loaded.misfits["discourse_posts"]
        assert rows(pipeline.warehouse, "select count(*) from raw.discourse_posts") == [(3,)]

        for hours in [HOURS[:2]] if together else [HOURS[1:2], HOURS[:1]]:
            pipeline.load(hours, [Worded()])
        found = rows(pipeline.warehouse, query)
        assert [row[1] for row in found] == ["0", "1", "2", *Worded.likes]
        assert {row[-1] for row in found} == {None}


def test_what_does_not_fit_fails_a_check_and_stops_nobody(pipeline: Pipeline, instance: dg.DagsterInstance) -> None:
    list(pipeline.crawl(Worded(), pipeline.asked(Worded(), HOURS[:1], True), "test", True))
    load = raw_assets(pipeline, dg.HourlyPartitionsDefinition("2026-11-01-00:00"))
    result = dg.materialize([load], partition_key="2026-11-01-00:00", instance=instance)
    assert result.success
    checks = {check.asset_key.path[-1]: check for check in result.get_asset_check_evaluations()}
    assert [name for name, check in checks.items() if not check.passed] == ["fourchan_posts"]
    assert len(checks) == len(load.keys)
    [told] = failed_checks(instance, result.run_id)
    assert "2 rows of " in told and "likes from VARCHAR to BIGINT" in told


def test_a_table_is_cast_when_its_platform_declares_a_column_anew(pipeline: Pipeline) -> None:
    """Hours that are not loaded again stay, with what fits."""
    crawl(pipeline, HOURS[:1])
    worded: list[Platform] = [Worded()]
    list(pipeline.crawl(worded[0], pipeline.asked(worded[0], HOURS[1:2], True), "test", True))
    pipeline.load(HOURS[1:2], worded)
    pipeline.load(HOURS[:1])
    likes = rows(pipeline.warehouse, "select likes, parse_error from raw.fourchan_posts order by hour, created_at")
    error = "likes: expected BIGINT, got"
    assert likes == [(0, None), (1, None), (2, None), (1, None), (None, f"{error} 2.5"), (None, f"{error} many")]


def test_questions_have_parameters_and_change_nothing(pipeline: Pipeline) -> None:
    warehouse = pipeline.warehouse
    assert not warehouse.has("raw", "fourchan_posts")
    crawl(pipeline, HOURS[:2])
    pipeline.load(HOURS[:2])
    assert warehouse.has("raw", "fourchan_posts") and warehouse.tables()["raw.fourchan_posts"] == 6
    query = (
        "select distinct hour, body as words from raw.fourchan_posts where hour = $hour and list_contains($some, body)"
    )
    found = warehouse.query(query, {"hour": HOURS[1], "some": ["post 0", "post 9"]})
    assert list(found.columns) == ["hour", "words"] and found.rows == [(HOURS[1], "post 0")]
    for bad in ("select nonsense", "delete from raw.fourchan_posts"):
        with pytest.raises(QueryError, match="The query failed"):
            warehouse.query(bad)
    assert warehouse.tables()["raw.fourchan_posts"] == 6


def test_whoever_comes_second_waits(pipeline: Pipeline) -> None:
    warehouse = pipeline.warehouse
    with warehouse.open() as connection:
        connection.execute("create table main.t as select 1")
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        with warehouse.alone():
            held.set()
            go.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    with pytest.raises(WarehouseBusyError, match="in use by process"), warehouse.open(read_only=True, patience=0.1):
        pass
    threading.Timer(0.3, go.set).start()
    with warehouse.open(read_only=True, patience=10) as connection:
        assert connection.execute("from main.t").fetchall() == [(1,)]
    thread.join()


def test_raw_partitions_go_when_they_are_old_and_merged(pipeline: Pipeline) -> None:
    crawl(pipeline, HOURS)
    pipeline.load(HOURS[:2])
    now = pipeline.settings.now() + timedelta(days=15)
    assert pipeline.warehouse.drop_raw(pipeline.platforms, now) == 0  # not merged
    pipeline.dbt.build(HOURS[:1], pipeline.settings.now())
    assert pipeline.warehouse.drop_raw(pipeline.platforms, pipeline.settings.now() - timedelta(days=14)) == 0  # not old
    assert pipeline.warehouse.drop_raw(pipeline.platforms, now) == 2  # the first hour of both platforms
    assert rows(pipeline.warehouse, "select distinct hour from raw.fourchan_posts") == [(HOURS[1],)]
    assert pipeline.unmerged(None) == HOURS[1:]
    pipeline.load(HOURS)
    pipeline.dbt.build(HOURS, pipeline.settings.now())
    assert pipeline.unmerged(None) == []
    assert rows(pipeline.warehouse, "select count(*) from clean.posts") == [(24,)]
