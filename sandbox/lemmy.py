"""Lemmy's API over the communities of a world: v3 of 0.18 and 0.19, and v4 with the rest of v3 that 1.0 keeps."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left
from datetime import datetime
from typing import Any

from sandbox.history import Payload
from sandbox.lemmy_community import (
    LemmyCommunity,
    LemmyItem,
    LemmyPost,
    active,
    featured,
)
from sandbox.lemmy_world import COMMUNITIES
from sandbox.site import Request, Response, Site, json_response
from sandbox.world import World

MOST = 50  # of a list
TREE = 300  # comments of a request with max_depth
PAGES = 100  # since 0.19.14
PURGED = 41  # an id that this divides belongs to no post any more, unless it is the community's own
PRIVATE = "private.lemmy.example"
MOVED = "moved.lemmy.example"
VERSIONS = {spec.host: spec.version for spec in COMMUNITIES.values()}


class Refusal(Exception):
    """An error of the API, by its name, with its status."""

    def __init__(self, error: str, status: int = 400) -> None:
        super().__init__(error)
        self.error, self.status = error, status


class Lemmy(Site):
    """The world's instances; one that is private, and one whose address now leads to lemmy.example."""

    hosts = (*VERSIONS, PRIVATE, MOVED)

    def __init__(self, world: World) -> None:
        self._world = world

    def answer(self, request: Request, now: datetime) -> Response:
        if request.host == MOVED:
            return Response(301, headers={"Location": f"https://lemmy.example{request.target}"})
        if request.host == PRIVATE:
            return json_response({"error": "instance_is_private"}, 400)
        try:
            return json_response(self._document(request, now.timestamp()))
        except Refusal as refusal:
            return json_response({"error": refusal.error}, refusal.status)

    def _document(self, request: Request, at: float) -> Payload:
        match = re.fullmatch(r"/api/(v3|v4)/(site|community|post|comment|post/list|comment/list)", request.path)
        version = self.version(request.host)
        if not match or (match[1] == "v4" and version < (1, 0, 0)):
            raise Refusal("not_found", 404)
        if match[2] == "site":
            return {"site_view": {"site": {"name": request.host}}, "version": ".".join(map(str, version)), "admins": []}
        if match[1] == "v3" and version >= (1, 0, 0):
            raise Refusal("not_found", 404)  # its rest of v3 pages no list
        if match[2] in ("post", "comment"):
            return self._one(request, match[2], at)
        community = self._community(request)
        if match[2] == "community":
            return _community_view(community, at)
        kind = match[2].partition("/")[0]
        if version >= (1, 0, 0):
            return _list_v4(community, kind, request, at)
        return _list_v3(community, kind, request, at)

    def version(self, host: str) -> tuple[int, int, int]:
        return VERSIONS[host]

    def _community(self, request: Request) -> LemmyCommunity:
        name = (request.argument("community_name") or request.argument("name") or "").lower()
        name = name.removesuffix(f"@{request.host}")
        if f"{request.host}/{name}" not in COMMUNITIES:
            raise Refusal("couldnt_find_community", 404)
        return self._world.lemmy_community(f"{request.host}/{name}")

    def _one(self, request: Request, kind: str, at: float) -> Payload:
        id = int(request.argument("id") or 0)
        for spec in COMMUNITIES.values():
            if spec.host == request.host and (found := _by_id(self._world.lemmy_community(spec.key), kind, id, at)):
                return {f"{kind}_view": found}
        raise Refusal(f"couldnt_find_{kind}" if self.version(request.host) < (1, 0, 0) else "not_found", 404)


def _by_id(community: LemmyCommunity, kind: str, id: int, at: float) -> Payload | None:
    items: list[Any] = community.listed_posts(at) if kind == "post" else community.listed_comments(at)
    item = next((item for item in items if item.id == id), None)
    return community.payload(item, at) if item else None


def _list_v3(community: LemmyCommunity, kind: str, request: Request, at: float) -> Payload:
    version, page = community.spec.version, int(request.argument("page") or 1)
    limit = _limit(request, 10)
    if page < 1 or (page > PAGES and version >= (0, 19, 14)):
        raise Refusal(f"couldnt_get_{kind}s")
    items = _sorted(community, kind, request, at, request.argument("sort") or "Hot")
    if request.argument("max_depth"):
        return {"comments": [community.payload(item, at) for item in items[:TREE]]}
    cursor = request.argument("page_cursor") if kind == "post" and version >= (0, 19, 0) else None
    if cursor:
        match = re.fullmatch(r"P([0-9a-f]+)", cursor)
        if page > 1 or not match:
            raise Refusal("couldnt_get_posts")
        items = _below(community, kind, int(match[1], 16), items, request.argument("sort") == "Old", at)
    shown = items[(page - 1) * limit : page * limit]
    answer: Payload = {f"{kind}s": [community.payload(item, at) for item in shown]}
    if shown and kind == "post" and version >= (0, 19, 0):
        answer["next_page"] = f"P{shown[-1].id:x}"
    return answer


def _list_v4(community: LemmyCommunity, kind: str, request: Request, at: float) -> Payload:
    if request.argument("page") or (request.argument("sort") or "new") != (request.argument("sort") or "new").lower():
        raise Refusal("unknown")
    limit, sort = _limit(request, 20), (request.argument("sort") or "hot").title().replace("_", "")
    items = _sorted(community, kind, request, at, sort)
    if span := request.argument("time_range_seconds"):
        items = [item for item in items if item.created > at - int(span)]
    if cursor := request.argument("page_cursor"):
        match = re.fullmatch(rf"b=false&p={kind[0].upper()}&i=(\d+)", urlsafe_b64decode(cursor + "==").decode())
        if not match:
            raise Refusal("couldnt_parse_pagination_token")
        items = _below(community, kind, int(match[1]), items, sort == "Old", at)
    limit = TREE if request.argument("max_depth") else limit
    shown = items[:limit]
    answer: Payload = {"items": [community.payload(item, at) for item in shown]}
    if len(shown) == limit:
        token = f"b=false&p={kind[0].upper()}&i={shown[-1].id}"
        answer["next_page"] = urlsafe_b64encode(token.encode()).decode().rstrip("=")
    return answer


def _limit(request: Request, default: int) -> int:
    limit = int(request.argument("limit") or default)
    if not 1 <= limit <= MOST:
        raise Refusal("invalid_fetch_limit")
    return limit


def _sorted(community: LemmyCommunity, kind: str, request: Request, at: float, sort: str) -> list[LemmyItem]:
    """All of a list, in order; featured posts come first in every sort."""
    items: list[Any] = community.listed_posts(at) if kind == "post" else community.listed_comments(at)
    if post := request.argument("post_id"):
        items = [item for item in items if item.post.id == int(post)]
    if sort == "Old":
        return sorted(items, key=lambda item: (not _first(item, at), item.created, item.id))
    if sort == "NewComments" and kind == "post":
        ordered: list[Any] = sorted(items, key=lambda post: (not _first(post, at), -active(post, at), -post.id))
        return ordered
    if sort != "New":
        raise Refusal("unknown")
    return items


def _below(
    community: LemmyCommunity, kind: str, id: int, items: list[LemmyItem], ascending: bool, at: float
) -> list[LemmyItem]:
    """What a list has after an item, which may be another community's or no longer shown."""
    everything: list[Any] = [
        item for item in (community.all_posts if kind == "post" else community.all_comments) if item.arrived <= at
    ]
    own = next((item for item in everything if item.id == id), None)
    if own is None:
        arrivals = sorted((item.id, item.arrived) for item in everything)
        place = bisect_left(arrivals, (id, 0.0))
        if id % PURGED == 0 or id > arrivals[-1][0] + 50 or id < 1:
            raise Refusal("couldnt_get_posts")
        mark = (False, arrivals[max(place - 1, 0)][1] if place else community.start - 1, id)
    else:
        mark = (_first(own, at), own.created, id)
    sign = 1 if ascending else -1
    wanted = (not mark[0], sign * mark[1], sign * mark[2])
    return [i for i in items if (not _first(i, at), sign * i.created, sign * i.id) > wanted]


def _first(item: LemmyItem, at: float) -> bool:
    return isinstance(item, LemmyPost) and featured(item, at)


def _community_view(community: LemmyCommunity, at: float) -> Payload:
    own = community.community()
    counts = {
        "posts": len(community.listed_posts(at)),
        "comments": sum(not comment.buried(at) for comment in community.listed_comments(at)),
    }
    new = community.spec.version >= (1, 0, 0)
    view: Payload = {"community": own | counts} if new else {"community": own, "counts": counts}
    return {"community_view": view, "moderators": [], "discussion_languages": [0]}
