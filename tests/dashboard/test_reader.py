"""What the published file is asked: the same question has the same answer until the next publication."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from dashboard import reader as module
from dashboard.reader import NothingPublished, PublishedReader
from orchestration.publish import POINTER

DICE = "select random() as fell, $n as n"


def publish(folder: Path, name: str) -> None:
    with duckdb.connect(folder / name) as connection:
        connection.execute("create table numbers as select i from range(10) as r(i)")
    (folder / POINTER).write_text(f"{name}\n")


@pytest.fixture
def reader(tmp_path: Path) -> PublishedReader:
    publish(tmp_path, "one.duckdb")
    return PublishedReader(tmp_path)


def test_who_asks_again_hears_the_same_until_the_next_publication(reader: PublishedReader, tmp_path: Path) -> None:
    (first,) = reader.query(DICE, {"n": 1, "more": "than asked"})
    assert reader.query(DICE, {"n": 1}) == [first]
    assert reader.query(DICE, {"n": 2}) != [first | {"n": 2}]
    publish(tmp_path, "two.duckdb")
    assert reader.query(DICE, {"n": 1}) != [first]


def test_what_somebody_does_to_an_answer_is_their_own(reader: PublishedReader) -> None:
    (first,) = reader.query(DICE, {"n": 1})
    kept = dict(first)
    first["fell"] = "changed"
    (second,) = reader.query(DICE, {"n": 1})
    assert second == kept
    second.clear()
    assert reader.query(DICE, {"n": 1}) == [kept]


def test_so_much_is_kept_and_long_answers_are_not(reader: PublishedReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_ROWS", 200)
    ten, eleven = (f"select random() as fell from range({n})" for n in (10, 11))
    assert reader.query(ten) == reader.query(ten)
    assert reader.query(eleven) != reader.query(eleven)
    (first,) = reader.query(DICE, {"n": 0})
    for n in range(1, 200):
        reader.query(DICE, {"n": n})
    assert reader.query(DICE, {"n": 0}) != [first], "forgotten"
    assert reader.query(DICE, {"n": 199}) == reader.query(DICE, {"n": 199})


def test_who_asks_while_others_wait_for_the_same_waits_with_them(reader: PublishedReader) -> None:
    slow = "select random() as fell, count(*) as n from range(3000000) as a(i) where hash(i) % 7 = 1"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: reader.query(slow), range(8)))
    assert len({row["fell"] for (row,) in answers}) == 1 and len({id(row) for (row,) in answers}) == 8
    with ThreadPoolExecutor(4) as pool:
        for asked in [pool.submit(reader.query, "select nothing_like_it") for _ in range(4)]:
            with pytest.raises(duckdb.BinderException):
                asked.result()


def test_what_memory_does_not_hold_goes_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next publication sweeps this one's neighbours."""
    publish(tmp_path, "one.duckdb")
    monkeypatch.setattr(module, "MEMORY", "40MB")
    reader = PublishedReader(tmp_path)
    large = "select count(*) as n from (select distinct i, repeat('x', 40) || i as t from range(2000000) as r(i))"
    assert reader.query(large) == [{"n": 2_000_000}]
    assert {path.name for path in tmp_path.iterdir()} == {"one.duckdb", POINTER}


def test_before_the_first_publication_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NothingPublished, match="threadlake up"):
        PublishedReader(tmp_path).query("select 1")
