"""BBCode of mods.de to plain text, the ids it quotes, the URLs it links to. Tags are known in any case, nested or not
closed; what is no known tag is text.
"""

import re

from extractors.platform import Words
from extractors.text import urls

HOST = "http://forum.mods.de"
TAG = re.compile(
    r"\[(/?)(?:(\*|--|\|\|)|(b|i|u|s|m|mod|spoiler|trigger|code|tex|img|video|quote|url|list|table)"
    r'(?:=(\d+,\d+,".*?"|[^\]]*)|\s[^\]]*)?)\]',
    re.IGNORECASE,
)
LITERAL = {
    name: re.compile(rf"\[/{name}\]|\Z", re.IGNORECASE) for name in ("code", "tex", "img", "video", "url")
}  # no tags inside; one that is not closed runs to the end
QUOTE_END = re.compile(r"\[/quote\]", re.IGNORECASE)
MARKS = {"*": "\n- ", "--": "\n", "||": "\t"}
QUOTED = re.compile(r"\d+,(\d+),")


def words(source: str) -> Words:
    """The text without what it quotes, the ids of the posts it quotes (not what those quoted), links."""
    text: list[str] = []
    quotes: list[str] = []
    links: list[str] = []
    depth = at = 0
    while tag := TAG.search(source, at):
        if not depth:
            text.append(source[at : tag.start()])
        at = tag.end()
        closing, mark, name, argument = tag[1], tag[2], (tag[3] or "").lower(), tag[4]
        if name == "quote" and closing:
            depth = max(0, depth - 1)
        elif name == "quote":
            quoted = QUOTED.match(argument or "")
            if quoted and not depth:
                quotes.append(quoted[1])
            depth += bool(QUOTE_END.search(source, at))  # one that is never closed holds nothing
        elif name in LITERAL and not closing and not (name == "url" and argument):
            end = LITERAL[name].search(source, at)
            assert end
            inside, at = source[at : end.start()], end.end()
            if not depth and name in ("img", "video", "url"):
                links += _link(inside)
            if not depth and name in ("code", "tex", "url"):
                text.append(inside)
        elif depth or closing:
            continue
        elif mark:
            text.append(MARKS[mark])
        elif name == "url":
            links += _link(argument)
    if not depth:
        text.append(source[at:])
    plain = "".join(text).strip()
    return Words(plain, list(dict.fromkeys(quotes)), list(dict.fromkeys([*links, *urls(plain)])))


def _link(address: str) -> list[str]:
    """An address as a browser would have taken it; none for what leads nowhere."""
    address = address.strip().strip("'\"").strip()
    if not address or "[" in address or address.lower().startswith("data:"):
        return []
    if address.startswith("//"):
        return [f"http:{address}"]
    if address.startswith("/"):
        return [HOST + address]
    if address.startswith("./"):
        return [f"{HOST}/bb{address[1:]}"]
    return [address if "://" in address else f"http://{address}"]
