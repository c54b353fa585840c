"""One Discord channel that stands still: its messages by id, 100 a page, as a bot is answered. It has no threads."""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from benchmarks.markdown import written
from sandbox.discord_guild import iso, snowflake
from sandbox.discord_world import person

HOST, GUILD, CHANNEL = "discord.com", 700000000000000001, 700000000000000010
API = f"/{HOST}/api/v10"
PER_PAGE, PEOPLE = 100, 200


class DiscordBodies:
    """`posts` messages, written evenly in `span` before `now`."""

    def __init__(self, posts: int, now: datetime, span: timedelta) -> None:
        self._posts, self._now, self._span = range(1, posts + 1), now.timestamp(), span.total_seconds()

    def targets(self) -> Iterator[str]:
        """What a crawl asks for."""
        messages = f"{API}/channels/{CHANNEL}/messages?limit={PER_PAGE}"
        yield messages
        yield f"{messages}&before={snowflake(self._now)}"
        for number in range(len(self._posts) - PER_PAGE, -1, -PER_PAGE):
            yield f"{messages}&before={self._id(number + 1)}"

    def answer(self, path: str, arguments: dict[str, str]) -> object | None:
        if path == f"{API}/channels/{CHANNEL}":
            return {"id": str(CHANNEL), "type": 0, "guild_id": str(GUILD), "name": "bench", "parent_id": None,
                    "last_message_id": str(self._id(len(self._posts))), "flags": 0, "topic": None}  # fmt: skip
        if path.startswith(API) and "/threads/" in path:
            return {"threads": [], "members": [], "has_more": False}
        if path != f"{API}/channels/{CHANNEL}/messages":
            return None
        before = int(arguments.get("before", 2**63))
        end = bisect_left(self._posts, before, key=self._id)
        return [self._message(number) for number in self._posts[max(end - int(arguments["limit"]), 0) : end][::-1]]

    def _id(self, number: int) -> int:
        return snowflake(self._at(number))

    def _at(self, number: int) -> float:
        return round(self._now - self._span * ((len(self._posts) - number + 1) / (len(self._posts) + 1)), 3)

    def _message(self, number: int, *, quoting: bool = True) -> dict[str, Any]:
        rng = Random(number)
        author = person(rng.randrange(PEOPLE)) | {
            "flags": 0, "banner": None, "accent_color": None, "avatar_decoration_data": None, "collectibles": None,
            "display_name_styles": None, "banner_color": None, "primary_guild": None,
        }  # fmt: skip
        found: dict[str, Any] = {
            "type": 0, "content": written(rng), "mentions": [], "mention_roles": [], "attachments": [], "embeds": [],
            "timestamp": iso(self._at(number)), "edited_timestamp": None, "flags": 0, "components": [],
            "id": str(self._id(number)), "channel_id": str(CHANNEL), "author": author, "pinned": False,
            "mention_everyone": False, "tts": False,
        }  # fmt: skip
        if number > 50 and quoting and rng.random() < 0.2:
            answered = self._message(number - rng.randrange(1, 50), quoting=False)
            found |= {"type": 19, "mentions": [answered["author"]], "referenced_message": answered}
            found["message_reference"] = {"type": 0, "channel_id": str(CHANNEL), "message_id": answered["id"],
                                          "guild_id": str(GUILD)}  # fmt: skip
        if rng.random() < 0.13:
            count = rng.randrange(1, 9)
            found["reactions"] = [{"emoji": {"id": None, "name": "🎉"}, "count": count, "me": False, "me_burst": False,
                                   "burst_count": 0, "count_details": {"burst": 0, "normal": count}}]  # fmt: skip
        return found
