"""Plain text of HTML, by lexbor, many fragments at a time; and the URLs that plain text names.

Measured 2026-11-22 on 30,000 recorded 4chan comments: 0.05 s in batches, 0.19 s one by one, the same text.
"""

import re
import secrets
from collections.abc import Sequence

from selectolax.lexbor import LexborHTMLParser

SEPARATOR = f"\x1e{secrets.token_hex(8)}\x1e"  # unknown to whoever writes posts
# Only these may share a document: a table or a comment that is left open would take its neighbours' text with it.
UNSAFE = re.compile(
    r"<(?!/?(?:p|br|wbr|a|b|i|u|s|em|strong|span|code|pre|li|ul|ol|blockquote|h[1-6]|hr|img|div|aside|header|article"
    r"|sup|sub|small|big|mark|kbd|del|ins|details|summary)[\s/>])",
    re.IGNORECASE,
)
BREAK = re.compile(r"<br\s*/?>\n?")
URL = re.compile(r"https?://[^\s<>\"'`]*[^\s<>\"'`.,;:!?)\]}]")


def plain_texts(fragments: Sequence[str], drop: str | None = None) -> list[str]:
    """The text of each HTML fragment, without what the CSS selector `drop` finds; `<br>` is a line feed."""
    together = [i for i, html in enumerate(fragments) if "<" in html and not UNSAFE.search(html)]
    texts: list[str | None] = [None] * len(fragments)
    parts = _text(SEPARATOR.join(fragments[i] for i in together), drop).split(SEPARATOR) if together else []
    if len(parts) == len(together):
        for i, part in zip(together, parts, strict=True):
            texts[i] = part.strip()
    return [_alone(html, drop) if text is None else text for text, html in zip(texts, fragments, strict=True)]


def urls(text: str) -> list[str]:
    """The URLs in plain text, each once, in order."""
    return list(dict.fromkeys(URL.findall(text)))


def _alone(html: str, drop: str | None) -> str:
    return (_text(html, drop) if "<" in html or "&" in html else html).strip()


def _text(html: str, drop: str | None) -> str:
    body = LexborHTMLParser(BREAK.sub("\n", html)).body
    if body is None:
        return ""
    if drop:
        for node in body.css(drop):
            node.decompose()
    return body.text()
