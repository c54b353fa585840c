"""Rows to tables: what fits is typed, what does not is quarantined, nothing is lost."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extractors.discourse import Discourse
from extractors.fourchan import Fourchan
from extractors.platform import Community, Entity, Platform, Record
from extractors.records import COMMON, ENTITIES, parse_again, schema, table

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
CHAN, FORUM = Fourchan(), Discourse()
PO, EXAMPLE = Community("fourchan:po", "4chan.org"), Community("discourse:forum.example", "forum.example")
POST: Record = {"no": 7, "resto": 1, "time": 1700000000, "com": "a &gt; b", "fsize": 12}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def made(
    record: Record, platform: Platform = CHAN, community: Community = PO, entity: Entity = "posts"
) -> dict[str, object]:
    rows = (
        [platform.row(entity, community, r, NOON) for r in (POST, record, POST)]
        if platform is CHAN
        else [platform.row(entity, community, record, NOON)]
    )
    found = table(platform, entity, community, "run", rows).to_pylist()
    if platform is CHAN:
        assert found[0]["parse_error"] is None and found[0]["fsize"] == 12  # its neighbours are unharmed
        return found[1]
    return found[0]


def test_a_record_that_fits() -> None:
    row = made(POST)
    assert (row["post_id"], row["thread_id"], row["text"], row["fsize"]) == ("po/7", "po/1", "a > b", 12)
    assert row["created_at"] == datetime.fromtimestamp(1700000000, UTC)
    assert json.loads(str(row["payload"])) == POST and row["parse_error"] is None


@pytest.mark.parametrize("wrong", ["big", 1.5, True, [1], {"a": 1}, 2**70])
def test_a_wrong_type_quarantines_its_record_alone(wrong: object) -> None:
    row = made(POST | {"fsize": wrong})
    assert "fsize: expected int64" in str(row["parse_error"]) and row["com"] is None and row["no"] is None
    assert json.loads(str(row["payload"])) == POST | {"fsize": wrong}
    assert row["post_id"] == "po/7"  # its key is known all the same


@pytest.mark.parametrize(
    "broken", [{"time": "abc"}, {"no": None}, {"no": "7"}, {"time": 1e30}, {"com": 5}, {"com": ["x"]}]
)
def test_a_record_without_usable_key_or_words_lands(broken: Record) -> None:
    row = made(POST | broken)
    assert row["parse_error"] and json.loads(str(row["payload"])) == POST | broken


def test_an_unknown_field_is_kept_in_the_payload() -> None:
    row = made(POST | {"novelty": {"deep": [1]}})
    assert row["parse_error"] is None and json.loads(str(row["payload"]))["novelty"] == {"deep": [1]}


def test_lone_surrogates_survive() -> None:
    row = made(POST | {"com": "a\ud800b"})
    assert row["parse_error"] and json.loads(str(row["payload"]))["com"] == "a\ud800b"


@given(st.dictionaries(st.sampled_from([*schema(CHAN, "posts").names, "last_modified", "zzz"]), JSON))
def test_no_record_of_4chan_is_lost_or_raises(record: Record) -> None:
    for entity in ENTITIES:
        row = (
            made(record, entity=entity)
            if entity == "posts"
            else table(CHAN, entity, PO, "run", [CHAN.row(entity, PO, record, NOON)]).to_pylist()[0]
        )
        assert json.loads(str(row["payload"])) == json.loads(json.dumps(record))


@given(st.dictionaries(st.sampled_from([*schema(FORUM, "posts").names, *schema(FORUM, "threads").names, "zzz"]), JSON))
def test_no_record_of_discourse_is_lost_or_raises(record: Record) -> None:
    for entity in ENTITIES:
        row = made(record, FORUM, EXAMPLE, entity)
        assert json.loads(str(row["payload"])) == json.loads(json.dumps(record))


def test_own_columns_never_hide_common_ones() -> None:
    for platform in (CHAN, FORUM):
        for entity in ENTITIES:
            names = schema(platform, entity).names
            assert len(names) == len(set(names)) and names[: len(COMMON)] == COMMON.names


def test_parsing_again_changes_only_the_quarantined() -> None:
    old = table(CHAN, "posts", PO, "run", [CHAN.row("posts", PO, r, NOON) for r in (POST, POST | {"fsize": "big"})])
    again = parse_again(CHAN, "posts", old)
    assert again.equals(old)
