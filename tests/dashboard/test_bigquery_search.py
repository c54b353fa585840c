"""The pages and the API on BigQuery: each of their statements passes Google's analyser; what they answer there is
compared in `tests/test_parity.py`.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.testclient import TestClient

from dashboard.app import make_app
from dashboard.bigquery_search import BigQuerySearcher
from dashboard.reader import InBigQuery, PublishedReader, Row
from sandbox.bigquery import PROJECT, complaints, missing
from tests.dashboard import addresses
from tests.dashboard.conftest import Served

pytestmark = [pytest.mark.xdist_group("dashboard"), pytest.mark.skipif(bool(missing()), reason=missing() or "")]
MODELS = Path(__file__).resolve().parents[2] / "dbt_project" / "models"
KINDS = {
    "varchar": "STRING", "bigint": "INTEGER", "integer": "INTEGER", "double": "FLOAT", "boolean": "BOOLEAN",
    "date": "DATE", "timestamptz": "TIMESTAMP", "varchar[]": "ARRAY<STRING>",
}  # fmt: skip
AS_BIGQUERY = (
    "search(said, word) as contains(lower(cast(said as varchar)), word)",
    "regexp_contains(said, pattern) as regexp_matches(said, pattern)",
    "edit_distance(one, other) as levenshtein(one, other)",
)
"""Functions of BigQuery that DuckDB does not have, near enough."""


class Recorder(PublishedReader):
    """Notes what BigQuery would be asked, and asks DuckDB the same."""

    dialect = InBigQuery()

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked: set[str] = set()

    def query(self, sql: str, values: Mapping[str, Any] | None = None) -> list[Row]:
        told = re.sub(r"in unnest\((\$\w+)\)", r"in (select unnest(\1))", sql)
        if not sql.startswith("describe") and "published." not in sql:
            self.asked.add(re.sub(r"\$(\w+)", r"@\1", sql))
        named = set(re.findall(r"\$(\w+)", told))
        with self._latest().connection.cursor() as cursor:
            for macro in AS_BIGQUERY:
                cursor.execute(f"create or replace temporary macro {macro}")
            found = cursor.execute(told, {name: value for name, value in (values or {}).items() if name in named})
            columns = [column[0] for column in found.description or ()]
            return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]

    def names(self, sql: str, values: Mapping[str, Any] | None = None) -> Sequence[str]:
        return super().names(re.sub(r"in unnest\((\$\w+)\)", r"in (select unnest(\1))", sql), values)


def catalogue() -> dict[str, list[tuple[str, str]]]:
    """The tables that contracts describe, as BigQuery would call their columns."""
    return {
        f"{PROJECT}.{layer}.{model['name']}": [
            (column["name"], KINDS[column["data_type"]]) for column in model["columns"]
        ]
        for layer in ("clean", "marts")
        for model in yaml.safe_load((MODELS / layer / f"_{layer}.yml").read_text())["models"]
    }


def test_the_analyser_passes_every_statement(served: Served) -> None:
    reader = Recorder(served.pipeline.settings.published)
    app = make_app(served.pipeline, reader)
    assert isinstance(app.state.parts.searcher, BigQuerySearcher)
    post, quoting = (
        reader.query(f"select * from clean.all_posts where {condition} limit 1")[0]
        for condition in ("author_id is not null and version_count > 1", "platform = 'discourse'")
    )
    named = {**quoting, "post_id": quoting["url"].removeprefix(f"https://{quoting['instance']}/t/")}
    client = TestClient(app, base_url="http://127.0.0.1")
    for path in [*addresses.tables(), *addresses.others(), *addresses.of_one(post, named)]:
        assert client.get(path).status_code == 200, path
    for path in ("/", f"/c/{post['community']}", "/coverage", "/statistics", "/communities"):
        assert client.get(path).status_code == 200, path
    assert len(reader.asked) > 100
    assert complaints(catalogue(), sorted(reader.asked)) == []
