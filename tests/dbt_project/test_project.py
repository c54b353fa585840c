"""The project as a whole: what it promises of its models, and what a run does and leaves alone."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from dbt.cli.main import dbtRunner
from dbt_warehouse import CLEAN, HOURLY, PROJECT, SOURCES, Warehouse, invoke, manifest

from extractors.discord import Discord
from extractors.discourse import Discourse
from extractors.fourchan import Fourchan
from extractors.lemmy import Lemmy
from extractors.mods_de import ModsDe
from extractors.platform import Entity
from orchestration.tables import OBSERVATIONS, raw_schema

PLATFORMS = {
    "fourchan": Fourchan(),
    "discourse": Discourse(),
    "discord": Discord(),
    "lemmy": Lemmy(),
    "mods_de": ModsDe(),
}
NOW = "2026-01-15T00:00:00+00:00"
HOUR = "2026-01-15T10"
INCREMENTAL = (
    "posts", "posts_history", "post_versions", "threads", "threads_history", "thread_snapshots", "observations",
)  # fmt: skip


def post(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "platform": "fourchan", "instance": "4chan.org", "community": "fourchan:po", "thread_id": "po/1",
        "run_id": "r1", "post_id": f"po/{number}", "no": number, "resto": 1, "source": "api", "gone": False,
        "payload": "{}", "text": "t", "content_hash": "h",
        "created_at": "2026-01-15T10:00:00+00:00", "observed_at": "2026-01-15T10:30:00+00:00",
        "hour": f"{HOUR}:00:00+00",
    } | fields  # fmt: skip


def thread(number: int, **fields: Any) -> dict[str, Any]:
    columns = post(number, thread_id=f"po/{number}", post_id=None, replies=3) | fields
    return {name: value for name, value in columns.items() if name != "resto"}


def receipt(commit: str, **fields: Any) -> dict[str, Any]:
    return {
        "commit_id": commit, "platform": "fourchan", "instance": "4chan.org", "community": "fourchan:po",
        "run_id": "r1", "source": "api", "complete": True,
        "hour": f"{HOUR}:00:00+00", "observed_at": "2026-01-15T10:30:00+00:00",
    } | fields  # fmt: skip


def load_some(warehouse: Warehouse) -> None:
    old = {"created_at": "2013-05-01T12:00:00+00:00"}
    warehouse.load("fourchan_posts", [post(1), post(2), post(3, **old)])
    warehouse.load("fourchan_threads", [thread(1), thread(0, **old)])
    warehouse.load("observations", [receipt("c1")])


def test_unit_tests_pass(warehouse: Warehouse) -> None:
    done = warehouse.dbt("test", "--select", "test_type:unit")
    assert len(done.result.results) >= 13


def test_parses_without_a_deprecation(tmp_path: Path) -> None:
    messages: list[str] = []
    done = dbtRunner(callbacks=[lambda event: messages.append(event.info.name)]).invoke(
        [
            *("--quiet", "parse", "--no-partial-parse", "--show-all-deprecations", "--project-dir", str(PROJECT)),
            *("--profiles-dir", str(PROJECT), "--target-path", str(tmp_path), "--log-path", str(tmp_path)),
        ]
    )
    assert done.success
    assert not [name for name in messages if "Deprecat" in name or "Warn" in name]


def test_every_model_says_what_it_is() -> None:
    nodes = manifest().nodes.values()
    tested = {
        test.attached_node
        for test in nodes
        if test.resource_type == "test" and ("_key" in test.name or "_one_row" in test.name)
    }
    for model in (node for node in nodes if node.resource_type == "model"):
        assert model.unique_id in tested, f"{model.name} has no test of its key"
        assert re.search(r"\b(a|one) row\b", model.description.lower()), f"{model.name} does not say what a row is"
        assert model.columns, model.name
        for column in model.columns.values():
            assert column.description, f"{model.name}.{column.name} has no description"
        if {"clean", "marts"} & set(model.fqn):
            assert model.config.contract.enforced
        if "clean" in model.fqn:
            assert model.config.materialized == "view" or model.config.full_refresh is False


def test_every_mart_is_named_in_an_exposure() -> None:
    named = {name for exposure in manifest().exposures.values() for name in exposure.depends_on.nodes}
    marts = {name for name, node in manifest().nodes.items() if node.resource_type == "model" and "marts" in node.fqn}
    inside = {"changed_days", "changed_years", "marts_built"}
    assert {name.split(".")[2] for name in marts - named} == inside


def test_an_hourly_test_reads_no_whole_table() -> None:
    """It names the partitions of the new rows, or is about what an hour has; everything else is tagged daily."""
    hourly = [n for n in manifest().nodes.values() if n.resource_type == "test" and "daily" not in n.tags]
    assert len(hourly) > 10
    for test in hourly:
        said = test.test_metadata.kwargs
        model = manifest().nodes[test.attached_node].name
        small = model.startswith("new_") or model in ("history_boundary", "marts_built")
        assert said.get("rows") or said.get("changed") or small, test.name
        if test.test_metadata.name == "unique_key":
            assert said.get("partition") or said.get("changed"), test.name


def test_dialect_functions_stand_in_one_file() -> None:
    functions = "date_trunc|strftime|to_timestamp|epoch_us|md5|now|hash|list_[a-z]+|to_[a-z]+"
    types = "timestamptz|varchar|bigint|double"
    dialect = re.compile(rf"(?<!\.)\b({functions})\(|\b({types})\b|\binterval '|::|\bexclude\b")
    for path in [*PROJECT.rglob("models/**/*.sql"), *PROJECT.rglob("macros/*.sql"), *PROJECT.rglob("tests/**/*.sql")]:
        if path.name != "dialect.sql":
            found = dialect.search(re.sub(r"\{#.*?#\}", "", path.read_text(), flags=re.DOTALL))
            assert not found, f"{path.name}: {found.group()}" if found else None


@pytest.mark.parametrize("name", PLATFORMS)
@pytest.mark.parametrize("entity", ["posts", "threads"])
def test_sources_are_what_is_loaded(name: str, entity: Entity) -> None:
    declared = next(table for table in SOURCES if table["name"] == f"{name}_{entity}")
    loaded = raw_schema(PLATFORMS[name], entity).names
    assert {column["name"] for column in declared["columns"]} <= set(loaded)


def test_observations_are_what_is_loaded() -> None:
    declared = next(table for table in SOURCES if table["name"] == "observations")
    assert [column["name"] for column in declared["columns"]] == OBSERVATIONS.names


def test_docs(warehouse: Warehouse) -> None:
    done = invoke(warehouse, ["docs", "generate"], {})
    assert done.success, done.exception


def test_statements_name_the_hours_they_touch(warehouse: Warehouse) -> None:
    load_some(warehouse)
    warehouse.merge([HOUR], now=NOW)
    warehouse.merge([HOUR], now=NOW)
    hour = r"timestamptz '2026-01-15 10:00:00\+00'"
    old = r"timestamptz '2013-05-01 12:00:00\+00'"
    run = warehouse.target / "run/threadlake/models/clean"
    for name in INCREMENTAL:
        written = (run / f"{name}.sql").read_text()
        deletes = re.findall(r"delete from.*?;", written, re.DOTALL)
        assert bool(deletes) == (name != "observations")  # which are only added to
        assert all(
            re.search(rf"known\.\w*hour in \([^)]*{old if 'history' in name else hour}", text) for text in deletes
        ), name
        read = (warehouse.target / f"compiled/threadlake/models/clean/{name}.sql").read_text()
        for known in re.findall(r"as known\b(.*?)exists|as known\b(.*)$", read, re.DOTALL):
            assert re.search(r"known\.\w*hour in \(", "".join(known)), name


def test_a_whole_build_and_again(warehouse: Warehouse) -> None:
    load_some(warehouse)
    warehouse.dbt("build", *HOURLY, hours=[HOUR], now=NOW)
    tables = ("all_posts", "all_threads", "post_versions", "thread_snapshots", "observations")
    before = {table: warehouse.sql(f"select * from clean.{table} order by all") for table in tables}
    assert [len(rows) for rows in before.values()] == [3, 2, 3, 2, 1]
    warehouse.dbt("build", *HOURLY, hours=[HOUR], now=NOW)
    assert {table: warehouse.sql(f"select * from clean.{table} order by all") for table in tables} == before
    warehouse.dbt("test", "--exclude-resource-type", "unit_test", whole=True, heal=True)
    assert {table: warehouse.sql(f"select * from clean.{table} order by all") for table in tables} == before


def test_no_hours_merge_nothing(warehouse: Warehouse) -> None:
    load_some(warehouse)
    warehouse.dbt("build", *CLEAN, hours=[], now=NOW)
    assert warehouse.sql("select count(*) from clean.all_posts") == [(0,)]
    assert warehouse.sql("select count(*) from clean.observations") == [(0,)]


def test_a_full_refresh_keeps_what_is_clean(warehouse: Warehouse) -> None:
    load_some(warehouse)
    warehouse.merge([HOUR], now=NOW)
    warehouse.clear_raw()
    warehouse.dbt("run", "--full-refresh", hours=[], now=NOW)
    assert warehouse.sql("select count(*) from clean.all_posts") == [(3,)]


def test_an_hour_that_is_none_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(AssertionError, match="is not an hour like 2026-11-22T13"):
        warehouse.merge(["2026-11-22 13:00"], now=NOW)


def test_what_fails_its_tests_does_not_count_as_merged(warehouse: Warehouse) -> None:
    load_some(warehouse)
    warehouse.load("fourchan_posts", [post(4, source="hearsay")])
    warehouse.dbt("build", *CLEAN, expect=False, hours=[HOUR], now=NOW)
    assert warehouse.sql("select count(*) from clean.observations") == [(0,)]
    warehouse.sql("delete from raw.fourchan_posts where source = 'hearsay'")
    warehouse.dbt("build", *CLEAN, hours=[HOUR], now=NOW)
    assert warehouse.sql("select count(*) from clean.observations") == [(1,)]


def test_the_key_tests_find_what_stands_twice(warehouse: Warehouse) -> None:
    load_some(warehouse)
    warehouse.merge([HOUR], now=NOW)
    warehouse.sql("insert into clean.posts select * from clean.posts")
    warehouse.sql(
        "insert into clean.threads select * replace ('2010-01-01'::timestamptz as created_at) from clean.threads"
    )
    for variables in ({"hours": [HOUR]}, {"whole": True}):
        done = invoke(
            warehouse, ["test", "--select", "posts", "threads", "--exclude-resource-type", "unit_test"], variables
        )
        assert not done.success
        failed = {result.node.name for result in done.result.results if result.status == "fail"}
        assert failed == {"posts_key", "threads_key", "threads_side"}


@pytest.mark.parametrize("export_first", [True, False])
def test_an_export_counts_where_it_has_a_later_edit(warehouse: Warehouse, export_first: bool) -> None:
    """In whatever order they arrive; the platform's next reading puts it in its place again."""
    observed = "2026-01-15T10:30:00+00:00"

    def message(words: str, source: str, edited: str | None, **fields: Any) -> dict[str, Any]:
        common = {"platform": "discord", "instance": "discord.com", "community": "discord:1/2", "thread_id": "2"}
        told = {"run_id": source, "source": source, "gone": False, "text": words, "content_hash": words}
        times = {"created_at": observed, "observed_at": observed, "hour": f"{HOUR}:00:00+00"}
        return common | told | times | {"edited_timestamp": edited} | fields

    early, late, last = (f"2026-01-15T10:{minute}:00+00:00" for minute in (10, 20, 25))
    api = [message("first", "api", None, post_id="1"), message("edited", "api", late, post_id="2")]
    export = [
        message("second", "export", early, post_id="1"),
        message("before", "export", early, post_id="2"),
        message("as edited", "export", late, post_id="2"),
    ]
    shown = "select post_id, text, source, version_count, edited_at is not null from clean.all_posts order by 1"
    versions = "select post_id, content_hash from clean.post_versions order by all"
    for rows in (export, api) if export_first else (api, export):
        warehouse.clear_raw()
        warehouse.load("discord_posts", rows)
        warehouse.merge([HOUR], now=NOW)
    assert warehouse.sql(shown) == [("1", "second", "export", 2, True), ("2", "edited", "api", 1, True)]
    assert warehouse.sql(versions) == [("1", "first"), ("1", "second"), ("2", "edited")]
    warehouse.clear_raw()
    warehouse.load("discord_posts", [message("third", "api", last, post_id="1", observed_at=last)])
    warehouse.merge([HOUR], now=NOW)
    assert warehouse.sql(shown)[0] == ("1", "third", "api", 2, True)
    assert warehouse.sql(versions) == [("1", "first"), ("1", "third"), ("2", "edited")]


def test_two_keys_may_share_a_number(warehouse: Warehouse) -> None:
    """The number by which statements find rows is no key: what else has it is left as it was."""
    warehouse.load("fourchan_posts", [post(1), post(2), post(3)])
    warehouse.merge([HOUR], now=NOW)
    warehouse.sql("update clean.posts set key_number = (select key_number from clean.posts where post_id = 'po/1')")
    warehouse.sql("update clean.post_versions set key_number = (select any_value(key_number) from clean.posts)")
    before = warehouse.sql("select * from clean.all_posts order by all")
    warehouse.clear_raw()
    warehouse.load(
        "fourchan_posts", [post(1, content_hash="g", text="edited", observed_at="2026-01-15T10:40:00+00:00")]
    )
    warehouse.merge([HOUR], now=NOW)
    after = warehouse.sql("select * from clean.all_posts order by all")
    assert len(after) == 3
    assert [row for row in after if row[4] != "po/1"] == [row for row in before if row[4] != "po/1"]
    assert warehouse.sql("select post_id, version_count from clean.all_posts order by 1") == [
        ("po/1", 2),
        ("po/2", 1),
        ("po/3", 1),
    ]
    assert warehouse.sql("select count(*) from clean.post_versions") == [(4,)]


def test_many_hours_in_one_statement(warehouse: Warehouse) -> None:
    """History brings more hours than a statement can name: it names their span, and the rows are those of the hours."""
    times = [datetime(2010 + n % 10, n % 12 + 1, n % 28 + 1, n % 24, tzinfo=UTC) for n in range(4_000)]
    rows = [post(n, created_at=str(time), hour=str(time)) for n, time in enumerate(times)]
    warehouse.load("fourchan_posts", rows)
    every_other = sorted({f"{time:%Y-%m-%dT%H}" for time in times})[::2]
    warehouse.merge(every_other, now=NOW)
    wanted = sum(f"{time:%Y-%m-%dT%H}" in every_other for time in times)
    assert warehouse.sql("select count(*) from clean.all_posts") == [(wanted,)] and 0 < wanted < 4_000
    warehouse.merge(now=NOW)
    assert warehouse.sql("select count(*), count(distinct post_id) from clean.all_posts") == [(4_000, 4_000)]
    written = (warehouse.target / "run/threadlake/models/clean/posts_history.sql").read_text()
    assert "between" in written or written.count("timestamptz") <= 2_001


def test_dbt_on_the_command_line(tmp_path: Path, target: Path) -> None:
    """As a process of its own, from nothing, in the order of the README."""
    warehouse = Warehouse(tmp_path / "lake.duckdb", target)
    load_some(warehouse)
    command = [Path(sys.executable).with_name("dbt"), "build", "--project-dir", PROJECT, "--profiles-dir", PROJECT]
    environment = {"THREADLAKE_WAREHOUSE": str(warehouse.path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    places = {"DBT_TARGET_PATH": str(tmp_path / "target"), "DBT_LOG_PATH": str(tmp_path / "logs")}
    done = subprocess.run(
        [*command, "--exclude-resource-type", "unit_test"], env=environment | places, capture_output=True
    )
    assert done.returncode == 0, done.stdout.decode()
    assert warehouse.sql("select count(*) from clean.all_posts") == [(3,)]
    assert not (PROJECT / "target").exists()
