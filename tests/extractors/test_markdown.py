"""Plain text of Markdown: what is not parsed for want of markup is what a parser would make of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extractors.markdown import PARSER, is_marked, parsed, plain
from extractors.text import urls

PIECES = [
    "a", "b1", "7", " ", "  ", "    ", "\t", "\n", "\n\n", "\r\n", "\r", "\x0b", "\xa0", "\0", "*", "**", "_", "`",
    "```", "[", "]", "(", ")", "<", ">", "<b>", "#", "-", "---", "+", ".", "1.", "1)", "~", "~~", "|", "|--", "\\", "&",
    "&amp;", "&#3;", "!", "=", ":", ":::", "::: spoiler x", "http://x.example/a_b", "https://x.example", '"', "'", "/",
    "?", "$", "{", "}", "@", ",", "é", "😀", "snake_case",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
def test_what_has_no_markup_is_what_the_parser_makes_of_it(text: str) -> None:
    assert plain(text) == parsed(text)


@pytest.mark.parametrize(
    "text", ["5 < 6 & 7 > 2!", "see https://x.example/a_b?c=1&d=2", "one, two\n\nthree: (four) [five] ~ 6 + 7 = 13", ""]
)
def test_ordinary_text_is_spared_the_parser(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_marked(text)
    monkeypatch.setattr(PARSER, "parse", None)
    assert plain(text) == ("\n".join(filter(None, text.split("\n"))), urls(text))


@pytest.mark.parametrize(
    ("markdown", "text", "links"),
    [
        ("**a** _b_ `c` ~~d~~", "a b c d", []),
        ("[a](https://a.example) https://b.example", "a https://b.example", ["https://a.example", "https://b.example"]),
        ("# a\n\n> b\n\n- c\n- d\n\n1. e", "a\nb\nc\nd\ne", []),
        ("```py\nx = 1\n```", "x = 1", []),
        ("a | b\n--|--\nc | d", "a b \nc d", []),
        ("::: spoiler Hidden\nwords\n:::", "Hidden\nwords", []),
        ("5 < 6", "5 < 6", []),
    ],
)
def test_markdown_to_text(markdown: str, text: str, links: list[str]) -> None:
    assert plain(markdown) == (text, links)
