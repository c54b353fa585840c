"""Loads into BigQuery's stand-in: whole hours, any number of times, whatever happens to the answers."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from extractors.lake import Lake, Tracked
from extractors.platform import Community, Entity, Parsed, Record, Source
from extractors.store import Folder
from orchestration.bigquery import BigQuery
from orchestration.pipeline import Pipeline
from orchestration.settings import BigQueryPlace, Settings
from orchestration.warehouse import QueryError, WarehouseError
from sandbox.bigquery import BigQueryServer
from sandbox.bigquery_faults import HOST, BigQueryDoor
from sandbox.faults import Fault
from sandbox.server import Sandbox
from tests.bigquery_jobs_seen import connect
from tests.orchestration.fake import FakeFourchan, fake_pipeline

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("bigquery")]
START = datetime(2026, 11, 1, tzinfo=UTC)
HOURS = [START + timedelta(hours=number) for number in range(4)]
COUNTS = (
    f"select hour, count(*) from raw.fourchan_posts where hour >= timestamp '{START:%Y-%m-%d}' group by 1 order by 1"
)
BEGIN_JOB = {"method": "POST", "path": ".*/jobs"}


class Bucket(Folder):
    """A folder that the server finds under `gs://`."""

    def location(self, name: str) -> str:
        return f"gs://{self.root.name}/{name}"


@pytest.fixture
def door(bigquery_server: tuple[BigQueryServer, Path]) -> Iterator[tuple[Sandbox, BigQueryDoor]]:
    site = BigQueryDoor(bigquery_server[0].url)
    with Sandbox(now=START, sites=[site]) as sandbox:
        yield sandbox, site


@pytest.fixture
def pipeline(
    bigquery_server: tuple[BigQueryServer, Path],
    door: tuple[Sandbox, BigQueryDoor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Pipeline]:
    """Two fake platforms, a community each, and two hours read; the datasets go in the end."""
    server, buckets = bigquery_server
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"{door[0].url}/{HOST}")
    monkeypatch.setattr("orchestration.bigquery_jobs.FIRST_WAIT", 0.01)
    env = {"THREADLAKE_HOME": str(tmp_path), "THREADLAKE_WAREHOUSE": server.environment["THREADLAKE_WAREHOUSE"]}
    made = fake_pipeline(Settings.from_env(env | {"THREADLAKE_START": "2026-11-01"}))
    made.__dict__["lake"] = Lake(Bucket(buckets / tmp_path.name.replace("_", "-")))
    for key in ("fourchan:po", "discourse:meta.example"):
        for platform in made.platforms:
            if community := platform.community(key):
                made.lake.track(Tracked(community.key, community.instance, START, START))
    crawl(made, HOURS[:2])
    yield made
    client = connect(server)
    for dataset in ("raw", "staging", "clean", "marts"):
        client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)


def crawl(pipeline: Pipeline, hours: list[datetime], **more: Any) -> None:
    for platform in more.get("platforms", pipeline.platforms):
        list(pipeline.crawl(platform, pipeline.asked(platform, hours, True), "test", True))


def test_whole_hours_any_number_of_times(pipeline: Pipeline, tmp_path: Path) -> None:
    warehouse = pipeline.warehouse
    assert not warehouse.has("raw", "fourchan_posts") and warehouse.merged() == set()
    assert pipeline.load(HOURS).total("fourchan_posts") == 6
    pipeline.load(HOURS[:1])
    assert warehouse.query(COUNTS).rows == [(HOURS[0], 3), (HOURS[1], 3)]
    crawl(pipeline, HOURS[:1])  # a second observation
    pipeline.load(HOURS[:1], [platform for platform in pipeline.platforms if platform.name == "fourchan"])
    assert warehouse.query(COUNTS).rows == [(HOURS[0], 6), (HOURS[1], 3)]
    receipts = "select count(*) from raw.observations where hour >= $since and platform = $name"
    assert warehouse.query(receipts, {"since": START, "name": "fourchan"}).rows == [(3,)]
    assert pipeline.unmerged(None) == HOURS[:2]
    # what is merged and was loaded long ago goes, by when it was loaded
    with warehouse.jobs("test") as jobs:  # type: ignore[attr-defined]
        first = "select * from raw.observations where hour = timestamp '2026-11-01 00:00:00'"
        jobs.sql(f"create table clean.observations as {first}", f"test-{tmp_path.name}")
    now = pipeline.settings.now()
    assert warehouse.drop_raw(pipeline.platforms, now - timedelta(days=1)) == 0
    assert warehouse.drop_raw(pipeline.platforms, now + timedelta(minutes=1)) == 2
    assert warehouse.query(COUNTS).rows == [(HOURS[1], 3)]
    assert not any(name.startswith("raw.loading") for name in warehouse.tables())
    rows, authors = warehouse.purge("fourchan:po", {})
    assert rows and not authors and warehouse.query(COUNTS).rows == []
    with pytest.raises(QueryError, match="no question but a DELETE"):
        warehouse.query("delete from raw.fourchan_posts where hour > timestamp '2020-01-01'")
    with pytest.raises(QueryError, match="nonsense"):
        warehouse.query("select nonsense")


class Wider(FakeFourchan):
    posts: ClassVar[pa.Schema] = FakeFourchan.posts.append(pa.field("flag", pa.string()))


class Worded(FakeFourchan):
    posts: ClassVar[pa.Schema] = pa.schema([("body", pa.string()), ("likes", pa.string())])

    def parse(self, entity: Entity, community: Community, record: Record, source: Source) -> Parsed:
        return super().parse(entity, community, record | {"likes": "many"}, source)


def test_columns_that_come_and_columns_that_change(pipeline: Pipeline) -> None:
    pipeline.load(HOURS[:2])
    pipeline.load(HOURS[:2], [Wider()])  # files that lack it
    assert pipeline.warehouse.query(COUNTS.replace("hour, count(*)", "flag, count(*)")).rows == [(None, 6)]
    with pytest.raises(WarehouseError, match=r"another type .* likes is INT64 there"):
        pipeline.load(HOURS[:2], [Worded()])
    list(pipeline.crawl(Worded(), pipeline.asked(Worded(), HOURS[2:3], True), "test", True))
    with pytest.raises(WarehouseError, match="A file of the lake has a column of another type"):
        pipeline.load(HOURS[:3])
    assert pipeline.warehouse.query(COUNTS).rows == [(HOURS[0], 3), (HOURS[1], 3)]  # nothing was half done


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([Fault("503", times=2, untouched=True, **BEGIN_JOB)], id="503 before", marks=pytest.mark.long),
        pytest.param([Fault("503", times=2, **BEGIN_JOB)], id="503 after the work"),
        pytest.param([Fault("reset", times=3, **BEGIN_JOB)], id="reset after the work"),
        pytest.param(
            [Fault("429", times=2, untouched=True, **BEGIN_JOB)], id="too many requests", marks=pytest.mark.long
        ),
        pytest.param([Fault("reset", times=3, method="GET")], id="reset while waiting", marks=pytest.mark.long),
        pytest.param([Fault("slow", times=1, seconds=4, **BEGIN_JOB)], id="timeout", marks=pytest.mark.long),
    ],
)
def test_lost_answers_load_nothing_twice(
    pipeline: Pipeline, door: tuple[Sandbox, BigQueryDoor], faults: list[Fault], monkeypatch: pytest.MonkeyPatch
) -> None:
    for fault in faults:
        if fault.kind == "slow":  # the work is done, the answer comes when nobody waits for it any more
            for module in ("bigquery", "bigquery_jobs", "bigquery_load"):
                monkeypatch.setattr(f"orchestration.{module}.REQUEST", 2.0)
        door[0].faults.add(fault)
    pipeline.load(HOURS[:2])
    assert all(told["struck"] for told in door[0].faults.describe())
    door[0].faults.clear()
    assert pipeline.warehouse.query(COUNTS).rows == [(HOURS[0], 3), (HOURS[1], 3)]


def test_jobs_that_end_in_an_error(pipeline: Pipeline, door: tuple[Sandbox, BigQueryDoor]) -> None:
    site = door[1]
    site.ends = ["backendError", "jobRateLimitExceeded"]
    pipeline.load(HOURS[:2])
    assert pipeline.warehouse.query(COUNTS).rows == [(HOURS[0], 3), (HOURS[1], 3)]
    again = [name for name in site.began if name.endswith(("-2", "-3"))]
    assert len(again) == 2 and len(set(site.began)) == len(site.began)
    # a later load is not mistaken for it
    before = set(site.began)
    pipeline.load(HOURS[:2])
    assert before.isdisjoint(site.began[len(before) :])
    site.ends = ["backendError"] * 6
    with pytest.raises(WarehouseError, match="failed 6 times; nothing was half done"):
        pipeline.load(HOURS[:2])
    site.ends = ["invalid"]
    with pytest.raises(WarehouseError, match="did not deserve"):
        pipeline.load(HOURS[:2])
    assert pipeline.warehouse.query(COUNTS).rows == [(HOURS[0], 3), (HOURS[1], 3)]


def test_what_is_merged_makes_room(pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crawl(pipeline, HOURS[2:4])
    pipeline.load(HOURS[:2])
    monkeypatch.setattr("orchestration.bigquery.FEW_HOURS", 0)
    monkeypatch.setattr("orchestration.bigquery.MOST_PARTITIONS", 3)
    with pytest.raises(WarehouseError, match=r"2 more hours do not fit.*catch-up"):
        pipeline.load(HOURS[2:4])
    assert pipeline.warehouse.query(COUNTS).rows == [(HOURS[0], 3), (HOURS[1], 3)]
    with pipeline.warehouse.jobs("test") as jobs:  # type: ignore[attr-defined]
        merged = f"select * from raw.observations where hour = timestamp '{HOURS[0]:%Y-%m-%d %H:%M:%S}'"
        jobs.sql(f"create table clean.observations as {merged}", f"test-room-{tmp_path.name}")
    monkeypatch.setattr(pipeline.warehouse, "_drop", _dropping(pipeline))
    pipeline.load(HOURS[2:4])
    assert pipeline.warehouse.query(COUNTS).rows == [(HOURS[1], 3), (HOURS[2], 3), (HOURS[3], 3)]


def _dropping(pipeline: Pipeline) -> Any:
    """As if all was loaded a while ago: the lake's clock and the system's are the same here."""
    drop = pipeline.warehouse._drop  # type: ignore[attr-defined]
    return lambda jobs, platforms, now: drop(jobs, platforms, now + timedelta(minutes=1))


def test_tables_have_the_customers_key(pipeline: Pipeline) -> None:
    key = "projects/p/locations/us/keyRings/r/cryptoKeys/k"
    place = replace(pipeline.settings.warehouse, key=key)  # type: ignore[type-var]
    assert isinstance(place, BigQueryPlace)
    pipeline.__dict__["warehouse"] = BigQuery(place, pipeline.settings.home)
    pipeline.load(HOURS[:1])
    with pipeline.warehouse.jobs("test") as jobs:  # type: ignore[attr-defined]
        for name in ("raw", "staging", "clean", "marts"):
            kept = jobs.client.get_dataset(name).default_encryption_configuration
            assert kept is not None and kept.kms_key_name == key, name


def test_a_lake_elsewhere_is_refused(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.__dict__["lake"] = Lake(Folder(pipeline.lake.store.root))  # type: ignore[attr-defined]
    with pytest.raises(WarehouseError, match="set THREADLAKE_LAKE to gs://BUCKET/PREFIX"):
        pipeline.load(HOURS[:2])
    assert os.environ["BIGQUERY_EMULATOR_HOST"]
