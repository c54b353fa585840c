"""Recorded answers of Discord's bot API served as if they were the platform: a forum channel, captured day after day.

`folder/<day>_<hash>/channel_data.json` is the channel, `<thread>.json` beside it a thread and its messages.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import orjson

from sandbox.discord import HOST
from sandbox.history import Payload
from sandbox.site import Request, Response, Site, json_response


class RecordedDiscord(Site):
    """Each day's capture is served from the end of that day on. A thread that a later one lacks fell out of the list
    it was made from: it is listed no more, and can still be read."""

    hosts = (HOST,)

    def __init__(self, folder: Path) -> None:
        self._days = {_end_of(day.name[:10]): day for day in sorted(folder.iterdir())}

    @property
    def captured_at(self) -> list[datetime]:
        return list(self._days)

    @property
    def community(self) -> str:
        """`guild/channel`"""
        channel = self._channel(self.captured_at[0])
        return f"{channel['guild_id']}/{channel['id']}"

    @cached_property
    def _threads(self) -> dict[datetime, dict[str, Payload]]:
        """By day and id, each with its messages."""
        return {
            moment: {
                one["thread"]["id"]: one
                for file in sorted(day.glob("[0-9]*.json"))
                for one in orjson.loads(file.read_bytes())
            }
            for moment, day in self._days.items()
        }

    def _channel(self, moment: datetime) -> Payload:
        document: list[Payload] = orjson.loads((self._days[moment] / "channel_data.json").read_bytes())
        return document[0]

    def answer(self, request: Request, now: datetime) -> Response:
        days = [moment for moment in self._days if moment <= now]
        channel, listed = self._channel(days[-1]), [one["thread"] for one in self._threads[days[-1]].values()]
        path = request.path.removeprefix("/api/v10")
        if path in (f"/channels/{channel['id']}", f"/guilds/{channel['guild_id']}/channels"):
            return json_response([channel] if path.startswith("/guilds") else channel)
        if path == f"/guilds/{channel['guild_id']}/threads/active":
            return json_response({"threads": [t for t in listed if not _archived(t)[0]], "members": []})
        if path == f"/channels/{channel['id']}/threads/archived/public":
            last = request.argument("before") or now.isoformat()
            old = sorted((t for t in listed if _archived(t)[0] and _archived(t)[1] < last), key=_archived, reverse=True)
            limit = int(request.argument("limit") or 50)
            return json_response({"threads": old[:limit], "members": [], "has_more": len(old) > limit})
        if match := re.fullmatch(r"/channels/(\d+)/messages", path):
            found = [self._threads[day][match[1]] for day in days if match[1] in self._threads[day]]
            if found:
                before = int(request.argument("before") or 2**63)
                messages = [message for message in found[-1]["messages"] if int(message["id"]) < before]
                messages.sort(key=lambda message: -int(message["id"]))
                return json_response(messages[: int(request.argument("limit") or 50)])
        return json_response({"message": "Unknown Channel", "code": 10003}, 404)


def _archived(thread: Payload) -> tuple[bool, str]:
    return thread["thread_metadata"]["archived"], thread["thread_metadata"]["archive_timestamp"]


def _end_of(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)
