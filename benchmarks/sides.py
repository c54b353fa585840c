"""What is compared: each side crawls one community from the server into Parquet, in a process of its own.

`python -m benchmarks.sides SIDE PLATFORM --server URL --out FOLDER` prints what it took as JSON. Imports are not timed.
"""

import argparse
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import columns, discord_bodies, lemmy_bodies
from benchmarks.pages import pages
from benchmarks.rest import CONFIGS, POSTS
from benchmarks.server import BOARD, FORUM, NOW, SPAN
from extractors.crawl import crawl
from extractors.discord import Discord
from extractors.discourse import Discourse
from extractors.fourchan import Fourchan
from extractors.history import history
from extractors.http import Http
from extractors.lake import Lake
from extractors.lemmy import Lemmy
from extractors.pace import Pace
from extractors.platform import HOUR, Community, Platform, Record, Window, Words
from extractors.store import Folder

BATCH = 5_000
"""Posts in one Arrow table that dlt is given; it writes one file of them all."""
FOR_EVER = 1e9  # seconds


class Ours(NamedTuple):
    """What our side crawls of a platform, and over which window it was written."""

    platform: Callable[..., Platform]
    community: Community
    window: Window


DAY = Window(NOW - SPAN, NOW)
CHANNEL = f"discord:{discord_bodies.GUILD}/{discord_bodies.CHANNEL}"
OURS = {
    "fourchan": Ours(Fourchan, Community(f"fourchan:{BOARD}", "4chan.org"), Window(NOW - HOUR, NOW)),
    "discourse": Ours(Discourse, Community(f"discourse:{FORUM}", FORUM), DAY),
    "lemmy": Ours(
        Lemmy,
        Community(f"lemmy:{lemmy_bodies.INSTANCE}/{lemmy_bodies.COMMUNITY}", lemmy_bodies.INSTANCE),
        DAY,
    ),
    "discord": Ours(Discord, Community(CHANNEL, discord_bodies.HOST), DAY),
}


def _ours(platform: str, out: Path, server: str, in_flight: int = 2) -> tuple[Platform, dict[str, Any]]:
    """The platform, and what its crawl needs besides."""
    http = Http(locks=out / "locks", user_agent="threadlake-bench", via=server, clock=_now)
    more = {"lake": Lake(Folder(out / "lake")), "http": http, "clock": _now, "scratch": out / "scratch"}
    # a limit that is never near; of a short span, so that its record is as short as a real one's
    pace = Pace(1_000, 0.001, in_flight)
    return OURS[platform].platform(pace=pace), {"run_id": "bench", **more}


def threadlake(platform: str, server: str, out: Path, *, words: bool = True, in_flight: int = 2) -> int:
    """Our crawl into a lake: payload, typed columns, state, hashes; and text, quotes and links unless told not to."""
    how, more = _ours(platform, out, server, in_flight)
    if not words:
        how.words = lambda entity, community, fields: [Words(None, [], [])] * len(fields)  # type: ignore[method-assign]
    _, community, window = OURS[platform]
    posts = 0
    for commit in crawl(how, [community], window, **more):
        receipt = commit.communities[community.key]
        assert receipt.complete, receipt.error
        posts += receipt.posts
    return posts


def threadlake_history(platform: str, server: str, out: Path) -> int:
    """Our reading of a community's whole past into a lake."""
    how, more = _ours(platform, out, server)
    _, community, window = OURS[platform]
    for _, progress in history(how, community, window.start, seconds=FOR_EVER, **more):
        assert progress.error is None, progress.error
    assert progress.finished
    return progress.posts


def dlt_rest_api(platform: str, server: str, out: Path, *, lean: bool = False) -> int:
    """dlt's declarative source: a column for each field, and the payload in one more. Lean: the least it can be made
    to write, the payload with its key and time."""
    from dlt.sources.rest_api import rest_api_resources

    config = CONFIGS[platform](server)
    made = columns.with_keys if lean else columns.with_columns
    for resource in config["resources"]:
        if resource["name"] in POSTS:
            resource["processing_steps"] = [{"map": partial(made, platform)}]
            resource["columns"] = {"payload": {"data_type": "text"}}
    return _dlt(out, lambda: rest_api_resources(config))  # type: ignore[arg-type]


def dlt_arrow(platform: str, server: str, out: Path, *, lean: bool = False) -> int:
    """A dlt resource that yields Arrow tables, made with requests and orjson: our typed columns and the payload. Lean:
    without other columns than the payload, its key and its time."""
    import dlt

    own = OURS[platform].platform.posts  # type: ignore[attr-defined]
    types = {field.name: field.type if not pa.types.is_timestamp(field.type) else pa.string() for field in own}
    keys = columns.KEYS[platform]
    schema = pa.schema([*(keys if lean else keys | types).items(), ("payload", pa.string())])
    made = columns.with_keys if lean else columns.with_columns
    heads: list[Record] = []

    @dlt.resource(name="posts", write_disposition="append")
    def posts() -> Iterator[pa.Table]:
        held: list[Record] = []
        for records, some in pages(platform, server):
            heads.extend(some)
            held += [made(platform, record) for record in records]
            if len(held) >= BATCH:
                yield pa.Table.from_pylist(held, schema)
                held = []
        if held:
            yield pa.Table.from_pylist(held, schema)

    @dlt.resource(name="threads", write_disposition="append")
    def threads() -> Iterator[pa.Table]:
        yield pa.table({"payload": [orjson.dumps(record).decode() for record in heads]})

    return _dlt(out, lambda: [posts, threads])


def _dlt(out: Path, resources: Callable[[], Any]) -> int:
    import dlt
    from dlt.destinations import filesystem

    pipeline = dlt.pipeline(
        "bench", pipelines_dir=str(out / "pipelines"), destination=filesystem(bucket_url=f"file://{out / 'lake'}"),
        dataset_name="bench",
    )  # fmt: skip

    @dlt.source(max_table_nesting=0)
    def source() -> Any:
        return resources()

    pipeline.run(source(), loader_file_format="parquet")
    trace: Any = pipeline.last_trace
    return sum(trace.last_normalize_info.row_counts.get(name, 0) for name in POSTS)


SIDES: dict[str, Callable[..., int]] = {
    "threadlake": threadlake,
    "threadlake-wordless": partial(threadlake, words=False),
    "threadlake-history": threadlake_history,
    "dlt-rest-api": dlt_rest_api,
    "dlt-rest-api-lean": partial(dlt_rest_api, lean=True),
    "dlt-arrow": dlt_arrow,
    "dlt-arrow-lean": partial(dlt_arrow, lean=True),
}


def payloads(out: Path) -> Iterator[tuple[str, Any]]:
    """(id, payload) of each post that a side wrote, in any order."""
    lake = out / "lake"
    theirs = [file for name in POSTS for file in (lake / "bench" / name).glob("*.parquet")]
    for file in theirs or lake.glob("*/posts/**/*.parquet"):
        for text in pq.read_table(file, columns=["payload"])["payload"].to_pylist():
            record = orjson.loads(text)
            yield columns.key(record), record


def _now() -> datetime:
    return NOW


def _peak() -> int:
    """Most bytes in memory of this process so far. Not getrusage, which also knows the parent's."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sides", description=__doc__)
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("platform", choices=OURS)
    parser.add_argument("--server", required=True, metavar="URL")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--in-flight", type=int)
    options = parser.parse_args()
    os.environ.update({"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"})
    if options.side.startswith("dlt"):
        import dlt.destinations.impl.filesystem.filesystem
        import dlt.sources.rest_api  # noqa: F401
    more = {} if options.in_flight is None else {"in_flight": options.in_flight}
    pa.array([0])  # imports pandas where it is installed, 0.2 s
    cpu, began = time.process_time(), time.perf_counter()
    posts = SIDES[options.side](options.platform, options.server, options.out, **more)
    seconds = time.perf_counter() - began
    took = {"posts": posts, "seconds": seconds, "cpu": time.process_time() - cpu, "peak": _peak()}
    print(json.dumps(took))


if __name__ == "__main__":
    main()
