"""DiscordChatExporter's JSON files: read as a stream, so that a file of any size, also one that was cut off, gives all
its whole messages.

A file is `{guild, channel, dateRange, exportedAt, messages: […ascending], messageCount}`; a part of a partitioned
export has a beginning and an end of its own, an older one lacks `exportedAt`, an interrupted one its end. `fields`
gives a message under the names of the bot API, for its columns and words; its payload stays as it was.
"""

import gzip
import json
import re
import zlib
from codecs import getincrementaldecoder
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from extractors.discord_api import FORUM, created_at
from extractors.platform import Community, Entity, Parsed, Record, instant

CHUNK = 2**20
LONGEST = 2**26  # bytes of one message; a file that has none so far is damaged
MESSAGES = re.compile(r'(?<!\\)"messages"\s*:\s*\[')
COUNT = re.compile(r'"messageCount"\s*:\s*(\d+)\s*[,}]')
BETWEEN = re.compile(r"[\s,]*")
DECODER = json.JSONDecoder(strict=False)  # control characters are possible
AVATAR = re.compile(r"/avatars/\d+/(\w+)")
TYPES = {
    "Default": 0, "RecipientAdd": 1, "RecipientRemove": 2, "Call": 3, "ChannelNameChange": 4, "ChannelIconChange": 5,
    "ChannelPinnedMessage": 6, "GuildMemberJoin": 7, "ThreadCreated": 18, "Reply": 19,
}  # fmt: skip
CHANNEL_TYPES = {
    "GuildTextChat": 0, "DirectTextChat": 1, "GuildVoiceChat": 2, "DirectGroupTextChat": 3, "GuildCategory": 4,
    "GuildNews": 5, "GuildNewsThread": 10, "GuildPublicThread": 11, "GuildPrivateThread": 12, "GuildStageVoice": 13,
    "GuildForum": FORUM,
}  # fmt: skip
IN_CHANNELS = frozenset(("GuildNewsThread", "GuildPublicThread", "GuildPrivateThread"))


class NoExport(ValueError):
    """The file is no export; the sentence says what it is instead."""


class Export:
    """One file. `head` is what stands before its messages, `observed_at` when it was exported (a file that does not say
    so counts as exported when it was last changed). `warning` says what is wrong with it, once its `messages` are read.
    """

    def __init__(self, path: Path) -> None:
        """Raises NoExport."""
        self.path, self.warning, self.count = path, "", 0
        self._chunks, self._text, self._at = _chunks(path), "", 0
        while not (found := MESSAGES.search(self._text)) and len(self._text) < LONGEST and self._more():
            pass
        try:
            head = DECODER.decode(self._text[: found.start()].rstrip().rstrip(",") + "}") if found else {}
            guild, channel = str(int(head["guild"]["id"])), head["channel"]
            self.channel: str = str(int(channel["id"]))
            parent = str(channel["categoryId"]) if channel.get("type") in IN_CHANNELS else self.channel
        except (LookupError, TypeError, ValueError, AttributeError):
            raise NoExport(
                f"{path.name} is no JSON export of DiscordChatExporter: it does not begin with a guild, a channel and"
                " messages; export with --format Json"
            ) from None
        assert found is not None
        self._at, self.head = found.end(), head
        self.community = Community(f"discord:{guild}/{parent}", "discord.com")
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        self.observed_at = instant(head["exportedAt"]) if head.get("exportedAt") else changed

    def messages(self) -> Iterator[Record]:
        """Each whole message, as it stands there."""
        while True:
            between = BETWEEN.match(self._text, self._at)
            self._at = between.end() if between else self._at
            if self._text.startswith("]", self._at):
                break
            try:
                record, self._at = DECODER.raw_decode(self._text, self._at)
            except (ValueError, RecursionError):
                if len(self._text) - self._at < LONGEST and self._more():
                    continue
                self.warning = (
                    f"{self.path.name} is cut off or damaged after {self.count} whole messages, which are kept:"
                    " export it once more"
                )
                return
            self.count += 1
            yield record
        while self._more():
            pass
        counted = COUNT.search(self._text, self._at)
        if counted is None:
            self.warning = f"{self.path.name} is cut off behind its {self.count} messages: there may have been more"
        elif int(counted[1]) != self.count:
            self.warning = f"{self.path.name} says that it has {counted[1]} messages, but has {self.count}"

    def _more(self) -> bool:
        """Read on; whether there was more."""
        chunk = next(self._chunks, "")
        self._text, self._at = self._text[self._at :] + chunk, 0
        return bool(chunk)


def parse(entity: Entity, community: Community, record: Record) -> Parsed:
    """A message, which does not say its thread, or the beginning of a file, which is its thread's record."""
    if entity == "threads":
        channel = record["channel"]
        forum = channel.get("type") in IN_CHANNELS
        more = {
            "guild_id": str(record["guild"]["id"]),
            "parent_id": channel.get("categoryId"),
            "type": CHANNEL_TYPES.get(channel.get("type")),
            "topic": None if forum else channel.get("topic"),
        }
        return Parsed(str(channel["id"]), None, created_at(str(channel["id"])), {**channel, **more})
    return Parsed(None, record["id"], created_at(record["id"]), fields(record, community.name.partition("/")[0]))


def fields(record: Record, guild: str) -> Record:
    """A message under the API's names and types. Raises LookupError, TypeError or ValueError."""
    kind, author = str(record["type"]), record.get("author") or {}
    reference = record.get("reference") or {}
    forwarded = record.get("forwardedMessage")
    found: Record = {
        "id": record["id"],
        "guild_id": guild,
        "content": record.get("content"),
        "type": int(kind) if kind.isdecimal() else TYPES.get(kind),
        "timestamp": _iso(record["timestamp"]),
        "edited_timestamp": _iso(record.get("timestampEdited")),
        "pinned": record.get("isPinned"),
        "author_id": author.get("id"),
        "author_created_at": created_at(author["id"]).isoformat(),
        "author_username": author.get("name"),
        "author_global_name": author.get("nickname"),
        "author_discriminator": author.get("discriminator"),
        "author_bot": author.get("isBot"),
        "author_avatar": (AVATAR.search(author.get("avatarUrl") or "") or [None, None])[1],
        "reaction_count": sum(reaction["count"] for reaction in record.get("reactions") or []),
        "attachments": record.get("attachments") or [],
        "attachment_ids": [file["id"] for file in record.get("attachments") or []],
        "embeds": [{**embed, "type": "link"} for embed in record.get("embeds") or []],
        "sticker_items": record.get("stickers") or [],
        "mentions": [{**user, "username": user.get("nickname") or user.get("name")} for user in record["mentions"]],
        "message_snapshots": [{"message": forwarded}] if forwarded else [],
    }
    if reference:
        found |= {
            "reference_type": 1 if forwarded or reference.get("type") == "Forward" else 0,
            "reference_message_id": reference.get("messageId"),
            "reference_channel_id": reference.get("channelId"),
            "reference_guild_id": reference.get("guildId"),
        }
        found["message_reference"] = {"type": found["reference_type"], "message_id": reference.get("messageId")}
    return found


def _iso(time: Any) -> str | None:
    """With six digits and in UTC: there are up to seven, and the exporter's own zone."""
    return instant(time).isoformat() if time else None


def _chunks(path: Path) -> Iterator[str]:
    """The file's text; what is compressed may end too early."""
    decoder = getincrementaldecoder("utf-8-sig")(errors="replace")
    with path.open("rb") as plain:
        compressed = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        source: Any = gzip.GzipFile(fileobj=plain) if compressed else plain
        while True:
            try:
                data = source.read1(CHUNK) if compressed else source.read(CHUNK)
            except (EOFError, zlib.error, gzip.BadGzipFile):
                return
            if not data:
                return
            if text := decoder.decode(data):
                yield text
