"""What a green run on the stand-in for BigQuery means: where it must do as BigQuery does, asked with the real client;
and what Google's analyser adds, which the server lets pass.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.api_core.exceptions import BadRequest, Conflict, GoogleAPICallError
from google.cloud import bigquery

from sandbox.bigquery import BigQueryServer, complaints, missing
from tests.bigquery_jobs_seen import connect

pytestmark = [pytest.mark.xdist_group("bigquery"), pytest.mark.skipif(bool(missing()), reason=missing() or "")]
Ask = Callable[[str], list[tuple[Any, ...]]]
ALL = "hour >= timestamp '2020-01-01'"


@pytest.fixture
def client(bigquery_server: tuple[BigQueryServer, Path]) -> Iterator[bigquery.Client]:
    made = connect(bigquery_server[0])
    made.create_dataset("contract")
    yield made
    made.delete_dataset("contract", delete_contents=True)


@pytest.fixture
def ask(client: bigquery.Client) -> Ask:
    """Run SQL over `contract.t`, which is partitioned by hour, wants a filter, and has a row in each of two hours."""

    def ask(sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in client.query(sql, job_retry=None).result()]

    ask(
        "create table contract.t (id int64, hour timestamp) partition by timestamp_trunc(hour, hour) "
        "options(require_partition_filter=true)"
    )
    ask("insert into contract.t values (1, timestamp '2026-01-01 10:00:00'), (2, timestamp '2026-01-01 11:00:00')")
    return ask


@pytest.mark.parametrize(
    "sql",
    [
        "select count(*) from contract.t",
        "delete from contract.t where true",
        "update contract.t set id = 3 where id = 1",
        "create view contract.v as select * from contract.t",
    ],
)
def test_a_filter_of_partitions_is_required(ask: Ask, sql: str) -> None:
    with pytest.raises(GoogleAPICallError, match="without a filter over column"):
        ask(sql)
    assert ask(f"select count(*) from contract.t where {ALL}") == [(2,)]


def test_a_transaction_is_done_whole_or_not_at_all(ask: Ask) -> None:
    with pytest.raises(GoogleAPICallError):
        ask(f"begin transaction;\ndelete from contract.t where {ALL};\nselect 1 / 0;\ncommit transaction;")
    assert ask(f"select count(*) from contract.t where {ALL}") == [(2,)]
    ask(f"begin transaction;\ndelete from contract.t where {ALL};\ncommit transaction;")
    assert ask(f"select count(*) from contract.t where {ALL}") == [(0,)]


def test_a_job_of_one_name_is_done_once(client: bigquery.Client, ask: Ask) -> None:
    sql = "insert into contract.t values (3, timestamp '2026-01-01 11:00:00')"
    client.query(sql, job_id="contract-once").result()
    with pytest.raises(Conflict):
        client.query(sql, job_id="contract-once", job_retry=None)
    assert client.get_job("contract-once", location="US").num_dml_affected_rows == 1
    assert ask(f"select count(*) from contract.t where {ALL}") == [(3,)]


def load(client: bigquery.Client, files: list[str], table: str, **more: Any) -> None:
    config = bigquery.LoadJobConfig(source_format="PARQUET", **more)
    client.load_table_from_uri(files, f"contract.{table}", job_config=config).result()


def test_parquet_is_loaded_as_it_is(client: bigquery.Client, bigquery_server: tuple[BigQueryServer, Path]) -> None:
    folder = bigquery_server[1] / "contract" / "t"
    for hour, table in {
        "10": pa.table({"id": [1], "tags": [["a", "b"]]}),
        "11": pa.table({"id": [2]}),
        "12": pa.table({"id": ["three"]}),
    }.items():
        (folder / f"hour=2026-01-01T{hour}").mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / f"hour=2026-01-01T{hour}" / "f.parquet")
    ten, eleven, twelve = (f"gs://contract/t/hour=2026-01-01T{hour}/f.parquet" for hour in (10, 11, 12))
    schema = [bigquery.SchemaField("id", "INT64"), bigquery.SchemaField("tags", "STRING", mode="REPEATED")]
    hive = bigquery.HivePartitioningOptions()
    hive.mode, hive.source_uri_prefix = "STRINGS", "gs://contract/t"
    load(client, [ten, eleven], "loaded", schema=schema, hive_partitioning=hive)
    rows = [
        tuple(row.values()) for row in client.query("select id, tags, hour from contract.loaded order by 1").result()
    ]
    assert rows == [(1, ["a", "b"], "2026-01-01T10"), (2, [], "2026-01-01T11")]
    load(client, [ten], "plain", schema=schema)  # who asks for no column of a path gets none
    assert [field.name for field in client.get_table("contract.plain").schema] == ["id", "tags"]
    with pytest.raises(BadRequest, match="does not match the target type"):
        load(client, [twelve], "changed", schema=schema)
    with pytest.raises(GoogleAPICallError):
        load(client, ["gs://contract/t/none.parquet"], "none", schema=schema)
    with pytest.raises(GoogleAPICallError, match="Partition decorators are not served"):
        load(client, [ten], "loaded$2026010110", schema=schema)


def test_a_table_made_of_a_query_is_told(client: bigquery.Client, ask: Ask) -> None:
    job = client.query("create table contract.made as select 1 as one")
    job.result()
    assert job.destination.table_id == "made"


DEEP = "(" * 150 + "cast(id as string)" + " || 'a')" * 150
WRONG = {
    "a moment is no date": "select id from `p.raw.t` where hour = date '2026-01-01'",
    "a function of DuckDB's": "select list_sum([1, 2])",
    "a cast of DuckDB's": "select '1'::int64",
    "a column there is not": "select nope from `p.raw.t`",
    "a table there is not": "select 1 from `p.raw.nope`",
    "a table's name is its row": "with id as (select id from `p.raw.t`) select id || 'x' from id",
    "QUALIFY by itself": "select id from `p.raw.t` qualify row_number() over (order by id) = 1",
    "another number of columns": "insert into `p.raw.t` (id, hour) select id from `p.raw.t`",
    "unlike kinds together": "select 1 union all select 'a'",
    "a column there is not, deep inside": f"select {DEEP} || nope from `p.raw.t`",
}
RIGHT = [
    "delete from `p`.`raw`.`t` as known where known.hour in (timestamp '2026-01-01 10:00:00+00')",
    "begin transaction;\ninsert into raw.t (id, hour) select id, hour from raw.t;\ncommit transaction;",
    "select to_json_string(struct(id as a)), format_timestamp('%Y', hour) from raw.t where true "
    "qualify row_number() over (order by id) = 1",
    f"select {DEEP} from `p.raw.t`",
]


def test_the_analyser_says_what_bigquery_would() -> None:
    found = complaints({"p.raw.t": [("id", "INTEGER"), ("hour", "TIMESTAMP")]}, [*WRONG.values(), *RIGHT])
    assert [number for number, *_ in found] == list(range(len(WRONG)))
