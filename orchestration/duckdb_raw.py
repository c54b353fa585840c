"""The statements that fill the raw tables of a DuckDB file: whole partitions, from all files that commits name."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from extractors.lake import HOUR_FORMAT, Commit, Lake
from extractors.platform import Platform
from extractors.records import COMMON, entities
from orchestration.tables import OBSERVATIONS, observations, raw_schema
from orchestration.warehouse import Loaded, receipts_by_hour, rows_by_hour

if TYPE_CHECKING:
    import duckdb

PARSED = ("text", "quotes", "links", "content_hash")  # of the common columns
KEPT = frozenset((*COMMON.names, "hour", "loaded_at")).difference(PARSED)
"""What a quarantined row keeps."""
WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")
log = logging.getLogger(__name__)


def replace_partitions(
    connection: "duckdb.DuckDBPyConnection",
    lake: Lake,
    platforms: Sequence[Platform],
    commits: Mapping[str, Sequence[Commit]],
    hours: Sequence[datetime],
    now: datetime,
) -> Loaded:
    connection.execute("create schema if not exists raw")
    _fit(connection, "observations", OBSERVATIONS, [])
    misfits: dict[str, list[str]] = {}
    rows: dict[str, dict[datetime, int]] = {}
    files = 0
    for platform in platforms:
        for entity in entities(platform):
            table = f"{platform.name}_{entity}"
            columns = _fit(connection, table, raw_schema(platform, entity), misfits.setdefault(table, []))
            delete_hours(connection, f"raw.{table}", hours)
            named = [commit.files[entity] for commit in commits[platform.name] if entity in commit.files]
            for some in lake.local(named):
                _insert(connection, table, columns, [str(path) for path in some], now, misfits[table])
            files += len(named)
            rows[table] = rows_by_hour(commits[platform.name], entity)
        delete_hours(connection, "raw.observations", hours, platform.name)
        batch = observations(commits[platform.name], now)  # noqa: F841 - DuckDB finds it by its name
        connection.execute("insert into raw.observations by name select * from batch")
        rows["observations"] = receipts_by_hour(commits[platform.name], rows.get("observations", {}))
    return Loaded(rows, files, misfits)


def _insert(
    connection: "duckdb.DuckDBPyConnection",
    table: str,
    columns: Mapping[str, str],
    files: list[str],
    now: datetime,
    misfits: list[str],
) -> None:
    """Files of one shape at a time: DuckDB makes one kind of what several files have, and never says so."""
    shapes = connection.execute(
        """
        select list(file_name order by file_name) from (
            select file_name, list((name, type, logical_type) order by all) as shape
            from parquet_schema($files) group by file_name
        ) group by shape
        """,
        {"files": files},
    ).fetchall()
    for (alike,) in shapes:
        source = "read_parquet($files, union_by_name = true, filename = '_file', hive_partitioning = false)"
        told = {"files": alike}
        found = connection.execute(f"describe select * exclude (_file) from {source}", told).fetchall()
        kinds = {name: kind for name, kind, *_ in found if name in columns}
        values, source = _cast(connection, alike[0], source, kinds, columns, told, misfits)
        hour = "timezone('UTC', strptime(regexp_extract(_file, '.*/hour=([^/]+)/', 1), '%Y-%m-%dT%H'))"
        connection.execute(
            f"insert into raw.{table} ({_names(kinds)}, hour, loaded_at) select {values}, {hour}, $now from {source}",
            told | {"now": now},
        )


def _fit(connection: "duckdb.DuckDBPyConnection", table: str, schema: Any, misfits: list[str]) -> dict[str, str]:
    """Create the table, add the columns it lacks, cast those that are declared anew; return its columns' kinds."""
    empty = schema.empty_table()  # noqa: F841 - DuckDB finds it by its name
    wanted = {name: kind for name, kind, *_ in connection.execute("describe select * from empty").fetchall()}
    if not exists(connection, "raw", table):
        connection.execute(f"create table raw.{table} as select * from empty")
        return wanted
    there = {name: kind for name, kind, *_ in connection.execute(f"describe raw.{table}").fetchall()}
    if any(there[name] != wanted[name] for name in there.keys() & wanted.keys()):
        values, source = _cast(connection, f"raw.{table}", f"raw.{table}", there, there | wanted, {}, misfits)
        connection.execute(f"create or replace table raw.{table} as select {values} from {source}")
    for name in wanted.keys() - there.keys():
        connection.execute(f'alter table raw.{table} add column "{name}" {wanted[name]}')
    return there | wanted


def _cast(
    connection: "duckdb.DuckDBPyConnection",
    place: str,
    source: str,
    there: Mapping[str, str],
    wanted: Mapping[str, str],
    told: Mapping[str, Any],
    misfits: list[str],
) -> tuple[str, str]:
    """What to select, and from what, so that `source` with columns of the kinds `there` has the `wanted` ones. A value
    that does not fit puts its row into quarantine, as it would have when it was crawled, and is told in `misfits`."""
    changed = {name: kind for name, kind in there.items() if kind != wanted[name]}
    if not changed:
        return _names(there), source
    cast = {name: f'try_cast(cast("{name}" as varchar) as {wanted[name]})' for name in changed}
    cases = []
    for name in changed:
        number = f'try_cast(cast("{name}" as varchar) as double)'
        fits = f"{cast[name]} = {number}" if wanted[name] in WHOLE else f"{cast[name]} is not null"
        said = f"""'{name}: expected {wanted[name]}, got ' || left(cast("{name}" as varchar), 400)"""
        cases.append(f'when "{name}" is not null and not coalesce({fits}, false) then {said}')
    source = f"(select *, case {' '.join(cases)} end as _misfit from {source})"
    values = []
    for name in there:
        value = cast.get(name, f'"{name}"')
        if name == "parse_error":
            value = "coalesce(parse_error, _misfit)"
        elif name not in KEPT:
            value = f"case when _misfit is null then {value} end"
        values.append(f'{value} as "{name}"')
    (misfit,) = connection.execute(f"select count(_misfit) from {source}", told).fetchone() or (0,)
    kinds = ", ".join(f"{name} from {kind} to {wanted[name]}" for name, kind in changed.items())
    log.warning("%s: columns cast because the platform declares them anew: %s.", place, kinds)
    if misfit:
        misfits.append(
            f"{misfit} rows of {place} do not fit a column declared anew ({kinds}) and are missing from the clean "
            "tables: give the new kind a name of its own in the platform's columns; the lake keeps the values."
        )
    return ", ".join(values), source


def _names(columns: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


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
