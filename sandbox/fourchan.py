"""The read-only JSON API of 4chan, `a.4cdn.org`, over the boards of a world."""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

import orjson

from sandbox.fourchan_board import HOUR, Board, Thread
from sandbox.fourchan_world import BOARDS
from sandbox.history import Payload
from sandbox.site import HTML, Request, Response, Site, conditional
from sandbox.world import World

HOST = "a.4cdn.org"
LAST_REPLIES = 5  # in the catalog
NOT_FOUND = Response(404, b"<!DOCTYPE html><html><head><title>404 Not Found</title></head><body></body></html>", HTML)

_ROUTE = re.compile(r"/(?P<board>\w+)/(?:(?P<list>threads|catalog|archive|\d+)|thread/(?P<no>\d+))\.json")


class Fourchan(Site):
    """Bodies are cached until the board or thread changes, so that asking again costs no rendering."""

    hosts = (HOST,)

    def __init__(self, world: World) -> None:
        self._world = world
        self._list = lru_cache(maxsize=64)(self._render_list)
        self._thread = lru_cache(maxsize=4096)(self._render_thread)

    def answer(self, request: Request, now: datetime) -> Response:
        at = now.timestamp()
        if request.path == "/boards.json":
            boards = [self._world.fourchan_board(name) for name in BOARDS]
            return conditional(request, orjson.dumps({"boards": [board_entry(b) for b in boards]}), 0)
        route = _ROUTE.fullmatch(request.path)
        if route is None or route["board"] not in BOARDS:
            return NOT_FOUND
        board = self._world.fourchan_board(route["board"])
        if route["no"]:
            thread = board.thread(int(route["no"]), at)
            if thread is None:
                return NOT_FOUND
            changed = thread.last_change(at)
            return conditional(request, self._thread(board, thread, changed), changed)
        if route["list"] == "archive":
            if not board.spec.archived:
                return NOT_FOUND
            # Written anew every hour, changed or not, as the real one is now and then.
            written = max(board.last_change(at), at // HOUR * HOUR)
            return conditional(request, orjson.dumps(board.archive(at)), written)
        changed = board.last_change(at)
        body = self._list(board, route["list"], changed)
        return conditional(request, body, changed) if body else NOT_FOUND

    @staticmethod
    def _render_thread(board: Board, thread: Thread, at: int) -> bytes:
        return board.thread_json(thread, at)

    @staticmethod
    def _render_list(board: Board, kind: str, at: int) -> bytes | None:
        threads = board.index(at)
        pages = [threads[i : i + board.per_page] for i in range(0, len(threads), board.per_page)]
        if kind == "threads":
            return orjson.dumps(
                [{"page": n, "threads": [index_entry(t, at) for t in page]} for n, page in enumerate(pages, 1)]
            )
        if kind == "catalog":
            return orjson.dumps(
                [{"page": n, "threads": [_catalog(board, t, at) for t in page]} for n, page in enumerate(pages, 1)]
            )
        if not 1 <= int(kind) <= len(pages):
            return None
        return orjson.dumps({"threads": [{"posts": _preview(board, t, at)} for t in pages[int(kind) - 1]]})


def index_entry(thread: Thread, at: float) -> Payload:
    return {"no": thread.no, "last_modified": thread.last_modified(at), "replies": thread.replies(at)}


def catalog_entry(posts: list[Payload], last_modified: int) -> Payload:
    """An element of catalog.json made from a thread's posts, the opening post first."""
    opening, replies = posts[0], posts[1:]
    entry = opening | {"last_modified": last_modified}
    if replies:
        omitted = replies[:-LAST_REPLIES]
        entry["omitted_posts"] = len(omitted)
        entry["omitted_images"] = sum("tim" in post for post in omitted)
        entry["last_replies"] = replies[-LAST_REPLIES:]
    return entry


def _catalog(board: Board, thread: Thread, at: float) -> Payload:
    posts = [board.payload(post, at) for post in thread.visible(at)]
    return catalog_entry(posts, thread.last_modified(at))


def _preview(board: Board, thread: Thread, at: float) -> list[Payload]:
    entry = _catalog(board, thread, at)
    replies = entry.pop("last_replies", [])
    entry.pop("last_modified")
    return [entry, *replies]


def board_entry(board: Board) -> Payload:
    """An element of boards.json; what a board does not have is absent."""
    spec = board.spec
    optional: Mapping[str, object] = {
        "is_archived": spec.archived,
        "spoilers": spec.spoilers,
        "custom_spoilers": 5 if spec.spoilers else 0,
        "country_flags": spec.country_flags,
        "user_ids": spec.user_ids,
        "board_flags": {} if spec.country_flags else {"CR": "Crane"},
    }
    return {
        "board": spec.name,
        "title": spec.title,
        "ws_board": 1,
        "per_page": board.per_page,
        "pages": spec.pages,
        "max_filesize": 8_388_608,
        "max_webm_filesize": 3_145_728,
        "max_comment_chars": 2_000,
        "max_webm_duration": 120,
        "bump_limit": spec.bump_limit,
        "image_limit": spec.image_limit,
        "cooldowns": {"threads": 600, "replies": 60, "images": 60},
        "meta_description": f"&quot;/{spec.name}/ - {spec.title}&quot; is a board of an invented world.",
    } | {name: int(value) if isinstance(value, bool) else value for name, value in optional.items() if value}
