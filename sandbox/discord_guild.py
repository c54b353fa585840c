"""A Discord guild with its whole past and future: its channels, threads and messages. Invented in discord_world.py."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

import orjson

from sandbox.history import FOREVER, Community, Payload, Post

EPOCH = 1420070400000  # milliseconds since 1970 at which ids begin
IDLE = 3600.0  # seconds after its last message in which a thread is archived
DAY = 86400
FORUM = 15
THREADS = (10, 11, 12)


def snowflake(seconds: float, place: int = 0) -> int:
    """The id of that moment, in one of 4096 places."""
    return (round(seconds * 1000) - EPOCH) << 22 | place


def iso(seconds: float) -> str:
    """`2026-11-01T16:05:12.954000+00:00`"""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


@dataclass(slots=True, eq=False)
class Message(Post):
    """`reactions`: emoji and how often it is given in the end. `answers`: the message it replies to. `starts`: the
    thread made of it."""

    channel: int = 0
    reactions: list[tuple[str, int]] = field(default_factory=list)
    answers: "Message | None" = None
    starts: "Channel | None" = None


@dataclass(slots=True, eq=False)
class Channel:
    """A channel or a thread. `closed_after`: seconds from its last message until a thread is archived. `denied`: the
    bot may not read it."""

    id: int
    type: int
    name: str
    created: float
    parent: int | None = None
    topic: str | None = None
    owner: str = ""
    tags: list[str] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    closed_after: float = IDLE
    deleted: float = FOREVER
    denied: bool = False

    @property
    def is_thread(self) -> bool:
        return self.type in THREADS

    def stands(self, at: float) -> bool:
        return self.created <= at < self.deleted

    def last(self, at: float) -> Message | None:
        """The last message ever sent, deleted or not."""
        return next((message for message in reversed(self.messages) if message.created <= at), None)

    def archived(self, at: float) -> tuple[bool, float]:
        """Whether a thread is archived, and since when it is as it is."""
        changed, before = self.created, self.created
        for message in self.messages:
            if message.created > at:
                break
            if message.created > before + self.closed_after:
                changed = message.created
            before = message.created
        over = round(before + self.closed_after, 3)
        return (True, over) if over <= at else (False, changed)


class Guild(Community):
    """A guild, or of it only the channel `only` with its threads."""

    def __init__(self, id: int, name: str, channels: list[Channel], threads: list[Channel], only: int = 0) -> None:
        self.id, self.name, self.only = id, name, only
        self.channels, self.threads = channels, threads
        self.by_id = {channel.id: channel for channel in [*channels, *threads]}

    @cached_property
    def shown(self) -> list[Channel]:
        """The channels and threads that the bot may read, of this community."""
        mine = [c for _, c in sorted(self.by_id.items()) if not self.only or self.only in (c.id, c.parent)]
        return [c for c in mine if not c.denied and not (c.is_thread and self.by_id[c.parent or 0].denied)]

    def posts(self) -> Iterator[Message]:
        for channel in self.shown:
            yield from channel.messages

    def thread_of(self, post: Post, at: float) -> int:
        assert isinstance(post, Message)
        return post.channel

    def payload(self, post: Post, at: float) -> Payload:
        assert isinstance(post, Message)
        document = self._plain(post, at)
        if "message_reference" in document and document["type"] in (19, 21):
            original = post.answers
            document["referenced_message"] = (
                self._plain(original, at) if original and original.visible(at) else None
            )  # null where it was deleted
        return document

    def _plain(self, post: Message, at: float) -> Payload:
        document: Payload = orjson.loads(post.version(at).payload)
        age = at - post.created
        given = [(emoji, min(most, int(age / 600))) for emoji, most in post.reactions]
        if any(count for _, count in given):
            document["reactions"] = [
                {"emoji": _emoji(emoji), "count": count, "count_details": {"burst": 0, "normal": count}, "me": False}
                for emoji, count in given
                if count
            ]
        expires = f"{int(at // DAY + 2) * DAY:x}"
        for file in document["attachments"]:
            query = f"ex={expires}&is={expires}&hm={post.id:064x}&"
            base = f"/attachments/{post.channel}/{file['id']}/{file['filename']}?{query}"
            file |= {"url": f"https://cdn.discordapp.com{base}", "proxy_url": f"https://media.discordapp.net{base}"}
        if post.starts and post.starts.stands(at):
            document["thread"] = self.channel_payload(post.starts, at)
            document["flags"] = document["flags"] | 32
        return document

    def channel_payload(self, channel: Channel, at: float) -> Payload:
        last = channel.last(at)
        shown = sum(message.visible(at) for message in channel.messages)
        document: Payload = {
            "id": str(channel.id),
            "type": channel.type,
            "guild_id": str(self.id),
            "name": channel.name,
            "parent_id": str(channel.parent) if channel.parent else None,
            "last_message_id": str(last.id) if last else None,
            "rate_limit_per_user": 0,
            "flags": 0,
        }
        if not channel.is_thread:
            tags = [{"id": tag, "name": name, "moderated": False} for tag, name in TAGS.items()]
            forum = {"available_tags": tags} if channel.type == FORUM else {}
            if channel.type == FORUM:  # the last thread that was opened
                opened = [t.id for t in self.threads if t.parent == channel.id and t.created <= at]
                document["last_message_id"] = str(max(opened)) if opened else None
            return document | {"topic": channel.topic, "nsfw": False, "position": 0, **forum}
        archived, changed = channel.archived(at)
        sent = sum(message.created <= at for message in channel.messages)
        return document | {
            "owner_id": channel.owner,
            "message_count": max(0, shown - 1),
            "member_count": min(50, 1 + sent // 2),
            "total_message_sent": max(0, sent - 1),
            "applied_tags": channel.tags,
            "thread_metadata": {
                "archived": archived,
                "archive_timestamp": iso(changed),
                "auto_archive_duration": 60,
                "locked": False,
                "create_timestamp": iso(channel.created),
            },
        }


TAGS = {"700000000000000901": "question", "700000000000000902": "solved", "700000000000000903": "show and tell"}


def _emoji(text: str) -> Payload:
    name, _, id = text.partition(":")
    return {"id": id or None, "name": name}
