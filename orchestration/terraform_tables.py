"""The raw tables for Terraform: `terraform/raw_tables.json`, from what the platforms declare; typed nowhere twice.

python -m orchestration.terraform_tables
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from extractors.platforms import PLATFORMS
from extractors.records import entities
from orchestration.settings import PROJECT
from orchestration.tables import OBSERVATIONS, raw_schema

FILE = PROJECT / "terraform" / "raw_tables.json"


def tables() -> dict[str, dict[str, Any]]:
    """Every raw table by its name: description, clustering, and its columns as BigQuery's API calls them."""
    found = {
        "observations": {
            "description": "What one crawl got of one community in one hour, and what it could not get.",
            "clustering": ["platform", "community"],
            "schema": list(_columns(OBSERVATIONS)),
        }
    }
    for platform in (kind() for kind in PLATFORMS):
        for entity in entities(platform):
            found[f"{platform.name}_{entity}"] = {
                "description": f"{entity.capitalize()} of {platform.name}, as they were observed.",
                "clustering": ["platform", "community"],
                "schema": list(_columns(raw_schema(platform, entity))),
            }
    return dict(sorted(found.items()))


def _columns(schema: pa.Schema) -> Iterator[dict[str, str]]:
    for field in schema:
        many = pa.types.is_list(field.type)
        kind = _type(field.type.value_type if many else field.type, field.name)
        yield {"name": field.name, "type": kind, "mode": "REPEATED" if many else "NULLABLE"}


def _type(kind: pa.DataType, name: str) -> str:
    for fits, word in (
        (pa.types.is_string, "STRING"),
        (pa.types.is_boolean, "BOOLEAN"),
        (pa.types.is_integer, "INTEGER"),
        (pa.types.is_floating, "FLOAT"),
        (pa.types.is_timestamp, "TIMESTAMP"),
    ):
        if fits(kind):
            return word
    raise TypeError(f"Column {name} is {kind}: say in {__name__} what BigQuery calls that.")


def text() -> str:
    """The file: a column a line."""
    return re.sub(r'\{\s+("name".*?)\s+\}', lambda found: "{" + " ".join(found[1].split()) + "}", _json(), flags=re.S)


def _json() -> str:
    return json.dumps(tables(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
    print(f"{len(tables())} tables in {FILE}")
