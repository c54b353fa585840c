"""Rows to Arrow tables: the common columns, the typed ones, and the quarantine of records that do not fit.

Conversion is by column, since one call per column and page is what makes it cheap; only a column that fails is
looked at value by value, to find the records to quarantine.
"""

from collections.abc import Sequence
from hashlib import blake2b
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
MISFIT = (pa.ArrowException, LookupError, TypeError, ValueError, OverflowError, AttributeError)


def schema(platform: Platform, entity: Entity) -> pa.Schema:
    """All columns of `threads` or `posts` of a platform: the common ones, then its own."""
    return pa.schema([*COMMON, *getattr(platform, entity)])


def digest(value: object) -> str:
    """64 bits of a hash, in hex, of bytes or of the JSON of anything else."""
    return blake2b(value if isinstance(value, bytes) else dumps(value), digest_size=8).hexdigest()


def table(platform: Platform, entity: Entity, community: Community, run_id: str, rows: Sequence[Row]) -> pa.Table:
    """The Arrow table of some rows of one community, with the columns of `schema(platform, entity)`."""
    own: pa.Schema = getattr(platform, entity)
    errors = [row.error for row in rows]
    fields = [row.fields for row in rows]
    typed = [_column(field, fields, errors) for field in own]
    words = _words(platform, entity, community, rows, errors)
    if any(errors):  # a quarantined record has none of its typed columns, so that nobody trusts half of them
        fields = [{} if error else row.fields for row, error in zip(rows, errors, strict=True)]
        typed = [_column(field, fields, errors) for field in own]
    size = len(rows)
    common = [
        pa.repeat(platform.name, size),
        pa.repeat(community.instance, size),
        pa.repeat(community.key, size),
        pa.array([row.thread_id for row in rows], pa.string()),
        pa.array([row.post_id for row in rows], pa.string()),
        pa.array([row.created_at for row in rows], TIMESTAMP),
        pa.array([row.observed_at for row in rows], TIMESTAMP),
        pa.repeat(run_id, size),
        pa.array([row.source for row in rows], pa.string()),
        pa.array([row.payload is None for row in rows], pa.bool_()),
        pa.array([row.payload for row in rows], pa.binary()).cast(pa.string()),
        pa.array(errors, pa.string()),
        pa.array([word[0] for word in words], pa.string()),
        pa.array([word[1] for word in words], TEXTS),
        pa.array([word[2] for word in words], TEXTS),
        pa.array([word[3] for word in words], pa.string()),
    ]
    return pa.table([*common, *typed], schema=schema(platform, entity))


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


def _column(field: pa.Field, records: Sequence[Record], errors: list[str | None]) -> pa.Array:
    name = field.name
    values = [record.get(name) for record in records]
    try:
        return _convert(values, field.type)
    except MISFIT:
        pass
    for i, value in enumerate(values):
        try:
            _convert([value], field.type)
        except MISFIT:
            values[i] = None
            errors[i] = errors[i] or f"{name}: expected {field.type}, got {value!r}"[:500]
    return _convert(values, field.type)


def _convert(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.string()).cast(kind)
    if pa.types.is_integer(kind) and float in set(map(type, values)):
        raise pa.ArrowInvalid("a fraction where a whole number is declared")  # Arrow would truncate it silently
    return pa.array(values, kind)
