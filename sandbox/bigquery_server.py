"""The process that stands in for BigQuery: local-bigquery 0.4.0, mended at its start to do as BigQuery does.

It runs in `.venv-bigquery`, an environment of its own, and knows nothing of this project. `bigquery.py` starts it.
"""

import importlib.machinery
import re
import sys
from contextlib import suppress
from types import CodeType
from typing import Any

import duckdb
from duckdb_extensions import import_extension

for extension in ("icu", "ducklake", "spatial"):  # from packages: DuckDB would download them
    import_extension(extension)


def _generic(text: str) -> str:
    def plain(found: re.Match[str]) -> str:
        return f"def {found[1]}({re.sub(': (?:type.R.|R|str)', '', found[2])}):"

    return re.sub(r"^def (\w+)\[R(?:: \w+)?\]\((.*)\) -> .*:$", plain, text, flags=re.MULTILINE)


def _quotes(text: str) -> str:
    return text.replace("""{message.replace("'", "''")}""", "{message.replace(chr(39), chr(39) * 2)}")


LATER_SYNTAX = {"local_bigquery.catalog.metadata": _generic, "local_bigquery.engine.results": _quotes}
"""It is written for Python 3.13, of whose syntax it has two lines."""
_compile = importlib.machinery.SourceFileLoader.source_to_code


def _source_to_code(self: Any, data: Any, path: Any, *, _optimize: int = -1) -> CodeType:
    if self.name in LATER_SYNTAX:
        data = LATER_SYNTAX[self.name](bytes(data).decode()).encode()
    return _compile(self, data, path, _optimize=_optimize)


if sys.version_info < (3, 13):
    importlib.machinery.SourceFileLoader.source_to_code = _source_to_code  # type: ignore[method-assign]

from local_bigquery.catalog import metadata, tables  # noqa: E402
from local_bigquery.engine import database  # noqa: E402
from local_bigquery.engine.database import quote  # noqa: E402
from local_bigquery.errors import BigQueryError  # noqa: E402
from local_bigquery.jobs import load, query  # noqa: E402
from local_bigquery.models import Table  # noqa: E402
from local_bigquery.sql.rules import tables as rules  # noqa: E402
from sqlglot import exp  # noqa: E402

# -- storage -----------------------------------------------------------------------------------------------------------


def attach(con: Any, project_id: str) -> None:
    """Tables in memory, where this server has DuckLake in files: nobody here asks for what stood there before."""
    con.execute(f"ATTACH IF NOT EXISTS ':memory:' AS {quote(project_id)}")
    database._attached.add(project_id)


database._attach = attach

# -- a table's name is a table's name --------------------------------------------------------------------------------

_reference = tables.reference


def reference(table: Any) -> tuple[str, str, str]:
    """`table$2026112213` is a partition of it. This server would make a table of that name: it says no instead."""
    found: tuple[str, str, str] = _reference(table)
    if "$" in found[2]:
        raise BigQueryError("invalid", f"Partition decorators are not served here: {found[2]}")
    return found


tables.reference = reference

# -- filters of partitions ---------------------------------------------------------------------------------------------

_check = rules._check


def check(tree: Any, table: Any, is_target: bool) -> None:
    """Who deletes or updates rows of a table that requires a filter must name its partitions, too: the server looks
    only at what is read."""
    if isinstance(tree, exp.Delete | exp.Update) and table in tree.this.find_all(exp.Table):
        stored = metadata.load(Table, table.catalog, table.db, table.name) or Table()
        where = tree.args.get("where")
        named = {column.name for column in where.find_all(exp.Column)} if where else set()
        if stored.requirePartitionFilter and stored.timePartitioning.field not in named:
            raise BigQueryError(
                "invalidQuery",
                f"Cannot query over table '{table.catalog}.{table.db}.{table.name}' without a filter over column(s) "
                f"'{stored.timePartitioning.field}' that can be used for partition elimination",
            )
        is_target = True
    _check(tree, table, is_target)


rules._check = check

# -- jobs --------------------------------------------------------------------------------------------------------------

_execute = query.execute


def execute(cur: Any, project_id: str, job_id: str, config: Any, dry_run: bool = False, session: Any = None) -> Any:
    """A CREATE TABLE AS SELECT reports the table it made, which dbt asks for."""
    statistics, children, destination = _execute(cur, project_id, job_id, config, dry_run=dry_run, session=session)
    if statistics.statementType == "CREATE_TABLE_AS_SELECT" and statistics.ddlTargetTable:
        destination = statistics.ddlTargetTable
    return statistics, children, destination


query.execute = execute

# -- Parquet -----------------------------------------------------------------------------------------------------------

SAME = {
    "STRING": {"VARCHAR"},
    "INTEGER": {"BIGINT", "INTEGER", "SMALLINT", "TINYINT"},
    "FLOAT": {"DOUBLE", "FLOAT"},
    "BOOLEAN": {"BOOLEAN"},
    "TIMESTAMP": {"TIMESTAMP WITH TIME ZONE"},
}
STANDARD = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}
_hive, _reader, _projection = load._hive, load._reader, load._projection


def hive(config: Any) -> Any:
    """Only who asks for it gets columns from a path."""
    return _hive(config) or {"hive_partitioning": "false"}


def reader(cur: Any, files: str, config: Any, fields: Any) -> str:
    """Files of different columns are read together, by name. A file whose column has another type is refused: BigQuery
    converts nothing, DuckDB would."""
    made: str = _reader(cur, files, config, fields)
    if (config.sourceFormat or "CSV") != "PARQUET":
        return made
    wanted = {field.name.casefold(): field for field in fields}
    for (file,) in cur.sql(f"SELECT unnest({files})").fetchall():
        with suppress(duckdb.IOException):
            for name, kind, *_ in cur.sql(
                f"DESCRIBE SELECT * FROM read_parquet('{file}', hive_partitioning=false)"
            ).fetchall():
                field = wanted.get(name.casefold())
                if field is None:
                    continue
                kinds = SAME.get(STANDARD.get(field.type, field.type), {kind})
                if field.mode == "REPEATED":
                    kinds = {f"{one}[]" for one in kinds}
                if kind not in kinds:
                    raise ValueError(
                        f"Parquet column '{name}' has type {kind} which does not match the target type {field.type}."
                    )
    return made[:-1] + ", union_by_name = true)"


def projection(config: Any, fields: Any, columns: list[str]) -> Any:
    """A column that no file has is null."""
    here = {column.casefold() for column in columns}
    if (config.sourceFormat or "CSV") == "PARQUET" and fields:
        found, bad = _projection(config, [field for field in fields if field.name.casefold() in here], columns)
        missing = [
            f"CAST(NULL AS {load.types.duckdb_type(field)}) AS {quote(field.name)}"
            for field in fields
            if field.name.casefold() not in here
        ]
        return ", ".join([found, *missing]), bad
    return _projection(config, fields, columns)


load._hive, load._reader, load._projection = hive, reader, projection

if __name__ == "__main__":
    from local_bigquery.cli import main

    main()
