"""A warehouse of invented posts: three years of twenty communities, built by the real dbt project and published."""

from datetime import UTC, datetime, timedelta

from benchmarks.merge import say
from orchestration.dbt import explain, failed
from orchestration.duckdb_file import DuckDBFile
from orchestration.pipeline import Pipeline

NOW = datetime(2026, 11, 24, tzinfo=UTC)
DAYS, COMMUNITIES, AUTHORS, IN_THREAD = 1000, 20, 50_000, 40
WORDS = 50_000
"""How many words there are; the n-th is used as often as one in n."""
DIGITS, LETTERS = "0123456789", "aeioubdkst"
"""What a word's number is spelled with."""


def key_number(key: str) -> str:
    """Any number that differs from the others'."""
    return f"cast('0x' || substr(md5({key}), 1, 15) as bigint) as key_number"


def word(number: str) -> str:
    """Letters instead of digits, so that it is a word for everybody."""
    return f"translate(cast({number} as varchar), '{DIGITS}', '{LETTERS}')"


def spelled(number: int) -> str:
    return str(number).translate(str.maketrans(DIGITS, LETTERS))


TEXT = f"""array_to_string(list_transform(range(8 + (hash(i) % 40)::bigint), lambda n:
    {word(f"floor(exp((hash(i * 64 + n) % 1000003) / 1000003.0 * ln({WORDS})))::bigint")}), ' ')"""


def posts(first: int, last: int, step: float, run: str) -> str:
    """Rows of `clean.posts`, `step` seconds one before the other."""
    return f"""
        select 'lemmy' as platform, 'lemmy.example' as instance,
            'lemmy:lemmy.example/c' || ((i // {IN_THREAD}) % {COMMUNITIES}) as community,
            't' || (i // {IN_THREAD}) as thread_id, 'p' || i as post_id, 'a' || (hash(i) % {AUTHORS}) as author_id,
            {key_number("post_id")},
            'author ' || (hash(i) % {AUTHORS}) as author_name, {TEXT} as text, 'https://lemmy.example/p' || i as url,
            '{{}}' as payload, md5(i::varchar) as content_hash, 'api' as source, '{run}' as run_id,
            case when i % 3 = 0 and i % {IN_THREAD} > 0 then ['p' || (i - 1)] else [] end::varchar[] as quotes,
            case when i % 20 = 0 then ['https://host' || (hash(i) % 500) || '.example/' || i] else [] end::varchar[]
                as links,
            i % {IN_THREAD} = {IN_THREAD - 1} as is_opening, 1 as version_count, 0 as reply_count, 1.0 as score,
            timestamptz '{NOW}' - to_microseconds((i * {step * 1e6})::bigint) as created_at,
            date_trunc('hour', created_at) as created_hour, created_at as observed_at, created_at as first_seen_at,
            created_at as last_seen_at
        from range({first}, {last}) as r(i)"""


def build(pipeline: Pipeline, number: int) -> None:
    """Clean tables, marts, what is published, and the index."""
    step = DAYS * 86_400 / number
    pipeline.load(())
    pipeline.dbt.prepare()
    _dbt(pipeline)
    say(f"{number:,} posts")
    assert isinstance(pipeline.warehouse, DuckDBFile)
    with pipeline.warehouse.open() as connection:
        connection.execute("set TimeZone = 'UTC'; set memory_limit = '4GB'; set enable_progress_bar = false")
        boundary = "(select boundary from clean.history_boundary)"
        for table, side in (("posts", ">="), ("posts_history", "<")):
            rows = posts(0, number, step, "r0")
            connection.execute(f"insert into clean.{table} by name from ({rows}) where created_at {side} {boundary}")
        threads = f"""
            select platform, instance, community, thread_id, author_id, author_name, text, url, payload, content_hash,
                {key_number("thread_id")}, source, run_id, 'about ' || text[:40] as title,
                {IN_THREAD} as reply_count, created_at, created_hour, created_at as last_activity_at, observed_at,
                first_seen_at, last_seen_at
            from clean.all_posts where is_opening"""
        for table, side in (("threads", ">="), ("threads_history", "<")):
            connection.execute(f"insert into clean.{table} by name from ({threads}) where created_at {side} {boundary}")
        connection.execute(f"""
            insert into clean.authors by name
            select platform, instance, author_id, {key_number("author_id")}, author_name,
                [author_name] as names, 'api' as source, 'r0' as run_id, min(created_at) as first_post_at,
                max(created_at) as last_post_at, max(created_at) as last_active_at, max(created_at) as observed_at,
                min(created_at) as first_seen_at, max(created_at) as last_seen_at
            from clean.all_posts group by all""")
        connection.execute(f"""
            insert into clean.observations by name
            select 'c' || hour || key as commit_id, 'lemmy' as platform, 'lemmy.example' as instance,
                'lemmy:lemmy.example/c' || key as community, 'r0' as run_id, 'api' as source, true as complete,
                10 as posts, hour, hour + interval 1 hour as observed_at, hour + interval 1 hour as loaded_at,
                hour + interval 1 hour as merged_at
            from range(timestamptz '{NOW - timedelta(days=30)}', timestamptz '{NOW}', interval 1 hour) as t(hour),
                range({COMMUNITIES}) as k(key)""")
        connection.execute("delete from marts.marts_built")
    say("marts")
    _dbt(pipeline, "path:models/marts")
    say("publishing and indexing")
    pipeline.publish()


def add_posts(pipeline: Pipeline, number: int, turn: int) -> None:
    """News, as the `turn`-th run would merge them."""
    assert isinstance(pipeline.warehouse, DuckDBFile)
    with pipeline.warehouse.open() as connection:
        connection.execute("set TimeZone = 'UTC'")
        first = -number * turn
        connection.execute(f"insert into clean.posts by name {posts(first, first + number, 0.1, f'r{turn}')}")


def _dbt(pipeline: Pipeline, *select: str) -> None:
    nodes = pipeline.dbt.build((), NOW, select, command="run")
    if broken := failed(nodes):
        raise SystemExit(explain(broken))
