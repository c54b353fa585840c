"""What it costs to publish for readers: the first time, with an hour's news, and with nothing new."""

import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.tables import Line, show
from orchestration.duckdb_file import DuckDBFile
from orchestration.publish import publish

NOW = datetime(2026, 11, 24, tzinfo=UTC)
POSTS = """
    select 'lemmy' as platform, 'lemmy.example' as instance, 'lemmy:lemmy.example/c' || (i % 20) as community,
        't' || (i // 40) as thread_id, 'p' || i as post_id, 'a' || (hash(i) % 50_000) as author_id,
        'author ' || (hash(i) % 50_000) as author_name, null::varchar as title,
        -- letters of no meaning, so that they compress as badly as people's words do
        concat_ws(' ', md5(i::varchar), md5('b' || i), md5('c' || i), md5('d' || i), md5('e' || i)) as text,
        repeat(md5(i::varchar), 20) as payload, md5(i::varchar) as content_hash,
        'api' as source, 'r' || (i // 50_000) as run_id,
        []::varchar[] as quotes, []::varchar[] as links, i % 40 = 0 as is_opening, 1::bigint as version_count,
        0::bigint as reply_count, 1.0 as score, moment as created_at, date_trunc('hour', moment) as created_hour,
        null::timestamptz as edited_at, moment as observed_at, moment as first_seen_at, moment as last_seen_at,
        null::timestamptz as gone_at, null::timestamptz as deleted_at
    from (select i, timestamptz '2026-11-24 00:00:00+00' - to_seconds(3 * i) as moment from range($first, $last) as
    _(i))
"""


def run(quick: bool) -> None:
    """Print the seconds of three publications of a warehouse of 10 million posts of 160 characters."""
    posts, news = (200_000, 5_000) if quick else (10_000_000, 50_000)
    with tempfile.TemporaryDirectory(prefix="threadlake-publish-") as name:
        home = Path(name)
        warehouse = DuckDBFile(home / "warehouse.duckdb")
        with warehouse.open() as connection:
            connection.execute("set enable_progress_bar = false")
            connection.execute("create schema clean")
            connection.execute(f"create table clean.all_posts as {POSTS}", {"first": 0, "last": posts})
        lines = [_line("the first time", warehouse, home / "published", NOW)]
        with warehouse.open() as connection:
            connection.execute(f"insert into clean.all_posts {POSTS}", {"first": -news, "last": 0})
        lines.append(_line(f"{news:,} posts more", warehouse, home / "published", NOW))
        lines.append(_line("nothing new", warehouse, home / "published", NOW + timedelta(hours=1)))
        size = warehouse.path.stat().st_size / 1e9
    show("Publishing for readers", f"Beside {posts:,} posts, in a warehouse of {size:.1f} GB.", lines)


def _line(what: str, warehouse: DuckDBFile, folder: Path, now: datetime) -> Line:
    before = time.process_time()
    done = publish(warehouse, folder, now)
    processor = time.process_time() - before
    size = done.path.stat().st_size / 1e9
    told = f"{processor:.1f} s of processor, {done.rows:,} rows written, {size:.1f} GB published"
    return Line(what, f"{done.seconds:.1f} s", detail=told)
