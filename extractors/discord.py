"""Discord, by the bot API: guilds and their channels, with all threads; and DiscordChatExporter's files.

An id tells when it was given, so any window is read directly: messages below the window's end, page by page. What
`crawl` does stands in discord_crawl.py, the past in discord_history.py, the requests in discord_api.py, the words in
discord_text.py, exports in discord_export.py. A channel is a thread too, of what is said in none of its threads; a
forum is none. A thread made of a message bears its id, and counts as created with it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from extractors import discord_crawl, discord_export, discord_history, discord_text
from extractors.discord_api import (
    CATEGORY,
    FORUM,
    MEDIA,
    NO_ACCESS,
    NO_INTENT,
    THREADS,
    WITH_MESSAGES,
    Api,
    Closed,
    born,
    created_at,
    id_at,
)
from extractors.errors import Refused
from extractors.http import Http
from extractors.pace import Pace
from extractors.platform import (
    HOUR,
    About,
    Community,
    Entity,
    Page,
    Parsed,
    Platform,
    Record,
    Source,
    State,
    Window,
    Words,
)  # fmt: skip
from extractors.records import TEXTS, TIMESTAMP, columns

if TYPE_CHECKING:
    from extractors.erasure import Those

INSTANCE = "discord.com"
PACE = Pace(requests=40, seconds=1, in_flight=2)  # of 50 a second for a bot; routes have limits of their own
URL = re.compile(
    r"^(?:https?://)?(?:(?:www|ptb|canary)\.)?discord(?:app)?\.com/channels/(\d{15,20})(?:/(\d{15,20}))?(?:[/?#]|$)"
)
KEY = re.compile(r"^discord:(\d{1,20})(?:/(\d{15,20}))?$")
STRINGS = (
    "id channel_id guild_id content author_id author_username author_global_name author_avatar author_discriminator"
    " webhook_id application_id reference_message_id reference_channel_id reference_guild_id started_thread_id"
)
INTEGERS = "type flags position reference_type reaction_count"
BOOLEANS = "author_bot pinned tts mention_everyone"
PINNED = 1 << 1  # a flag of a forum's thread
THREAD_STRINGS = "id guild_id parent_id owner_id name topic last_message_id"
THREAD_INTEGERS = "type flags message_count member_count total_message_sent rate_limit_per_user auto_archive_duration"


class Discord(Platform):
    """A guild, or a channel of it. The bot's token is a header that the client holds: `discord_api.headers`."""

    name = "discord"
    threads = columns(
        {pa.string(): THREAD_STRINGS, pa.int64(): THREAD_INTEGERS, pa.bool_(): "archived locked pinned nsfw",
         TIMESTAMP: "last_message_at archive_timestamp create_timestamp", TEXTS: "tags"}
    )  # fmt: skip
    posts = columns(
        {pa.string(): STRINGS, pa.int64(): INTEGERS, pa.bool_(): BOOLEANS,
         TIMESTAMP: "timestamp edited_timestamp author_created_at",
         TEXTS: "attachment_ids"}
    )  # fmt: skip
    memory = "hour"
    writer, called = ("author_id",), ("author_username", "author_global_name")
    recalls = timedelta(hours=3)  # what it knows of threads and closed channels

    def __init__(self, pace: Pace = PACE) -> None:
        self.pace = pace

    def community(self, url: str) -> Community | None:
        found = URL.match(url) or KEY.match(url)
        return Community(f"discord:{'/'.join(filter(None, found.groups()))}", INSTANCE) if found else None

    def url(self, community: Community) -> str:
        return f"https://discord.com/channels/{community.name}"

    def crawl(
        self, community: Community, window: Window, http: Http, states: Mapping[datetime, State], *, refresh: bool
    ) -> Iterator[Page]:
        return discord_crawl.Crawl(self, Api(community, http, self.pace), window, states, refresh).pages()

    def about(self, community: Community, http: Http) -> About:
        api = Api(community, http, self.pace)
        if not api.reads_words():
            came = "an application without the intent"
            raise Refused("https://discord.com/api/v10/applications/@me", community.key, "its flags", came, NO_INTENT)
        if not api.channel:
            return About(community, api.about_guild()["name"])
        channel = api.one(api.channel)
        if channel["type"] in THREADS:  # whose channel is followed, with all its threads
            channel = api.one(channel["parent_id"])
        found = Community(f"discord:{channel.get('guild_id')}/{channel['id']}", INSTANCE)
        url, expected = self.url(found), "a channel with messages or threads"
        if channel["type"] not in WITH_MESSAGES | {FORUM, MEDIA}:
            advice = "follow its channels, or the whole guild" if channel["type"] == CATEGORY else NO_ACCESS
            raise Refused(url, community.key, expected, f"one of type {channel['type']}", advice)
        if channel["type"] in WITH_MESSAGES and channel.get("last_message_id"):
            try:
                shown = api.messages(channel["id"], id_at(api.observed_at + HOUR), limit=1)
            except Closed as problem:
                raise Refused(url, community.key, expected, str(problem), NO_ACCESS) from None
            if not shown:
                raise Refused(url, community.key, expected, "no message, though there is a last one", NO_ACCESS)
        return About(found, f"#{channel['name']}")

    def history(self, community: Community, since: datetime, http: Http, cursor: State | None) -> Iterator[Page]:
        return discord_history.history(self, Api(community, http, self.pace), since, cursor)

    def parse(self, entity: Entity, community: Community, record: Record, source: Source) -> Parsed:
        if source == "export":
            return discord_export.parse(entity, community, record)
        created = created_at(record["id"])
        if entity == "threads":
            more = {
                "last_message_at": (last := record.get("last_message_id")) and created_at(last).isoformat(),
                "pinned": bool(int(record.get("flags") or 0) & PINNED),
            }
            return Parsed(record["id"], None, created, {**record, **(record.get("thread_metadata") or {}), **more})
        born(record["channel_id"])
        author, reference, reactions = record["author"], record.get("message_reference"), record.get("reactions")
        fields = {
            **record,
            "author_id": author["id"],
            "author_username": author.get("username"),
            "author_global_name": author.get("global_name"),
            "author_avatar": author.get("avatar"),
            "author_discriminator": author.get("discriminator"),
            "author_bot": author.get("bot"),
            "author_created_at": born(author["id"]),
            "guild_id": community.name.partition("/")[0],
            "reaction_count": sum(reaction["count"] for reaction in reactions) if reactions else 0,
            "attachment_ids": discord_text.files(record),
            "started_thread_id": (record.get("thread") or {}).get("id"),
        }
        if reference:
            fields["reference_message_id"] = reference.get("message_id")
            fields["reference_channel_id"] = reference.get("channel_id")
            fields["reference_guild_id"] = reference.get("guild_id")
            fields["reference_type"] = reference.get("type")
        return Parsed(record["channel_id"], record["id"], created, fields)

    def redact(self, entity: Entity, record: Record, those: "Those", opened: bool) -> Record:
        return discord_text.redact(entity, record, those, opened)

    def words(self, entity: Entity, community: Community, fields: Sequence[Record]) -> list[Words]:
        if entity == "threads":
            return [Words(record.get("name"), [], []) for record in fields]
        return [discord_text.words(record) for record in fields]

    def content(self, entity: Entity, fields: Record) -> object:
        if entity == "threads":
            return [fields.get("name"), fields.get("topic"), fields.get("tags")]
        return discord_text.content(fields)
