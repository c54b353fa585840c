"""The move of old rows to history: nothing shown twice or not at all, wherever it is looked at or cut off."""

import multiprocessing
import time
from multiprocessing.connection import Connection
from typing import Any

import pytest
from dbt_warehouse import Warehouse, invoke

BEFORE, AFTER = "2026-01-15T00:00:00+00:00", "2026-03-15T00:00:00+00:00"  # boundaries: December 2024, February 2025
MANY = 200_000


def fill(warehouse: Warehouse, rows: int = MANY) -> None:
    """Posts and threads of three months from December 2024 on, half of each older than February."""
    common = f"""
        'fourchan' as platform, '4chan.org' as instance, 'fourchan:po' as community, 'po/' || i as thread_id,
        i as key_number, 'api' as source, 'r' as run_id, repeat(md5(i::varchar), 8) as payload,
        timestamptz '2024-12-01' + to_microseconds(i * 10713600000000 // {rows}) as created_at,
        date_trunc('hour', created_at) as created_hour, created_at as observed_at
    """
    with warehouse.connect() as connection:
        connection.execute(
            f"insert into clean.posts by name select {common}, 'po/' || i as post_id, 1 as version_count "
            f"from range({rows}) r(i)"
        )
        connection.execute(f"insert into clean.threads by name select {common} from range({rows}) r(i)")


def shown(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    """How many rows the views show of how many keys, and how many rows stand on the wrong side."""
    found = []
    stands = "(select boundary from clean.history_boundary)"
    for name, key in (("posts", "post_id"), ("threads", "thread_id")):
        found += warehouse.sql(f"""
            select
                (select count(*) from clean.all_{name}), (select count(distinct {key}) from clean.all_{name}),
                (select count(*) from clean.{name} where created_at < {stands})
                + (select count(*) from clean.{name}_history where created_at >= {stands})
        """)
    return found


def boundary(warehouse: Warehouse) -> str:
    return str(warehouse.sql("select boundary::varchar from clean.history_boundary")[0][0])


def test_moves_whole_months_and_never_back(warehouse: Warehouse) -> None:
    fill(warehouse, 5_000)
    assert boundary(warehouse) == "2024-12-01 00:00:00+00"
    before = warehouse.sql("select * from clean.all_posts order by post_id")
    for now, expected in (
        (AFTER, "2025-02-01 00:00:00+00"),
        (BEFORE, "2025-02-01 00:00:00+00"),  # a clock that is behind
        ("2026-03-19T23:59:59+00:00", "2025-02-01 00:00:00+00"),
        ("2026-03-20T00:00:00+00:00", "2025-03-01 00:00:00+00"),  # 384 days after the first of March
    ):
        warehouse.dbt("run", "--select", "history_boundary", now=now)
        assert boundary(warehouse) == expected
        assert shown(warehouse) == [(5_000, 5_000, 0)] * 2
        assert warehouse.sql("select * from clean.all_posts order by post_id") == before


def test_the_views_hold_at_each_step(warehouse: Warehouse) -> None:
    """Where the steps of a move can be seen one by one, the views show each row once all the same."""
    fill(warehouse, 5_000)
    new = "timestamptz '2025-02-01 00:00:00+00'"
    for step in (
        f"insert into clean.posts_history by name select * from clean.posts where created_at < {new}",
        f"insert into clean.threads_history by name select * from clean.threads where created_at < {new}",
        f"update clean.history_boundary set boundary = {new}",
        f"delete from clean.posts where created_at < {new}",
        f"delete from clean.threads where created_at < {new}",
    ):
        warehouse.sql(step)
        assert [row[:2] for row in shown(warehouse)] == [(5_000, 5_000)] * 2


def move(warehouse: Warehouse, started: Connection) -> None:
    """Run the move, and tell when its statement begins."""

    def tell(event: Any) -> None:
        if event.info.name == "SQLQuery" and "_history" in event.data.sql and "insert into" in event.data.sql:
            started.send(True)

    invoke(warehouse, ["run", "--select", "history_boundary"], {"now": AFTER, "hours": []}, callbacks=[tell])
    started.send(True)


def test_killed_while_rows_move(warehouse: Warehouse) -> None:
    fill(warehouse)
    warehouse.merge(hours=[], now=BEFORE)
    fork = multiprocessing.get_context("fork")
    seen = set()
    for milliseconds in (0, 30, 100, 250, 700, 1500):
        receiver, sender = fork.Pipe(duplex=False)
        process = fork.Process(target=move, args=(warehouse, sender))
        process.start()
        assert receiver.poll(60), "the move never began"
        time.sleep(milliseconds / 1000)
        process.kill()
        process.join()
        seen.add(boundary(warehouse))
        assert shown(warehouse) == [(MANY, MANY, 0)] * 2, milliseconds
        if len(seen) == 2:
            break
    warehouse.merge(hours=[], now=AFTER)
    assert boundary(warehouse) == "2025-02-01 00:00:00+00"
    assert shown(warehouse) == [(MANY, MANY, 0)] * 2
    assert "2024-12-01 00:00:00+00" in seen, "no kill came before the commit: the test proves nothing"


@pytest.mark.parametrize("missing", ["posts_history", "threads"])
def test_a_first_run_cut_off(warehouse: Warehouse, missing: str) -> None:
    """Where a table is still missing, nothing moves; the run makes it, and the next one moves."""
    fill(warehouse, 1_000)
    warehouse.sql(f"drop table clean.{missing}")
    warehouse.sql("drop view clean.all_posts; drop view clean.all_threads")
    warehouse.merge(hours=[], now=AFTER)
    assert boundary(warehouse) == "2024-12-01 00:00:00+00"
    warehouse.merge(hours=[], now=AFTER)
    warehouse.dbt("run", "--select", "all_posts", "all_threads", hours=[], now=AFTER)
    assert boundary(warehouse) == "2025-02-01 00:00:00+00"
    rows = {"posts_history": 1_000, "threads": 0}[missing]
    assert shown(warehouse) == [(1_000, 1_000, 0), (rows or 0, rows or 0, 0)]
