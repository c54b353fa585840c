"""The JSON API of Discourse over the forums of a world: routes, keys and the anonymous cache."""

import re
import threading
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from math import ceil
from typing import Any

from sandbox.discourse_forum import Forum
from sandbox.discourse_topic import ForumPost, Topic
from sandbox.discourse_world import CATEGORIES, FORUMS
from sandbox.history import Payload
from sandbox.site import Request, Response, Site, json_response
from sandbox.world import World

KEY = "sandbox-key"
CACHED_FOR = 60  # seconds of the sandbox's clock
CACHED = 256  # answers at most, those of last
CHUNK = 20  # posts of a topic on a page
PRINT_CHUNK = 1000
TOPICS_PER_PAGE = 30
ONLY_LATEST = ("topic_title", "topic_html_title", "category_id", "excerpt", "truncated")

NOT_FOUND: Payload = {
    "errors": ["The requested URL or resource could not be found."],
    "error_type": "not_found",
}
FORBIDDEN: Payload = {
    "errors": ["You need to be logged in to do that."],
    "error_type": "not_logged_in",
}


class Discourse(Site):
    hosts = tuple(FORUMS)

    def __init__(self, world: World) -> None:
        self._world = world
        self._cache: dict[tuple[str, str], tuple[float, Response]] = {}
        self._lock = threading.Lock()
        self._ordered = lru_cache(maxsize=16)(_ordered)

    def answer(self, request: Request, now: datetime) -> Response:
        at = now.timestamp()
        forum = self._world.discourse_forum(request.host)
        if KEY in (request.headers.get("api-key"), request.headers.get("user-api-key")):
            return self._fresh(forum, request, at)
        if forum.spec.needs_key:
            return json_response(FORBIDDEN, 403)
        key = (request.host, request.target)
        written, cached = self._cache.get(key, (at + 1, None))
        if cached and written <= at < written + CACHED_FOR:
            return _with_header(cached, "X-Discourse-Cached", "true")
        fresh = self._fresh(forum, request, at)
        if fresh.status == 200:
            self._remember(key, at, fresh)
        return _with_header(fresh, "X-Discourse-Cached", "store")

    def _remember(self, key: tuple[str, str], at: float, fresh: Response) -> None:
        with self._lock:
            self._cache.pop(key, None)
            self._cache[key] = (at, fresh)
            while len(self._cache) > CACHED:
                del self._cache[next(iter(self._cache))]

    def _fresh(self, forum: Forum, request: Request, at: float) -> Response:
        for pattern, answer in _ROUTES:
            if match := pattern.fullmatch(request.path):
                arguments = [int(group) for group in match.groups() if group]
                try:
                    document = answer(self, forum, request, at, *arguments)
                except ValueError:
                    return json_response({"errors": ["invalid parameter"], "error_type": "invalid_parameters"}, 400)
                return json_response(document) if document is not None else json_response(NOT_FOUND, 404)
        return json_response(NOT_FOUND, 404)

    def _latest_posts(self, forum: Forum, request: Request, at: float) -> Payload:
        before = request.argument("before")
        posts = forum.latest(at, int(before) if before is not None else None)
        return {"latest_posts": [forum.payload(post, at) for post in posts]}

    def _post(self, forum: Forum, request: Request, at: float, id: int) -> Payload | None:
        post = forum.post(id, at)
        return _in_topic(forum, post, at, raw=True) if post else None

    def _latest_topics(self, forum: Forum, request: Request, at: float) -> Payload:
        page = int(request.argument("page") or 0)
        per_page = int(request.argument("per_page") or TOPICS_PER_PAGE)
        order = request.argument("order") or "default"
        ascending = request.argument("ascending") == "true"
        topics = self._ordered(forum, at, order, ascending)
        shown = topics[page * per_page : (page + 1) * per_page]
        topic_list: Payload = {
            "can_create_topic": False,
            "per_page": per_page,
            "topics": [forum.topic_payload(topic, at) for topic in shown],
        }
        if len(topics) > (page + 1) * per_page:
            sorting = f"&order={order}&ascending={str(ascending).lower()}" if request.argument("order") else ""
            topic_list["more_topics_url"] = f"/latest?page={page + 1}{sorting}"
        return {"users": [], "primary_groups": [], "topic_list": topic_list}

    def _topic(self, forum: Forum, request: Request, at: float, id: int, number: int | None = None) -> Payload | None:
        topic = forum.topics.get(id)
        if topic is None or not topic.visible(at):
            return None
        stream = topic.stream(at)
        chunk = PRINT_CHUNK if request.argument("print") == "true" else CHUNK
        if number is not None:
            place = next((i for i, post in enumerate(stream) if post.place(at).number >= number), len(stream))
            first = max(min(place - chunk // 4, len(stream) - chunk), 0)
        else:
            first = (max(int(request.argument("page") or 1), 1) - 1) * chunk
        shown = stream[first : first + chunk]
        if not shown and first:
            return None
        return _topic_page(forum, topic, at, stream, shown, _wants_raw(request)) | {"chunk_size": chunk}

    def _topic_posts(self, forum: Forum, request: Request, at: float, id: int) -> Payload | None:
        """By ids, or the first 20, or the 20 before a number, newest first unless `asc`."""
        topic = forum.topics.get(id)
        if topic is None or not topic.visible(at):
            return None
        shown = topic.stream(at)
        number = request.argument("post_number")
        if wanted := {int(id) for id in request.query.get("post_ids[]", [])}:
            shown = [post for post in shown if post.id in wanted]
        elif number is None:
            shown = shown[:CHUNK]
        elif request.argument("asc") == "true":
            shown = [post for post in shown if post.place(at).number > int(number)][:CHUNK]
        else:
            shown = [post for post in shown if post.place(at).number < int(number)][::-1][:CHUNK]
        posts = [_in_topic(forum, post, at, _wants_raw(request)) for post in shown]
        return {"post_stream": {"posts": posts}, "id": id}

    def _site(self, forum: Forum, request: Request, at: float) -> Payload:
        return {"categories": [_category(id) for id in CATEGORIES], "post_action_types": [], "archetypes": []}

    def _about(self, forum: Forum, request: Request, at: float) -> Payload:
        posts = sum(1 for _ in forum.snapshot(at).post_ids)
        stats = {"topics_count": len(forum.visible_topics(at)), "posts_count": posts}
        version = "2.7.0" if forum.spec.old else "2026.8.0"
        return {"about": {"title": forum.spec.title, "version": version, "stats": stats}}


_ROUTES: list[tuple[re.Pattern[str], Callable[..., Any]]] = [
    (re.compile(r"/posts\.json"), Discourse._latest_posts),
    (re.compile(r"/posts/(\d+)\.json"), Discourse._post),
    (re.compile(r"/latest\.json"), Discourse._latest_topics),
    (re.compile(r"/t/(\d+)/posts\.json"), Discourse._topic_posts),
    (re.compile(r"/t/(?:[a-z0-9-]*[a-z-][a-z0-9-]*/)?(\d+)(?:/(\d+))?\.json"), Discourse._topic),
    (re.compile(r"/site\.json"), Discourse._site),
    (re.compile(r"/about\.json"), Discourse._about),
]


def _ordered(forum: Forum, at: float, order: str, ascending: bool) -> list[Topic]:
    """`created` and `activity` sort by that alone; the default puts pinned topics first."""
    topics = forum.visible_topics(at)
    if order == "created":
        return sorted(topics, key=lambda topic: topic.created, reverse=not ascending)
    topics.sort(key=lambda topic: topic.bumped(at), reverse=not ascending)
    return topics if order != "default" else sorted(topics, key=lambda topic: not topic.pinned)


def _wants_raw(request: Request) -> bool:
    return request.argument("include_raw") in ("1", "true")


def _in_topic(forum: Forum, post: ForumPost, at: float, raw: bool) -> Payload:
    """A post as topics show it: /posts.json has more."""
    payload = forum.payload(post, at)
    for name in ONLY_LATEST if raw else (*ONLY_LATEST, "raw"):
        payload.pop(name, None)
    return payload


def _topic_page(
    forum: Forum, topic: Topic, at: float, stream: list[ForumPost], shown: list[ForumPost], raw: bool
) -> Payload:
    payload = forum.topic_payload(topic, at)
    del payload["posters"], payload["bumped"], payload["bumped_at"], payload["op_like_count"]
    author = {name: topic.author[name] for name in ("username", "name", "avatar_template")}
    author["id"] = topic.author["user_id"]
    return payload | {
        "post_stream": {
            "posts": [_in_topic(forum, post, at, raw) for post in shown],
            "stream": [post.id for post in stream],
        },
        "user_id": topic.author["user_id"],
        "deleted_at": None,
        "word_count": 40 * len(stream),
        "current_post_number": shown[0].place(at).number if shown else 1,
        "participant_count": min(len(stream), 12),
        "message_bus_last_id": 0,
        "timeline_lookup": [[1, ceil((at - topic.created) / 86_400)]],
        "suggested_topics": [],
        "details": {"created_by": author, "participants": [], "links": []},
    }


def _category(id: int) -> Payload:
    names = {1: "Uncategorized", 3: "Site Feedback", 4: "General", 5: "Development", 7: "Plugins"}
    slug = names[id].lower().replace(" ", "-")
    category: Payload = {"id": id, "name": names[id], "slug": slug, "read_restricted": False}
    return category | ({"parent_category_id": 5} if id == 7 else {})


def _with_header(response: Response, name: str, value: str) -> Response:
    return Response(response.status, response.body, response.content_type, response.headers | {name: value})
