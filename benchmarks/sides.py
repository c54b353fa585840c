"""What is compared: each side crawls one community from the server into Parquet, in a process of its own.

`python -m benchmarks.sides SIDE PLATFORM --server URL --out FOLDER` prints what it took as JSON. Imports are not timed.
"""

import argparse
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import requests

from benchmarks.server import BOARD, FORUM, FORUM_HOURS, FOURCHAN, NOW
from extractors.crawl import crawl
from extractors.discourse import Discourse
from extractors.fourchan import Fourchan
from extractors.http import Http
from extractors.lake import Lake
from extractors.pace import Pace
from extractors.platform import HOUR, Community, Entity, Platform, Record, Window, Words
from extractors.store import Folder

BATCH = 5_000
"""Posts in one Arrow table that dlt is given; it writes one file of them all."""


class WordlessFourchan(Fourchan):
    def words(self, entity: Entity, community: Community, fields: Sequence[Record]) -> list[Words]:
        return [Words(None, [], [])] * len(fields)


class WordlessDiscourse(Discourse):
    def words(self, entity: Entity, community: Community, fields: Sequence[Record]) -> list[Words]:
        return [Words(None, [], [])] * len(fields)


def threadlake(platform: str, server: str, out: Path, *, words: bool = True, in_flight: int = 2) -> int:
    """Our crawl into a lake: payload, typed columns, state, hashes; and text, quotes and links unless told not to."""
    pace = Pace(1_000_000, 1, in_flight)
    how: Platform
    if platform == "fourchan":
        how = Fourchan(pace=pace) if words else WordlessFourchan(pace=pace)
        community, window = Community(f"fourchan:{BOARD}", "4chan.org"), Window(NOW - HOUR, NOW)
    else:
        how = Discourse(pace=pace) if words else WordlessDiscourse(pace=pace)
        community, window = Community(f"discourse:{FORUM}", FORUM), Window(NOW - FORUM_HOURS, NOW)
    http = Http(locks=out / "locks", user_agent="threadlake-bench", via=server, clock=_now)
    commits = crawl(
        how, [community], window, lake=Lake(Folder(out / "lake")), http=http, run_id="bench", clock=_now,
        scratch=out / "scratch",
    )  # fmt: skip
    posts = 0
    for commit in commits:
        receipt = commit.communities[community.key]
        assert receipt.complete, receipt.error
        posts += receipt.posts
    return posts


def dlt_rest_api(platform: str, server: str, out: Path) -> int:
    """dlt's declarative source: a column for each field, and the payload in one more. Nested values stay JSON."""
    from dlt.sources.rest_api import rest_api_resources

    config = _rest_fourchan(server) if platform == "fourchan" else _rest_discourse(server)
    config["resources"][1]["processing_steps"] = [{"map": _with_payload}]
    return _dlt(out, lambda: rest_api_resources(config))


def dlt_rest_api_lean(platform: str, server: str, out: Path) -> int:
    """The least dlt's source can be made to write: the payload with its key and time, without the other columns."""
    from dlt.sources.rest_api import rest_api_resources

    config = _rest_fourchan(server) if platform == "fourchan" else _rest_discourse(server)
    config["resources"][1]["processing_steps"] = [{"map": lambda record: _keys(platform, record)}]
    return _dlt(out, lambda: rest_api_resources(config))


KEYS = {
    "fourchan": {"no": pa.int64(), "resto": pa.int64(), "time": pa.int64()},
    "discourse": {"id": pa.int64(), "topic_id": pa.int64(), "post_number": pa.int64(), "created_at": pa.string()},
}


def _with_payload(record: Record) -> Record:
    return {**record, "payload": orjson.dumps(record).decode()}


def _keys(platform: str, record: Record) -> Record:
    return {**{name: record[name] for name in KEYS[platform]}, "payload": orjson.dumps(record).decode()}


def _rest_fourchan(server: str) -> Any:
    threads = {
        "name": "threads",
        "primary_key": "no",
        "write_disposition": "append",
        "endpoint": {
            "path": f"{BOARD}/threads.json",
            "data_selector": "$[*].threads[*]",
            "paginator": "single_page",
            "incremental": {"cursor_path": "last_modified", "initial_value": 0},
        },
    }
    posts = {
        "name": "posts",
        "primary_key": "no",
        "write_disposition": "append",
        "columns": {"payload": {"data_type": "text"}},
        "endpoint": {
            "path": f"{BOARD}/thread/{{resources.threads.no}}.json",
            "data_selector": "posts",
            "paginator": "single_page",
        },
    }
    return {"client": {"base_url": f"{server}/{FOURCHAN}/"}, "resources": [threads, posts]}


def _rest_discourse(server: str) -> Any:
    from dlt.sources.helpers.rest_client.paginators import BasePaginator, PageNumberPaginator

    class Before(BasePaginator):
        """The next page is of the posts below the least id of this one."""

        def update_state(self, response: requests.Response, data: list[Any] | None = None) -> None:
            self._before = min((post["id"] for post in data), default=1) if data else 1
            self._has_next_page = self._before > 1

        def update_request(self, request: requests.Request) -> None:
            request.params = {**(request.params or {}), "before": self._before}

    posts = {
        "name": "posts",
        "primary_key": "id",
        "write_disposition": "append",
        "columns": {"payload": {"data_type": "text"}},
        "endpoint": {"path": "posts.json", "data_selector": "latest_posts", "paginator": Before()},
    }
    topics = {
        "name": "topics",
        "primary_key": "id",
        "write_disposition": "append",
        "endpoint": {
            "path": "latest.json",
            "data_selector": "topic_list.topics",
            "paginator": PageNumberPaginator(base_page=0, total_path=None),
        },
    }
    return {"client": {"base_url": f"{server}/{FORUM}/"}, "resources": [topics, posts]}


def dlt_arrow(platform: str, server: str, out: Path) -> int:
    """A dlt resource that yields Arrow tables, made with requests and orjson: our typed columns and the payload."""
    own = (Fourchan if platform == "fourchan" else Discourse).posts
    types = {field.name: field.type if not pa.types.is_timestamp(field.type) else pa.string() for field in own}
    return _arrow(platform, server, out, KEYS[platform] | types)


def dlt_arrow_lean(platform: str, server: str, out: Path) -> int:
    """The same without other columns than the payload, its key and its time."""
    return _arrow(platform, server, out, KEYS[platform])


def _arrow(platform: str, server: str, out: Path, types: dict[str, pa.DataType]) -> int:
    import dlt

    pages = _fourchan_pages(server) if platform == "fourchan" else _discourse_pages(server)
    schema = pa.schema([*types.items(), ("payload", pa.string())])
    heads: list[Record] = []

    @dlt.resource(name="posts", write_disposition="append")
    def posts() -> Iterator[pa.Table]:
        held: list[Record] = []
        for records, some in pages:
            heads.extend(some)
            held += [_with_payload(record) for record in records]
            if len(held) >= BATCH:
                yield pa.Table.from_pylist(held, schema)
                held = []
        if held:
            yield pa.Table.from_pylist(held, schema)

    @dlt.resource(name="threads", write_disposition="append")
    def threads() -> Iterator[pa.Table]:
        yield pa.table({"payload": [orjson.dumps(record).decode() for record in heads]})

    return _dlt(out, lambda: [posts, threads])


def _fourchan_pages(server: str) -> Iterator[tuple[list[Record], list[Record]]]:
    with requests.Session() as session:
        index = orjson.loads(session.get(f"{server}/{FOURCHAN}/{BOARD}/threads.json").content)
        for thread in (thread for page in index for thread in page["threads"]):
            answer = session.get(f"{server}/{FOURCHAN}/{BOARD}/thread/{thread['no']}.json")
            yield orjson.loads(answer.content)["posts"], [thread]


def _discourse_pages(server: str) -> Iterator[tuple[list[Record], list[Record]]]:
    with requests.Session() as session:
        url = f"{server}/{FORUM}/posts.json"
        while records := orjson.loads(session.get(url).content)["latest_posts"]:
            yield records, []
            if records[-1]["id"] == 1:
                break
            url = f"{server}/{FORUM}/posts.json?before={records[-1]['id']}"
        page = 0
        while topics := orjson.loads(session.get(f"{server}/{FORUM}/latest.json?page={page}").content)["topic_list"][
            "topics"
        ]:
            yield [], topics
            page += 1


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
    rows: int = trace.last_normalize_info.row_counts["posts"]
    return rows


SIDES: dict[str, Callable[..., int]] = {
    "threadlake": threadlake,
    "threadlake-wordless": partial(threadlake, words=False),
    "dlt-rest-api": dlt_rest_api,
    "dlt-rest-api-lean": dlt_rest_api_lean,
    "dlt-arrow": dlt_arrow,
    "dlt-arrow-lean": dlt_arrow_lean,
}


def payloads(out: Path) -> Iterator[tuple[str, Any]]:
    """(id, payload) of each post that a side wrote, in any order."""
    ours = sorted((out / "lake").glob("*/posts/**/*.parquet"))
    theirs = sorted((out / "lake" / "bench" / "posts").glob("*.parquet"))
    for file in ours or theirs:
        for text in pq.read_table(file, columns=["payload"])["payload"].to_pylist():
            record = orjson.loads(text)
            yield str(record.get("no", record.get("id"))), record


def _now() -> datetime:
    return NOW


def _peak() -> int:
    """Most bytes in memory of this process so far. Not getrusage, which also knows the parent's."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sides", description=__doc__)
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("platform", choices=("fourchan", "discourse"))
    parser.add_argument("--server", required=True, metavar="URL")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--in-flight", type=int)
    options = parser.parse_args()
    os.environ.update({"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"})
    if options.side.startswith("dlt"):
        import dlt.destinations.impl.filesystem.filesystem
        import dlt.sources.rest_api  # noqa: F401
    more = {} if options.in_flight is None else {"in_flight": options.in_flight}
    cpu, began = time.process_time(), time.perf_counter()
    posts = SIDES[options.side](options.platform, options.server, options.out, **more)
    seconds = time.perf_counter() - began
    took = {"posts": posts, "seconds": seconds, "cpu": time.process_time() - cpu, "peak": _peak()}
    print(json.dumps(took))


if __name__ == "__main__":
    main()
