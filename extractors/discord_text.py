"""What a Discord message says, as plain text, and whom it answers.

Mentions stand under the names the message gives for them (`@ada`), or their ids; channels and roles under their ids;
custom emoji as `:name:`, times in ISO 8601, commands as `/name`; then Markdown goes as everywhere. A forward says what
it forwards; a message without words says what its poll or its cards (embeds) say.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from extractors.erasure import NOBODY
from extractors.markdown import plain
from extractors.platform import Entity, Record, Words

if TYPE_CHECKING:
    from extractors.erasure import Those

REPLIES = frozenset((19, 21, 23))  # a reply, what began a thread, a command on a message
FORWARD = 1  # as the type of a reference
MENTION = re.compile(r"<(?:@!?(\d+)|@&(\d+)|#(\d+)|(?:a?):(\w+):\d+|t:(-?\d+)(?::\w)?|/([^:>]+):\d+)>")

PERSON = re.compile(r"<@!?(\d+)>")


def words(record: Record) -> Words:
    """Of a message as the API gives it, or as `discord_export.fields` makes it of an export."""
    names = {user["id"]: user.get("global_name") or user.get("username") for user in record.get("mentions") or []}
    text, links = plain(MENTION.sub(lambda found: _name(found, names), "\n".join(_said(record))))
    reference = record.get("message_reference") or {}
    answers = record.get("type") in REPLIES and reference.get("type", 0) != FORWARD and reference.get("message_id")
    return Words(text, [answers] if answers else [], links)


def content(record: Record) -> object:
    """Its words, files, stickers, and the cards it was sent with: those that Discord makes of links come later."""
    return [
        [record.get("content"), _ids(record, "attachments"), _ids(record, "sticker_items"), _cards(record)]
        for record in _with_forwards(record)
    ]


def files(record: Record) -> list[str]:
    """Ids of its attachments, those of what it forwards included; their URLs expire."""
    return [id for message in _with_forwards(record) for id in _ids(message, "attachments")]


def redact(entity: Entity, record: Record, those: "Those", opened: bool) -> Record:
    """See `Platform.redact`. Whoever is mentioned, answered or forwarded stands in the message as an object."""
    found = {name: _left(value, those) for name, value in record.items()}
    if entity == "threads":
        if opened or those.author(record.get("owner_id")):
            found |= {name: None for name in ("name", "topic", "owner_id") if name in found}
        return found
    for user in record.get("mentions") or ():
        if _is_theirs(user, those) and found.get("content"):  # an export writes the name where the API has the id
            for name in filter(None, (user.get("nickname"), user.get("name"))):
                found["content"] = found["content"].replace(f"@{name}", NOBODY)
    for name, id in (("message_reference", "message_id"), ("reference", "messageId")):
        if those.post((record.get(name) or {}).get(id)):
            found |= {n: None for n in ("message_snapshots", "forwardedMessage", "referenced_message") if n in found}
    return found


def _left(value: Any, those: "Those") -> Any:
    if isinstance(value, str):
        return PERSON.sub(lambda it: NOBODY if those.author(it[1]) else it[0], value) if "<@" in value else value
    if isinstance(value, list):
        return [_left(one, those) for one in value if not _is_theirs(one, those)]
    if isinstance(value, dict):
        if those.author(value.get("owner_id")):  # a thread
            value = value | {"name": None, "owner_id": None}
        return {name: None if _is_theirs(one, those) else _left(one, those) for name, one in value.items()}
    return value


def _is_theirs(value: Any, those: "Those") -> bool:
    """Whether it is one of them, or a message of one."""
    if not isinstance(value, dict):
        return False
    author = value.get("author")
    id = value.get("id")
    return those.author(id) or those.post(id) or (isinstance(author, dict) and those.author(author.get("id")))


def _said(record: Record) -> Iterator[str]:
    texts = [message.get("content") or "" for message in _with_forwards(record)]
    yield from (text for text in texts if text)
    if not any(texts):
        poll = record.get("poll") or {}
        if poll:
            yield str(poll["question"].get("text") or "")
            yield from (str(answer["poll_media"].get("text") or "") for answer in poll.get("answers") or [])
        for embed in record.get("embeds") or []:
            yield from (str(embed[name]) for name in ("title", "description") if embed.get(name))


def _with_forwards(record: Record) -> list[Record]:
    snapshots = record.get("message_snapshots")
    return [record, *(snapshot["message"] for snapshot in snapshots)] if snapshots else [record]


def _ids(record: Record, name: str) -> list[str]:
    items = record.get(name)
    return [item["id"] for item in items] if items else []


def _cards(record: Record) -> list[Any]:
    embeds = record.get("embeds")
    rich = [embed for embed in embeds if embed.get("type", "rich") == "rich"] if embeds else []
    return [[embed.get("title"), embed.get("description"), embed.get("fields")] for embed in rich]


def _name(found: re.Match[str], names: dict[str, Any]) -> str:
    user, role, channel, emoji, time, command = found.groups()
    if time:
        try:
            return datetime.fromtimestamp(int(time), UTC).isoformat()
        except (ValueError, OverflowError, OSError):
            return str(found[0])
    return (
        (user and f"@{names.get(user) or user}")
        or (role and f"@{role}")
        or (channel and f"#{channel}")
        or (emoji and f":{emoji}:")
        or f"/{command}"
    )
