"""The warehouse of one machine: a DuckDB file and its lock. The statements that load stand in `duckdb_raw.py`."""

import fcntl
import logging
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extractors.erasure import Traces
from extractors.imports import RUN
from extractors.lake import Lake
from extractors.platform import Platform
from extractors.records import entities
from orchestration.duckdb_erasure import forget, showing
from orchestration.duckdb_raw import delete_hours, exists, replace_partitions
from orchestration.warehouse import (
    PATIENCE,
    Answer,
    Loaded,
    QueryError,
    Warehouse,
    WarehouseBusyError,
    WarehouseError,
    locked,
)

if TYPE_CHECKING:
    import duckdb

log = logging.getLogger(__name__)


class DuckDBFile(Warehouse):
    """One DuckDB file. Its lock file is taken shared to read and alone to write, and the kernel frees it with its
    holder; so no process of ours meets DuckDB's own lock, which makes whoever comes second fail."""

    kind, target = "duckdb", "local"

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self.path, self.patience = path, patience
        self.name, self.catalog = str(path), path.stem

    @property
    def environment(self) -> dict[str, str]:
        return {"THREADLAKE_WAREHOUSE": str(self.path)}

    def let_go(self) -> None:
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager

        # else the file stays open until the process ends
        DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]

    # -- opening -----------------------------------------------------------------------------------------------

    @contextmanager
    def alone(self, patience: float | None = None) -> Iterator[None]:
        """Nobody else of ours has the file open inside."""
        with self._locked(fcntl.LOCK_EX, self.patience if patience is None else patience):
            yield

    @contextmanager
    def open(self, *, read_only: bool = False, patience: float | None = None) -> Iterator["duckdb.DuckDBPyConnection"]:
        """A connection in UTC. Waits for the file; raises WarehouseBusyError or WarehouseError."""
        patience = self.patience if patience is None else patience
        until = time.monotonic() + patience
        if read_only and not self.path.exists():
            raise WarehouseError(f"There is no warehouse at {self.path} yet: the first load makes it.")
        how = fcntl.LOCK_SH if read_only else fcntl.LOCK_EX
        with self._locked(how, patience), self._connect(read_only, until) as connection:
            connection.execute("set TimeZone = 'UTC'")
            yield connection

    def _locked(self, how: int, patience: float) -> AbstractContextManager[None]:
        return locked(Path(f"{self.path}.lock"), how, patience, self.name)

    def _connect(self, read_only: bool, until: float) -> "duckdb.DuckDBPyConnection":
        import duckdb  # 90 ms, which a run that only crawls need not pay

        said = False
        while True:
            try:
                return duckdb.connect(self.path, read_only=read_only)
            except duckdb.IOException as problem:
                if "lock" not in str(problem):
                    raise WarehouseError(f"The warehouse {self.path} cannot be opened: {problem}") from problem
                holder = re.search(r"held in (.+? \(PID \d+\))", str(problem))
                who = holder[1] if holder else "another program"
                if time.monotonic() > until:
                    raise WarehouseBusyError(f"The warehouse {self.path} is held by {who}: close it there.") from None
                if not said:
                    log.warning("Waiting for the warehouse %s, which is held by %s.", self.path, who)
                    said = True
                time.sleep(0.2)

    # -- asking ------------------------------------------------------------------------------------------------

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None, patience: float | None = None) -> Answer:
        import duckdb

        with self.open(read_only=True, patience=patience) as connection:
            try:
                found = connection.execute(sql, dict(parameters or {}))
                return Answer([column[0] for column in found.description or ()], found.fetchall())
            except duckdb.Error as problem:
                raise QueryError(f"The query failed: {problem}") from None

    def columns(
        self, sql: str, parameters: Mapping[str, Any] | None = None, patience: float | None = None
    ) -> list[str]:
        return [name for name, *_ in self.query(f"describe {sql}", parameters, patience).rows]

    def tables(self, patience: float | None = None) -> dict[str, int]:
        with self.open(read_only=True, patience=patience) as connection:
            names = connection.execute(
                "select schema_name || '.' || table_name from duckdb_tables() "
                "where schema_name in ('raw', 'clean', 'marts') order by 1"
            ).fetchall()
            return {name: connection.execute(f"select count(*) from {name}").fetchall()[0][0] for (name,) in names}

    def has(self, schema: str, table: str, patience: float | None = None) -> bool:
        if not self.path.exists():
            return False
        with self.open(read_only=True, patience=patience) as connection:
            return exists(connection, schema, table)

    # -- loading -----------------------------------------------------------------------------------------------

    def load(self, lake: Lake, platforms: Sequence[Platform], hours: Iterable[datetime], now: datetime) -> Loaded:
        """In one transaction. A column that changed its kind is cast."""
        hours = sorted(set(hours))
        with self.open() as connection:
            import duckdb

            for attempt in (1, 2):
                commits = {platform.name: lake.loadable(platform.name, hours) for platform in platforms}
                try:
                    connection.begin()
                    loaded = replace_partitions(connection, lake, platforms, commits, hours, now)
                    connection.commit()
                    return loaded
                except (duckdb.IOException, FileNotFoundError) as problem:
                    with suppress(duckdb.Error):
                        connection.rollback()
                    # a rewrite deletes a file after its successor's commit: the next listing names that one
                    if attempt == 2 or not re.search("[Nn]o such file|No files found", str(problem)):
                        raise WarehouseError(f"The lake's files cannot be loaded: {problem}") from problem
        raise AssertionError

    def merged(self, since: datetime | None = None, patience: float | None = None) -> set[str]:
        if not self.path.exists():
            return set()
        with self.open(read_only=True, patience=patience) as connection:
            if not exists(connection, "clean", "observations"):
                return set()
            query = f"""
                select distinct commit_id from clean.observations where hour >= $since or run_id like '{RUN}%'
            """
            found = connection.execute(query, {"since": since or datetime(1970, 1, 1, tzinfo=UTC)})
            return {name for (name,) in found.fetchall()}

    def purge(self, key: str, renamed: Mapping[str, str | None]) -> tuple[int, bool]:
        if not self.path.exists():
            return 0, False
        rows = 0
        with self.open() as connection:
            tables = connection.execute(
                "select table_schema, table_name from information_schema.columns join information_schema.tables "
                "using (table_catalog, table_schema, table_name) where column_name = 'community' "
                "and table_type = 'BASE TABLE' and table_catalog = current_database()"
            ).fetchall()
            connection.begin()
            for schema, table in tables:
                statement = f'delete from "{schema}"."{table}" where community = $key'
                (deleted,) = connection.execute(statement, {"key": key}).fetchone() or (0,)
                rows += deleted
            names = [[old, new] for old, new in renamed.items() if new]
            for schema in ("raw", "clean"):
                if names and exists(connection, schema, "observations"):
                    connection.execute(
                        f"update {schema}.observations as known set commit_id = fresh.pair[2] "
                        "from (select unnest($names) as pair) as fresh where known.commit_id = fresh.pair[1]",
                        {"names": names},
                    )
            authors = exists(connection, "clean", "author_names") and exists(connection, "clean", "authors")
            if authors:  # whom nobody else's posts show
                connection.execute(
                    "delete from clean.authors where key_number not in (select key_number from clean.author_names)"
                )
            connection.commit()
            connection.execute("checkpoint")  # so that the file does not keep what was deleted
            return rows, authors

    def forget(self, platform: str, traces: Traces) -> int:
        if not self.path.exists():
            return 0
        with self.open() as connection:
            if not exists(connection, "clean", "observations"):
                return 0
            connection.begin()
            rows = forget(connection, platform, traces)
            connection.commit()
            connection.execute("checkpoint")
            return rows

    def showing(self, platform: str, instance: str, patterns: Sequence[str]) -> dict[str, int]:
        if not self.path.exists():
            return {}
        with self.open(read_only=True) as connection:
            return showing(connection, platform, instance, patterns)

    def drop_raw(self, platforms: Sequence[Platform], loaded_before: datetime) -> int:
        with self.open() as connection:
            if not exists(connection, "raw", "observations") or not exists(connection, "clean", "observations"):
                return 0
            old = connection.execute(
                """
                select platform, hour from raw.observations
                group by all
                having max(loaded_at) < $before and bool_and(commit_id in (select commit_id from clean.observations))
                """,
                {"before": loaded_before},
            ).fetchall()
            connection.begin()
            for platform in platforms:
                hours = [hour for name, hour in old if name == platform.name]
                for entity in entities(platform):
                    if hours and exists(connection, "raw", f"{platform.name}_{entity}"):
                        delete_hours(connection, f"raw.{platform.name}_{entity}", hours)
                if hours:
                    delete_hours(connection, "raw.observations", hours, platform.name)
            connection.commit()
            return len(old)
