"""Discord's bot API: channels, threads and messages of one community, with its errors in sentences.

A bot lists all channels of its guild, also those it may not read. Where it lacks Read Message History it gets an empty
list, not an error. Messages come newest first, 100 a page; only an empty page is sure to be the end, but for a thread
that has come down to what began it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from extractors.errors import Malformed, NotFound, Refused
from extractors.http import Http, Response
from extractors.pace import Pace
from extractors.platform import Community, Record, instant

API = "https://discord.com/api/v10"
AGENT = "DiscordBot (threadlake, 0.1)"  # Discord refuses whoever does not begin like this
PER_PAGE = 100
EPOCH = 1420070400000  # milliseconds since 1970 at which Discord's ids begin
FIRST = instant(EPOCH / 1000)
TEXT, VOICE, CATEGORY, NEWS, STAGE, FORUM, MEDIA = 0, 2, 4, 5, 13, 15, 16
WITH_MESSAGES = frozenset((TEXT, VOICE, NEWS, STAGE))
WITH_THREADS = frozenset((TEXT, NEWS, FORUM, MEDIA))
THREADS = frozenset((10, 11, 12))
STARTER = 21  # the type of the message that stands for the one a thread was made from
INTENT = 1 << 18 | 1 << 19  # the flags of an application that may read what messages say
NO_TOKEN = (
    "set DISCORD_TOKEN to the token of a bot that is in this guild; a user's token is refused, because Discord forbids"
    " programs that act as a user and closes their accounts"
)
NO_ACCESS = "invite the bot into the guild and give it View Channel and Read Message History in this channel"
NO_INTENT = (
    "every message came without its words: switch on the Message Content Intent of the bot in Discord's developer"
    " portal, under Bot"
)


class Closed(Exception):
    """The bot may not read this channel."""


class Vanished(Exception):
    """The channel or thread was deleted."""


def id_at(moment: datetime) -> int:
    """The least id of that moment."""
    return max(0, (moment - FIRST) // timedelta(milliseconds=1)) << 22


def created_at(snowflake: str) -> datetime:
    """When an id was given. Raises ValueError for what is no id."""
    if type(snowflake) is not str or not snowflake.isdecimal():
        raise ValueError(f"expected an id, got {snowflake!r}")
    return FIRST + timedelta(milliseconds=int(snowflake) >> 22)


@lru_cache(4096)  # of authors and channels, who come again and again
def born(snowflake: str) -> str:
    """When an id was given, in ISO 8601. Raises ValueError for what is no id."""
    return created_at(snowflake).isoformat()


def headers(token: str) -> dict[str, str]:
    """What logs a bot in. Raises ValueError for what can only be a user's or an application's token."""
    bare = token.removeprefix("Bot ").strip()
    if bare.startswith(("mfa.", "Bearer ")) or not bare or " " in bare:
        raise ValueError(f"That is no bot's token: {NO_TOKEN}.")
    return {"Authorization": f"Bot {bare}"}


@dataclass
class Api:
    """The API for one community. `observed_at`: when the last answer came."""

    community: Community
    http: Http
    pace: Pace
    observed_at: datetime = FIRST

    @property
    def guild(self) -> str:
        return self.community.name.partition("/")[0]

    @property
    def channel(self) -> str:
        return self.community.name.partition("/")[2]

    def containers(self) -> list[Record]:
        """The community's channels, threads aside: all of its guild, or the one. The newest first."""
        path = f"/channels/{self.channel}" if self.channel else f"/guilds/{self.guild}/channels"
        if self.channel:
            found = [self.one(self.channel)]
        else:
            with self._in_a_sentence(path):
                found = self._list(path, path)
        try:
            return sorted(found, key=lambda channel: (created_at(channel["id"]), int(channel["type"])), reverse=True)
        except (LookupError, TypeError, ValueError) as problem:
            raise Malformed(API + path, self.community.key, "channels", str(problem)) from None

    def one(self, channel: str) -> Record:
        """A channel or thread."""
        return self._object(f"/channels/{channel}")

    def about_guild(self) -> Record:
        return self._object(f"/guilds/{self.guild}")

    def reads_words(self) -> bool:
        """Whether the application may read what messages say."""
        return bool(self._object("/applications/@me").get("flags", 0) & INTENT)

    def active(self) -> list[Record]:
        """The threads that are open, of all channels of the guild."""
        path = f"/guilds/{self.guild}/threads/active"
        with self._in_a_sentence(path):
            return _threads(self._get(path, path), self.community)

    def archived(
        self, channel: str, kind: str, down_to: datetime, before: datetime | None = None
    ) -> Iterator[list[Record]]:
        """Pages of a channel's archived threads, those archived last first. `kind`: public, private. Raises Closed."""
        seen: set[str] = set()
        while True:
            # it is exclusive; two threads may have been archived at once
            params = {} if before is None else {"before": (before + timedelta(milliseconds=1)).isoformat()}
            path = f"/channels/{channel}/threads/archived/{kind}"
            answer = self._get(path, path, limit=PER_PAGE, **params)
            threads = [thread for thread in _threads(answer, self.community) if thread["id"] not in seen]
            yield [thread for thread in threads if archived_at(thread) >= down_to]
            seen = {thread["id"] for thread in threads}
            if not threads or not answer.json().get("has_more") or archived_at(threads[-1]) < down_to:
                return
            before = archived_at(threads[-1])

    def messages(self, channel: str, before: int, limit: int = PER_PAGE) -> list[Record]:
        """A page of messages with ids below `before`, newest first. Raises Closed or Vanished."""
        path = f"/channels/{channel}/messages"
        return self._list(path, path, limit=limit, before=before)

    def _list(self, path: str, route: str, **params: object) -> list[Record]:
        answer = self._get(path, route, **params)
        found = answer.json()
        if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
            raise Malformed(answer.url, self.community.key, "a list", f"{answer.body[:80]!r}")
        return found

    def _object(self, path: str) -> Record:
        with self._in_a_sentence(path):
            answer = self._get(path, path)
        found = answer.json()
        if not isinstance(found, dict) or "id" not in found:
            raise Malformed(answer.url, self.community.key, "an object with an id", f"{answer.body[:80]!r}")
        return found

    @contextmanager
    def _in_a_sentence(self, path: str) -> Iterator[None]:
        """For what must be readable: Closed and Vanished as errors of the crawl."""
        url, expected = API + path, "what the bot may read"
        try:
            yield
        except Closed as problem:
            raise Refused(url, self.community.key, expected, str(problem), NO_ACCESS) from None
        except Vanished as problem:
            raise NotFound(url, self.community.key, expected, str(problem)) from None

    def _get(self, path: str, route: str, **params: object) -> Response:
        """Raises Closed or Vanished where Discord itself says so, and not what stands before it."""
        try:
            answer = self.http.get(
                API + path, pace=self.pace, params=params, tolerate=frozenset((403, 404)), route=route, agent=AGENT
            )
        except Refused as problem:
            problem.community = self.community.key
            if problem.came.startswith("401"):
                raise Refused(problem.url, problem.community, problem.expected, problem.came, NO_TOKEN) from None
            raise
        self.observed_at = answer.observed_at
        if answer.status in (403, 404):
            said = answer.json()
            code = said.get("code") if isinstance(said, dict) else None
            came = f"{answer.status} with {answer.body[:120].decode(errors='replace')}"
            if code in (50001, 50013):
                raise Closed(came)
            if code in (10003, 10004):
                raise Vanished(came)
            sort = Refused if answer.status == 403 else NotFound
            raise sort(answer.url, self.community.key, "an answer", came, NO_ACCESS)
        return answer


def archived_at(thread: Record) -> datetime:
    """When a thread was last archived or opened again."""
    return instant(thread["thread_metadata"]["archive_timestamp"])


def begins(record: Record, channel: str) -> bool:
    """Whether nothing can stand before this message in its thread."""
    return record.get("id") == channel or record.get("type") == STARTER


def _threads(answer: Response, community: Community) -> list[Record]:
    body = answer.json()
    threads = body.get("threads") if isinstance(body, dict) else None
    try:
        for thread in threads or []:
            created_at(thread["id"]), archived_at(thread)
    except (LookupError, TypeError, ValueError):
        threads = None
    if not isinstance(threads, list):
        raise Malformed(answer.url, community.key, "a list of threads", f"{answer.body[:80]!r}")
    return threads
