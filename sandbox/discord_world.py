"""Invents Discord guilds: who writes what where, who answers, edits and deletes it, which threads come of it.

Each channel, thread and message has a random source of its own, so that a world of more hours begins like one of fewer.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any

from sandbox import words
from sandbox.discord_guild import FORUM, TAGS, Channel, Guild, Message, iso, snowflake
from sandbox.history import Absence, Payload, Version, compact_json

HOUR = 3600.0
GUILD = 700000000000000001
TEXT, VOICE, CATEGORY, NEWS = 0, 2, 4, 5


@dataclass(frozen=True)
class ChannelSpec:
    """What a channel is like. `rate`: messages an hour; of a forum, threads. `threads`: the share of messages that one
    is made of."""

    id: int
    type: int
    name: str
    rate: float = 0
    threads: float = 0
    denied: bool = False


CHANNELS = (
    ChannelSpec(700000000000000010, TEXT, "general", 30, 0.08),
    ChannelSpec(700000000000000011, NEWS, "releases", 1, 0.3),
    ChannelSpec(700000000000000012, VOICE, "workshop", 3),
    ChannelSpec(700000000000000013, FORUM, "help", 2.5),
    ChannelSpec(700000000000000014, TEXT, "staff", 5, denied=True),
    ChannelSpec(700000000000000015, CATEGORY, "folding"),
)
GENERAL, HELP, STAFF = f"{GUILD}/{CHANNELS[0].id}", f"{GUILD}/{CHANNELS[3].id}", f"{GUILD}/{CHANNELS[4].id}"
COMMUNITIES = {str(GUILD): 0, GENERAL: CHANNELS[0].id, HELP: CHANNELS[3].id}
PEOPLE = 40


def invent(only: int, seed: int, start: float, hours: int, scale: float) -> Guild:
    channels, threads = _guild(seed, start, hours, scale)
    return Guild(GUILD, "Paper folders", channels, threads, only)


@lru_cache(maxsize=4)
def _guild(seed: int, start: float, hours: int, scale: float) -> tuple[list[Channel], list[Channel]]:
    invention = _Invention(seed, start, start + hours * HOUR, scale)
    channels = [invention.channel(spec, place) for place, spec in enumerate(CHANNELS)]
    return channels, invention.threads


def person(number: int) -> Payload:
    name = f"folder{number}"
    return {
        "id": str(600000000000000000 + number), "username": name, "global_name": name.title() if number % 3 else None,
        "discriminator": "0", "avatar": f"{number:032x}" if number % 4 else None, "public_flags": 0, "clan": None,
        **({"bot": True} if number == 7 else {}),
    }  # fmt: skip


class _Invention:
    def __init__(self, seed: int, start: float, end: float, scale: float) -> None:
        self._seed, self._start, self._end, self._scale = seed, start, end, scale
        self.threads: list[Channel] = []

    def _random(self, *names: object) -> Random:
        return Random("/".join(map(str, (self._seed, "discord", *names))))

    def _times(self, rng: Random, first: float, rate: float) -> Iterator[float]:
        now = first
        while (now := round(now + 0.001 + rng.expovariate(rate / HOUR), 3)) < self._end:
            yield now

    def channel(self, spec: ChannelSpec, place: int) -> Channel:
        """A channel with its messages and threads; its `place` keeps ids apart that are given at once."""
        channel = Channel(spec.id, spec.type, spec.name, self._start - 400 * 24 * HOUR, denied=spec.denied)
        channel.topic = f"All about {spec.name}."
        if not spec.rate:
            return channel
        rng = self._random(spec.id)
        for number, now in enumerate(self._times(rng, self._start, spec.rate * self._scale)):
            if spec.type == FORUM:
                self._thread(channel, now, snowflake(now, place), 11, 100 + number % 1000)
                continue
            message = self._write(channel, now, snowflake(now, place))
            chance = self._random(message.id, "thread").random()
            if chance < spec.threads * 0.8:
                kind = 10 if spec.type == NEWS else 11
                later = round(now + 20 + 600 * chance / spec.threads, 3)
                message.starts = self._thread(channel, later, message.id, kind, 1100 + number % 1000, message)
            elif chance < spec.threads and spec.type == TEXT:
                self._thread(channel, now + 30, snowflake(now + 30, place + 50), 12, 2100 + number % 1000)
        return channel

    def _thread(
        self, parent: Channel, now: float, id: int, kind: int, place: int, made_of: Message | None = None
    ) -> Channel | None:
        if now >= self._end:
            return None
        rng = self._random(id, "of")
        thread = Channel(id, kind, words.subject(rng), now, parent.id, denied=parent.denied)
        thread.owner = person(rng.randrange(PEOPLE))["id"]
        thread.tags = rng.sample(sorted(TAGS), rng.choice((0, 1, 1, 2))) if parent.type == FORUM else []
        if rng.random() < 0.3:
            thread.closed_after = 60.0  # closed by hand
        if made_of:
            self._write(thread, now, snowflake(now, place), starter=made_of)
        else:
            self._write(thread, now, id if parent.type == FORUM else snowflake(now, place))
        if rng.random() < 0.05:
            thread.deleted = round(now + HOUR + words.delay(rng, 6), 3)
        for after, moment in enumerate(self._times(rng, now, 2.5)):
            if moment >= thread.deleted or after >= rng.expovariate(1 / 6):
                break
            self._write(thread, moment, snowflake(moment, place))
        self.threads.append(thread)
        for message in thread.messages:
            if thread.deleted < math.inf:
                message.absences.append(Absence(thread.deleted))
                message.absences.sort(key=lambda gone: gone.since)
        return thread

    def _write(self, channel: Channel, now: float, id: int, starter: Message | None = None) -> Message:
        rng = self._random(id, channel.id)
        message = Message(id, now, channel=channel.id)
        author = person(rng.randrange(PEOPLE))
        document: Payload = {
            "type": 0, "content": _says(rng), "mentions": [], "mention_roles": [], "attachments": [], "embeds": [],
            "timestamp": iso(now), "edited_timestamp": None, "flags": 0, "components": [], "id": str(id),
            "channel_id": str(channel.id), "author": author, "pinned": False, "mention_everyone": False, "tts": False,
        }  # fmt: skip
        self._vary(rng, channel, message, document, starter)
        message.versions = [Version(now, compact_json(document))]
        later = now
        if document["type"] in (0, 19) and "message_snapshots" not in document:
            while rng.random() < 0.07:
                later = round(later + words.delay(rng, 2), 3)
                document |= {"content": _says(rng), "edited_timestamp": iso(later)}
                message.versions.append(Version(later, compact_json(document)))
            if rng.random() < 0.03 and id != channel.id:
                message.absences.append(Absence(round(now + 30 + words.delay(rng, 3), 3)))
        if rng.random() < 0.15:
            message.reactions = [(rng.choice(("👍", "🎉", "crane:700000000000000800")), rng.randrange(1, 9))]
        channel.messages.append(message)
        return message

    def _vary(
        self, rng: Random, channel: Channel, message: Message, document: Payload, starter: Message | None
    ) -> None:
        """Make a plain message a reply, a forward, one with a file, or one of Discord's own."""
        shown = channel.messages[-8:]
        chance = rng.random()
        if starter:
            message.answers = starter
            document |= {"type": 21, "content": "", "message_reference": _reference(channel.parent or 0, starter.id)}
        elif chance < 0.2 and shown:
            message.answers = rng.choice(shown)
            document |= {"type": 19, "message_reference": _reference(channel.id, message.answers.id)}
        elif chance < 0.25 and shown:
            original = rng.choice(shown)
            said: dict[str, Any] = {"content": words.sentence(rng), "attachments": [], "embeds": [], "type": 0}
            said["timestamp"] = iso(original.created)
            reference = _reference(channel.id, original.id) | {"type": 1}
            document |= {"content": "", "message_reference": reference, "message_snapshots": [{"message": said}]}
        elif chance < 0.33:
            name = f"{words.slug(words.subject(rng))}.png"
            file = {"id": str(message.id + 1), "filename": name, "size": rng.randrange(1000, 500_000)}
            document["attachments"] = [file | {"content_type": "image/png", "width": 800, "height": 600}]
        elif chance < 0.36:
            someone = person(rng.randrange(PEOPLE))
            document |= {"content": f"<@{someone['id']}> {document['content']}", "mentions": [someone]}
        elif chance < 0.38 and not channel.is_thread:
            document |= {"type": 7, "content": ""}


def _reference(channel: int, message: int) -> Payload:
    return {"type": 0, "channel_id": str(channel), "message_id": str(message), "guild_id": str(GUILD)}


def _says(rng: Random) -> str:
    text = " ".join(words.sentences(rng, rng.choice((1, 1, 2, 3))))
    chance = rng.random()
    if chance < 0.1:
        return f"{text} {rng.choice(words.LINKS)}"
    if chance < 0.2:
        return f"**{text}** <:crane:700000000000000800>"
    if chance < 0.25:
        return f"{text}\n```py\n{words.CODE}\n```"
    return text
