"""Searching posts by words, beside what people would use instead, on the same rows: DuckDB's ILIKE, and PostgreSQL's
tsvector with a GIN index. Each is asked for the total and the 20 newest."""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.readers_world import spelled
from dashboard.reader import PublishedReader
from orchestration.pipeline import Pipeline
from orchestration.publish import current
from sandbox import postgres

TURNS = 3
COMMON, MIDDLING, RARE = spelled(30), spelled(3_000), spelled(40_001)
"""In about one of 12, of 1,000 and of 15,000 posts."""
QUESTIONS: Mapping[str, tuple[str, str]] = {
    "a common word": (COMMON, f"text ilike '%{COMMON}%'"),
    "a middling word": (MIDDLING, f"text ilike '%{MIDDLING}%'"),
    "a rare word": (RARE, f"text ilike '%{RARE}%'"),
    "two words": (f"{COMMON} {MIDDLING}", f"text ilike '%{COMMON}%' and text ilike '%{MIDDLING}%'"),
    "a phrase": (f'"{COMMON} {spelled(12)}"', f"text ilike '%{COMMON} {spelled(12)}%'"),
}
"""What it is called: in our words, and as a condition."""
PAGE = "select count(*) over () as total, post_id, text from {} where {} order by created_at desc limit 20"
OPTIONS = ("-c", "shared_buffers=1GB", "-c", "maintenance_work_mem=1GB", "-c", "max_wal_size=8GB", "-c", "jit=off")


def compare(pipeline: Pipeline, ours: Callable[[str], float]) -> dict[str, dict[str, float]]:
    """Milliseconds of each question by whom it was asked; `ours` asks us."""
    found = {f"{name}: {words}": {"ours": ours(words)} for name, (words, _) in QUESTIONS.items()}
    reader = PublishedReader(pipeline.settings.published)
    for key, (_, condition) in zip(found, QUESTIONS.values(), strict=True):
        page = PAGE.format("clean.all_posts", condition)
        turn = count()  # what was asked before need not be looked for
        found[key]["DuckDB's ILIKE"] = _median(lambda page=page, turn=turn: reader.query(f"{page}\n-- {next(turn)}"))
    if postgres.missing():
        print(postgres.missing(), file=sys.stderr)
        return found
    with ExitStack() as stack:
        connection = stack.enter_context(postgres.served(*OPTIONS)).connect()
        stack.callback(connection.close)
        _fill(pipeline, connection)
        for key, (words, _) in zip(found, QUESTIONS.values(), strict=True):
            page = PAGE.format("posts", "words @@ websearch_to_tsquery('english', %s)")
            found[key]["PostgreSQL's tsvector"] = _median(lambda page=page, words=words: _all(connection, page, words))
    return found


def _fill(pipeline: Pipeline, connection: Any) -> None:
    """The same posts, with their words indexed."""
    import duckdb

    with tempfile.TemporaryDirectory() as folder, connection.cursor() as cursor:
        file = Path(folder) / "posts.csv"
        published = current(pipeline.settings.published)
        assert published is not None
        with duckdb.connect() as source:
            source.execute(f"attach '{published}' as published (read_only)")
            rows = "select post_id, created_at, text from published.clean.all_posts"
            source.execute(f"copy ({rows}) to '{file}' (format csv, header false)")
        cursor.execute(
            "create unlogged table posts (post_id text, created_at timestamptz, text text, words tsvector "
            "generated always as (to_tsvector('english', text)) stored)"
        )
        with file.open() as lines:
            cursor.copy_expert("copy posts (post_id, created_at, text) from stdin (format csv)", lines)
        cursor.execute("create index on posts using gin (words)")
        cursor.execute("create index on posts (created_at)")
        cursor.execute("vacuum analyze posts")


def _all(connection: Any, page: str, words: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(page, (words,))
        return cursor.fetchall()


def _median(ask: Callable[[], object]) -> float:
    times = []
    for _ in range(TURNS + 1):
        began = time.perf_counter()
        ask()
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:]) * 1000
