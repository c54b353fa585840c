"""What mods.de shows of people in posts of others and in threads, and how it is taken out."""

import re
from typing import TYPE_CHECKING, Any

from extractors.erasure import cut
from extractors.platform import Entity, Record

if TYPE_CHECKING:
    from extractors.erasure import Those

QUOTE = re.compile(r'\[quote(?:=\d+,(\d+),"(.*?)"|[^\]]*)\]', re.IGNORECASE)
QUOTE_END = re.compile(r"\[/quote\]", re.IGNORECASE)
EMPTY = {"id": "", "text": ""}  # as the board writes who has no account any more


def redact(entity: Entity, record: Record, those: "Those", opened: bool) -> Record:
    """See `Platform.redact`. Who wrote a post is the only one who stays where they stand."""
    found: Record = _left(record, those, () if entity == "threads" else ("user",))
    if entity == "threads":
        opened = opened or _is_theirs((record.get("firstpost") or {}).get("post", {}).get("user"), those)
        if opened:
            found |= {name: "" for name in ("title", "subtitle") if name in record}
            if isinstance(found.get("firstpost"), dict):
                found["firstpost"] = {"post": found["firstpost"]["post"] | {"user": EMPTY, "icon": EMPTY}}
    elif opened and isinstance(record.get("in-thread"), dict):
        found["in-thread"] = record["in-thread"] | {"text": ""}
    return found


def _left(value: Any, those: "Those", kept: tuple[str, ...] = ()) -> Any:
    if isinstance(value, str) and "[" in value:
        return cut(value, QUOTE, QUOTE_END, lambda found: those.post(found[1]) or those.name(found[2]))
    if isinstance(value, list):
        return [_left(one, those) for one in value]
    if isinstance(value, dict):
        return {
            name: EMPTY if name == "user" and name not in kept and _is_theirs(one, those) else _left(one, those)
            for name, one in value.items()
        }
    return value


def _is_theirs(user: Any, those: "Those") -> bool:
    return isinstance(user, dict) and (those.author(user.get("id")) or those.name(user.get("text")))
