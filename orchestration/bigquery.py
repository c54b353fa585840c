"""The warehouse in BigQuery, through `BigQueryResource` and Google's own client: what is asked, purged and dropped.

How it is loaded stands in `bigquery_load.py`, how its jobs survive lost answers in `bigquery_jobs.py`.
"""

import fcntl
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from dagster_gcp import BigQueryResource
from google.api_core import exceptions as google
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from extractors.erasure import Traces
from extractors.imports import RUN
from extractors.lake import Lake
from extractors.platform import Platform
from extractors.records import entities
from orchestration.bigquery_jobs import REQUEST, RETRY, Job, Jobs, explained, parameter
from orchestration.bigquery_load import Load, in_hours, instant
from orchestration.settings import BigQueryPlace
from orchestration.warehouse import (
    CLEAN_KEYS,
    PATIENCE,
    Answer,
    Loaded,
    QueryError,
    Warehouse,
    WarehouseError,
    locked,
)

DATASETS = ("raw", "staging", "clean", "marts")
EMULATOR = "BIGQUERY_EMULATOR_HOST"
MOST_HOURS = 4000
"""Partitions that one statement may write."""
MOST_PARTITIONS = 9500
"""Of 10,000 that a table may have; the rest is for hours to come."""
FEW_HOURS = 100
"""So many cannot fill a table whose merged hours go after two weeks."""
PAST = datetime(1970, 1, 1, tzinfo=UTC)
PARAMETER = re.compile(r"\$([a-z_][a-z0-9_]*)")


class Google(BigQueryResource):
    """Dagster's resource, also without a login where the environment names a stand-in for BigQuery."""

    @contextmanager
    def get_client(self) -> Iterator[bigquery.Client]:
        if os.environ.get(EMULATOR):
            yield bigquery.Client(self.project, AnonymousCredentials(), location=self.location)  # type: ignore[no-untyped-call]
        else:
            with super().get_client() as client:
                yield client


class BigQuery(Warehouse):
    """Datasets `raw`, `staging`, `clean` and `marts` of a project. Its lock keeps apart the processes of one home: runs
    of several machines are kept apart by Dagster's pool."""

    kind, target, most_hours = "bigquery", "bigquery", MOST_HOURS

    def __init__(self, place: BigQueryPlace, home: Path, patience: float = PATIENCE) -> None:
        self.place, self.patience = place, patience
        self.name, self.catalog = str(place), f"{place.project}/{place.location}"
        self._lock = home / "bigquery.lock"
        self._resource = Google(project=place.project, location=place.location)

    @property
    def environment(self) -> dict[str, str]:
        login = {"THREADLAKE_BIGQUERY_METHOD": "oauth-secrets", "THREADLAKE_BIGQUERY_TOKEN": "none"}
        return {
            "THREADLAKE_BIGQUERY_PROJECT": self.place.project,
            "THREADLAKE_BIGQUERY_LOCATION": self.place.location,
            "THREADLAKE_BIGQUERY_MOST_BYTES": str(self.place.most_bytes),
            **(login if os.environ.get(EMULATOR) else {}),
        }

    @contextmanager
    def alone(self, patience: float | None = None) -> Iterator[None]:
        """The datasets are there inside, with the customer's key where there is one: tables have it from them."""
        with self._alone(patience), self.jobs("transform") as jobs:
            self._datasets(jobs)
            yield

    def _alone(self, patience: float | None = None) -> AbstractContextManager[None]:
        return locked(self._lock, fcntl.LOCK_EX, self.patience if patience is None else patience, self.name)

    @contextmanager
    def jobs(self, part: str) -> Iterator[Jobs]:
        """A client whose jobs are billed as `part` of this system."""
        with explained(self.place), self._resource.get_client() as client:
            yield Jobs(client, self.place, part)

    def _datasets(self, jobs: Jobs) -> None:
        for name in DATASETS:
            made = bigquery.Dataset(f"{self.place.project}.{name}")
            made.location, made.labels = self.place.location, {"app": "threadlake"}
            if self.place.key:
                made.default_encryption_configuration = bigquery.EncryptionConfiguration(self.place.key)
            try:
                jobs.client.get_dataset(made.reference, retry=RETRY, timeout=REQUEST)
            except google.NotFound:
                jobs.client.create_dataset(made, exists_ok=True, retry=RETRY, timeout=REQUEST)

    # -- asking ------------------------------------------------------------------------------------------------

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None, patience: float | None = None) -> Answer:
        """Whoever reads waits for nobody here."""
        with self.jobs("query") as jobs:
            statement, told = _in_its_words(sql, parameters)
            self._dry(jobs, statement, told)
            return _answer(jobs.sql(statement, _once("query"), told))

    def columns(
        self, sql: str, parameters: Mapping[str, Any] | None = None, patience: float | None = None
    ) -> Sequence[str]:
        with self.jobs("query") as jobs:
            return [field.name for field in self._dry(jobs, *_in_its_words(sql, parameters)).schema or ()]

    def _dry(self, jobs: Jobs, statement: str, told: list[Any]) -> Job:
        """What BigQuery would do; raises where that is more than to answer."""
        config = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False, query_parameters=told)
        asked = jobs.client.query(statement, config, location=self.place.location, retry=RETRY, timeout=REQUEST)
        if asked.statement_type not in (None, "SELECT"):
            raise QueryError(f"The query failed: it is no question but a {asked.statement_type}.")
        return asked

    def tables(self, patience: float | None = None) -> dict[str, int]:
        found: dict[str, int] = {}
        with self.jobs("query") as jobs:
            for dataset in ("clean", "marts", "raw"):
                for name in self._tables(jobs, dataset):
                    table = jobs.client.get_table(f"{dataset}.{name}", retry=RETRY, timeout=REQUEST)
                    found[f"{dataset}.{name}"] = table.num_rows or 0
        if not found:
            raise WarehouseError(f"There is no warehouse at {self.name} yet: the first load makes it.")
        return found

    def _tables(self, jobs: Jobs, dataset: str) -> list[str]:
        """The names of a dataset's tables, views and what is only being loaded left out."""
        try:
            listed = list(jobs.client.list_tables(dataset, retry=RETRY, timeout=REQUEST))
        except google.NotFound:
            return []
        names = [item.table_id for item in listed if item.table_type == "TABLE"]
        return sorted(name for name in names if not name.startswith("loading_") and "__dbt_tmp" not in name)

    def has(self, schema: str, table: str, patience: float | None = None) -> bool:
        with self.jobs("query") as jobs:
            return self._has(jobs, schema, table)

    def _has(self, jobs: Jobs, schema: str, table: str) -> bool:
        try:
            jobs.client.get_table(f"{schema}.{table}", retry=RETRY, timeout=REQUEST)
        except google.NotFound:
            return False
        return True

    # -- loading -----------------------------------------------------------------------------------------------

    def load(self, lake: Lake, platforms: Sequence[Platform], hours: Iterable[datetime], now: datetime) -> Loaded:
        """In one transaction for each 4,000 hours. A new column is added, one of another type refused."""
        hours = sorted(set(hours))
        loaded = Loaded()
        with self._alone(), self.jobs("load") as jobs:
            self._datasets(jobs)
            self._make_room(jobs, platforms, hours, now)
            for start in range(0, len(hours), MOST_HOURS):
                some = hours[start : start + MOST_HOURS]
                commits = {platform.name: lake.loadable(platform.name, some) for platform in platforms}
                loaded = loaded + Load(jobs, some, now).run(lake, platforms, commits)
        return loaded

    def _make_room(self, jobs: Jobs, platforms: Sequence[Platform], hours: Sequence[datetime], now: datetime) -> None:
        """A table has 10,000 partitions at most: before a long past comes in, what is merged makes room for it."""
        if len(hours) <= FEW_HOURS or not self._has(jobs, "raw", "observations"):
            return
        question = f"select distinct hour from raw.observations where hour >= {instant(PAST)}"
        for dropping in (True, False):
            there = {hour for (hour,) in _answer(jobs.sql(question, _once("room"))).rows}
            if len(there | set(hours)) <= MOST_PARTITIONS:
                return
            if dropping:
                self._drop(jobs, platforms, now)
        raise WarehouseError(
            f"{len(hours)} more hours do not fit: a table of BigQuery has 10,000 partitions at most, and {len(there)} "
            "are there that are not merged. Transform them first (`threadlake catch-up`), or load fewer hours at once."
        )

    def merged(self, since: datetime | None = None, patience: float | None = None) -> set[str]:
        with self.jobs("load") as jobs:
            if not self._has(jobs, "clean", "observations"):
                return set()
            statement = f"""
                select distinct commit_id from clean.observations where hour >= {instant(since or PAST)}
                union distinct
                select distinct commit_id from clean.observations
                where hour >= {instant(PAST)} and source = 'export' and starts_with(run_id, '{RUN}')
            """
            return {name for (name,) in _answer(jobs.sql(statement, _once("merged"))).rows}

    def purge(self, key: str, renamed: Mapping[str, str | None]) -> tuple[int, bool]:
        with self._alone(), self.jobs("purge") as jobs:
            rows, told = 0, [parameter("key", key)]
            for dataset in DATASETS:
                for name in self._tables(jobs, dataset):
                    table = jobs.client.get_table(f"{dataset}.{name}", retry=RETRY, timeout=REQUEST)
                    if "community" in {column.name for column in table.schema}:
                        rows += self._delete(jobs, table, "community = @key", told)
            pairs = [(old, new) for old, new in renamed.items() if new]
            for schema in ("raw", "clean") if pairs else ():
                if self._has(jobs, schema, "observations"):
                    told = [parameter("olds", [old for old, _ in pairs]), parameter("news", [new for _, new in pairs])]
                    jobs.sql(
                        f"update {schema}.observations as known set commit_id = fresh.successor from (select old, "
                        "@news[offset(place)] as successor from unnest(@olds) as old with offset as place) as fresh "
                        f"where known.hour >= {instant(PAST)} and known.commit_id = fresh.old",
                        _once("rename"),
                        told,
                    )
            authors = self._has(jobs, "clean", "author_names") and self._has(jobs, "clean", "authors")
            if authors:  # whom nobody else's posts show
                jobs.sql(
                    "delete from clean.authors where key_number not in (select key_number from clean.author_names)",
                    _once("purge"),
                )
            return rows, authors

    def _delete(self, jobs: Jobs, table: bigquery.Table, where: str, told: Sequence[Any]) -> int:
        """Delete rows, in no more partitions at once than a statement may write; those of marts are few."""
        name, parts = f"{table.dataset_id}.{table.table_id}", ["true"]
        if table.require_partition_filter:
            column, unit = table.time_partitioning.field, table.time_partitioning.type_
            begin = f"timestamp_trunc({column}, {unit})"
            question = f"select distinct {begin} from {name} where {column} >= {instant(PAST)} and {where} order by 1"
            begins = [moment for (moment,) in _answer(jobs.sql(question, _once("purge"), told)).rows]
            some = [begins[start : start + MOST_HOURS] for start in range(0, len(begins), MOST_HOURS)]
            parts = [
                f"{column} >= {instant(part[0])} and {column} < {instant(_after(part[-1], unit))}" for part in some
            ]
        deleted = 0
        for part in parts:
            job = jobs.sql(f"delete from {name} where {part} and {where}", _once("purge"), told)
            deleted += job.num_dml_affected_rows or 0
        return deleted

    def forget(self, platform: str, traces: Traces) -> int:
        here = "platform = @platform and instance = @instance"
        told = [parameter("platform", platform), parameter("instance", traces.instance)]
        doomed = traces.clean()
        with self._alone(), self.jobs("purge") as jobs:
            if not self._has(jobs, "clean", "observations"):
                return 0
            tables = {
                name: jobs.client.get_table(f"clean.{name}", retry=RETRY, timeout=REQUEST)
                for name in self._tables(jobs, "clean")
            }
            if traces.author is not None:  # what the lake does not have any more, the clean tables may have
                mine = [*told, parameter("author", traces.author)]
                for name, key in (("posts", "post_id"), ("threads", "thread_id")):
                    for table in {name, f"{name}_history"} & tables.keys():
                        question = (
                            f"select {key} from clean.{table} where created_hour >= {instant(PAST)} and {here} "
                            "and author_id = @author"
                        )
                        doomed[key].update(id for (id,) in _answer(jobs.sql(question, _once("purge"), mine)).rows)
            deleted = 0
            for key, names in CLEAN_KEYS.items():
                some = [*told, parameter("ids", sorted(doomed[key]) or [""])]
                where = f"{here} and {key} in unnest(@ids)"
                for table in (name for name in names if name in tables):
                    kind = table.partition("_")[0]
                    if key != "author_id" and table != "post_versions" and "changed_hours" in tables:
                        jobs.sql(
                            "insert into clean.changed_hours (kind, platform, instance, hour) "
                            f"select distinct '{kind}', platform, instance, created_hour from clean.{table} "
                            f"where created_hour >= {instant(PAST)} and {where}",
                            _once("purge"),
                            some,
                        )
                    gone = self._delete(jobs, tables[table], where, some)
                    deleted += gone if kind == "posts" else 0
            hours = [datetime.fromisoformat(hour) for hour in sorted(traces.hours)]
            for start in range(0, len(hours), MOST_HOURS):
                merged = f"{in_hours('hour', hours[start : start + MOST_HOURS])} and platform = @platform"
                jobs.sql(f"delete from clean.observations where {merged}", _once("purge"), told[:1])
            return deleted

    def showing(self, platform: str, instance: str, patterns: Sequence[str]) -> dict[str, int]:
        told = {"platform": platform, "instance": instance}
        found = {}
        with self.jobs("query") as jobs:
            for dataset in DATASETS:
                for name in self._tables(jobs, dataset):
                    table = jobs.client.get_table(f"{dataset}.{name}", retry=RETRY, timeout=REQUEST)
                    columns = {column.name for column in table.schema}
                    where = [f"{name} = @{name}" for name in told if name in columns]
                    if table.require_partition_filter:
                        where.append(f"{table.time_partitioning.field} >= {instant(PAST)}")
                    where.append("regexp_contains(to_json_string(one), @pattern)")
                    asked = [parameter(name, value) for name, value in told.items() if name in columns]
                    question = f"select count(*) from {dataset}.{name} as one where {' and '.join(where)}"
                    answer = _answer(
                        jobs.sql(question, _once("scan"), [*asked, parameter("pattern", "|".join(patterns))])
                    )
                    if rows := answer.rows[0][0]:
                        found[f"{dataset}.{name}"] = int(rows)
        return found

    def drop_raw(self, platforms: Sequence[Platform], loaded_before: datetime) -> int:
        with self._alone(), self.jobs("load") as jobs:
            return self._drop(jobs, platforms, loaded_before)

    def _drop(self, jobs: Jobs, platforms: Sequence[Platform], loaded_before: datetime) -> int:
        if not (self._has(jobs, "raw", "observations") and self._has(jobs, "clean", "observations")):
            return 0
        old = _answer(
            jobs.sql(
                f"""
                select loaded.platform, loaded.hour
                from raw.observations as loaded
                left join (
                    select distinct commit_id from clean.observations where hour >= {instant(PAST)}
                ) as merged on loaded.commit_id = merged.commit_id
                where loaded.hour >= {instant(PAST)}
                group by loaded.platform, loaded.hour
                having max(loaded.loaded_at) < @before and logical_and(merged.commit_id is not null)
                """,
                _once("old"),
                [parameter("before", loaded_before)],
            )
        ).rows
        for platform in platforms:
            hours = sorted(hour for name, hour in old if name == platform.name)
            tables = [f"{platform.name}_{entity}" for entity in entities(platform)]
            for start in range(0, len(hours), MOST_HOURS):
                some = in_hours("hour", hours[start : start + MOST_HOURS])
                # whole partitions, which costs nothing; the receipts last, for they say what is there
                for table in tables:
                    if self._has(jobs, "raw", table):
                        jobs.sql(f"delete from raw.{table} where {some}", _once("drop"))
                jobs.sql(f"delete from raw.observations where {some} and platform = '{platform.name}'", _once("drop"))
        return len(old)


def _once(what: str) -> str:
    """A name for a job that is asked for once: what it does again may be done again."""
    return f"threadlake-{what}-{uuid4().hex}"


def _in_its_words(sql: str, parameters: Mapping[str, Any] | None) -> tuple[str, list[Any]]:
    """A statement with BigQuery's sign for parameters, and these."""
    return PARAMETER.sub(r"@\1", sql), [parameter(name, value) for name, value in (parameters or {}).items()]


def _answer(job: Job) -> Answer:
    rows = job.result(retry=RETRY)
    return Answer([column.name for column in rows.schema], [tuple(row.values()) for row in rows])


def _after(begin: datetime, unit: str) -> datetime:
    """The end of the partition that begins then."""
    if unit == "MONTH":
        return (begin + timedelta(days=32)).replace(day=1)
    return begin + {"HOUR": timedelta(hours=1), "DAY": timedelta(days=1), "YEAR": timedelta(days=366)}[unit]
