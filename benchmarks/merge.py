"""The hour that adds 50,000 rows, edits and deletions of old posts among them, to small and to large warehouses.

Seeds a warehouse with posts of 400 days, lets dbt merge hours into it as orchestration does, and times the whole run
and the statement that writes `clean.posts`; beside it, on the same tables and rolled back, what else could write them.
Ratios are against the smallest warehouse. 50 million posts need 12 GB of disk and some minutes to seed.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import yaml

PROJECT = Path(__file__).parents[1] / "dbt_project"
MARTS = {path.stem for path in (PROJECT / "models" / "marts").glob("*.sql")}
DAYS, NEW, OLD, THREADS = 400, 47_500, 2_500, 2_000
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = "platform, instance, post_id"
SAME_KEY = "t.platform = f.platform and t.instance = f.instance and t.post_id = f.post_id"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rows", type=float, nargs="+", default=[1, 50], metavar="MILLIONS", help="posts there are (default: 1 50)"
    )
    parser.add_argument("--hours", type=int, default=3, help="hours merged one by one, of which the median counts")
    parser.add_argument("--folder", type=Path, help="where warehouses are made, and kept for another run")
    options = parser.parse_args(arguments)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="threadlake-bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        measured = {millions: measure(folder, int(millions * 1e6), options.hours) for millions in options.rows}
    finally:
        if not options.folder:
            shutil.rmtree(folder)
    print_table(measured)


def print_table(measured: dict[float, dict[str, float]]) -> None:
    sizes = list(measured)
    print(f"\nAn hour of {NEW + OLD:,} rows, {OLD / (NEW + OLD):.0%} to old posts; seconds, and times the smallest")
    print("|  | " + " | ".join(f"{size:g} million" for size in sizes) + " |")
    print("|---" * (len(sizes) + 1) + "|")
    for name, base in measured[sizes[0]].items():
        cells = [f"{measured[size][name]:.2f} ({measured[size][name] / base:.1f}x)" for size in sizes]
        print(f"| {name} | " + " | ".join(cells) + " |")


def measure(folder: Path, rows: int, hours: int) -> dict[str, float]:
    """Seconds by what was timed, in a warehouse of so many posts."""
    seeded, path = folder / f"seed-{rows}.duckdb", folder / "threadlake.duckdb"
    if not seeded.exists():
        say(f"seeding {rows:,} posts")
        seed(seeded, rows)
    shutil.copy(seeded, path)
    dbt = Dbt(path, folder / "target")
    taken: dict[str, list[float]] = {}
    for number in range(hours):
        hour = NOON + timedelta(hours=number)
        say(f"{rows:,} posts: hour {hour:%H}")
        load_hour(path, rows, number, hour)
        if number == 0:
            taken |= {name: [seconds] for name, seconds in alternatives(dbt, hour).items()}
        worked = processor_seconds()
        seconds, nodes = dbt.build(hour)
        worked = processor_seconds() - worked
        taken.setdefault("the whole dbt run, a process of its own", []).append(seconds)
        taken.setdefault("its processor time, which others on the machine disturb less", []).append(worked)
        marts = sum(took for name, took in nodes.items() if name.removesuffix("_key") in MARTS)
        taken.setdefault("its models and tests, but the marts", []).append(sum(nodes.values()) - marts)
        taken.setdefault("its marts and their tests", []).append(marts)
        taken.setdefault("clean.posts in it", []).append(nodes["posts"])
        taken.setdefault("clean.post_versions in it", []).append(nodes["post_versions"])
    path.unlink()
    return {name: statistics.median(times) for name, times in taken.items()}


def processor_seconds() -> float:
    """Of this process and those it waited for."""
    return sum(os.times()[:4])


def say(what: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {what}", file=sys.stderr, flush=True)


class Dbt:
    """dbt as a process of its own, on one warehouse."""

    def __init__(self, path: Path, target: Path) -> None:
        self.path, self.target = path, target

    def __call__(self, *arguments: str, **variables: Any) -> float:
        places = ["--project-dir", PROJECT, "--profiles-dir", PROJECT, "--target-path", self.target]
        places += ["--log-path", self.target]
        command = [
            Path(sys.executable).with_name("dbt"),
            "--quiet",
            *arguments,
            "--vars",
            json.dumps(variables),
            *places,
        ]
        began = time.monotonic()
        environment = os.environ | {"THREADLAKE_WAREHOUSE": str(self.path)}
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        if done.returncode:
            sys.exit(f"{arguments} failed:\n{done.stdout[-3000:]}")
        return time.monotonic() - began

    def build(self, hour: datetime) -> tuple[float, dict[str, float]]:
        """Seconds of the process, and of each of its nodes."""
        hourly = ["--exclude", "tag:daily", "--exclude-resource-type", "unit_test"]
        seconds = self("build", *hourly, hours=[f"{hour:%Y-%m-%dT%H}"], now=hour.isoformat())
        results = json.loads((self.target / "run_results.json").read_text())["results"]
        return seconds, {result["unique_id"].split(".")[2]: result["execution_time"] for result in results}


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(path))
    connection.execute("set TimeZone = 'UTC'; set memory_limit = '2GB'")
    return connection


def post_id(number: str) -> str:
    return f"'po/' || ({number})"


def key_number(identifier: str) -> str:
    return f"cast('0x' || substr(md5('fourchan|4chan.org|' || {identifier}), 1, 15) as bigint)"


def created(number: str, rows: int) -> str:
    """When a seeded post was created: they lie evenly over the days before noon."""
    step = timedelta(days=DAYS) / rows
    return (
        f"timestamptz '{NOON - timedelta(days=DAYS)}' + to_microseconds(({number}) * {step.total_seconds() * 1e6:.0f})"
    )


def payload(number: str) -> str:
    words = "so many words that a post has in the middle of a discussion of something or other"
    parts = ["'{\"no\":'", f"({number})", '\',"com":"\'', f"md5(({number})::varchar)", f"' {words}\"}}'"]
    return " || ".join(parts)


def seed(path: Path, rows: int) -> None:
    """A warehouse as it is after 400 days: every table of the clean layer, in the order of time."""
    with connect(path) as connection:
        connection.execute("create schema raw")
        sources = yaml.safe_load((PROJECT / "models/staging/_sources.yml").read_text())["sources"][0]["tables"]
        for table in sources:
            columns = ", ".join(f'"{column["name"]}" {column["data_type"]}' for column in table["columns"])
            connection.execute(f"create table raw.{table['name']} ({columns})")
    built = path.with_name("threadlake.duckdb")
    shutil.move(path, built)
    with tempfile.TemporaryDirectory() as target:
        Dbt(built, Path(target))("run", now=NOON.isoformat())
    with connect(built) as connection:
        (boundary,) = connection.execute("select boundary from clean.history_boundary").fetchone() or (None,)
        common = f"""
            'fourchan' as platform, '4chan.org' as instance, 'fourchan:po' as community, 'po/' || i // 50 as thread_id,
            'api' as source, 'r0' as run_id, {created("i", rows)} as created_at,
            date_trunc('hour', created_at) as created_hour,
            created_at + interval 5 minute as observed_at, observed_at as first_seen_at, observed_at as last_seen_at
        """
        post = f"{common}, {post_id('i')} as post_id, {key_number('post_id')} as key_number"
        post += f", {payload('i')} as payload, md5(i::varchar) as content_hash, 'some words' as text"
        thread = f"{common}, {key_number('thread_id')} as key_number, 50 as reply_count"
        for table, side in (("posts_history", "<"), ("posts", ">=")):
            connection.execute(
                f"insert into clean.{table} by name select {post}, 'Anonymous' as author_name, "
                f"1 as version_count from range({rows}) as r(i) where created_at {side} timestamptz '{boundary}'"
            )
        connection.execute(f"insert into clean.post_versions by name select {post} from range({rows}) as r(i)")
        for table, side in (("threads_history", "<"), ("threads", ">=")):
            connection.execute(
                f"insert into clean.{table} by name select {thread} "
                f"from range(0, {rows}, 50) as r(i) where created_at {side} timestamptz '{boundary}'"
            )
        connection.execute(
            f"insert into clean.thread_snapshots by name "
            f"select * exclude (created_at, created_hour, first_seen_at, last_seen_at) "
            f"from (select {thread}, created_hour as snapshot_hour "
            f"from range(0, {rows}, 50) as r(i))"
        )
        connection.execute("checkpoint")
    shutil.move(built, path)


def load_hour(path: Path, rows: int, number: int, hour: datetime) -> None:
    """An hour in raw: new posts, and old ones edited or gone, most of them of the last weeks."""
    common = f"""
        'fourchan' as platform, '4chan.org' as instance, 'fourchan:po' as community, 'api' as source,
        'r{number + 1}' as run_id, timestamptz '{hour + timedelta(hours=1)}' as observed_at,
        timestamptz '{hour}' as hour, now() as loaded_at
    """
    first = rows + number * NEW
    # as revisits find them: 95 in 100 are a week old on average, the others any age; no post twice
    age = f"case when random() < 0.95 then -ln(1 - random()) * 7 / {DAYS} else random() end"
    with connect(path) as connection:
        connection.execute(f"select setseed(0.{number + 1})")
        connection.execute(
            "delete from raw.fourchan_posts; delete from raw.fourchan_threads; delete from raw.observations"
        )
        connection.execute(f"""
            insert into raw.fourchan_posts by name
            select {common}, {post_id("i")} as post_id, i as no, 'po/' || i // 50 as thread_id, i // 50 as resto,
                false as gone, 'Anonymous' as name, {payload("i")} as payload, 'some words' as text,
                md5(i::varchar) as content_hash,
                timestamptz '{hour}' + to_microseconds((i - {first}) * 3600000000 // {NEW}) as created_at
            from range({first}, {first + NEW}) as r(i)
        """)
        connection.execute(f"""
            insert into raw.fourchan_posts by name
            with aged as (
                select distinct {rows} - 1 - least({rows} - 1, ({rows} * ({age}))::bigint) as i
                from range({OLD})
            )
            select {common}, {post_id("i")} as post_id, 'po/' || i // 50 as thread_id,
                {created("i", rows)} as created_at,
                i % 2 = 0 as gone, case when not gone then i end as no,
                case when not gone then {payload("i")} end as payload,
                case when not gone then 'other words' end as text,
                case when not gone then md5({number} || ' edited ' || i) end as content_hash
            from aged
        """)
        connection.execute(f"""
            insert into raw.fourchan_threads by name
            select {common}, 'po/' || i as thread_id, i as no, false as gone, '{{}}' as payload, 'h' as content_hash,
                i % 300 as replies, {created("least(i * 50, " + str(rows - 1) + ")", rows)} as created_at
            from range({first + NEW} // 50 - {THREADS}, {first + NEW} // 50) as r(i)
        """)
        connection.execute(f"""
            insert into raw.observations by name
            select 'c{number}' as commit_id, {common}, true as complete, {NEW + OLD} as posts
        """)


def alternatives(dbt: Dbt, hour: datetime) -> dict[str, float]:
    """Seconds of the statement that writes `clean.posts`, and of others that would; each rolled back."""
    variables = {"hours": [f"{hour:%Y-%m-%dT%H}"], "now": hour.isoformat()}
    dbt("run", "--select", "+new_posts", "history_boundary", **variables)
    dbt("compile", "--select", "posts", **variables)
    model = (dbt.target / "compiled/threadlake/models/clean/posts.sql").read_text()
    hours = max(re.findall(r"known\.created_hour (in \([^()]*\))", model), key=len)
    by_hour = f"t.created_hour {hours}"
    exists = f"exists (select 1 from fresh as f where {SAME_KEY})"
    statements: dict[str, Callable[[duckdb.DuckDBPyConnection], object]] = {
        "as here: keys replaced, hours named": lambda c: c.execute(
            f"create temp table fresh as {model}; delete from clean.posts as t where {by_hour} and {exists}; "
            "insert into clean.posts by name from fresh"
        ),
        "the same, hours not named": lambda c: c.execute(
            f"create temp table fresh as {re.sub(r'known.created_hour in .[^()]*.', 'true', model)}; "
            f"delete from clean.posts as t where {exists}; insert into clean.posts by name from fresh"
        ),
        "plain MERGE": lambda c: c.execute(
            f"create temp table fresh as {model}; merge into clean.posts as t using fresh as f on {SAME_KEY} "
            "when matched then update by name when not matched then insert by name"
        ),
        "touched hours rebuilt": lambda c: c.execute(
            f"create temp table fresh as {model}; "
            f"create temp table kept as select t.* from clean.posts as t where {by_hour} and not {exists}; "
            f"delete from clean.posts as t where {by_hour}; "
            "insert into clean.posts by name from kept; insert into clean.posts by name from fresh"
        ),
    }
    taken = {}
    for name, run in statements.items():
        say(name)
        times = []
        for _ in range(3):
            with connect(dbt.path) as connection:
                connection.execute("begin")
                began, worked = time.monotonic(), processor_seconds()
                run(connection)
                times.append((time.monotonic() - began, processor_seconds() - worked))
                connection.execute("rollback")
        taken[f"clean.posts {name}"] = min(seconds for seconds, _ in times)
        if name.startswith("as here"):
            taken["its processor time"] = min(worked for _, worked in times)
    return taken


if __name__ == "__main__":
    main()
