"""Plain text of Markdown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extractors.markdown import plain

PIECES = [
    "a", "b1", "7", " ", "    ", "\t", "\n", "\n\n", "\r\n", "\0", "*", "**", "_", "`", "```", "[", "]", "(", ")", "<",
    ">", "<b>", "#", "-", "1.", "~~", "|", "|--", "\\", "&", "&amp;", "!", "=", ":", "::: spoiler x",
    "http://x.example/a_b", '"', "é", "😀",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
def test_it_never_fails_and_is_neither_padded_nor_spaced_out(markdown: str) -> None:
    text, links = plain(markdown)
    assert text == text.strip() and "\n\n" not in text
    assert len(set(links)) == len(links) and all("://" in link for link in links)


def test_what_parquet_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError):
        plain("a\ud800b")


@pytest.mark.parametrize(
    ("markdown", "text", "links"),
    [
        ("**a** _b_ `c` ~~d~~", "a b c d", []),
        ("[a](https://a.example) https://b.example", "a https://b.example", ["https://a.example", "https://b.example"]),
        ("<https://a.example/?b=1&c=2> ![d](https://e.example/f.png)", "https://a.example/?b=1&c=2 d",
         ["https://a.example/?b=1&c=2", "https://e.example/f.png"]),
        ("# a\n\n> b\n\n- c\n- d\n\n1. e", "a\nb\nc\nd\ne", []),
        ("- a:\n  - b\n  - c\n- d", "a:\nb\nc\nd", []),
        ("a\nb  \nc\n\n\n\nd\n***\ne", "a\nb\nc\nd\ne", []),
        ("```py\nx = 1\n```", "x = 1", []),
        ("a | b\n--|--\nc | d", "a b \nc d", []),
        ("::: spoiler Hidden\nwords\n:::", "Hidden\nwords", []),
        ("5 < 6 &amp; <b>7</b> snake_case_name \\*", "5 < 6 & <b>7</b> snake_case_name *", []),
        ("one, two\n\nthree: (four) [five] ~ 6 + 7 = 13", "one, two\nthree: (four) [five] ~ 6 + 7 = 13", []),
    ],
)  # fmt: skip
def test_markdown_to_text(markdown: str, text: str, links: list[str]) -> None:
    assert plain(markdown) == (text, links)
