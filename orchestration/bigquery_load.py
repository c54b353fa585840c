"""How the raw tables of BigQuery are filled: whole hours, from all files that commits name.

A load job reads all of a table's files into a staging table, and one transaction puts them in their hours' place,
whether it is one hour or 4,000, for all tables at once. The Parquet files do not hold their hour, which stands in their
path, and a load job can give that only as a text: `hour=2026-11-22T13` is no TIMESTAMP of BigQuery's. So it cannot load
into an hour's partition (`table$2026112213`) by itself; and an hour in new files would leave the old ones to be loaded
the long way for ever. Load jobs are free, so is a DELETE of whole partitions that it names as literals; the INSERT
reads the new rows once.
"""

import io
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from google.api_core import exceptions as google
from google.cloud import bigquery

from extractors.lake import HOUR_FORMAT, Commit, Lake
from extractors.platform import Platform
from extractors.records import entities
from orchestration.bigquery_jobs import REQUEST, RETRY, Job, Jobs, explained, job_id
from orchestration.tables import OBSERVATIONS, observations, raw_schema
from orchestration.warehouse import Loaded, WarehouseError, receipts_by_hour, rows_by_hour

MOST_FILES = 10_000  # of one load job
STAGED_FOR = timedelta(days=1)  # what a killed load leaves goes by itself
ADDED = ("hour", "loaded_at")  # what the files do not have
KINDS = {"string": "STRING", "bool": "BOOL", "double": "FLOAT64", "float": "FLOAT64"}
SAME = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
log = logging.getLogger(__name__)


@dataclass
class Load:
    """One load: what it replaces, with the statements that will do so. Used once."""

    jobs: Jobs
    hours: Sequence[datetime]
    now: datetime
    attempt: str = field(default_factory=lambda: uuid4().hex[:12])
    staged: list[str] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)

    def run(self, lake: Lake, platforms: Sequence[Platform], commits: Mapping[str, Sequence[Commit]]) -> Loaded:
        """Replace these hours of the platforms' tables from the commits."""
        rows: dict[str, dict[datetime, int]] = {}
        files = 0
        try:
            for platform in platforms:
                for entity in entities(platform):
                    table = f"{platform.name}_{entity}"
                    names = [commit.files[entity].name for commit in commits[platform.name] if entity in commit.files]
                    schema = fields(raw_schema(platform, entity))
                    fit(self.jobs, table, schema)
                    self.replace(
                        table, schema, self.stage(table, schema, [lake.store.location(name) for name in names])
                    )
                    files += len(names)
                    rows[table] = rows_by_hour(commits[platform.name], entity)
                rows["observations"] = receipts_by_hour(commits[platform.name], rows.get("observations", {}))
            self.replace_observations(
                platforms, [commit for platform in platforms for commit in commits[platform.name]]
            )
            named = [commit.name for some in commits.values() for commit in some]
            statement = "begin transaction;\n" + ";\n".join(self.statements) + ";\ncommit transaction;"
            self.jobs.sql(statement, job_id("replace", "raw", named, self.attempt))
        finally:
            for table in self.staged:
                with explained(self.jobs.place):
                    self.jobs.client.delete_table(f"raw.{table}", not_found_ok=True, retry=RETRY, timeout=REQUEST)
        return Loaded(rows, files, {table: [] for table in rows if table != "observations"})

    def stage(self, table: str, schema: Sequence[bigquery.SchemaField], places: Sequence[str]) -> str | None:
        """Load these files into a table of their own, as few jobs as it takes; return its name, None without files."""
        if not places:
            return None
        if outside := [place for place in places if not place.startswith("gs://")]:
            raise WarehouseError(
                f"BigQuery reads the lake only where it is in Cloud Storage, and {outside[0]} is not: set "
                "THREADLAKE_LAKE to gs://BUCKET/PREFIX."
            )
        name = self._staging(table, [column for column in schema if column.name not in ADDED], "STRING")
        hive = bigquery.HivePartitioningOptions()
        hive.mode, hive.source_uri_prefix = "STRINGS", places[0].partition("/hour=")[0]
        config = self._config([column for column in schema if column.name not in ADDED])
        config.hive_partitioning = hive
        for start in range(0, len(places), MOST_FILES):
            some = list(places[start : start + MOST_FILES])

            def begin(job: str, some: list[str] = some) -> Job:
                return self.jobs.client.load_table_from_uri(
                    some, f"raw.{name}", job_id=job, location=self.jobs.place.location, job_config=config, retry=RETRY,
                    timeout=REQUEST,
                )  # fmt: skip

            self.jobs.once(begin, job_id("load", table, some, self.attempt))
        return name

    def replace(self, table: str, schema: Sequence[bigquery.SchemaField], staged: str | None) -> None:
        """The statements that put what is staged into the hours' place; nothing staged empties them."""
        self.statements.append(f"delete from raw.{table} where {self._hours}")
        if staged is not None:
            names = [column.name for column in schema if column.name not in ADDED]
            self.statements.append(
                f"insert into raw.{table} ({quoted([*names, *ADDED])}) select {quoted(names)}, "
                f"parse_timestamp('{HOUR_FORMAT}', hour), {instant(self.now)} from raw.{staged}"
            )

    def replace_observations(self, platforms: Sequence[Platform], commits: Sequence[Commit]) -> None:
        """The same for the receipts, which come from here. Last, as in every load: they say what there is."""
        schema = fields(OBSERVATIONS)
        fit(self.jobs, "observations", schema)
        whose = ", ".join(f"'{platform.name}'" for platform in platforms)
        self.statements.append(f"delete from raw.observations where {self._hours} and platform in ({whose})")
        if not commits:
            return
        staged = self._staging("observations", schema, "TIMESTAMP")
        data = io.BytesIO()
        pq.write_table(observations(commits, self.now), data)

        def begin(job: str) -> Job:
            data.seek(0)
            return self.jobs.client.load_table_from_file(
                data, f"raw.{staged}", job_id=job, location=self.jobs.place.location, job_config=self._config(schema),
                size=data.getbuffer().nbytes, timeout=REQUEST,
            )  # fmt: skip

        self.jobs.once(begin, job_id("load", "observations", [commit.name for commit in commits], self.attempt))
        names = quoted(column.name for column in schema)
        self.statements.append(f"insert into raw.observations ({names}) select {names} from raw.{staged}")

    @property
    def _hours(self) -> str:
        return in_hours("hour", self.hours)

    def _staging(self, table: str, schema: Sequence[bigquery.SchemaField], hour: str) -> str:
        """An empty table for what is loaded, which expires; `hour` is the type of that column there."""
        name = f"loading_{table}_{self.attempt}"
        columns = [column for column in schema if column.name != "hour"]
        made = bigquery.Table(
            f"{self.jobs.place.project}.raw.{name}", schema=[*columns, bigquery.SchemaField("hour", hour)]
        )
        made.expires, made.labels = datetime.now(UTC) + STAGED_FOR, self.jobs.labels
        with explained(self.jobs.place):
            self.jobs.client.create_table(made, exists_ok=True, retry=RETRY, timeout=REQUEST)
        self.staged.append(name)
        return name

    def _config(self, schema: Sequence[bigquery.SchemaField]) -> bigquery.LoadJobConfig:
        parquet = bigquery.ParquetOptions()  # type: ignore[no-untyped-call]
        parquet.enable_list_inference = True  # a list is a list, and no record that holds one
        return bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            schema=list(schema),
            write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
            parquet_options=parquet,
            labels=self.jobs.labels,
        )


def fit(jobs: Jobs, table: str, schema: Sequence[bigquery.SchemaField]) -> None:
    """Create the raw table, or add the columns it lacks. Raises WarehouseError where one has another type."""
    name = f"{jobs.place.project}.raw.{table}"
    with explained(jobs.place):
        try:
            there = jobs.client.get_table(name, retry=RETRY, timeout=REQUEST)
        except google.NotFound:
            made = bigquery.Table(name, schema=list(schema))
            made.time_partitioning = bigquery.TimePartitioning(type_="HOUR", field="hour")
            made.clustering_fields = ["platform", "community"]
            made.require_partition_filter, made.labels = True, jobs.labels
            jobs.client.create_table(made, exists_ok=True, retry=RETRY, timeout=REQUEST)
            return
        known = {column.name: column for column in there.schema}
        changed = [
            f"{column.name} is {_kind(known[column.name])} there and {_kind(column)} now"
            for column in schema
            if column.name in known and _kind(known[column.name]) != _kind(column)
        ]
        if changed:
            raise WarehouseError(
                f"raw.{table} has columns of another type than its platform declares today: {', '.join(changed)}. Give "
                "the new type a name of its own in the platform's columns; or delete the table, and load all again."
            )
        if new := [column for column in schema if column.name not in known]:
            log.warning("raw.%s gets new columns: %s", table, ", ".join(column.name for column in new))
            there.schema = [*there.schema, *new]
            jobs.client.update_table(there, ["schema"], retry=RETRY, timeout=REQUEST)


def _kind(column: bigquery.SchemaField) -> str:
    kind = SAME.get(column.field_type, column.field_type)
    return f"ARRAY<{kind}>" if column.mode == "REPEATED" else kind


def fields(schema: pa.Schema) -> list[bigquery.SchemaField]:
    """The columns of an Arrow schema as BigQuery's."""
    return [_field(column) for column in schema]


def _field(column: pa.Field) -> bigquery.SchemaField:
    if pa.types.is_list(column.type):
        return bigquery.SchemaField(column.name, _type(column.type.value_type), mode="REPEATED")
    return bigquery.SchemaField(column.name, _type(column.type))


def _type(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return "INT64"
    return "TIMESTAMP" if pa.types.is_timestamp(kind) else KINDS[str(kind)]


def instant(moment: datetime) -> str:
    """A moment as a literal."""
    return f"timestamp '{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00'"


def in_hours(column: str, hours: Iterable[datetime]) -> str:
    """A condition that names hours as literals, which is what BigQuery leaves partitions out by."""
    named = ", ".join(f"timestamp '{hour.astimezone(UTC):%Y-%m-%d %H}:00:00+00'" for hour in hours)
    return f"{column} in ({named})"


def quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
