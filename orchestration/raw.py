"""The statements that fill the raw tables: whole partitions, from all files that the lake's commits name."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extractors.lake import HOUR_FORMAT, Commit, Lake
from extractors.platform import Entity, Platform, windows
from extractors.records import entities
from orchestration.tables import OBSERVATIONS, observations, raw_schema

if TYPE_CHECKING:
    import duckdb


class WarehouseError(Exception):
    """The warehouse cannot be used or the lake does not fit it; the sentence says what to do."""


@dataclass(frozen=True)
class Loaded:
    """What one load did: rows by raw table and hour, and how many files they came from."""

    rows: Mapping[str, Mapping[datetime, int]] = field(default_factory=dict)
    files: int = 0

    def total(self, table: str) -> int:
        return sum(self.rows.get(table, {}).values())


def committed(lake: Lake, platform: str, hours: Iterable[datetime]) -> list[Commit]:
    """What is committed of these hours, in as few listings as they have gaps."""
    return [commit for window in windows(list(hours)) for commit in lake.commits(platform, window.start, window.end)]


def replace_partitions(
    connection: "duckdb.DuckDBPyConnection",
    lake: Lake,
    platforms: Sequence[Platform],
    commits: Mapping[str, Sequence[Commit]],
    hours: Sequence[datetime],
    now: datetime,
) -> Loaded:
    connection.execute("create schema if not exists raw")
    _fit(connection, "observations", OBSERVATIONS)
    rows: dict[str, dict[datetime, int]] = {}
    files = 0
    for platform in platforms:
        for entity in entities(platform):
            table = f"{platform.name}_{entity}"
            columns = _fit(connection, table, raw_schema(platform, entity))
            delete_hours(connection, f"raw.{table}", hours)
            names = [commit.files[entity].name for commit in commits[platform.name] if entity in commit.files]
            if names:
                _insert(connection, table, columns, [lake.store.location(name) for name in names], now)
            files += len(names)
            rows[table] = _count(commits[platform.name], entity)
        delete_hours(connection, "raw.observations", hours, platform.name)
        batch = observations(commits[platform.name], now)  # noqa: F841 - DuckDB finds it by its name
        connection.execute("insert into raw.observations by name select * from batch")
        rows["observations"] = rows.get("observations", {})
        for commit in commits[platform.name]:
            rows["observations"][commit.hour] = rows["observations"].get(commit.hour, 0) + len(commit.communities)
    return Loaded(rows, files)


def _insert(
    connection: "duckdb.DuckDBPyConnection", table: str, columns: Mapping[str, str], files: list[str], now: datetime
) -> None:
    source = "read_parquet($files, union_by_name = true, filename = '_file', hive_partitioning = false)"
    found = connection.execute(f"describe select * exclude (_file) from {source}", {"files": files}).fetchall()
    kinds = {name: kind for name, kind, *_ in found}
    for name in kinds.keys() & columns.keys():
        if kinds[name] != columns[name] and not {kinds[name], columns[name]} <= {"INTEGER", "BIGINT"}:
            raise WarehouseError(
                f"Column {name} of raw.{table} is {columns[name]}, but {kinds[name]} in the lake's files from "
                f"{Path(files[0]).name} on: give the new kind a name of its own in the platform's schema."
            )
    names = ", ".join(f'"{name}"' for name in kinds if name in columns)
    hour = "timezone('UTC', strptime(regexp_extract(_file, '.*/hour=([^/]+)/', 1), '%Y-%m-%dT%H'))"
    query = f"insert into raw.{table} ({names}, hour, loaded_at) select {names}, {hour}, $now from {source}"
    connection.execute(query, {"files": files, "now": now})


def _fit(connection: "duckdb.DuckDBPyConnection", table: str, schema: Any) -> dict[str, str]:
    """Create the table or add the columns it lacks; return its columns' types. Refuses a changed type."""
    empty = schema.empty_table()  # noqa: F841 - DuckDB finds it by its name
    wanted = {name: kind for name, kind, *_ in connection.execute("describe select * from empty").fetchall()}
    if not exists(connection, "raw", table):
        connection.execute(f"create table raw.{table} as select * from empty")
        return wanted
    there = {name: kind for name, kind, *_ in connection.execute(f"describe raw.{table}").fetchall()}
    for name, kind in wanted.items():
        if name not in there:
            connection.execute(f'alter table raw.{table} add column "{name}" {kind}')
        elif there[name] != kind:
            raise WarehouseError(
                f"Column {name} of raw.{table} is {there[name]}, but the platform now declares {kind}: give the new "
                f"kind a name of its own, or drop the table raw.{table}, which is loaded again from the lake."
            )
    return there | wanted


def _count(commits: Iterable[Commit], entity: Entity) -> dict[datetime, int]:
    counts: dict[datetime, int] = {}
    for commit in commits:
        counts[commit.hour] = counts.get(commit.hour, 0) + (commit.files[entity].rows if entity in commit.files else 0)
    return counts


def delete_hours(
    connection: "duckdb.DuckDBPyConnection", table: str, hours: Sequence[datetime], platform: str = ""
) -> None:
    keys = [f"{hour:{HOUR_FORMAT}}" for hour in hours]
    only = " and platform = $platform" if platform else ""
    connection.execute(
        f"delete from {table} where hour in (select timezone('UTC', strptime(unnest($hours), '%Y-%m-%dT%H'))){only}",
        {"hours": keys} | ({"platform": platform} if platform else {}),
    )


def exists(connection: "duckdb.DuckDBPyConnection", schema: str, table: str) -> bool:
    query = "select 1 from information_schema.tables where table_schema = $schema and table_name = $table"
    return bool(connection.execute(query, {"schema": schema, "table": table}).fetchall())
