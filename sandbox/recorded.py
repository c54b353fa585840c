"""Recorded responses served as if they were the platform. Nothing of them stands in this repository."""

import gzip
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from sandbox.fourchan import HOST as FOURCHAN_HOST
from sandbox.fourchan import NOT_FOUND, catalog_entry
from sandbox.history import Payload
from sandbox.site import Request, Response, Site, conditional, json_response

PAGE = 50
TOPICS_PER_PAGE = 30
CHUNK = 20


class RecordedFourchan(Site):
    """`folder/<board>/threads.json` and `folder/<board>/thread/<no>.json`, whatever the clock says. No archive."""

    hosts = (FOURCHAN_HOST,)

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._boards = sorted(path.parent.name for path in folder.glob("*/threads.json"))
        if not self._boards:
            raise FileNotFoundError(f"no <board>/threads.json in {folder}")
        self._read = lru_cache(maxsize=None)(Path.read_bytes)
        self._catalog = lru_cache(maxsize=None)(self._render_catalog)

    def answer(self, request: Request, now: datetime) -> Response:
        if request.path == "/boards.json":
            boards = [
                {"board": board, "title": board, "ws_board": 1, "per_page": 15, "pages": 10} for board in self._boards
            ]
            return conditional(request, orjson.dumps({"boards": boards}), 0)
        route = re.fullmatch(r"/(\w+)/(threads|catalog|thread/\d+)\.json", request.path)
        if route is None or route[1] not in self._boards:
            return NOT_FOUND
        board, name = route[1], route[2]
        index = self._index(board)
        if name in ("threads", "catalog"):
            body = self._read(self._folder / board / "threads.json") if name == "threads" else self._catalog(board)
            return conditional(request, body, max(index.values()))
        path = self._folder / board / f"{name}.json"
        if not path.exists():
            return NOT_FOUND
        return conditional(request, self._read(path), index.get(int(path.stem), 0))

    def _index(self, board: str) -> dict[int, int]:
        """Each thread's `last_modified`."""
        pages = orjson.loads(self._read(self._folder / board / "threads.json"))
        return {thread["no"]: thread["last_modified"] for page in pages for thread in page["threads"]}

    def _render_catalog(self, board: str) -> bytes:
        pages = orjson.loads(self._read(self._folder / board / "threads.json"))
        return orjson.dumps([page | {"threads": list(self._entries(board, page["threads"]))} for page in pages])

    def _entries(self, board: str, threads: list[Payload]) -> Iterator[Payload]:
        for thread in threads:
            path = self._folder / board / "thread" / f"{thread['no']}.json"
            if path.exists():
                yield catalog_entry(orjson.loads(self._read(path))["posts"], thread["last_modified"])


class _RecordedForum(Site):
    """A forum made of posts as /posts.json gave them, with the current meaning of `before`."""

    def __init__(self, host: str) -> None:
        self.hosts = (host,)
        self._at: tuple[datetime | None, list[Payload]] = (None, [])

    def posts(self, now: datetime) -> list[Payload]:
        """The posts that stand at a moment, by id."""
        raise NotImplementedError

    def answer(self, request: Request, now: datetime) -> Response:
        posts = self._posts(now)
        if request.path == "/posts.json":
            before = request.argument("before")
            end = bisect_left(posts, int(before), key=_id) if before else len(posts)
            return json_response({"latest_posts": posts[max(end - PAGE, 0) : end][::-1]})
        if request.path == "/latest.json":
            return self._latest(request, posts)
        if request.path == "/site.json":
            return json_response({"categories": [{"id": id} for id in sorted({p["category_id"] for p in posts})]})
        if request.path == "/about.json":
            return json_response({"about": {"title": self.hosts[0], "stats": {"posts_count": len(posts)}}})
        if match := re.fullmatch(r"/posts/(\d+)\.json", request.path):
            found = [post for post in posts if post["id"] == int(match[1])]
            return json_response(found[0]) if found else _missing()
        if match := re.fullmatch(r"/t/(?:[\w-]+/)?(\d+)(/posts)?\.json", request.path):
            stream = [post for post in posts if post["topic_id"] == int(match[1])]
            return self._topic(request, sorted(stream, key=lambda post: post["post_number"]), match[2] is not None)
        return _missing()

    def _posts(self, now: datetime) -> list[Payload]:
        moment, posts = self._at
        if moment != now:
            posts = self.posts(now)
            self._at = now, posts
        return posts

    def _latest(self, request: Request, posts: list[Payload]) -> Response:
        page, order = int(request.argument("page") or 0), request.argument("order") or "default"
        by_topic: dict[int, list[Payload]] = defaultdict(list)
        for post in posts:
            by_topic[post["topic_id"]].append(post)
        key = "first_posted" if order == "created" else "bumped_at"
        topics = sorted(map(_topic, by_topic.values()), key=lambda topic: (topic[key], topic["id"]))
        if request.argument("ascending") != "true":
            topics.reverse()
        shown = topics[page * TOPICS_PER_PAGE : (page + 1) * TOPICS_PER_PAGE]
        topic_list: dict[str, Any] = {"per_page": TOPICS_PER_PAGE, "topics": [_served(topic) for topic in shown]}
        if len(topics) > (page + 1) * TOPICS_PER_PAGE:
            topic_list["more_topics_url"] = f"/latest?page={page + 1}&order={order}"
        return json_response({"users": [], "topic_list": topic_list})

    @staticmethod
    def _topic(request: Request, stream: list[Payload], only_posts: bool) -> Response:
        if not stream:
            return _missing()
        topic = _served(_topic(stream))
        raw = request.argument("include_raw") in ("1", "true")
        if only_posts:
            wanted = {int(id) for id in request.query.get("post_ids[]", [])}
            posts = [post for post in stream if post["id"] in wanted] if wanted else stream[:CHUNK]
            return json_response({"post_stream": {"posts": _without_raw(posts, raw)}, "id": topic["id"]})
        first = (max(int(request.argument("page") or 1), 1) - 1) * CHUNK
        shown = stream[first : first + CHUNK]
        post_stream = {"posts": _without_raw(shown, raw), "stream": [post["id"] for post in stream]}
        return json_response(topic | {"post_stream": post_stream, "chunk_size": CHUNK}) if shown else _missing()


class RecordedDiscourse(_RecordedForum):
    """Files of posts, one JSON object a line, gzipped. A post is there from its `created_at` on.

    Of an id that was recorded twice, the capture with the later `updated_at` counts.
    """

    def __init__(self, files: Sequence[Path], host: str = "delvingbitcoin.org") -> None:
        super().__init__(host)
        by_id: dict[int, Payload] = {}
        for post in _lines(files):
            known = by_id.get(post["id"])
            if known is None or post["updated_at"] > known["updated_at"]:
                by_id[post["id"]] = post
        self._all = [by_id[id] for id in sorted(by_id)]

    def posts(self, now: datetime) -> list[Payload]:
        return [post for post in self._all if datetime.fromisoformat(post["created_at"]) <= now]


class RecordedVersions(_RecordedForum):
    """Successive captures of posts, `{captured_at, status, post}`: each post as in its latest capture by the clock.

    `status` is git's: A added, M modified, D deleted; a deleted post, or one without a body, is absent.
    """

    def __init__(self, files: Sequence[Path], host: str = "delvingbitcoin.org") -> None:
        super().__init__(host)
        captures = [(datetime.fromisoformat(line["captured_at"]), line) for line in _lines(files)]
        self._captures = sorted(captures, key=lambda capture: capture[0])

    @property
    def captured_at(self) -> list[datetime]:
        """When there was something new, ascending."""
        return sorted({moment for moment, _ in self._captures})

    def captured(self, moment: datetime) -> list[Payload]:
        """What was captured at exactly that moment."""
        return [line["post"] for at, line in self._captures if at == moment and line["post"]]

    def posts(self, now: datetime) -> list[Payload]:
        latest: dict[int, Payload | None] = {}
        for moment, line in self._captures:
            if moment <= now and line["post"]:
                latest[line["post"]["id"]] = line["post"] if line["status"] in ("A", "M") else None
        return sorted((post for post in latest.values() if post), key=_id)


def _lines(files: Iterable[Path]) -> Iterator[Payload]:
    for file in files:
        with gzip.open(file) as lines:
            yield from map(orjson.loads, lines)


def _id(post: Payload) -> int:
    return int(post["id"])


def _topic(stream: list[Payload]) -> Payload:
    """A topic derived from its posts. It has no `created_at`: the first post may not have been recorded."""
    last = max(stream, key=lambda post: str(post["created_at"]))
    return {
        "id": last["topic_id"],
        "title": last["topic_title"],
        "slug": last["topic_slug"],
        "posts_count": len(stream),
        "highest_post_number": max(post["post_number"] for post in stream),
        "last_posted_at": last["created_at"],
        "bumped_at": last["created_at"],
        "category_id": last["category_id"],
        "first_posted": min(str(post["created_at"]) for post in stream),
    }


def _served(topic: Payload) -> Payload:
    return {name: value for name, value in topic.items() if name != "first_posted"}


def _without_raw(posts: list[Payload], keep: bool) -> list[Payload]:
    return posts if keep else [{name: post[name] for name in post if name != "raw"} for post in posts]


def _missing() -> Response:
    return json_response(
        {"errors": ["The requested URL or resource could not be found."], "error_type": "not_found"}, 404
    )
