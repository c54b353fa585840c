"""The columns of the raw tables, and the observations that a commit's receipts are."""

from collections.abc import Iterable
from datetime import datetime

import pyarrow as pa

from extractors.lake import Commit
from extractors.platform import Entity, Platform
from extractors.records import TIMESTAMP, schema

OBSERVATIONS = pa.schema(
    [
        ("commit_id", pa.string()),
        ("platform", pa.string()),
        ("instance", pa.string()),
        ("community", pa.string()),
        ("run_id", pa.string()),
        ("source", pa.string()),
        ("note", pa.string()),
        ("error", pa.string()),
        ("first_id", pa.string()),
        ("last_id", pa.string()),
        ("complete", pa.bool_()),
        ("posts", pa.int64()),
        ("threads", pa.int64()),
        ("gone", pa.int64()),
        ("parse_errors", pa.int64()),
        ("requests", pa.int64()),
        ("not_modified", pa.int64()),
        ("bytes", pa.int64()),
        ("waited", pa.float64()),
        ("hour", TIMESTAMP),
        ("observed_at", TIMESTAMP),
        ("loaded_at", TIMESTAMP),
    ]
)
"""One row per commit and community. `source`: `api`; `history` for a chunk of the past and `export` for a file, which
say nothing of the hour. `bytes` as they travelled, `waited` in seconds."""


def raw_schema(platform: Platform, entity: Entity) -> pa.Schema:
    """The columns of `raw.<platform>_<entity>`: the lake's, the partition, and when it was loaded."""
    return pa.schema([*schema(platform, entity), ("hour", TIMESTAMP), ("loaded_at", TIMESTAMP)])


def observations(commits: Iterable[Commit], loaded_at: datetime) -> pa.Table:
    """The rows of `raw.observations` that these commits are."""
    rows = []
    for commit in commits:
        for key, receipt in commit.communities.items():
            row = {name: getattr(receipt, name, None) for name in OBSERVATIONS.names}
            rows.append(
                row
                | {
                    "commit_id": commit.name,
                    "platform": commit.platform,
                    "community": key,
                    "run_id": commit.run_id,
                    "source": "history" if receipt.history else receipt.source,
                    "hour": commit.hour,
                    "observed_at": commit.observed_at,
                    "loaded_at": loaded_at,
                }
            )
    return pa.Table.from_pylist(rows, OBSERVATIONS)
