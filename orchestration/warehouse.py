"""The warehouse's file and its lock; what of the lake is loaded, merged, and old enough to be dropped again.

The statements stand in `raw.py`. What is done with raw rows belongs in the dbt project.
"""

import fcntl
import logging
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from extractors.discord import Discord
from extractors.imports import RUN
from extractors.lake import Lake
from extractors.platform import Platform
from extractors.records import entities
from orchestration.raw import Loaded, WarehouseError, committed, delete_hours, exists, replace_partitions

if TYPE_CHECKING:
    import duckdb

PATIENCE = 3600.0
"""Seconds to wait for whoever has the warehouse: a backfill's dbt run may take most of an hour."""
SAY_AFTER = 5.0

log = logging.getLogger(__name__)


class WarehouseBusyError(WarehouseError):
    """Somebody else has it; try again later."""


class Warehouse:
    """One DuckDB file. Its lock file is taken shared to read and alone to write, and the kernel frees it with its
    holder; so no process of ours meets DuckDB's own lock, which makes whoever comes second fail."""

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self.path, self.patience = path, patience

    # -- opening -----------------------------------------------------------------------------------------------

    @contextmanager
    def alone(self, patience: float | None = None) -> Iterator[None]:
        """Nobody else of ours has the file open inside. Waits; raises WarehouseBusyError."""
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

    @contextmanager
    def _locked(self, how: int, patience: float) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        said = False
        # opened for appending, so that taking the lock does not erase who holds it
        with Path(f"{self.path}.lock").open("a+") as file:
            while True:
                try:
                    fcntl.flock(file, how | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    waited = time.monotonic() - began
                    file.seek(0)
                    who = file.read().strip() or "another process"
                    if waited >= patience:
                        raise WarehouseBusyError(
                            f"The warehouse {self.path} is in use by {who}; waited {waited:.0f} s for it."
                        ) from None
                    if waited > SAY_AFTER and not said:
                        log.warning("Waiting for the warehouse %s, which is in use by %s.", self.path, who)
                        said = True
                    time.sleep(0.05)
            if how == fcntl.LOCK_EX:
                file.truncate(0)
                file.write(f"process {os.getpid()} since {datetime.now(UTC):%H:%M:%S} UTC")
                file.flush()
            yield

    # -- loading -----------------------------------------------------------------------------------------------

    def load(self, lake: Lake, platforms: Sequence[Platform], hours: Iterable[datetime], now: datetime) -> Loaded:
        """Replace the partitions of these hours from all that the lake has committed of them, in one transaction.

        A column that changed its kind is cast. Raises WarehouseError where a file cannot be read.
        """
        hours = sorted(set(hours))
        with self.open() as connection:
            import duckdb

            for attempt in (1, 2):
                commits = {platform.name: committed(lake, platform.name, hours) for platform in platforms}
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

    def unmerged(
        self, lake: Lake, platforms: Sequence[Platform], since: datetime | None, patience: float | None = None
    ) -> list[datetime]:
        """The hours since then, and of imported files all, with commits that dbt has not merged. Hours whose every new
        commit is empty and tells no error only ride along with others: alone they are no reason to run."""
        commits = [commit for platform in platforms for commit in lake.commits(platform.name, since)]
        if since is not None and Discord.name in {platform.name for platform in platforms}:
            commits += lake.commits(Discord.name, None, since, runs=RUN)  # people export what is as old as they like
        merged = self.merged(since, patience)
        new = [commit for commit in commits if commit.name not in merged]
        reason = any(commit.rows or any(receipt.error for receipt in commit.communities.values()) for commit in new)
        return sorted({commit.hour for commit in new}) if reason else []

    def merged(self, since: datetime | None = None, patience: float | None = None) -> set[str]:
        """The names of the commits whose rows are in the clean tables."""
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
        """Delete a community's rows from every table, and give what is merged its commits' new names; return how many
        rows there were, and whether there are authors to be worked out anew."""
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

    def drop_raw(self, platforms: Sequence[Platform], loaded_before: datetime) -> int:
        """Delete raw partitions that were loaded before then and are merged; return how many. The lake keeps all."""
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
