"""Plain text of Markdown, by markdown-it, and the URLs it links to."""

import re

from markdown_it import MarkdownIt
from markdown_it.token import Token

from extractors.text import urls

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
# What the parser might read as more than text. Of recorded Discord messages 3 to 25 % have any of it; the others are
# spared a parser that takes 0.1 to 0.4 ms (measured 2026-11-23).
MARK = re.compile(r"[*`\\\r\0~_<\]&]")  # most texts have none; ten times faster than what looks closer
INLINE = re.compile(
    r"[*`\\\r\0]|~~|(?<![^\W_])_|_(?![^\W_])"  # emphasis, code, escapes; an underscore inside of a word is only that
    r"|<[\w/!?]|\]\s?[(\[:]|&#?\w+;"  # HTML and its entities, links
)
BLOCK = re.compile(r"\n(?:[ \t]*(?:[>|=:#]|[-+](?![^\s|:-])|\d+[.)](?!\S))| {0,3}\t| {4})")
ENDS = re.compile(r"\s*\n[ \t]*\n\s*| *\n[ \t]*")  # of a paragraph and of a line
SPOILER = re.compile(r"^ {0,3}:::[ \t]*(?:spoiler[ \t]*)?(.*)$", re.MULTILINE)  # Lemmy's; its title stays
BLOCKS = frozenset(("paragraph_close", "heading_close", "tr_close"))


def plain(markdown: str) -> tuple[str, list[str]]:
    """Its text, a line for each line, paragraph, item and table row, and the URLs it links to, each once, in order."""
    if not is_marked(markdown):
        text = markdown.strip()
        text = ENDS.sub("\n", text) if "\n" in text else text
        return text, urls(text)
    return parsed(markdown)


def is_marked(markdown: str) -> bool:
    """Whether it takes a parser to tell what it says."""
    return bool((MARK.search(markdown) and INLINE.search(markdown)) or BLOCK.search(f"\n{markdown}"))


def parsed(markdown: str) -> tuple[str, list[str]]:
    parts: list[str] = []
    links: list[str] = []
    _read(PARSER.parse(SPOILER.sub(r"\n\1\n", markdown)), parts, links)
    text = re.sub(r"\n{2,}", "\n", "".join(parts)).strip()
    return text, list(dict.fromkeys(link for link in [*links, *urls(text)] if "://" in link))


def _read(tokens: list[Token], parts: list[str], links: list[str]) -> None:
    for token in tokens:
        if token.type in ("link_open", "image"):
            links.append(str(token.attrGet("href" if token.type == "link_open" else "src")))
        if token.children is not None:
            _read(token.children, parts, links)
        elif token.type in ("softbreak", "hardbreak") or token.type in BLOCKS:
            parts.append("\n")
        elif token.type == "td_close" or token.type == "th_close":
            parts.append(" ")
        elif token.type in ("fence", "code_block", "html_block"):
            parts.append(token.content + "\n")
        else:
            parts.append(token.content)
