"""The statements that erase an author or posts from DuckDB's clean tables, and that look whether anything is left."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from extractors.erasure import Traces
from orchestration.duckdb_raw import exists
from orchestration.warehouse import CLEAN_KEYS

if TYPE_CHECKING:
    import duckdb

MINE = "platform = $platform and instance = $instance"


def forget(connection: "duckdb.DuckDBPyConnection", platform: str, traces: Traces) -> int:
    """See `Warehouse.forget`; the caller's transaction."""
    here: dict[str, Any] = {"platform": platform, "instance": traces.instance}
    doomed = traces.clean()
    tables = {name for names in CLEAN_KEYS.values() for name in names if exists(connection, "clean", name)}
    if traces.author is not None:  # what the lake does not have any more, the clean tables may have
        for name, key in (("posts", "post_id"), ("threads", "thread_id")):
            for table in (name, f"{name}_history"):
                if table in tables:
                    said = f"select {key} from clean.{table} where {MINE} and author_id = $author"
                    rows = connection.execute(said, here | {"author": traces.author}).fetchall()
                    doomed[key].update(id for (id,) in rows)
    deleted = 0
    for key, names in CLEAN_KEYS.items():
        told = here | {"ids": sorted(doomed[key])}
        for table in (name for name in names if name in tables):
            where = f"{MINE} and {key} in (select unnest($ids::varchar[]))"
            kind = table.partition("_")[0]
            if key != "author_id" and table != "post_versions" and exists(connection, "clean", "changed_hours"):
                connection.execute(
                    f"insert into clean.changed_hours (kind, platform, instance, hour) "
                    f"select distinct '{kind}', platform, instance, created_hour from clean.{table} where {where} "
                    f"except select kind, platform, instance, hour from clean.changed_hours",
                    told,
                )
            (gone,) = connection.execute(f"delete from clean.{table} where {where}", told).fetchone() or (0,)
            deleted += gone if kind == "posts" else 0
    connection.execute(
        "delete from clean.observations where platform = $platform and hour in (select unnest($hours::timestamptz[]))",
        {"platform": platform, "hours": sorted(traces.hours)},
    )
    return int(deleted)


def showing(
    connection: "duckdb.DuckDBPyConnection", platform: str, instance: str, patterns: Sequence[str]
) -> dict[str, int]:
    """See `Warehouse.showing`."""
    tables = connection.execute(
        "select schema_name, table_name, list(column_name) from duckdb_columns() join duckdb_tables() "
        "using (database_name, schema_name, table_name) where database_name = current_database() group by all"
    ).fetchall()
    found = {}
    for schema, table, columns in tables:
        whose = [f"{name} = ${name}" for name in ("platform", "instance") if name in columns]
        where = " and ".join([*whose, "regexp_matches(cast(to_json(one) as varchar), $pattern)"])
        told = {"platform": platform, "instance": instance}
        asked = {name: value for name, value in told.items() if name in columns} | {"pattern": "|".join(patterns)}
        query = f'select count(*) from {schema}."{table}" as one where {where}'
        (rows,) = connection.execute(query, asked).fetchone() or (0,)
        if rows:
            found[f"{schema}.{table}"] = int(rows)
    return found
