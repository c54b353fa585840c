"""Discord's bot API over the guilds of a world: channels, threads, messages, tokens, and the limits of routes."""

import re
import threading
from bisect import bisect_left
from collections import defaultdict, deque
from datetime import datetime
from time import monotonic
from typing import Any

from sandbox.discord_guild import Channel, Guild, Message, iso
from sandbox.discord_world import GUILD
from sandbox.history import Payload
from sandbox.limits import Limit
from sandbox.site import Request, Response, Site, json_response
from sandbox.world import World

HOST = "discord.com"
TOKEN = "sandbox-token"
PLAIN_TOKEN = "sandbox-token-without-rights"
"""Of a bot that may not manage threads, and whose application lacks the intent to read what messages say."""
INTENT = 1 << 19
WORDLESS: Payload = {"content": "", "attachments": [], "embeds": [], "components": []}


class Discord(Site):
    """`limit`: of each route, told in headers; none by default."""

    hosts = (HOST,)

    def __init__(self, world: World, limit: Limit | None = None) -> None:
        self._world, self._limit = world, limit
        self._taken: dict[str, deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()

    def answer(self, request: Request, now: datetime) -> Response:
        if not request.headers.get("user-agent", "").startswith("DiscordBot ("):
            return _error(403, 40333, "internal network error")
        token = request.headers.get("authorization", "")
        if token not in (f"Bot {TOKEN}", f"Bot {PLAIN_TOKEN}"):
            return _error(401, 0, "401: Unauthorized")
        refusal, headers = self._count(request.path)
        response = refusal or self._serve(request, now.timestamp(), token == f"Bot {TOKEN}")
        return Response(response.status, response.body, response.content_type, {**response.headers, **headers})

    def _serve(self, request: Request, at: float, rights: bool) -> Response:
        guild = self._world.discord_guild(str(GUILD))
        for pattern, method in _ROUTES:
            if match := pattern.fullmatch(request.path):
                try:
                    found: Response = getattr(self, method)(guild, request, at, rights, *match.groups())
                except ValueError:
                    return _error(400, 50035, "Invalid Form Body")
                return found
        return _error(404, 0, "404: Not Found")

    def _application(self, guild: Guild, request: Request, at: float, rights: bool) -> Response:
        return json_response({"id": "700000000000000500", "name": "folder", "flags": INTENT if rights else 0})

    def _guild(self, guild: Guild, request: Request, at: float, rights: bool, id: str) -> Response:
        if int(id) != guild.id:
            return _error(404, 10004, "Unknown Guild")
        return json_response({"id": str(guild.id), "name": guild.name, "icon": None})

    def _channels(self, guild: Guild, request: Request, at: float, rights: bool, id: str) -> Response:
        if int(id) != guild.id:
            return _error(404, 10004, "Unknown Guild")
        return json_response([guild.channel_payload(channel, at) for channel in guild.channels])

    def _active(self, guild: Guild, request: Request, at: float, rights: bool, id: str) -> Response:
        if int(id) != guild.id:
            return _error(404, 10004, "Unknown Guild")
        threads = [t for t in guild.threads if t.stands(at) and not t.denied and not t.archived(at)[0]]
        threads.sort(key=lambda thread: -thread.id)
        return json_response({"threads": [guild.channel_payload(t, at) for t in threads], "members": []})

    def _channel(self, guild: Guild, request: Request, at: float, rights: bool, id: str) -> Response:
        channel = _find(guild, id, at)
        return channel if isinstance(channel, Response) else json_response(guild.channel_payload(channel, at))

    def _archived(self, guild: Guild, request: Request, at: float, rights: bool, id: str, kind: str) -> Response:
        channel = _find(guild, id, at)
        if isinstance(channel, Response):
            return channel
        if kind == "private" and not rights:
            return _error(403, 50013, "Missing Permissions")
        before = datetime.fromisoformat(request.argument("before") or iso(at + 1)).timestamp()
        limit = int(request.argument("limit") or 50)
        mine = [
            t for t in guild.threads if t.parent == channel.id and t.stands(at) and (t.type == 12) == (kind != "public")
        ]
        old = [(since, t) for t in mine for archived, since in [t.archived(at)] if archived and since < before]
        old.sort(key=lambda one: (-one[0], -one[1].id))
        shown = [guild.channel_payload(thread, at) for _, thread in old[:limit]]
        return json_response({"threads": shown, "members": [], "has_more": len(old) > limit})

    def _messages(self, guild: Guild, request: Request, at: float, rights: bool, id: str) -> Response:
        channel = _find(guild, id, at)
        if isinstance(channel, Response):
            return channel
        limit = int(request.argument("limit") or 50)
        before, after = request.argument("before"), request.argument("after")
        if not 1 <= limit <= 100 or (before and after) or channel.type in (4, 15):
            raise ValueError
        shown = [message for message in channel.messages if message.visible(at)]
        if after:
            end = bisect_left(shown, int(after) + 1, key=_id) + limit
        else:
            end = bisect_left(shown, int(before), key=_id) if before else len(shown)
        page = [guild.payload(message, at) for message in shown[max(0, end - limit) : end][::-1]]
        return json_response(page if rights else [message | WORDLESS for message in page])

    def _count(self, path: str) -> tuple[Response | None, dict[str, str]]:
        """A 429 if the route is passed, and the headers that tell what is left of it."""
        if self._limit is None:
            return None, {}
        with self._lock:
            now, taken, span = monotonic(), self._taken[path], self._limit.seconds
            while taken and taken[0] <= now - span:
                taken.popleft()
            left = self._limit.requests - len(taken)
            if left > 0:
                taken.append(now)
            wait = max(0.0, taken[0] + span - now)
        headers = {
            "X-RateLimit-Bucket": f"{abs(hash(path)):x}", "X-RateLimit-Limit": str(self._limit.requests),
            "X-RateLimit-Remaining": str(max(0, left - 1)), "X-RateLimit-Reset-After": f"{wait:.3f}",
        }  # fmt: skip
        if left > 0:
            return None, headers
        body: dict[str, Any] = {"message": "You are being rate limited.", "retry_after": wait, "global": False}
        refusal = json_response(body, 429)
        return refusal, headers | {"X-RateLimit-Scope": "user", "Retry-After": f"{wait:.3f}"}


_ROUTES = [
    (re.compile(rf"/api/v10{path}"), method)
    for path, method in (
        (r"/applications/@me", "_application"),
        (r"/guilds/(\d+)", "_guild"),
        (r"/guilds/(\d+)/channels", "_channels"),
        (r"/guilds/(\d+)/threads/active", "_active"),
        (r"/channels/(\d+)", "_channel"),
        (r"/channels/(\d+)/messages", "_messages"),
        (r"/channels/(\d+)/threads/archived/(public|private)", "_archived"),
    )
]


def _find(guild: Guild, id: str, at: float) -> Channel | Response:
    channel = guild.by_id.get(int(id))
    if channel is None or not channel.stands(at):
        return _error(404, 10003, "Unknown Channel")
    return _error(403, 50001, "Missing Access") if channel.denied else channel


def _error(status: int, code: int, message: str) -> Response:
    return json_response({"message": message, "code": code}, status)


def _id(message: Message) -> int:
    return message.id
