"""Dicts to XML as mods.de writes it, defects included, and back for the faults that spoil a document.

A dict's attributes are known by name, `text` is its text, a list is an element for each; texts are CDATA.
"""

import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from sandbox.history import Payload

XML = "text/xml"  # without a charset
ATTRIBUTES = frozenset((
    "id", "current-user-id", "count", "value", "timestamp", "locked", "group-id", "is-hidden", "page", "offset",
    "with-stickies", "with-globals",
))  # fmt: skip
CONTAINERS = {"posts": "post", "threads": "thread"}
REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
HEAD = '<?xml version="1.0" encoding="utf-8" ?>\n'
SCHEMA = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="http://forum.mods.de/bb/forum.xsd"'


def mangle(text: str) -> str:
    """What becomes of a text on its way: Latin-9 taken for Latin-1, and references for what is not in it."""
    return text.encode("iso-8859-15", "xmlcharrefreplace").decode("iso-8859-1")


def dumps(name: str, record: Payload) -> bytes:
    return (HEAD + _element(name, record).replace(f"<{name}", f"<{name} {SCHEMA}", 1)).encode()


def edited(body: bytes, edit: Callable[[list[Any]], list[Any]]) -> bytes:
    """A document whose posts or threads were edited, as a list of dicts."""
    root = ElementTree.fromstring(REFUSED.sub("", body.decode()).encode())
    record = _record(root)
    for plural, singular in CONTAINERS.items():
        if isinstance(record, dict) and plural in record:
            record[plural][singular] = edit(record[plural].get(singular, []))
    return dumps(root.tag, record)


def _element(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "".join(_element(name, each) for each in value)
    if not isinstance(value, dict):
        return f"<{name}>{_text(value)}</{name}>" if value not in ("", None) else f"<{name}/>"
    attributes = "".join(f' {key}="{each}"' for key, each in value.items() if key in ATTRIBUTES and each is not None)
    inside = "".join(_element(key, each) for key, each in value.items() if key not in (*ATTRIBUTES, "text"))
    inside += _text(value["text"]) if "text" in value else ""
    return f"<{name}{attributes}>{inside}</{name}>" if inside else f"<{name}{attributes}/>"


def _text(value: object) -> str:
    return "<![CDATA[" + str(value).replace("]]>", "]]]]><![CDATA[>") + "]]>"


def _record(element: ElementTree.Element) -> Any:
    record: Payload = {name: value for name, value in element.attrib.items() if not name.startswith("{")}
    for child in element:
        if CONTAINERS.get(element.tag) == child.tag:
            record.setdefault(child.tag, []).append(_record(child))
        else:
            record[child.tag] = _record(child)
    if record and element.text and element.text.strip():
        record["text"] = element.text
    return record or element.text or ""
