"""One reading compared with the last."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from extractors.memory import YOUNG, Reading, gone

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
ITEMS = st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(0, 600), st.sampled_from("xyz")))


def read(
    items: dict[str, tuple[int, str]], last: Reading | None = None, refresh: bool = False
) -> tuple[Reading, set[str]]:
    reading = Reading(last.items if last else {}, refresh)
    return reading, {
        item for item, (age, print_) in items.items() if reading.changed(item, NOON - timedelta(seconds=age), print_)
    }


@given(ITEMS, ITEMS, st.booleans(), st.booleans())
def test_what_is_written_and_what_is_gone(
    before: dict[str, tuple[int, str]], after: dict[str, tuple[int, str]], refresh: bool, whole: bool
) -> None:
    last, _ = read(before)
    reading, written = read(after, last, refresh)
    assert written == {i for i, (_, print_) in after.items() if refresh or i not in before or before[i][1] != print_}
    reading.whole = whole
    missing = {item for item, _ in reading.missing(NOON)}
    young = {item for item, (age, _) in before.items() if age < YOUNG.total_seconds()}
    assert missing == (before.keys() - after.keys() - young if whole else set())
    assert reading.items.keys() == (before.keys() | after.keys()) - missing, (
        "what is not known to be gone is remembered"
    )
    again, written = read(after, reading)
    assert not written
    later = {item for item, _ in again.missing(NOON + YOUNG)}
    assert missing | later == before.keys() - after.keys(), "in the end everything missing is found"


def test_what_could_not_be_read_well_is_written_again() -> None:
    last, _ = read({"a": (600, "x"), "b": (600, "x")})
    last.forget({"a", "zzz"})
    assert read({"a": (600, "x"), "b": (600, "x")}, last)[1] == {"a"}


def test_a_listed_item_is_known_and_carries_more() -> None:
    last = Reading({})
    last.changed("a", NOON, "x", 7, 8)
    assert "a" in Reading(last.items) and "b" not in Reading(last.items)
    assert list(Reading(last.items).missing(NOON + YOUNG)) == [("a", [int(NOON.timestamp()), "x", 7, 8])]


def test_the_row_that_says_so_has_no_payload() -> None:
    row = gone("t", "p", NOON, NOON)
    assert (row.thread_id, row.post_id, row.created_at, row.payload, row.error) == ("t", "p", NOON, None, None)
