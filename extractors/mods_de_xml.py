"""What mods.de sends, made readable: XML to dicts by name, dicts to flat fields, and the repair of their encoding.

A payload is what was sent: an element is a dict of its attributes and children, its text under `text`; one that has
neither is its text; several of one name are a list. The repair comes after, so that the lake has both.
"""

import re
from html import unescape
from typing import Any
from xml.parsers import expat

from extractors.platform import Record

XML_REFUSES = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
DEEPEST = 40
# Latin-9 was taken for Latin-1 where they differ; what is in neither was written as a reference, inside of CDATA.
LATIN_9 = str.maketrans("¤¦¨´¸¼½¾", "€ŠšŽžŒœŸ")
REFERENCE = re.compile(r"&#(?:\d{1,7}|[xX][0-9a-fA-F]{1,6});")


def repaired(text: str) -> str:
    """The text that somebody wrote, of the text that was sent."""
    text = text.translate(LATIN_9)
    return REFERENCE.sub(lambda found: unescape(found[0]), text) if "&#" in text else text


def parse(body: bytes) -> tuple[str, Record]:
    """The root's name and its record, whatever charset the answer claims. Raises ValueError for what is no such XML.

    No document type is accepted, so there are no entities to expand or to fetch.
    """
    text = XML_REFUSES.sub("", body.decode("utf-8", "replace")).lstrip("\ufeff \t\r\n")
    parser = expat.ParserCreate("utf-8")
    building = _Building()
    parser.buffer_text = True
    parser.StartElementHandler = building.start
    parser.CharacterDataHandler = building.text
    parser.EndElementHandler = building.end
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as problem:
        raise ValueError(str(problem)) from problem
    name, root = building.root
    return name, root if isinstance(root, dict) else {"text": root} if root else {}


class _Building:
    """The elements that are open, each with its attributes and children so far, and its text."""

    def __init__(self) -> None:
        self.root: tuple[str, Any] = ("", "")
        self._open: list[tuple[str, Record, list[str]]] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= DEEPEST:
            raise ValueError(f"elements nested deeper than {DEEPEST}")
        self._open.append((name, dict(attributes), []))

    def text(self, data: str) -> None:
        self._open[-1][2].append(data)

    def end(self, name: str) -> None:
        _, record, parts = self._open.pop()
        text = "".join(parts)
        if record and text.strip():
            _add(record, "text", text)
        element: Any = record or text
        if self._open:
            _add(self._open[-1][1], name, element)
        else:
            self.root = (name, element)


def _add(record: Record, name: str, value: Any) -> None:
    if name not in record:
        record[name] = value
    elif isinstance(record[name], list):
        record[name].append(value)
    else:
        record[name] = [record[name], value]


def _refuse(*_: Any) -> None:
    raise ValueError("a document type, which this API never sends")


def many(record: Record, plural: str, singular: str) -> list[Any]:
    """The elements inside a container such as `posts`: none, one or several."""
    inside = record.get(plural)
    found = inside.get(singular, []) if isinstance(inside, dict) else []
    return found if isinstance(found, list) else [found]


def flat(record: Record, prefix: str = "") -> Record:
    """Its texts and attributes under their path, repaired: `{"user": {"id": "7", "text": "Alice"}}` becomes
    `{"user_id": "7", "user": "Alice"}`. Raises AttributeError for what is no record."""
    found: Record = {}
    for name, value in record.items():
        path = prefix if name in ("text", "value") and prefix else f"{prefix}_{name}" if prefix else name
        path = path.replace("-", "_")
        if isinstance(value, dict):
            found |= flat(value, path)
        else:
            found[path] = repaired(value) if isinstance(value, str) else value
    return found
