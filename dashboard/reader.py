"""How the application asks the warehouse: one method, and a word for the state it answers from.

A second warehouse is a second class here. The SQL of the pages is what both of them understand, with `$name` for a
value; the little that has to be said in other words is a `Dialect`.
"""

import os
import re
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.publish import current
from orchestration.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb

MEMORY = "1GB"
THREADS = 2
LOOK_EVERY = 60.0  # seconds
KEPT_ROWS = 50_000
"""So many rows of answers are kept: some ten megabytes."""
TRIES = 5  # to open what the pointer names, while publications follow one another

BEGINNING = "timestamp '1970-01-01 00:00:00'"
"""Older than any row: BigQuery answers nobody who names no partitions of a table that is to be asked by them."""

Row = dict[str, Any]


class Dialect(ABC):
    """What the warehouses do not say alike."""

    @abstractmethod
    def among(self, column: str, values: str) -> str:
        """Whether a column has one of the values of a list."""


class InDuckDB(Dialect):
    def among(self, column: str, values: str) -> str:
        return f"{column} in (select unnest(${values}))"


class InBigQuery(Dialect):
    def among(self, column: str, values: str) -> str:
        return f"{column} in unnest(${values})"


class NothingPublished(Exception):
    """No transform has ended yet; the sentence says what to do."""


class Reader(ABC):
    """Answers queries from one whole state of the warehouse."""

    dialect: Dialect = InDuckDB()

    @abstractmethod
    def version(self) -> str:
        """Another word whenever the answers may be others. Costs next to nothing."""

    @abstractmethod
    def published_at(self) -> datetime:
        """The time by the system's clock of the state that is shown now."""

    @abstractmethod
    def query(self, sql: str, values: Mapping[str, Any] | None = None) -> list[Row]:
        """The rows, times in UTC. `values` may name more than the statement asks for."""

    @abstractmethod
    def names(self, sql: str, values: Mapping[str, Any] | None = None) -> Sequence[str]:
        """The columns that a statement yields, without running it."""

    @abstractmethod
    def columns(self, relation: str) -> Sequence[str]:
        """The columns of a table such as `marts.domains`; none where there is no such table."""


class _Answers:
    """What a state of the warehouse was asked, and said: it says so again until the next one is published, and looks
    once only where many ask at once. What was not asked for longest is forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, list[Row]] = OrderedDict()
        self._looked_for: dict[str, Future[list[Row]]] = {}
        self._rows = 0

    def answer(self, question: str, find: Callable[[], list[Row]]) -> list[Row]:
        """What `find` finds, now or before; rows of the caller's own."""
        with self._lock:
            if question in self._known:
                self._known.move_to_end(question)
                return _copied(self._known[question])
            others = self._looked_for.get(question)
            if others is None:
                mine = self._looked_for[question] = Future()
        if others is not None:
            return _copied(others.result())
        try:
            rows = find()
            self._keep(question, rows)
            mine.set_result(rows)
        except BaseException as problem:
            mine.set_exception(problem)
            raise
        finally:
            del self._looked_for[question]
        return _copied(rows)

    def _keep(self, question: str, rows: list[Row]) -> None:
        if len(rows) > KEPT_ROWS // 20:
            return
        with self._lock:
            self._known[question] = rows
            self._rows += 1 + len(rows)
            while self._rows > KEPT_ROWS:
                _, forgotten = self._known.popitem(last=False)
                self._rows -= 1 + len(forgotten)


def _copied(rows: list[Row]) -> list[Row]:
    return [row.copy() for row in rows]


@dataclass(frozen=True)
class _Opened:
    path: Path
    connection: "duckdb.DuckDBPyConnection"
    relations: Mapping[str, Sequence[str]]
    described: dict[str, Sequence[str]] = field(default_factory=dict)
    answers: _Answers = field(default_factory=_Answers)


class PublishedReader(Reader):
    """The published DuckDB file. A new one is opened as soon as the pointer names it; who still asks the old one
    keeps it until they have their answer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._opened: _Opened | None = None

    def version(self) -> str:
        return self._latest().path.stem

    def published_at(self) -> datetime:
        moment: datetime = self.query("select published_at from published.moment")[0]["published_at"]
        return moment

    def query(self, sql: str, values: Mapping[str, Any] | None = None) -> list[Row]:
        opened, told = self._latest(), _named(sql, values)

        def find() -> list[Row]:
            with opened.connection.cursor() as cursor:
                found = cursor.execute(sql, told)
                names = [column[0] for column in found.description or ()]
                return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

        return opened.answers.answer(f"{sql} {sorted(told.items())}", find)

    def names(self, sql: str, values: Mapping[str, Any] | None = None) -> Sequence[str]:
        described = self._latest().described
        if sql not in described:
            described[sql] = [row["column_name"] for row in self.query(f"describe {sql}", values)]
        return described[sql]

    def columns(self, relation: str) -> Sequence[str]:
        return self._latest().relations.get(relation, ())

    def _latest(self) -> _Opened:
        for attempt in range(TRIES):
            path = current(self._folder)
            if path is None:
                raise NothingPublished("Nothing was transformed yet: the first run of `threadlake up` publishes it.")
            with self._lock:
                if self._opened is not None and self._opened.path == path:
                    return self._opened
                try:
                    self._opened = _open(path)
                    return self._opened
                except FileNotFoundError:
                    if attempt + 1 == TRIES:
                        raise
        raise AssertionError


class WarehouseReader(Reader):
    """A warehouse that answers while it is written. It changes between the statements of a run; how far it is, it is
    asked once a minute."""

    def __init__(self, warehouse: Warehouse, patience: float = 10.0) -> None:
        self._warehouse, self._patience = warehouse, patience
        self.dialect = InBigQuery() if warehouse.kind == "bigquery" else InDuckDB()
        self._lock = threading.Lock()
        self._seen: tuple[float, datetime] | None = None
        self._known: dict[str, Sequence[str]] = {}

    def version(self) -> str:
        return f"{self.published_at().timestamp():.6f}"

    def published_at(self) -> datetime:
        with self._lock:
            if self._seen is None or time.monotonic() - self._seen[0] > LOOK_EVERY:
                if not self._warehouse.has("clean", "observations", self._patience):
                    raise NothingPublished("Nothing was transformed yet: the first run of `threadlake up` does it.")
                asked = f"select max(merged_at) as moment from clean.observations where hour >= {BEGINNING}"
                (latest,) = self.query(asked)
                self._seen, self._known = (time.monotonic(), latest["moment"]), {}
            return self._seen[1]

    def query(self, sql: str, values: Mapping[str, Any] | None = None) -> list[Row]:
        answer = self._warehouse.query(sql, _named(sql, values), self._patience)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]

    def names(self, sql: str, values: Mapping[str, Any] | None = None) -> Sequence[str]:
        if sql not in self._known:
            self._known[sql] = self._warehouse.columns(sql, _named(sql, values), self._patience)
        return self._known[sql]

    def columns(self, relation: str) -> Sequence[str]:
        if relation not in self._known:
            schema, _, table = relation.partition(".")
            there = self._warehouse.has(schema, table, self._patience)
            self._known[relation] = self.names(f"select * from {relation}") if there else ()
        return self._known[relation]


def _named(sql: str, values: Mapping[str, Any] | None) -> dict[str, Any]:
    """Those of the values for which the statement asks."""
    asked = set(re.findall(r"\$(\w+)", sql))
    return {name: value for name, value in (values or {}).items() if name in asked}


def _open(path: Path) -> _Opened:
    """Raises FileNotFoundError where the next publication has replaced it meanwhile."""
    import duckdb

    if not path.exists():
        raise FileNotFoundError(path)
    # what its memory does not hold goes elsewhere: this file's neighbours go with the next publication
    spill = Path(tempfile.gettempdir()) / f"threadlake-{os.getpid()}-{path.stem}"
    try:
        connection = duckdb.connect(
            path, read_only=True, config={"memory_limit": MEMORY, "threads": THREADS, "temp_directory": str(spill)}
        )
    except duckdb.IOException as problem:
        raise FileNotFoundError(path) from problem
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set enable_external_access = false")
    found = connection.execute(
        "select schema_name || '.' || table_name, list(column_name order by column_index) "
        "from duckdb_columns() where database_name = current_database() group by 1"
    ).fetchall()
    return _Opened(path, connection, dict(found))
