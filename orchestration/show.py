"""Tables for a terminal."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from extractors.lake import HOUR_FORMAT
from extractors.plan import first_hour
from orchestration.pipeline import Pipeline
from orchestration.warehouse import WarehouseError

WIDEST = 80


def table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """An aligned table; numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(names)]
    numeric = [bool(rows) and all(isinstance(row[i], int | float | None) for row in rows) for i in range(len(names))]

    def line(row: Sequence[str]) -> str:
        parts = [c.rjust(w) if right else c.ljust(w) for c, w, right in zip(row, widths, numeric, strict=True)]
        return "  ".join(parts).rstrip()

    return "\n".join([line(names), line(["-" * width for width in widths]), *(line(row) for row in cells)])


def status(pipeline: Pipeline) -> str:
    """Who is tracked, what the lake has of them, and how much of it is merged."""
    rows = []
    for platform in pipeline.platforms:
        commits = pipeline.lake.commits(platform.name)
        for tracked in pipeline.lake.tracked(platform.name):
            mine = [commit.communities[tracked.key] for commit in commits if tracked.key in commit.communities]
            closed = [commit.hour for commit in commits if commit.closes(tracked.key)]
            rows.append(
                [
                    tracked.key,
                    f"{first_hour(tracked, pipeline.settings.start):{HOUR_FORMAT}}",
                    f"{max(closed):{HOUR_FORMAT}}" if closed else None,
                    len(set(closed)),
                    sum(receipt.posts for receipt in mine),
                    sum(receipt.requests for receipt in mine),
                    sum(receipt.parse_errors for receipt in mine),
                ]
            )
    names = ["community", "since", "read up to", "hours", "posts read", "requests", "parse errors"]
    return f"Lake {pipeline.settings.lake}\n\n{table(names, rows)}\n\n{_warehouse(pipeline)}"


def _warehouse(pipeline: Pipeline) -> str:
    try:
        rows = list(pipeline.warehouse.tables(patience=30).items())
    except WarehouseError as problem:
        return str(problem)
    return f"Warehouse {pipeline.warehouse.name}\n\n{table(['table', 'rows'], rows)}"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    text = f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"
