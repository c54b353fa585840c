"""Plain text: the same in a batch as alone, whatever stands beside it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extractors.text import plain_texts, urls

PIECES = st.sampled_from(
    [
        "a",
        "<br>",
        "<b>bold</b>",
        "<b>open",
        "&amp;",
        "&lt;x&gt;",
        "&#30;",
        ">",
        "<!--",
        "<table><td>cell",
        "</table>",
        "<pre>\n",
        "x</pre>",
        "</p>",
        "<p>para</p>",
        "\x1e",
        "<script>no</script>",
        "<textarea>",
        "<svg>",
        "<a",
        "href='x'>link</a>",
        "<span",
        'class="quote">&gt;green</span>',
        "\u202e",
        "😀",
    ]
)


@given(st.lists(st.lists(PIECES).map("".join), max_size=8))
def test_a_batch_gives_what_each_alone_gives(fragments: list[str]) -> None:
    assert plain_texts(fragments) == [plain_texts([html])[0] for html in fragments]


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("plain", "plain"),
        ("a<br>b<br/>\nc", "a\nb\nc"),
        ("&lt;b&gt; &amp;amp;", "<b> &amp;"),
        ('<a href="#p1" class="quotelink">&gt;&gt;1</a><br>long<wbr>word', ">>1\nlongword"),
        ("<p>a</p>\n<p>b <em>c</em></p>", "a\nb c"),
        ("", ""),
    ],
)
def test_html_to_text(html: str, text: str) -> None:
    assert plain_texts([html]) == [text]


def test_what_is_quoted_can_be_dropped() -> None:
    html = '<aside class="quote no-group" data-post="1" data-topic="2"><blockquote>old</blockquote></aside><p>new</p>'
    assert plain_texts([html, html], drop="aside.quote") == ["new", "new"]


def test_urls_of_text() -> None:
    assert urls("see https://a.example/x?y=1, (http://b.example/z). https://a.example/x?y=1") == [
        "https://a.example/x?y=1",
        "http://b.example/z",
    ]
    assert urls("none") == []
