"""The search index follows the publications: what differs is indexed anew, nothing else, and a kill costs only time."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import tantivy

from dashboard.reader import PublishedReader
from dashboard.search import IndexSearcher, read
from orchestration import search_index
from orchestration.duckdb_file import DuckDBFile
from orchestration.publish import publish
from orchestration.search_index import place_of, update

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
POSTS = """
    create table clean.all_posts as
    select 'mods_de' as platform, 'forum.mods.de' as instance, 'p' || n as post_id,
        'mods_de:14' as community, 't1' as thread_id, 'a' as author_id, 'A' as author_name,
        null::varchar as url, 0 as score, null::varchar as title,
        'die Häuser number' || n as text, 'r1' as run_id,
        timestamptz '2026-11-01 00:00:00+00' + to_hours(cast(n // 10 as int)) as created_at,
        date_trunc('hour', created_at) as created_hour, null::timestamptz as deleted_at, null::timestamptz as edited_at
    from range(100) as _(n)
"""
THREADS = """
    create table clean.all_threads as
    select platform, instance, thread_id, community, author_id, author_name, url, 9 as reply_count,
        'A title' as title, run_id, created_at, created_hour, deleted_at
    from clean.all_posts limit 1
"""


class Home:
    """A warehouse, its publication and its index."""

    def __init__(self, folder: Path) -> None:
        self.warehouse = DuckDBFile(folder / "warehouse.duckdb")
        self.published, self.index = folder / "published", folder / "search"
        self.change("create schema clean", POSTS, THREADS)

    def change(self, *statements: str) -> None:
        with self.warehouse.open() as connection:
            for statement in statements:
                connection.execute(statement)
        publish(self.warehouse, self.published, NOW)

    def count(self, word: str, field: str = "stems") -> int:
        place = place_of(self.index)
        assert place is not None
        index = tantivy.Index.open(str(place))
        query = tantivy.Query.term_query(search_index.schema(), field, word)
        return len(index.searcher().search(query, 1000).hits)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_only_what_differs_is_indexed_again(home: Home) -> None:
    assert update(home.published, home.index).documents == 101
    assert home.count("haus") == 100, "German stems, without the dots"
    assert home.count("titl") == 1
    assert update(home.published, home.index).documents == 0
    home.change("update clean.all_posts set text = 'a bench', run_id = 'r2' where post_id = 'p55'")
    assert update(home.published, home.index).documents == 10
    assert (home.count("haus"), home.count("bench", "words")) == (99, 1)
    home.change("delete from clean.all_posts where created_hour < timestamptz '2026-11-01 05:00:00+00'")
    done = update(home.published, home.index)
    assert (done.documents, done.partitions, home.count("haus")) == (0, 5, 49)


def test_made_anew_it_is_the_same(home: Home) -> None:
    update(home.published, home.index)
    before = place_of(home.index)
    assert update(home.published, home.index, rebuild=True).documents == 101
    assert home.count("haus") == 100 and place_of(home.index) != before
    assert len([path for path in home.index.iterdir() if path.is_dir()]) == 1


def test_killed_before_it_remembers_it_does_it_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    update(home.published, home.index)
    home.change("update clean.all_posts set text = 'a bench', run_id = 'r2' where post_id = 'p55'")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(search_index, "_remember", die)
        with pytest.raises(KeyboardInterrupt):
            update(home.published, home.index)
    assert update(home.published, home.index).documents == 10
    assert (home.count("haus"), home.count("bench", "words")) == (99, 1)


def test_who_searches_while_it_goes_on_finds_what_is_new(home: Home) -> None:
    searcher = IndexSearcher(home.index, PublishedReader(home.published))

    def found(word: str) -> tuple[int, int]:
        results = searcher.search(read({"q": word}))
        return results.total, len(results.rows)

    assert found("bench") == (0, 0), "there is no index yet"
    update(home.published, home.index)
    assert (found("bench"), found("haus")) == ((0, 0), (100, 20))
    for rebuild in (False, True):
        home.change(f"update clean.all_posts set text = 'a bench', run_id = 'r2' where post_id = 'p{55 + rebuild}'")
        update(home.published, home.index, rebuild)
        assert found("bench") == (1 + rebuild,) * 2
