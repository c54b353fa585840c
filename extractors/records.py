"""Rows to Arrow tables: the common columns, the typed ones, and the quarantine of records that do not fit.

Whether values fit is seen by column and page; only a column that fails is looked at value by value, to find the
records to quarantine. What fits is converted many pages at a time, which is what makes it cheap.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, get_args

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from extractors.platform import Community, Entity, Platform, Record, Row, Source, dumps

TIMESTAMP = pa.timestamp("us", "UTC")
TEXTS = pa.list_(pa.string())
COMMON = pa.schema(
    [
        ("platform", pa.string()),
        ("instance", pa.string()),
        ("community", pa.string()),
        ("thread_id", pa.string()),
        ("post_id", pa.string()),
        ("created_at", TIMESTAMP),
        ("observed_at", TIMESTAMP),
        ("run_id", pa.string()),
        ("source", pa.string()),
        ("gone", pa.bool_()),
        ("payload", pa.string()),
        ("parse_error", pa.string()),
        ("text", pa.string()),
        ("quotes", TEXTS),
        ("links", TEXTS),
        ("content_hash", pa.string()),
    ]
)
ENTITIES: tuple[Entity, ...] = get_args(Entity)
PLAIN = {pa.string(): str, pa.int64(): int, pa.bool_(): bool}
MISFIT = (pa.ArrowException, LookupError, TypeError, ValueError, OverflowError, AttributeError)


def schema(platform: Platform, entity: Entity) -> pa.Schema:
    """All columns of `threads` or `posts` of a platform: the common ones, then its own."""
    return pa.schema([*COMMON, *getattr(platform, entity)])


def digest(value: object) -> str:
    """64 bits of a hash, in hex, of bytes or of the JSON of anything else. Processors know SHA-256."""
    return sha256(value if isinstance(value, bytes) else dumps(value)).hexdigest()[:16]


class Columns:
    """Rows of one community, checked as they come, so that their reader hears at once what does not fit, and converted
    together: Arrow costs by column and call (measured 2026-11-22: 100 thread rows one by one 37 ms, together 5 ms).
    """

    def __init__(self, platform: Platform, entity: Entity, community: Community, run_id: str) -> None:
        self._platform, self._entity, self._community, self._run_id = platform, entity, community, run_id
        self._own: pa.Schema = getattr(platform, entity)
        self._plain = [(field, PLAIN.get(field.type)) for field in self._own]
        self._clear()

    def _clear(self) -> None:
        self.bytes = 0
        self._rows: list[Row] = []
        self._errors: list[str | None] = []
        self._words: list[tuple[str | None, list[str] | None, list[str] | None, str | None]] = []
        self._typed: list[list[Any]] = [[] for _ in self._own]

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, rows: Sequence[Row]) -> list[str | None]:
        """Take some rows; return why each is quarantined, or None."""
        errors = [row.error for row in rows]
        fields = [row.fields for row in rows]
        typed = [_fitting(field, plain, fields, errors) for field, plain in self._plain]
        words = _words(self._platform, self._entity, self._community, rows, errors)
        for i, error in enumerate(errors):
            if error:  # a quarantined record has none of its typed columns, so that nobody trusts half of them
                for values in typed:
                    values[i] = None
        for held, values in zip(self._typed, typed, strict=True):
            held += values
        self._rows += rows
        self._words += words
        self._errors += errors
        self.bytes += sum(len(row.payload or b"") for row in rows)
        return errors

    def take(self) -> pa.Table:
        """All of them, with the columns of `schema(platform, entity)`; nothing is left."""
        rows, size = self._rows, len(self._rows)
        texts, quotes, links, hashes = zip(*self._words, strict=True) if rows else ((), (), (), ())
        arrays = [
            pa.repeat(self._platform.name, size),
            pa.repeat(self._community.instance, size),
            pa.repeat(self._community.key, size),
            pa.array([row.thread_id for row in rows], pa.string()),
            pa.array([row.post_id for row in rows], pa.string()),
            pa.array([row.created_at for row in rows], TIMESTAMP),
            pa.array([row.observed_at for row in rows], TIMESTAMP),
            pa.repeat(self._run_id, size),
            pa.array([row.source for row in rows], pa.string()),
            pa.array([row.payload is None for row in rows], pa.bool_()),
            pa.array([row.payload for row in rows], pa.binary()).cast(pa.string()),
            pa.array(self._errors, pa.string()),
            pa.array(texts, pa.string()),
            pa.array(quotes, TEXTS),
            pa.array(links, TEXTS),
            pa.array(hashes, pa.string()),
        ]
        arrays += [_convert(values, field.type) for field, values in zip(self._own, self._typed, strict=True)]
        self._clear()
        return pa.table(arrays, schema=schema(self._platform, self._entity))


def table(platform: Platform, entity: Entity, community: Community, run_id: str, rows: Sequence[Row]) -> pa.Table:
    """The Arrow table of some rows of one community, with the columns of `schema(platform, entity)`."""
    columns = Columns(platform, entity, community, run_id)
    columns.add(rows)
    return columns.take()


def parse_again(platform: Platform, entity: Entity, old: pa.Table) -> pa.Table:
    """`old` with its quarantined rows parsed once more by today's code; every other row stays as it is."""
    quarantined = pc.and_(pc.is_valid(old["parse_error"]), pc.is_valid(old["payload"]))
    known = [name for name in schema(platform, entity).names if name in old.column_names]
    parts = [old.filter(pc.invert(quarantined)).select(known)]
    for row in old.filter(quarantined).to_pylist():
        community = Community(row["community"], row["instance"])
        source: Source = row["source"]
        parsed = platform.row(entity, community, orjson.loads(row["payload"]), row["observed_at"], source)
        if parsed.thread_id is None:
            parsed = parsed._replace(**{name: row[name] for name in ("thread_id", "post_id", "created_at")})
        parts.append(table(platform, entity, community, row["run_id"], [parsed]))
    return pa.concat_tables(parts, promote_options="default")


def _words(
    platform: Platform, entity: Entity, community: Community, rows: Sequence[Row], errors: list[str | None]
) -> list[tuple[str | None, list[str] | None, list[str] | None, str | None]]:
    """Text, quotes, links and content hash of each row; all None where the row is gone or quarantined."""
    found: list[tuple[Any, Any, Any, Any]] = [(None, None, None, None)] * len(rows)
    well = [i for i, row in enumerate(rows) if row.payload is not None and not errors[i]]

    def add(some: list[int]) -> None:
        for i, words in zip(some, platform.words(entity, community, [rows[i].fields for i in some]), strict=True):
            if words.text is not None and not words.text.isascii():
                words.text.encode()  # raises on a lone surrogate, which Parquet cannot hold
            found[i] = (*words, digest(platform.content(entity, rows[i].fields)))

    try:
        add(well)
    except MISFIT:
        for i in well:
            try:
                add([i])
            except MISFIT as problem:
                found[i], errors[i] = (None, None, None, None), f"words: {problem}"[:500]
    return found


def _fitting(field: pa.Field, plain: type | None, records: Sequence[Record], errors: list[str | None]) -> list[Any]:
    """A column's values; those that do not fit are None, and their errors set."""
    name = field.name
    values = [record.get(name) for record in records]
    if plain and _plainly(plain, values):
        return values
    try:
        _convert(values, field.type)
        return values
    except MISFIT:
        pass
    for i, value in enumerate(values):
        try:
            _convert([value], field.type)
        except MISFIT:
            values[i] = None
            errors[i] = errors[i] or f"{name}: expected {field.type}, got {value!r}"[:500]
    return values


def _plainly(kind: type, values: list[Any]) -> bool:
    """Whether they fit beyond doubt, seen without converting them: nothing but this Python type and None."""
    types = set(map(type, values))
    types.discard(type(None))
    if not types:
        return True
    if types != {kind}:
        return False
    present = [value for value in values if value is not None]
    if kind is int:
        return bool(min(present) >= -(2**63) and max(present) < 2**63)
    if kind is str and not all(map(str.isascii, present)):
        try:
            "".join(present).encode()
        except UnicodeEncodeError:  # a lone surrogate, which Parquet cannot hold
            return False
    return True


def _convert(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.string()).cast(kind)
    if pa.types.is_integer(kind) and float in set(map(type, values)):
        raise pa.ArrowInvalid("a fraction where a whole number is declared")  # Arrow would truncate it silently
    return pa.array(values, kind)
