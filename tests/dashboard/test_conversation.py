"""The tree of a thread, and texts of strangers, without a server."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import text
from dashboard.charts import bars
from dashboard.conversation import DEEPEST, tree, walk
from dashboard.search import pieces
from dashboard.views import BadParameter, _pack, _unpack, as_csv


def post(name: str, *quotes: str, opening: bool = False, url: str = "", platform: str = "lemmy") -> dict[str, Any]:
    told = {"post_id": name, "quotes": list(quotes), "is_opening": opening, "url": url}
    return {**told, "platform": platform, "instance": "forum.example"}


def shape(posts: list[dict[str, Any]]) -> list[tuple[int, str]]:
    return [(depth, node.post["post_id"]) for depth, node in walk(tree(posts))]


def test_answers_stand_below_the_last_they_quote_and_those_to_the_opening_beside_it() -> None:
    posts = [
        post("1", opening=True),
        post("2", "1"),
        post("3", "2"),
        post("4", "2", "3"),
        post("5", "elsewhere"),
        post("6", "2"),
    ]
    assert shape(posts) == [(0, "1"), (0, "2"), (1, "3"), (2, "4"), (1, "6"), (0, "5")]
    assert tree(posts)[2].elsewhere == ["elsewhere"]


def test_nobody_answers_what_comes_later_nor_himself() -> None:
    assert shape([post("1", "2", "1"), post("2", "1")]) == [(0, "1"), (1, "2")]


def test_discourse_counts_the_posts_of_a_topic() -> None:
    first = post("900", url="https://forum.example/t/7/1", platform="discourse")
    second = post("901", "7/1", url="https://forum.example/t/7/2", platform="discourse")
    assert shape([first, second]) == [(0, "900"), (1, "901")]


def test_a_conversation_of_two_may_be_endless() -> None:
    posts = [post("0"), *(post(str(i), str(i - 1)) for i in range(1, 20_000))]
    found = shape(posts)
    assert len(found) == 20_000 and found[-1] == (DEEPEST, "19999")


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdefgh"), max_size=3)), max_size=12))
def test_every_post_is_shown_once(drawn: list[tuple[str, list[str]]]) -> None:
    posts = [post(f"{name}", *quotes) for name, quotes in dict(drawn).items()]
    assert sorted(name for _, name in shape(posts)) == sorted(one["post_id"] for one in posts)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//x.example",
        "http:",
        "https://[",
        "ftp://x.example",
        "",
        None,
        " https",
    ],
)
def test_only_web_pages_are_linked(url: str | None) -> None:
    assert text.outside(url) is None
    assert text.outside("https://x.example/a?b") == "https://x.example/a?b"


@given(st.text(), st.text())
def test_differences_make_the_later_text(before: str, after: str) -> None:
    found = list(text.differences(before, after))
    assert "".join(piece for kind, piece in found if kind != "removed") == text.visible(after)
    assert "".join(piece for kind, piece in found if kind != "added") == text.visible(before)


@given(st.text(max_size=400), st.sampled_from("ab c"))
def test_pieces_come_from_the_text(said: str, wanted: str) -> None:
    import re

    found = pieces(said, re.compile(re.escape(wanted)).finditer)
    assert all(piece == text.visible(wanted) for piece, marked in found if marked)
    assert all(piece in (" … ", " …") or piece in text.visible(said) for piece, _ in found)


@given(
    st.lists(
        st.one_of(
            st.none(), st.integers(), st.text(st.characters(codec="utf-8", exclude_characters="\0")), st.datetimes()
        ),
        min_size=1,
    )
)
def test_the_word_for_the_next_page_says_where_it_begins(values: list[Any]) -> None:
    values = [value for value in values if not isinstance(value, int) or abs(value) < 2**63]
    assert list(_unpack(_pack(values), len(values))) == values
    with pytest.raises(BadParameter):
        _unpack(_pack(values), len(values) + 1)


@given(st.text())
def test_any_word_for_the_next_page_is_read_or_refused(word: str) -> None:
    with pytest.raises(BadParameter):
        _unpack(word, 40)


def test_a_spreadsheet_runs_nothing() -> None:
    assert as_csv(["a"], [{"a": "=1+1"}, {"a": -1}, {"a": ["@x", "y"]}]).splitlines() == ["a", "'=1+1", "-1", "'@x y"]


def test_what_strangers_say_is_text_in_a_chart() -> None:
    drawn = bars([{"x": "<script>alert(1)</script>\"'\0", "y": 1}], "x", "y")
    assert drawn is not None and "<script" not in drawn and "style=" not in drawn
    assert "<title>&lt;script&gt;" in drawn
