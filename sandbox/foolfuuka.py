"""A FoolFuuka archive, `archive.example`, that keeps what the boards of a world ever showed.

`shifted.example` is the same archive with timestamps that are New York's wall clock taken for UTC, as archives that
were imported from old Asagi databases have them; `fourchan_date` is right in both.
"""

import html
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sandbox.foolfuuka_post import archived_post
from sandbox.fourchan_board import Board, BoardPost
from sandbox.fourchan_text import EASTERN
from sandbox.fourchan_world import BOARDS
from sandbox.history import FOREVER
from sandbox.site import Request, Response, Site, json_response
from sandbox.world import World

PER_PAGE = 25
PER_THREAD = 5
MAX_MATCHES = 5000  # search never looks further; slice by date
SHIFT = 5 * 3600  # at most, by which shifted timestamps are too small


class FoolFuuka(Site):
    hosts = ("archive.example", "shifted.example")

    def __init__(self, world: World) -> None:
        self._world = world
        self._sorted = lru_cache(maxsize=None)(_sort)

    def answer(self, request: Request, now: datetime) -> Response:
        method = re.fullmatch(r"/_/api/chan/(thread|post|search|index|boards)/?", request.path)
        if method is None:
            return _error("Invalid Method.", 404)
        answer: Callable[[Request, float], Response] = getattr(self, f"_{method[1]}")
        return answer(request, now.timestamp())

    def _boards(self, request: Request, at: float) -> Response:
        return json_response({name: {"name": spec.title, "shortname": name} for name, spec in BOARDS.items()})

    def _thread(self, request: Request, at: float) -> Response:
        board, no = self._asked(request)
        if isinstance(no, Response):
            return no
        thread = board.threads.get(no) if board else None
        if board is None or thread is None or thread.created > at:
            return _error("Thread not found.", 404)
        posts = [post for post in thread.posts if post.created <= at]
        since = request.argument("latest_doc_id")
        if since is not None:
            posts = [post for post in posts if _doc_id(board, post) > int(since)]
            if not posts:
                return Response(204)
        elif limit := request.argument("last_limit"):
            posts = posts[:1] + posts[1:][-int(limit) :]
        answer: dict[str, Any] = {}
        replies = {str(post.id): self._render(request, board, post, at) for post in posts if post.resto}
        if not posts[0].resto:
            answer["op"] = self._render(request, board, posts[0], at)
        if replies:
            answer["posts"] = replies
        return json_response({str(no): answer})

    def _post(self, request: Request, at: float) -> Response:
        board, no = self._asked(request)
        if isinstance(no, Response):
            return no
        posts = self._sorted(board) if board else []
        place = bisect_left(posts, no, key=lambda post: post.id)
        found = posts[place] if place < len(posts) and posts[place].id == no else None
        if board is None or found is None or found.created > at:
            return _error("Post not found.", 404)
        return json_response(self._render(request, board, found, at))

    def _index(self, request: Request, at: float) -> Response:
        board = self._board(request.argument("board"))
        page = request.argument("page")
        if board is None or page is None or not page.isdigit():
            return _error('The "page" parameter is missing.' if board else "No board selected.", 422)
        threads = [thread for thread in board.threads.values() if thread.created <= at][::-1]
        per_page = board.per_page
        answer = {}
        for thread in threads[(int(page) - 1) * per_page :][:per_page] if int(page) else []:
            posts = [post for post in thread.posts if post.created <= at]
            entry: dict[str, Any] = {"omitted": max(len(posts) - 1 - PER_THREAD, 0)}
            entry["op"] = self._render(request, board, posts[0], at)
            if posts[1:]:
                entry["posts"] = [self._render(request, board, post, at) for post in posts[1:][-PER_THREAD:]]
            answer[str(thread.no)] = entry
        return json_response(answer) if answer else _error("Thread not found.", 404)

    def _search(self, request: Request, at: float) -> Response:
        """`start` and `end` compare with the stored timestamp, both inclusive; a date means its first second."""
        names = (request.argument("boards") or ".".join(BOARDS)).split(".")
        boards = [board for name in names if (board := self._board(name))]
        try:
            start, end = (_date(request.argument(name)) for name in ("start", "end"))
            page = max(int(request.argument("page") or 1), 1)
        except ValueError:
            return _error("The search parameters are invalid.", 422)
        kind, text = request.argument("type"), request.argument("text")
        deleted = request.argument("deleted")
        found = [
            (post.created, board, post)
            for board in boards
            for post in _between(self._sorted(board), start, min(at, FOREVER if end is None else end + SHIFT))
            if post.created <= at
            and (start is None or self._stored(request, post) >= start)
            and (end is None or self._stored(request, post) <= end)
            and (kind not in ("op", "posts") or (kind == "op") == (post.resto == 0))
            and (deleted not in ("deleted", "not-deleted") or (deleted == "deleted") == _is_deleted(post, at))
            and (text is None or html.escape(text).encode() in post.versions[0].payload)
        ]
        found.sort(key=lambda hit: (hit[0], hit[2].id), reverse=request.argument("order") != "asc")
        total, found = len(found), found[:MAX_MATCHES]
        # Beyond the last match a real archive repeats it, page after page.
        offset = (page - 1) * PER_PAGE
        offset = MAX_MATCHES - 1 if offset >= MAX_MATCHES else offset
        hits = [self._render(request, board, post, at) for _, board, post in found[offset : offset + PER_PAGE]]
        if not hits:
            return _error("No results found.", 200)
        meta = {"total_found": total, "max_results": MAX_MATCHES, "search_title": "Searching for posts."}
        return json_response({"0": {"posts": hits}, "meta": meta})

    def _asked(self, request: Request) -> tuple[Board | None, int | Response]:
        board, no = self._board(request.argument("board")), request.argument("num")
        if board is None:
            return None, _error("No board selected.", 422 if request.argument("board") is None else 404)
        if no is None or not no.isdigit():
            return board, _error('The "num" parameter is missing.', 422)
        return board, int(no)

    def _board(self, name: str | None) -> Board | None:
        return self._world.fourchan_board(name) if name in BOARDS else None

    def _stored(self, request: Request, post: BoardPost) -> int:
        return _stored_timestamp(int(post.created), request.host == "shifted.example")

    def _render(self, request: Request, board: Board, post: BoardPost, at: float) -> dict[str, Any]:
        gone = post.absence(at)
        expired = int(gone.since) if gone else 0
        return archived_post(
            board=board.spec.name,
            first=board.payload(post, post.created),
            doc_id=_doc_id(board, post),
            thread_num=board.thread_of(post, at),
            timestamp=self._stored(request, post),
            expired=expired,
            deleted=_is_deleted(post, at),
            archive=request.host,
        )


def _sort(board: Board) -> list[BoardPost]:
    return sorted(board.posts(), key=lambda post: post.id)


def _between(posts: list[BoardPost], start: float | None, end: float) -> list[BoardPost]:
    first = bisect_left(posts, start, key=lambda post: post.created) if start is not None else 0
    return posts[first : bisect_right(posts, end, key=lambda post: post.created)]


def _doc_id(board: Board, post: BoardPost) -> int:
    return post.id - board.spec.first_no


def _is_deleted(post: BoardPost, at: float) -> bool:
    gone = post.absence(at)
    return gone is not None and not gone.pruned


def _stored_timestamp(created: int, shifted: bool) -> int:
    if not shifted:
        return created
    return int(datetime.fromtimestamp(created, EASTERN).replace(tzinfo=UTC).timestamp())


def _date(text: str | None) -> int | None:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) if text else None


def _error(message: str, status: int) -> Response:
    return json_response({"error": message}, status)
