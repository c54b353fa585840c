"""What readers see: equal to the warehouse after each publication, never half of it, whole after a kill, and cheap."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dashboard.reader import NothingPublished, PublishedReader
from orchestration import publish as publishing
from orchestration.duckdb_file import DuckDBFile
from orchestration.publish import Publication, current, publish

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOURS = 30
A_POST = """
    select 'p' || n as post_id, 'text of ' || n as text, 'the record' as payload, 'r1' as run_id,
        timestamptz '2026-11-01 00:00:00+00' + to_hours(cast(n // 10 as int)) as created_at,
        date_trunc('hour', created_at) as created_hour, created_at as observed_at
    from range($first, $last) as _(n)
"""


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBFile:
    """Ten posts an hour, a mart that counts them, and a view such as dbt makes, which names its own database."""
    made = DuckDBFile(tmp_path / "warehouse.duckdb")
    with made.open() as connection:
        connection.execute("create schema clean; create schema marts; create schema raw")
        connection.execute(f"create table clean.posts as {A_POST}", {"first": 0, "last": 10 * HOURS})
        connection.execute("create view clean.all_posts as select * from warehouse.clean.posts")
        connection.execute("create table raw.fourchan_posts as select 1 as a")
        connection.execute("create table marts.totals as select count(*) as posts from clean.posts")
    return made


@pytest.fixture
def change(warehouse: DuckDBFile) -> Callable[..., None]:
    def run(*statements: str) -> None:
        with warehouse.open() as connection:
            for statement in statements:
                connection.execute(statement)

    return run


def rows(folder: Path, sql: str = "from clean.all_posts order by post_id") -> list[Any]:
    path = current(folder)
    assert path is not None
    with duckdb.connect(path, read_only=True) as connection:
        return connection.execute(sql).fetchall()


def published(warehouse: DuckDBFile, folder: Path) -> Publication:
    """Publish, and look whether both are the same now."""
    done = publish(warehouse, folder, NOW)
    columns = "* exclude (payload)"
    with warehouse.open(read_only=True) as connection:
        wanted = connection.execute(f"select {columns} from clean.all_posts order by post_id").fetchall()
        totals = connection.execute("from marts.totals").fetchall()
    assert rows(folder) == wanted and rows(folder, "from marts.totals") == totals
    return done


def test_only_the_partitions_that_differ_are_written(
    warehouse: DuckDBFile, change: Callable[..., None], tmp_path: Path
) -> None:
    folder = tmp_path / "published"
    assert published(warehouse, folder).rows == 10 * HOURS + 1
    tables = "select schema_name || '.' || table_name from duckdb_tables() where schema_name <> 'published' order by 1"
    assert [name for (name,) in rows(folder, tables)] == ["clean.all_posts", "marts.totals"]
    assert published(warehouse, folder).rows == 0
    change("update clean.posts set text = 'new', run_id = 'r2', observed_at = now() where post_id = 'p55'")
    assert published(warehouse, folder).rows == 10
    change("delete from clean.posts where post_id in ('p1', 'p2')", "update marts.totals set posts = 298")
    assert published(warehouse, folder).rows == 8 + 1
    change("delete from clean.posts where created_hour = (select min(created_hour) from clean.posts)")
    assert (published(warehouse, folder).rows, len(rows(folder))) == (0, 290)
    assert [path.name for path in folder.glob("*.duckdb")] == [current(folder).name], "the files before are gone"  # type: ignore[union-attr]


def test_a_column_more_and_a_table_less(warehouse: DuckDBFile, change: Callable[..., None], tmp_path: Path) -> None:
    folder = tmp_path / "published"
    change("create table marts.passing as select 1 as a")
    publish(warehouse, folder, NOW)
    change(
        "drop table marts.passing",
        "drop view clean.all_posts",
        "create view clean.all_posts as select *, 7 as score from warehouse.clean.posts",
    )
    publish(warehouse, folder, NOW)
    assert rows(folder, "select distinct score from clean.all_posts") == [(7,)]
    assert rows(folder, "select 1 from duckdb_tables() where table_name = 'passing'") == []


def test_killed_in_its_midst_readers_keep_what_they_had(
    warehouse: DuckDBFile, change: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "published"
    published(warehouse, folder)
    before = rows(folder)
    change("update clean.posts set text = 'new', run_id = 'r2' where post_id < 'p2'")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(publishing, "_point_to", die)
        with pytest.raises(KeyboardInterrupt):
            publish(warehouse, folder, NOW)
    (folder / "left-by-a-kill.duckdb").write_bytes(b"half")
    (folder / "left-by-a-kill.duckdb.tmp").mkdir()
    (folder / "left-by-a-kill.duckdb.tmp" / "spilled").write_bytes(b"half")
    assert rows(folder) == before
    published(warehouse, folder)
    assert len(list(folder.glob("*.duckdb*"))) == 1


def test_readers_never_see_half_a_run_nor_wait_for_one(
    warehouse: DuckDBFile, change: Callable[..., None], tmp_path: Path
) -> None:
    """Four ask all the time while a writer holds the warehouse and eight publications follow one another."""
    folder = tmp_path / "published"
    reader = PublishedReader(folder)
    with pytest.raises(NothingPublished):
        reader.version()
    publish(warehouse, folder, NOW)
    over, wrong, versions, answers = threading.Event(), [], set(), []

    def ask() -> None:
        while not over.is_set():
            try:
                versions.add(reader.version())
                found = reader.query(
                    "select (select count(*) from clean.all_posts) as a, (select posts from marts.totals) as b"
                )[0]
                answers.append(found["a"])
                if found["a"] != found["b"]:
                    wrong.append(found)
            except Exception as problem:
                wrong.append(problem)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(8):
        with warehouse.open() as connection:  # whoever writes has it alone
            before = len(answers)
            connection.execute("delete from clean.posts where post_id = (select max(post_id) from clean.posts)")
            while len(answers) < before + 3 and not wrong:
                time.sleep(0.01)
            connection.execute("update marts.totals set posts = posts - 1")
        publish(warehouse, folder, NOW)
    over.set()
    for thread in threads:
        thread.join()
    assert not wrong and len(versions) > 3 and min(answers) >= 10 * HOURS - 8
