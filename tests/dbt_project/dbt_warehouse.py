"""A DuckDB warehouse with raw tables, and the dbt project run on it inside this process."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import yaml
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.adapters.factory import cleanup_connections, reset_adapters
from dbt.cli.main import dbtRunner, dbtRunnerResult

PROJECT = Path(os.environ.get("THREADLAKE_DBT", Path(__file__).parents[2] / "dbt_project"))
SOURCES = yaml.safe_load((PROJECT / "models/staging/_sources.yml").read_text())["sources"][0]["tables"]
HOURLY = ("--exclude", "tag:daily", "--exclude-resource-type", "unit_test")
"""What an hourly build leaves out."""
CLEAN = ("--exclude", "tag:daily", "path:models/marts", "--exclude-resource-type", "unit_test")
"""The same without marts, which are most of its work."""


@dataclass
class Warehouse:
    """A warehouse file. The manifest of the first invocation serves all of a session."""

    path: Path
    target: Path

    def __post_init__(self) -> None:
        with self.connect() as connection:
            connection.execute("create schema if not exists raw")
            for table in SOURCES:
                columns = ", ".join(f'"{column["name"]}" {column["data_type"]}' for column in table["columns"])
                connection.execute(f"create table if not exists raw.{table['name']} ({columns})")

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with duckdb.connect(str(self.path)) as connection:
            connection.execute("set TimeZone = 'UTC'")
            yield connection

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            return connection.execute(query).fetchall()

    def rows(self, relation: str) -> list[dict[str, Any]]:
        """All rows of a relation, as dictionaries; times as microseconds since 1970."""
        with self.connect() as connection:
            described = connection.execute(f"describe {relation}").fetchall()
            columns = ", ".join(
                f'epoch_us("{name}") as "{name}"' if kind.startswith("TIMESTAMP") else f'"{name}"'
                for name, kind, *_ in described
            )
            result = connection.execute(f"select {columns} from {relation}")
            return [dict(zip([name for name, *_ in described], row, strict=True)) for row in result.fetchall()]

    def load(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append rows to a raw table; times in ISO."""
        rows = list(rows)
        if not rows:
            return
        kinds = {c["name"]: c["data_type"] for t in SOURCES if t["name"] == table for c in t["columns"]}
        fields = sorted({name for row in rows for name in row})
        texts = {name: [None if row.get(name) is None else str(row[name]) for row in rows] for name in fields}
        columns = ", ".join(f'"{name}"' for name in fields)
        values = ", ".join(f'"{name}"::{kinds[name]}' for name in fields)
        with self.connect() as connection:
            connection.register("loaded", pa.table({name: pa.array(texts[name], pa.string()) for name in fields}))
            connection.execute(f"insert into raw.{table} ({columns}) select {values} from loaded")

    def clear_raw(self) -> None:
        for table in SOURCES:
            self.sql(f"delete from raw.{table['name']}")

    def dbt(self, *arguments: str, expect: bool = True, **variables: Any) -> Any:
        """Run dbt; return its results. With `expect=False` it must fail."""
        done = invoke(self, arguments, variables)
        messages = [f"{r.node.name}: {r.message}" for r in getattr(done.result, "results", []) if r.message]
        assert done.success == expect, (done.exception, messages)
        return done

    def merge(self, hours: Iterable[str] | None = None, marts: bool = False, **variables: Any) -> Any:
        """What orchestration runs each hour, without its tests and without what views are; marts where they are asked
        for."""
        if hours is not None:
            variables["hours"] = list(hours)
        models = ["new_posts", "new_threads", "new_authors", "clean,config.materialized:incremental"]
        models += ["marts,config.materialized:incremental", "marts,config.materialized:table"] if marts else []
        return self.dbt("run", "--select", *models, **variables)


def invoke(
    warehouse: Warehouse,
    arguments: Sequence[str],
    variables: Mapping[str, Any],
    callbacks: list[Callable[[Any], None]] | None = None,
) -> dbtRunnerResult:
    """Run dbt in this process, and let go of the warehouse."""
    os.environ["THREADLAKE_WAREHOUSE"] = str(warehouse.path)
    places = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    places += ["--target-path", str(warehouse.target), "--log-path", str(warehouse.target / "logs")]
    written = [] if "docs" in arguments else ["--no-write-json"]
    try:
        return dbtRunner(manifest(), callbacks=callbacks or []).invoke(
            ["--quiet", "--no-use-colors", *written, *arguments, "--vars", json.dumps(variables), *places]
        )
    finally:
        cleanup_connections()
        DuckDBConnectionManager.close_all_connections()
        reset_adapters()


_MANIFEST: list[Any] = []


def manifest() -> Any:
    """The parsed project, once a process."""
    if not _MANIFEST:
        os.environ.setdefault("THREADLAKE_WAREHOUSE", "threadlake.duckdb")  # the file gives the catalog its name
        target = Path(os.environ["THREADLAKE_TEST_TARGET"])
        places = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
        done = dbtRunner().invoke(
            ["--quiet", "parse", "--no-partial-parse", *places, "--target-path", str(target), "--log-path", str(target)]
        )
        assert done.success, done.exception
        _MANIFEST.append(done.result)
    return _MANIFEST[0]
