"""`make demo`: two days of an invented world through everything real, in one command that ends by itself.

A sandbox of servers on loopback, `threadlake up` with Dagster's daemon, a backfill of a range, one community more and
one less, hours one by one, and at the end what lake and warehouse hold. Nothing here is known to the system: it is an
operator's morning.
"""

import json
import os
import shlex
import shutil
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sandbox import bigquery, gcs
from sandbox.discord_world import GUILD
from sandbox.running import SystemFailed, free_port, served, set_clock, system

HOUR = timedelta(hours=1)
COMMUNITIES = (
    "https://boards.4chan.org/po/",
    "https://boards.4chan.org/out/",
    "https://forum.example/",
    "https://lemmy.example/c/folding",
    f"https://discord.com/channels/{GUILD}",
    "https://forum.mods.de/bb/board.php?BID=14",
)
PLATFORMS = ("fourchan", "discourse", "lemmy", "discord", "mods_de")
ADDED, DROPPED = "https://old.example/t/a-topic-in-it/12", "fourchan:out"
DAYS, SINGLE_HOURS = 2, 2
PAST = 10  # days that people posted before
SCALE = 0.5
HOME = Path(".data/demo")
QUESTIONS = {
    "Which communities are busiest, and how much of it was edited or deleted?": """
        select community, count(*) as posts, count(distinct author_name) as authors, count(edited_at) as edited,
               count(deleted_at) as deleted, strftime(min(created_at), '%Y-%m-%d') as since
        from clean.all_posts group by community order by posts desc""",
    "Which thread of each platform drew the most replies, and how long did it live?": """
        select t.community, coalesce(t.title, t.text)[:40] as title, count(*) - 1 as replies,
               date_diff('hour', min(p.created_at), max(p.created_at)) as hours
        from clean.all_posts p join clean.all_threads t using (platform, instance, thread_id)
        group by platform, instance, thread_id, t.community, t.title, t.text
        qualify row_number() over (partition by platform order by count(*) desc) = 1
        order by replies desc""",
    "Which words are new, or more frequent than in the week before?": """
        select community, word, posts, posts_before from marts.trending_words where trend_rank <= 2
        order by community, trend_rank""",
    "Who answers whom most?": """
        select community, a.author_name as who, b.author_name as whom, quotes, round(intensity, 2) as intensity
        from marts.quote_graph g join marts.posters a using (platform, instance, community, author_id)
        join clean.authors b on b.platform = g.platform and b.instance = g.instance and b.author_id = g.quoted_author_id
        where g.author_id <> g.quoted_author_id
        qualify row_number() over (partition by community order by quotes desc, who) = 1 order by community""",
    "What was rewritten, and how does it end now?": """
        select community, post_id, left(min_by(text, first_seen_at), 40) as first,
               right(max_by(text, first_seen_at), 50) as end_now
        from clean.post_versions where text > '' group by all having count(distinct text) > 1
        order by max(first_seen_at) desc, post_id limit 4""",
}


ANYWHERE = {  # in SQL that BigQuery understands, too
    "Which communities are busiest, and how much of it was edited or deleted?": """
        select community, count(*) as posts, count(distinct author_name) as authors, count(edited_at) as edited,
               count(deleted_at) as deleted, min(created_at) as since
        from clean.all_posts group by community order by posts desc""",
    "Which words are new, or more frequent than in the week before?": """
        select community, word, posts, posts_before from marts.trending_words where trend_rank <= 2
        order by community, trend_rank""",
}


def main() -> None:
    try:
        with _warehouse(sys.argv[1:]):
            _main()
    except SystemFailed as problem:
        raise SystemExit(f"The demo failed: {problem}") from None


@contextmanager
def _warehouse(arguments: list[str]) -> Iterator[None]:
    """A folder and DuckDB; or, for `bigquery`, stand-ins for Cloud Storage and BigQuery, which runs then find."""
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    if arguments != ["bigquery"]:
        yield
        return
    _say("Starting stand-ins for Cloud Storage and BigQuery on loopback")
    buckets = HOME / "buckets"
    with gcs.served(buckets, "lake") as storage, bigquery.served(HOME / "bigquery", buckets) as server:
        os.environ |= {
            "STORAGE_EMULATOR_HOST": gcs.address(storage), "THREADLAKE_LAKE": "gs://lake/demo", **server.environment,
        }  # fmt: skip
        yield


def _main() -> None:
    began = time.monotonic()
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start = now - timedelta(days=DAYS)
    first, *_ = single = [now - HOUR * (SINGLE_HOURS - i) for i in range(SINGLE_HOURS)]
    people = start - timedelta(days=PAST)
    port = free_port()
    _say("Starting five platforms' servers on loopback, and Dagster: code server, daemon, UI")
    with (
        served(HOME, people, first + HOUR / 10, hours=(PAST + DAYS + 1) * 24, scale=SCALE) as url,
        system(HOME, url, start, COMMUNITIES, port) as dagster,
    ):
        _say(f"{DAYS} days of an invented world are at {url}; Dagster is at {dagster.url}")
        _say("Somebody adds one more community, and a run begins to read its past")
        _command("track", ADDED)
        past = dagster.tick("history_discourse")
        hours = [start + HOUR * i for i in range(int((first - start) / HOUR))]
        _say(f"Backfill of {len(hours)} hours of all {len(COMMUNITIES) + 1}, as from the asset page: one run")
        print(f"          done in {dagster.wait(past, *dagster.backfill(hours)):.0f} s", flush=True)
        for hour in single:
            set_clock(url, hour + HOUR + timedelta(minutes=25))
            _say(f"The world goes on to {hour + HOUR:%H:%M}; the hour's runs read it, and earlier hours again")
            read, merged = dagster.hour(PLATFORMS)
            print(f"          read in {read:.0f} s, loaded and transformed in {merged:.0f} s", flush=True)
            if hour == first:
                _say("Somebody drops one; what was fetched of it stays")
                _command("untrack", DROPPED)
        _say("What there is now")
        _command("communities")
        _show()
        _say("And what people see of it")
        _pages(f"http://127.0.0.1:{port}")
        _say("Ending Dagster")
    _say(f"Done in {time.monotonic() - began:.0f} s.")
    env = f"THREADLAKE_HOME={HOME}"
    print(f"""
Look further (all of it stays in {HOME}):

  {env} .venv/bin/threadlake query "select * from clean.all_posts limit 5"
  {env} .venv/bin/threadlake status
  {env} .venv/bin/threadlake up --no-schedules      the runs, assets and plots in Dagster's UI, and the pages
  {env} .venv/bin/threadlake dashboard              the pages alone
  find {HOME}/lake -name '*.parquet' | head         the lake itself

`make up` does the same for the real communities in communities.toml.""")


def _command(*arguments: str) -> None:
    """As it would be typed."""
    from orchestration.cli import main as threadlake

    print(f"\n$ threadlake {shlex.join(arguments)}", flush=True)
    if threadlake(arguments):
        raise SystemFailed("that command")
    print(flush=True)


def _show() -> None:
    from orchestration.pipeline import Pipeline
    from orchestration.settings import Settings
    from orchestration.show import status, table

    pipeline = Pipeline.of(Settings.from_env())
    print(f"{status(pipeline)}")
    for question, query in (QUESTIONS if pipeline.warehouse.kind == "duckdb" else ANYWHERE).items():
        found = pipeline.warehouse.query(query, patience=30)
        print(f"\n{question}\n\n{table(found.columns, found.rows)}")
    print()


def _pages(url: str) -> None:
    """The addresses of the dashboard and what they hold, as a program reads it there."""

    def ask(path: str) -> Any:
        with urllib.request.urlopen(f"{url}/api{path}", timeout=30) as answer:
            return json.load(answer)

    from orchestration.show import table

    day, tables = ask("/overview"), ask("/")["tables"]
    busiest, poster, word = (
        day["threads"][0],
        ask("/posters?limit=1")["rows"][0],
        ask("/trending-words?limit=1")["rows"],
    )
    where = [quote(busiest[name], safe="/") for name in ("platform", "instance", "thread_id")]
    who = [quote(poster[name], safe="/") for name in ("platform", "instance", "author_id")]
    pages = {
        "/": f"{sum(one['posts'] for one in day['communities'])} posts in 24 hours, what trends, what is stale",
        f"/c/{busiest['community']}": "a community: its hours, threads, posters and posts",
        f"/t/{'/'.join(where)}": f"its busiest thread as a tree: {busiest['posts']} posts in 24 hours",
        f"/u/{'/'.join(who)}": f"who wrote most: {poster['posts']} posts, {poster['threads']} threads begun",
        "/statistics": f"{sum(one['there'] for one in tables)} tables with charts, CSV and JSON",
        "/search": f"all posts by their words, such as {word[0]['word']!r}" if word else "all posts by their words",
        "/communities": "who is tracked; the token to add one is in the home's dashboard-token",
        "/coverage": "which hours of which community were read, which not",
        "/api/": "all of it as JSON, described by /api/openapi.json",
    }
    print(f"\n{table(['page', 'what it holds'], [[url + path, what] for path, what in pages.items()])}\n")


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


if __name__ == "__main__":
    main()
