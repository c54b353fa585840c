"""What a warehouse is: where the lake is loaded to, where dbt makes the clean tables, and what answers questions.

What all warehouses have in common is here; `duckdb_file.py` and `bigquery.py` are the two there are. What is done with
raw rows belongs in the dbt project.
"""

import fcntl
import logging
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extractors.discord import Discord
from extractors.imports import RUN
from extractors.lake import Commit, Lake
from extractors.platform import Entity, Platform

if TYPE_CHECKING:
    from extractors.erasure import Traces
    from orchestration.settings import Settings

PATIENCE = 3600.0
"""Seconds to wait for whoever has the warehouse: a backfill's dbt run may take most of an hour."""
SAY_AFTER = 5.0

log = logging.getLogger(__name__)


class WarehouseError(Exception):
    """The warehouse cannot be used or its files cannot be read; the sentence says what to do."""


class WarehouseBusyError(WarehouseError):
    """Somebody else has it; try again later."""


class QueryError(WarehouseError):
    """A question that the warehouse does not understand, or refuses; what it says of it."""


@dataclass(frozen=True)
class Loaded:
    """What one load did: rows by raw table and hour, how many files they came from, and by raw table what did not fit
    its columns, in sentences."""

    rows: Mapping[str, Mapping[datetime, int]] = field(default_factory=dict)
    files: int = 0
    misfits: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __add__(self, other: "Loaded") -> "Loaded":
        """Both, of different hours."""
        rows = {table: {**self.rows.get(table, {}), **hours} for table, hours in other.rows.items()}
        return Loaded({**self.rows, **rows}, self.files + other.files, {**self.misfits, **other.misfits})

    def total(self, table: str) -> int:
        return sum(self.rows.get(table, {}).values())


@dataclass(frozen=True)
class Answer:
    """What a query found: the columns' names, and the rows as Python's own values, times aware and in UTC."""

    columns: Sequence[str]
    rows: Sequence[tuple[Any, ...]]


class Warehouse(ABC):
    """Made from the settings by `warehouse_of`; nothing is opened or asked before the first use."""

    name: str
    """As a person calls it: the file, or `bigquery://PROJECT/LOCATION`."""
    kind: str
    """What it is, for Dagster's UI."""
    target: str
    """The output of the dbt profile."""
    catalog: str
    """What dbt calls the database: a manifest made for one serves no other."""
    most_hours: int | None = None
    """How many hours may be loaded and merged at once."""

    # -- asking ------------------------------------------------------------------------------------------------

    @abstractmethod
    def query(self, sql: str, parameters: Mapping[str, Any] | None = None, patience: float | None = None) -> Answer:
        """Ask, and change nothing. A parameter stands as `$name` in the SQL: a text, a number, a truth, a time, or a
        list of one of these. Raises WarehouseError: a QueryError, or a WarehouseBusyError after `patience` seconds."""

    @abstractmethod
    def columns(
        self, sql: str, parameters: Mapping[str, Any] | None = None, patience: float | None = None
    ) -> Sequence[str]:
        """The columns that a question would yield; it is not asked, and costs nothing. Raises as `query` does."""

    @abstractmethod
    def tables(self, patience: float | None = None) -> Mapping[str, int]:
        """How many rows each table of `raw`, `clean` and `marts` has, by `schema.table`. Raises WarehouseError."""

    @abstractmethod
    def has(self, schema: str, table: str, patience: float | None = None) -> bool:
        """Whether there is such a table or view; there is none in a warehouse that is not made yet."""

    def portions(self, hours: Sequence[datetime]) -> list[list[datetime]]:
        """The hours, as many at once as may be loaded and merged."""
        most = self.most_hours or max(len(hours), 1)
        return [list(hours[start : start + most]) for start in range(0, len(hours), most)]

    # -- loading -----------------------------------------------------------------------------------------------

    @abstractmethod
    def load(self, lake: Lake, platforms: Sequence[Platform], hours: Iterable[datetime], now: datetime) -> Loaded:
        """Replace the partitions of these hours from all that the lake has committed of them. Doing it again changes
        nothing. Raises WarehouseError where a file cannot be read."""

    @abstractmethod
    def merged(self, since: datetime | None = None, patience: float | None = None) -> set[str]:
        """The names of the commits whose rows are in the clean tables; those of hours since then, and of imports."""

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

    @abstractmethod
    def purge(self, key: str, renamed: Mapping[str, str | None]) -> tuple[int, bool]:
        """Delete a community's rows from every table, and give what is merged its commits' new names; return how many
        rows there were, and whether there are authors to be worked out anew."""

    @abstractmethod
    def forget(self, platform: str, traces: "Traces") -> int:
        """Delete the author, the posts, and what else shows them from the clean tables, tell the marts in which hours
        that stood, and forget that those hours were merged: the load and transform that follow bring back from the
        lake what is to stay. Return how many rows of posts there were. Doing it again changes nothing."""

    @abstractmethod
    def showing(self, platform: str, instance: str, patterns: Sequence[str]) -> Mapping[str, int]:
        """How many rows each table has whose JSON matches one of these regular expressions; those with none are left
        out. Of the platform and instance only, where a table says whose a row is."""

    @abstractmethod
    def drop_raw(self, platforms: Sequence[Platform], loaded_before: datetime) -> int:
        """Delete raw partitions that were loaded before then and are merged; return how many. The lake keeps all."""

    # -- what dbt needs ----------------------------------------------------------------------------------------

    @abstractmethod
    def alone(self, patience: float | None = None) -> AbstractContextManager[None]:
        """No other process of this home writes inside. Waits; raises WarehouseBusyError."""

    @property
    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """What the output of the profile reads from the environment."""

    def let_go(self) -> None:
        """After dbt ran in this process: close what its adapter keeps open."""
        return


CLEAN_KEYS = {
    "post_id": ("posts", "posts_history", "post_versions"),
    "thread_id": ("threads", "threads_history"),
    "author_id": ("author_names", "authors"),
}
"""The clean tables with words of people, by what a row of them is found by."""


def warehouse_of(settings: "Settings") -> Warehouse:
    """The one that the settings name."""
    if isinstance(settings.warehouse, Path):
        from orchestration.duckdb_file import DuckDBFile

        return DuckDBFile(settings.warehouse)
    from orchestration.bigquery import BigQuery  # Google's libraries: 1 s, which nobody else need pay

    return BigQuery(settings.warehouse, settings.home)


def rows_by_hour(commits: Iterable[Commit], entity: Entity) -> dict[datetime, int]:
    """How many rows of an entity the commits have of each hour."""
    counts: dict[datetime, int] = {}
    for commit in commits:
        counts[commit.hour] = counts.get(commit.hour, 0) + (commit.files[entity].rows if entity in commit.files else 0)
    return counts


def receipts_by_hour(commits: Iterable[Commit], counts: dict[datetime, int]) -> dict[datetime, int]:
    """How many rows of `raw.observations` the commits are of each hour, added to `counts`."""
    for commit in commits:
        counts[commit.hour] = counts.get(commit.hour, 0) + len(commit.communities)
    return counts


@contextmanager
def locked(file: Path, how: int, patience: float, what: str) -> Iterator[None]:
    """Hold a lock file, shared (`fcntl.LOCK_SH`) or alone (`LOCK_EX`); the kernel frees it with its holder. Waits;
    raises WarehouseBusyError, which calls it `what`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    said = False
    # opened for appending, so that taking the lock does not erase who holds it
    with file.open("a+") as opened:
        while True:
            try:
                fcntl.flock(opened, how | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waited = time.monotonic() - began
                opened.seek(0)
                who = opened.read().strip() or "another process"
                if waited >= patience:
                    raise WarehouseBusyError(
                        f"The warehouse {what} is in use by {who}; waited {waited:.0f} s for it."
                    ) from None
                if waited > SAY_AFTER and not said:
                    log.warning("Waiting for the warehouse %s, which is in use by %s.", what, who)
                    said = True
                time.sleep(0.05)
        if how == fcntl.LOCK_EX:
            opened.truncate(0)
            opened.write(f"process {os.getpid()} since {datetime.now(UTC):%H:%M:%S} UTC")
            opened.flush()
        yield
