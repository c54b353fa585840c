"""Both warehouses give the same: one world, crawled once, through DuckDB and through dbt-bigquery on a stand-in.

Rows, types, late edits, deletions, an hour replayed, the move to history, and all of it built anew from the lake. Then
all SQL that the server was asked goes to Google's own analyser, and what touches partitions must name them.
"""

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from dashboard.app import make_app
from extractors.erasure import Traces
from extractors.lake import Lake
from extractors.store import Folder
from orchestration.cli import main
from orchestration.cost import MERGE_READS
from orchestration.dbt import explain, failed
from orchestration.erase import from_lake, patterns
from orchestration.pipeline import Pipeline
from orchestration.settings import Settings
from sandbox.bigquery import BigQueryServer, missing, served
from sandbox.discord import TOKEN
from sandbox.server import Sandbox
from sandbox.world import World
from tests.bigquery_jobs_seen import connect, refused, scripts
from tests.dashboard import addresses
from tests.test_plug import COMMUNITIES, HOUR, START

pytestmark = [pytest.mark.skipif(bool(missing()), reason=missing() or ""), pytest.mark.timeout(3000)]

MODELS = Path(__file__).resolve().parent.parent / "dbt_project" / "models"
TABLES = sorted(f"{layer}.{model.stem}" for layer in ("clean", "marts") for model in (MODELS / layer).glob("*.sql"))
MOMENTS = {"merged_at", "built_at"}  # when it was done, here and there
KINDS = {
    "VARCHAR": "STRING", "BIGINT": "INTEGER", "DOUBLE": "FLOAT", "BOOLEAN": "BOOLEAN", "DATE": "DATE",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP", "VARCHAR[]": "ARRAY<STRING>",
}  # fmt: skip
PARTITIONS = {
    **dict.fromkeys(("posts", "posts_history", "threads", "threads_history", "post_versions"), "created_hour"),
    "thread_snapshots": "snapshot_hour", "observations": "hour",
}  # fmt: skip
PARTS = {
    "day": (
        "activity_by_hour", "activity_by_day", "posters_by_day", "quotes", "posted_links", "thread_days", "changes",
    ),
    "year": (
        "activity_by_weekday_hour", "activity_by_year", "posters_by_year", "quote_graph", "links", "domains",
        "domain_posters",
    ),
    "hour": ("observed_hours",),
}  # fmt: skip
"""Marts by what they are partitioned by."""
LITERAL = r"timestamp '\d{4}-\d{2}-\d{2} \d{2}:00:00\+00'"


class Bucket(Folder):
    """A folder that BigQuery's stand-in finds under `gs://bucket/lake`."""

    def location(self, name: str) -> str:
        return f"gs://bucket/lake/{name}"


@dataclass
class Both:
    """The two pipelines over one lake, fed alike."""

    sandbox: Sandbox
    local: Pipeline
    cloud: Pipeline
    server: BigQueryServer
    crawls: int = 0

    def crawl(self, hours: Sequence[datetime], now: datetime) -> None:
        self.sandbox.now = now
        self.crawls += 1
        for platform in self.local.platforms:
            asked = self.local.asked(platform, hours, True)
            list(self.local.crawl(platform, asked, f"run{self.crawls}", True))

    def merge(self, hours: Sequence[datetime], now: datetime, command: str = "run", **variables: Any) -> None:
        for pipeline in (self.local, self.cloud):
            if hours:
                pipeline.warehouse.load(pipeline.lake, pipeline.platforms, hours, now)
            nodes = pipeline.dbt.build(hours, now, (), f"{now:%d%H}{command}", variables, command)
            assert not failed(nodes), explain(failed(nodes))

    def same(self) -> dict[str, int]:
        """Compare all clean tables and marts, views too; return how many rows each has."""
        return {table.partition(".")[2]: self._same(table) for table in TABLES}

    def _same(self, table: str) -> int:
        with self.local.warehouse.open(read_only=True) as connection:  # type: ignore[attr-defined]
            described = connection.execute(f"describe {table}").fetchall()
            kinds = {name: KINDS[kind] for name, kind, *_ in described if name not in MOMENTS}
            here = connection.execute(f"select {', '.join(kinds)} from {table}").fetchall()
        with self.cloud.warehouse.jobs("test") as jobs:  # type: ignore[attr-defined]
            schema = jobs.client.get_table(table).schema
        told = {
            field.name: f"ARRAY<{field.field_type}>" if field.mode == "REPEATED" else field.field_type
            for field in schema
            if field.name not in MOMENTS
        }
        assert told == kinds, table
        column = PARTITIONS.get(table.partition(".")[2])
        everywhere = f" where {column} >= timestamp '1970-01-01 00:00:00+00'" if column else ""
        there = self.cloud.warehouse.query(f"select {', '.join(kinds)} from {table}{everywhere}").rows
        lists = [kind.startswith("ARRAY") for kind in kinds.values()]
        # BigQuery has no missing list: it stores an empty one
        mine, theirs = (
            sorted(
                [_text(list(cell or ()) if many else cell) for cell, many in zip(row, lists, strict=True)]
                for row in rows
            )
            for rows in (here, there)
        )
        other = [
            (name, one, two)
            for row, twin in zip(mine, theirs, strict=False)
            for name, one, two in zip(kinds, row, twin, strict=True)
            if one != two
        ]
        assert not other and len(mine) == len(theirs), (table, len(mine), len(theirs), other[:3])
        return len(mine)


def _text(cell: Any) -> str:
    return cell.astimezone(UTC).isoformat() if isinstance(cell, datetime) else repr(cell)


@pytest.fixture
def both(tmp_path: Path, parsed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Both]:
    buckets = tmp_path / "buckets"
    shutil.copytree(parsed, tmp_path / "local" / "dbt")
    world = World(seed=5, start=START - timedelta(hours=4), hours=100, scale=0.15)
    clock = tmp_path / "clock"
    with Sandbox(world, now=START, clock_file=clock) as sandbox, served(tmp_path / "server", buckets) as server:
        lake = buckets / "bucket" / "lake"
        for name, value in {"VIA": sandbox.url, "CLOCK": clock, "PACE": 3000, "LAKE": lake}.items():
            monkeypatch.setenv(f"THREADLAKE_{name}", str(value))
        monkeypatch.setenv("DISCORD_TOKEN", TOKEN)
        monkeypatch.setenv("THREADLAKE_HOME", str(tmp_path / "local"))
        for community in COMMUNITIES:
            assert main(["track", community]) == 0
        local = Pipeline.of(Settings.from_env())
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("THREADLAKE_HOME", str(tmp_path / "cloud"))
        cloud = Pipeline.of(Settings.from_env())
        cloud.__dict__["lake"] = Lake(Bucket(lake))
        for pipeline in (local, cloud):
            pipeline.dbt.prepare()
        yield Both(sandbox, local, cloud, server)


def named_partitions(target: Path) -> dict[str, str]:
    """By incremental model: the SQL that dbt compiled in its last run."""
    [folder] = target.glob("compiled/threadlake/models/clean")
    return {path.stem: path.read_text() for path in folder.glob("*.sql") if path.stem in PARTITIONS}


def check_pruning(both: Both, run: str) -> None:
    """Each incremental model reads and deletes its own rows only where literals name their partitions."""
    for table, sql in named_partitions(both.cloud.settings.dbt_target / "runs" / run).items():
        column, relation = PARTITIONS[table], f"`clean`.`{table}` as known"
        reads = sql.split(relation)[1:]
        # what orchestration/cost.py reckons with: read once in all, and then once more as rows are deleted from it
        assert len(reads) + (table != "observations") == MERGE_READS or table == "observations", (table, len(reads))
        for read in reads:
            assert re.match(
                rf"\s*where\s+known\.{column} (in \({LITERAL}|between {LITERAL}|= timestamp '0001)", read
            ), (table, read[:300])
    deletes = [sql for sql in scripts(connect(both.server)) if "as known where" in sql]
    assert deletes
    kept = {"day": r"known\.day in \(date '", "year": r"known\.year in \(\d", "hour": r"known\.hour in \(timestamp '"}
    for script in deletes:
        for table, where in re.findall(r"delete from `[^`]+`\.`marts`\.`(\w+)` as known where\s+(.{40})", script):
            for column in (column for column, marts in PARTS.items() if table in marts):
                assert re.match(kept[column], where), (table, where)
        for table, where in re.findall(r"delete from `[^`]+`\.`clean`\.`(\w+)` as known where (.{60})", script):
            if table in PARTITIONS:
                assert re.match(
                    rf"known\.{PARTITIONS[table]} (in \({LITERAL}|between {LITERAL}|= timestamp '0001)", where
                ), where


def _told(told: Any) -> Any:
    """BigQuery has no missing list; when it was merged is another moment there, and asking takes another time."""
    if isinstance(told, dict):
        lists = ("quotes", "links", "tags", "names")
        kept = {name: one for name, one in told.items() if name not in {*MOMENTS, "seconds"}}
        return {name: one or [] if name in lists else _told(one) for name, one in kept.items()}
    return [_told(one) for one in told] if isinstance(told, list) else told


def same_answers(both: Both) -> None:
    """The API says the same of both; words are found by their stems here, as they are written there."""
    both.local.publish()
    apps = [make_app(pipeline) for pipeline in (both.local, both.cloud)]
    here, there = (TestClient(app, base_url="http://127.0.0.1") for app in apps)
    found = here.get("/api/posts?limit=1000").json()["rows"]
    post = max((row for row in found if row["author_id"]), key=lambda row: row["version_count"])
    topic = next(row for row in found if row["platform"] == "discourse")
    named = {**topic, "post_id": topic["url"].removeprefix(f"https://{topic['instance']}/t/")}
    for path in [*addresses.tables(), *addresses.of_one(post, named), *addresses.others()]:
        mine, theirs = here.get(path), there.get(path)
        assert mine.status_code == theirs.status_code == 200, (path, theirs.text)
        by_words = ("search?q=" in path and "exact" not in path) or "context-search" in path or "content=" in path
        if not path.startswith(("/api/overview", "/api/community/")) and not by_words:  # these are of a "now"
            assert _told(mine.json()) == _told(theirs.json()), path
    titles = " ".join(row["title"] or "" for row in here.get("/api/threads?limit=1000").json()["rows"])
    of_titles = max(re.findall("[a-z]{4,}", titles), key=len)
    for words, title in {"the+second+fold": False, "paper": False, f"{of_titles}+OR+fold": True}.items():
        asked = f"/api/search?q={words}&kind={'thread' if title else 'post'}"
        few, many = there.get(asked).json(), here.get(asked).json()
        assert 0 < few["total"] <= many["total"], asked
        assert any(row["marks"] for row in few["rows"])


def test_both_give_the_same_at_first(both: Both) -> None:
    """Everything made at once, from the lake."""
    hours = [START - HOUR * (2 - i) for i in range(2)]
    both.crawl(hours, START + timedelta(minutes=5))
    single = [START - 3 * HOUR * i for i in range(100, 201)]  # so many that they are named by their numbers
    both.merge([*single, *hours], START + timedelta(minutes=5), most_partitions=3)  # in pieces, as 3,600 of a past
    assert any("unix_seconds" in sql for sql in scripts(connect(both.server)))
    pieces = [sql.count("insert into") for sql in scripts(connect(both.server)) if "`clean`.`posts` (" in sql]
    assert max(pieces) > 1, pieces
    rows = both.same()
    assert rows["posts"] > 50 and rows["posters_by_year"] and rows["quotes"] and rows["words_by_hour"], rows
    assert refused(connect(both.server)) == []


@pytest.mark.long
def test_the_api_says_the_same_of_both(both: Both) -> None:
    hours = [START - HOUR * (2 - i) for i in range(2)]
    both.crawl(hours, START + timedelta(minutes=5))
    both.merge(hours, START + timedelta(minutes=5))
    same_answers(both)
    assert refused(connect(both.server)) == []


@pytest.mark.long
def test_both_give_the_same(both: Both) -> None:
    hours = [START - HOUR * (3 - i) for i in range(3)]
    both.crawl(hours[:2], START + timedelta(minutes=5))
    both.merge(hours[:2], START + timedelta(minutes=5))
    # late edits and deletions of the first hour, a new one, and an hour that is there already once more
    both.crawl([hours[0], hours[2]], START + timedelta(hours=8))
    both.merge(hours, START + timedelta(hours=8), most_partitions=10)  # in pieces, as 3,600 hours of a past
    rows = both.same()
    assert rows["posts"] > 100 and rows["observations"] and rows["authors"], rows
    assert both.cloud.warehouse.query("select count(deleted_at) from clean.all_posts").rows[0][0]
    check_pruning(both, f"{START + timedelta(hours=8):%d%H}run"[:8])
    assert refused(connect(both.server)) == []


@pytest.mark.long
def test_both_forget_an_author_and_give_the_same(both: Both) -> None:
    hours, now = [START - HOUR * (3 - i) for i in range(3)], START + timedelta(minutes=5)
    both.crawl(hours, now)
    both.merge(hours, now)
    name, instance, author = both.local.warehouse.query(
        "select platform, instance, author_id from clean.posts where author_id is not null "
        "group by all order by count(*) desc, author_id limit 1"
    ).rows[0]
    before = both.same()
    traces = from_lake(both.cloud, both.cloud.platform(name), instance, author, "author").traces
    here, there, sought = both.local.warehouse, both.cloud.warehouse, patterns(traces)
    shown = here.showing(name, instance, sought)
    assert len(shown) > 3 and there.showing(name, instance, sought) == shown
    assert here.forget(name, traces) == there.forget(name, traces) > len(traces.posts) > 1
    both.merge([datetime.fromisoformat(hour) for hour in sorted(traces.hours)], now)
    after = both.same()
    assert after["posts"] == before["posts"] - len(traces.posts)
    assert after["observations"] == before["observations"] and after["authors"] == before["authors"] - 1
    for warehouse in (here, there):
        assert warehouse.showing(name, instance, sought) == {}
        assert warehouse.forget(name, Traces(instance, author)) == 0
    purged = here.purge(COMMUNITIES[0], {})
    assert there.purge(COMMUNITIES[0], {}) == purged and purged[0] > 0
    assert refused(connect(both.server)) == []


@pytest.mark.long
def test_both_give_the_same_for_years(both: Both) -> None:
    """With the tests of dbt, the move to history, healing, a purge, and all built anew from the lake."""
    hours = [START - HOUR * (3 - i) for i in range(3)]
    first, later, years = START + timedelta(minutes=5), START + timedelta(hours=8), START + timedelta(days=800)
    both.crawl(hours[:2], first)
    both.merge(hours[:2], first, "build")
    both.crawl([hours[0], hours[2]], later)
    both.merge(hours, later, "build")
    both.merge(hours[:1], years, "build")  # everything moves to history, and an hour comes again
    rows = both.same()
    assert rows["posts_history"] > 100 and not rows["posts"], rows
    both.merge((), years, "build", heal=True, whole=True)
    assert both.same() == rows
    gone = next(key for key in COMMUNITIES if key.startswith("lemmy:"))
    here, there = (pipeline.warehouse.purge(gone, {}) for pipeline in (both.local, both.cloud))
    assert here[1] == there[1] > 0
    assert both.same()["posts_history"] < rows["posts_history"]
    with both.cloud.warehouse.jobs("test") as jobs:  # type: ignore[attr-defined]
        for dataset in ("raw", "staging", "clean", "marts"):
            jobs.client.delete_dataset(dataset, delete_contents=True)
    Path(both.local.warehouse.name).unlink()
    both.merge(hours, years, "build")
    anew = both.same()  # what was purged is in the lake yet, and comes back
    for table in ("observations", "posts_history", "threads_history", "post_versions", "authors"):
        assert anew[table] == rows[table] > 0, table
    assert refused(connect(both.server)) == []
