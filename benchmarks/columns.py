"""The columns that dlt's sides write of a record: all it says, or its key alone; and always its payload."""

from typing import Any

import orjson
import pyarrow as pa

from extractors.platform import Record

KEYS: dict[str, dict[str, pa.DataType]] = {
    "fourchan": {"no": pa.int64(), "resto": pa.int64(), "time": pa.int64()},
    "discourse": {"id": pa.int64(), "topic_id": pa.int64(), "post_number": pa.int64(), "created_at": pa.string()},
    "lemmy": {"id": pa.int64(), "post_id": pa.int64(), "published": pa.string()},
    "discord": {"id": pa.string(), "channel_id": pa.string(), "timestamp": pa.string()},
}


def with_columns(platform: str, record: Record) -> Record:
    """What stands in objects of its own, beside: of Lemmy the item, its counts and creator, of Discord the author."""
    payload = orjson.dumps(record).decode()
    if platform == "lemmy":
        creator = {f"creator_{name}": value for name, value in record["creator"].items()}
        return {**record["counts"], **_own(record), **creator, "payload": payload}
    if platform == "discord":
        author = {f"author_{name}": value for name, value in record["author"].items()}
        rest = {name: value for name, value in record.items() if name != "author"}
        return {**rest, **author, "payload": payload}
    return {**record, "payload": payload}


def with_keys(platform: str, record: Record) -> Record:
    own = _own(record) if platform == "lemmy" else record
    return {**{name: own.get(name) for name in KEYS[platform]}, "payload": orjson.dumps(record).decode()}


def key(payload: Record) -> str:
    """Which post it is."""
    own: Record = payload.get("comment") or payload.get("post") or payload
    return f"{'c' if 'comment' in payload else ''}{own.get('no', own.get('id'))}"


def _own(record: Record) -> Any:
    return record["comment"] if "comment" in record else record["post"]
