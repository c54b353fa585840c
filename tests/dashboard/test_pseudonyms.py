"""With a key in the settings, no page, answer, download or search shows what an author is called: only pseudonyms."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dashboard.screenshots import serving
from orchestration.pipeline import Pipeline
from orchestration.publish import current
from orchestration.settings import BigQueryPlace, Settings, SettingsError
from tests.dashboard.conftest import Served

KEY = "a secret of this test"
PSEUDONYM = re.compile(r"anon-[0-9a-f]{16}")


@pytest.fixture(scope="module")
def hidden(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The same world, published with a key."""
    home = tmp_path_factory.mktemp("pseudonyms")
    pipeline = served.pipeline.with_settings(home=home, pseudonyms_key=KEY)
    pipeline.publish()
    with serving(pipeline) as url:
        yield Served(url, pipeline)


def asked(pipeline: Pipeline, sql: str) -> list[Any]:
    path = current(pipeline.settings.published)
    assert path is not None
    with duckdb.connect(path, read_only=True) as connection:
        return connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def names(served: Served) -> list[str]:
    """What the world's authors are called, but for what some texts say, which stay as they are."""
    found = {name for (name,) in served.sql("select distinct unnest(names) from clean.authors") if len(name) > 3}
    said = " ".join(text for (text,) in served.sql("select text from clean.all_posts where text is not null"))
    quiet = {name for name in found if name not in said and "<" not in name}
    assert len(quiet) > 100
    return sorted(quiet)


def test_no_table_that_readers_get_has_a_name_or_an_id(served: Served, hidden: Served, names: list[str]) -> None:
    ids = {one for (one,) in served.sql("select distinct author_id from clean.authors where length(author_id) > 8")}
    texts = asked(
        hidden.pipeline,
        "select schema_name, table_name, list(column_name) from duckdb_columns() "
        "where schema_name in ('clean', 'marts') and data_type like 'VARCHAR%' group by all",
    )
    assert len(texts) > 20 and len(ids) > 20
    for schema, table, columns in texts:
        found = set()
        for column in columns:
            for (value,) in asked(hidden.pipeline, f'select distinct "{column}" from {schema}."{table}"'):
                found |= set(value if isinstance(value, list) else [value])
        assert not found & {*names, *ids}, f"{schema}.{table}"


def test_pseudonyms_are_the_same_everywhere_and_as_many_as_there_are_authors(served: Served, hidden: Served) -> None:
    (authors,) = served.sql("select count(*) from clean.authors")
    found = asked(hidden.pipeline, "select author_id, author_name, names, avatar, profile from clean.authors")
    assert len({row[0] for row in found}) == authors[0]
    assert all(PSEUDONYM.fullmatch(row[0]) and row[1:] == (row[0], [row[0]], None, None) for row in found)
    assert asked(hidden.pipeline, "from marts.posters anti join clean.authors using (author_id, author_name)") == []
    assert (
        asked(hidden.pipeline, "select author_name from clean.all_posts where author_id is null and author_name > ''")
        == []
    )
    for count in ("count(distinct author_id)", "sum(posts)"):
        question = f"select community, {count} from marts.posters_by_day group by 1 order by 1"
        assert asked(hidden.pipeline, question) == served.sql(question)


def test_pages_answers_downloads_and_search_show_pseudonyms_only(hidden: Served, names: list[str]) -> None:
    ((platform, instance, thread, author),) = asked(
        hidden.pipeline,
        "select platform, instance, thread_id, any_value(author_id) from clean.all_posts "
        "where platform = 'lemmy' group by all order by count(*) desc limit 1",
    )
    paths = [
        "/", f"/t/{platform}/{instance}/{thread}", f"/u/{platform}/{instance}/{author}", "/search?q=paper",
        "/tables/authors", "/tables/posts", "/statistics/posters", "/statistics/quote-graph",
        "/api/authors?format=csv&limit=500",
        "/api/posts?limit=500", "/api/posters?limit=500", f"/api/poster/{platform}/{instance}/{author}",
        "/api/search?q=paper", "/api/poster-stats", "/api/social-graph", f"/api/search?q=fold&author={author}",
    ]  # fmt: skip
    shown = 0
    for path in paths:
        answer = hidden.get(path)
        if answer.status_code == 404:
            raise AssertionError(path)
        assert answer.status_code == 200, (path, answer.text[:300])
        leaked = [name for name in names if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", answer.text)]
        assert not leaked, (path, leaked)
        shown += bool(PSEUDONYM.search(answer.text))
    assert shown > 10
    found = hidden.get(f"/api/search?q=fold&author={author}").json()
    assert isinstance(found, dict)


def test_another_key_makes_all_of_it_anew_and_none_shows_the_names(served: Served, tmp_path: Path) -> None:
    pipeline = served.pipeline.with_settings(home=tmp_path)
    made = [
        one.publish()
        for one in (
            pipeline.with_settings(pseudonyms_key=KEY), pipeline.with_settings(pseudonyms_key=KEY),
            pipeline.with_settings(pseudonyms_key=KEY[::-1]), pipeline,
        )
    ]  # fmt: skip
    assert [one and one.anew for one in made] == [True, False, True, True]
    assert not asked(pipeline, "from clean.authors where author_name like 'anon-%'")


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"THREADLAKE_PSEUDONYMS_KEY": "short"}, "a secret of 16 characters at least"),
        ({"THREADLAKE_PSEUDONYMS_KEY": KEY, "THREADLAKE_WAREHOUSE": "bigquery://my-project/EU"}, "is for DuckDB"),
    ],
)
def test_a_key_that_cannot_be_used_is_a_sentence_that_does_not_say_it(told: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence) as problem:
        Settings.from_env(told)
    assert "short" not in str(problem.value) and KEY not in str(problem.value)
    assert KEY not in repr(replace(Settings.from_env({}), pseudonyms_key=KEY, warehouse=BigQueryPlace("p", "EU")))
