"""Loads: whole partitions, any order, any number of times; columns that come, and columns that change."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from extractors.platform import Platform
from orchestration.pipeline import Pipeline
from orchestration.raw import WarehouseError
from orchestration.warehouse import Warehouse, WarehouseBusyError
from tests.orchestration.fake import FakeFourchan

START = datetime(2026, 11, 1, tzinfo=UTC)
HOURS = [START + timedelta(hours=number) for number in range(4)]


def crawl(pipeline: Pipeline, hours: Sequence[datetime]) -> None:
    for platform in pipeline.platforms:
        list(pipeline.crawl(platform, pipeline.asked(platform, hours, True), "test", True))


def rows(warehouse: Warehouse, query: str) -> list[tuple[Any, ...]]:
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


def test_a_new_column_is_added_and_a_changed_one_refused(pipeline: Pipeline) -> None:
    class Wider(FakeFourchan):
        posts: ClassVar[pa.Schema] = FakeFourchan.posts.append(pa.field("flag", pa.string()))

    class Changed(FakeFourchan):
        posts: ClassVar[pa.Schema] = pa.schema([("body", pa.string()), ("likes", pa.string())])

    crawl(pipeline, HOURS[:1])
    pipeline.load(HOURS)
    wider: list[Platform] = [Wider()]
    pipeline.load(HOURS, wider)  # files that lack the column are loaded with nulls
    assert rows(pipeline.warehouse, "select distinct flag from raw.fourchan_posts") == [(None,)]
    with pytest.raises(WarehouseError, match=r"likes of raw\.fourchan_posts is BIGINT.*VARCHAR"):
        pipeline.load(HOURS, [Changed()])
    assert len(rows(pipeline.warehouse, "select * from raw.fourchan_posts")) == 3  # the old partition is still whole


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
