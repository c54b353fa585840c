"""The dashboards that are kept as code name marts and columns that there are, and their queries run."""

import re
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

ROOT = Path(__file__).parents[1]
MARTS = {
    model["name"]: {column["name"]: column["data_type"] for column in model["columns"]}
    for model in yaml.safe_load((ROOT / "dbt_project/models/marts/_marts.yml").read_text())["models"]
}
SUPERSET, METABASE = ROOT / "docs/bi/superset", ROOT / "docs/bi/metabase/collections/main"


def read(folder: Path) -> list[dict[str, Any]]:
    return [yaml.safe_load(path.read_text()) for path in sorted(folder.rglob("*.yaml"))]


@pytest.fixture(scope="module")
def warehouse() -> duckdb.DuckDBPyConnection:
    """One with the marts, empty."""
    connection = duckdb.connect()
    connection.execute("create schema marts")
    for name, columns in MARTS.items():
        connection.execute(f"create table marts.{name} ({', '.join(f'{c} {kind}' for c, kind in columns.items())})")
    return connection


def test_superset_s_charts_stand_on_marts(warehouse: duckdb.DuckDBPyConnection) -> None:
    (database,) = read(SUPERSET / "databases")
    datasets = {dataset["uuid"]: dataset for dataset in read(SUPERSET / "datasets")}
    charts = {chart["uuid"]: chart for chart in read(SUPERSET / "charts")}
    for dataset in datasets.values():
        assert dataset["schema"] == "marts" and dataset["database_uuid"] == database["uuid"]
        assert {column["column_name"] for column in dataset["columns"]} <= MARTS[dataset["table_name"]].keys()
        for metric in dataset["metrics"]:
            warehouse.execute(f"select {metric['expression']} from marts.{dataset['table_name']}")
    for chart in charts.values():
        dataset, params = datasets[chart["dataset_uuid"]], chart["params"]
        named = {params["groupby"]} if isinstance(params["groupby"], str) else set(params["groupby"])
        named |= {params[name] for name in ("x_axis",) if name in params}
        assert named <= {column["column_name"] for column in dataset["columns"]}, chart["slice_name"]
        metrics = {metric["metric_name"] for metric in dataset["metrics"]}
        assert {params["metric"]} if "metric" in params else set(params["metrics"]) <= metrics, chart["slice_name"]
    (dashboard,) = read(SUPERSET / "dashboards")
    places = [place for place in dashboard["position"].values() if isinstance(place, dict)]
    assert {place["meta"]["uuid"] for place in places if place["type"] == "CHART"} == charts.keys()
    assert {child for place in places for child in place.get("children", [])} <= dashboard["position"].keys()


def test_metabase_s_questions_run(warehouse: duckdb.DuckDBPyConnection) -> None:
    files = {file["entity_id"]: file for file in read(METABASE)}
    cards = {key: file for key, file in files.items() if "dataset_query" in file}
    assert len(cards) == 8
    for card in cards.values():
        query = card["dataset_query"]["stages"][0]["native"]
        for community in ("", r"\1"):  # without the filter, and with it
            asked = re.sub(r"\[\[(.*?)\]\]", community, query).replace("{{community}}", "'fourchan:po'")
            found = [column[0] for column in warehouse.execute(asked).description or ()]
        shown = card["visualization_settings"]
        assert set(shown.get("graph.dimensions", []) + shown.get("graph.metrics", [])) <= set(found), card["name"]
        assert card["collection_id"] in files
    (dashboard,) = [file for file in files.values() if "dashcards" in file]
    assert {card["card_id"] for card in dashboard["dashcards"]} == cards.keys()
    assert all(card["col"] + card["size_x"] <= 24 for card in dashboard["dashcards"])


def test_each_mart_is_in_the_documents() -> None:
    inside = {"changed_days", "changed_years", "marts_built"}
    for document in ("README.md", "docs/bi.md"):
        text = (ROOT / document).read_text()
        assert [name for name in MARTS.keys() - inside if f"`{name}`" not in text] == [], document
