"""What a view is: a statement, its filters, and what makes a row of it unique. From that come its page with a table
that sorts and pages, its CSV, its JSON and its description in OpenAPI; so the API has everything that the pages show.

The statements themselves stand in `queries.py` and `statistics.py`.
"""

import base64
import binascii
import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal

import orjson

from dashboard.reader import Reader, Row

LONGEST = 300  # characters of a value in a URL
SMALLEST_YEAR, GREATEST_YEAR = 1970, 2200
PAGE, LARGEST_PAGE, CSV_ROWS = 50, 1000, 100_000
PERIODS = {"year", "since", "until"}  # the filters that ask for one
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""With these begins what a spreadsheet would run."""


class BadParameter(ValueError):
    """A value in the URL that makes no sense; the sentence says what would."""

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        super().__init__(f"{name} {why}")


@dataclass(frozen=True)
class Filter:
    """Something a URL may ask: `condition` uses the value as `$name`; `kind` says how it is read; `outer` where the
    condition is one on the view's own columns, after whatever was added up."""

    name: str
    condition: str
    kind: Literal["text", "time", "number", "choice", "switch"] = "text"
    label: str = ""
    choices: tuple[str, ...] = ()
    default: str = ""
    required: bool = False
    outer: bool = False

    def read(self, value: str) -> Any:
        """Raises BadParameter."""
        if len(value) > LONGEST or "\0" in value:
            raise BadParameter(self.name, f"must have no more than {LONGEST} characters, and no NUL.")
        if self.kind == "time":
            return read_time(self.name, value)
        if self.kind == "number":
            return read_number(self.name, value, 0, 2**53)
        if self.kind == "choice" and value not in self.choices:
            raise BadParameter(self.name, f"must be one of {', '.join(self.choices)}.")
        if self.kind == "switch" and value not in ("yes", "no"):
            raise BadParameter(self.name, "must be yes or no.")
        return value == "yes" if self.kind == "switch" else value


@dataclass(frozen=True)
class View:
    """`sql` has `{where}` where the filters' conditions go, which is after a `where` of its own. `order`: the column
    that rows are sorted by where the URL does not say; descending with `-` before it. `needs`: relations without
    which there is nothing to show. `overall`: the same where no period is asked, over what is added up already."""

    name: str
    title: str
    about: str
    sql: str
    key: tuple[str, ...]
    order: str
    filters: tuple[Filter, ...] = ()
    needs: tuple[str, ...] = ()
    chart: Callable[[Sequence[Row], "Asked"], str | None] | None = None
    chart_rows: int = 400
    chart_order: str = ""
    overall: str = ""
    hidden: tuple[str, ...] = ()
    """Columns that the page's table leaves out: what only links and programs need."""


@dataclass(frozen=True)
class Asked:
    """What a URL asks of a view."""

    values: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    sort: str = ""
    limit: int = PAGE
    after: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class Found:
    """A page of rows, and the word with which the next page begins."""

    rows: list[Row]
    columns: list[str]
    next: str | None = None


def read(view: View, parameters: Mapping[str, str], largest: int = LARGEST_PAGE) -> Asked:
    """Raises BadParameter. An empty value asks for nothing: a form sends them."""
    values, texts = {}, {}
    for one in view.filters:
        text = parameters.get(one.name, "") or one.default
        if text:
            values[one.name], texts[one.name] = one.read(text), text
        elif one.required:
            raise BadParameter(one.name, "is missing.")
    sort = parameters.get("sort") or view.order
    if not re.fullmatch(r"-?[a-z_][a-z0-9_]{0,60}", sort):
        raise BadParameter("sort", "must be the name of a column, with - before it for descending.")
    limit = read_number("limit", parameters.get("limit") or str(PAGE), 1, largest)
    after = parameters.get("after")
    return Asked(values, texts, sort, limit, _unpack(after, len(view.key) + 1) if after else None)


def find(reader: Reader, view: View, asked: Asked, *, limit: int | None = None) -> Found:
    """A page of the view. Raises BadParameter where it has no such column to sort by."""
    if any(not reader.columns(relation) for relation in view.needs):
        return Found([], [])
    limit = limit or asked.limit
    column, descending = asked.sort.removeprefix("-"), asked.sort.startswith("-")
    names = list(reader.names(_filled(view, asked), asked.values))
    if column not in names:
        raise BadParameter("sort", f"must be one of {', '.join(names)}, with - before it for descending.")
    condition, values = ("", {}) if asked.after is None else _after(column, descending, view.key, asked.after)
    # so said, DuckDB looks only where the first rows can be: 40 ms instead of 400 for a million posts (2026-11)
    order = [f"{column} {'desc' if descending else 'asc'} nulls last", *view.key]
    statement = (
        f"select * from ({_filled(view, asked)}) as found {condition} order by {', '.join(order)} limit {limit + 1}"
    )
    try:
        rows = reader.query(statement, {**asked.values, **values})
    except TypeError as problem:
        raise BadParameter("after", "must be what the page before gave as next.") from problem
    more = rows[:limit]
    following = _pack([more[-1][name] for name in (column, *view.key)]) if len(rows) > limit else None
    return Found(more, names, following)


def _filled(view: View, asked: Asked) -> str:
    """The statement with the conditions of what is asked."""
    inner, outer = (
        " and ".join(
            f"({one.condition})"
            for one in view.filters
            if one.name in asked.values and one.outer == side and one.condition
        )
        for side in (False, True)
    )
    sql = view.overall if view.overall and not PERIODS & asked.values.keys() else view.sql
    statement = sql.replace("{where}", inner or "true")
    return f"select * from ({statement}) as counted where {outer}" if outer else statement


def _after(column: str, descending: bool, key: Sequence[str], last: Sequence[Any]) -> tuple[str, dict[str, Any]]:
    """The condition of rows that come after the last one, and its values; nulls come last."""
    values = {f"after_{i}": value for i, value in enumerate(last)}
    later = []
    for i, name in enumerate(key):
        equal = [f"{earlier} = $after_{j + 1}" for j, earlier in enumerate(key[:i])]
        later.append(" and ".join([*equal, f"{name} > $after_{i + 1}"]))
    ties = " or ".join(f"({one})" for one in later)
    if last[0] is None:
        return f"where {column} is null and ({ties})", values
    beyond = f"{column} {'<' if descending else '>'} $after_0 or {column} is null"
    return f"where {beyond} or ({column} = $after_0 and ({ties}))", values


def _pack(values: Iterable[Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([_tagged(value) for value in values])).decode().rstrip("=")


def _tagged(value: Any) -> list[Any]:
    """With a letter for its kind, so that what is read back compares as it did."""
    if isinstance(value, datetime):
        return ["t", value.isoformat()]
    if isinstance(value, date):
        return ["d", value.isoformat()]
    return ["v", float(value) if isinstance(value, Decimal) else value]


def _unpack(text: str, length: int) -> tuple[Any, ...]:
    """Raises BadParameter."""
    try:
        tagged = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        kinds: dict[str, Callable[[Any], Any]] = {"t": datetime.fromisoformat, "d": date.fromisoformat, "v": _plain}
        found = tuple(kinds[kind](value) for kind, value in tagged)
        if len(found) == length:
            return found
    except (ValueError, TypeError, KeyError, AttributeError, binascii.Error):
        pass
    raise BadParameter("after", "must be what the page before gave as next.")


def _plain(value: Any) -> Any:
    if isinstance(value, str | int | float | bool | None) and "\0" not in str(value):
        return value
    raise ValueError(value)


def read_time(name: str, text: str) -> datetime:
    """An ISO date or time, UTC where it names no zone. Raises BadParameter."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        if SMALLEST_YEAR <= moment.year <= GREATEST_YEAR:
            return moment
    except (ValueError, OverflowError):
        pass
    raise BadParameter(name, "must be an ISO date or time such as 2026-11-22 or 2026-11-22T13:00.")


def read_number(name: str, text: str, least: int, most: int) -> int:
    """Raises BadParameter."""
    if not re.fullmatch(r"[0-9]{1,16}", text) or not least <= int(text) <= most:
        raise BadParameter(name, f"must be a whole number from {least} to {most}.")
    return int(text)


# -- what leaves the house -------------------------------------------------------------------------------------------


def as_json(value: Any) -> Any:
    """Times in UTC with a Z, no number that JSON has not."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [as_json(one) for one in value]
    if isinstance(value, dict):
        return {name: as_json(one) for name, one in value.items()}
    return value


def as_csv(columns: Sequence[str], rows: Iterable[Row]) -> str:
    """With a header. A text that a spreadsheet would run gets an apostrophe before it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    return out.getvalue()


def _cell(value: Any) -> Any:
    value = as_json(value)
    if isinstance(value, list):
        value = " ".join(map(str, value))
    if isinstance(value, str):
        value = value.replace("\0", "\N{SYMBOL FOR NULL}")
        return f"'{value}" if value.startswith(FORMULA) else value
    return value
