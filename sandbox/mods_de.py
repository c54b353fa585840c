"""forum.mods.de and my.mods.de over the boards of a world: the XML API, and the HTML pages that are scraped."""

from datetime import datetime

from sandbox.history import Payload
from sandbox.mods_de_board import PER_PAGE, Board, BoardThread
from sandbox.mods_de_text import people, profile, thread_page
from sandbox.mods_de_world import BOARDS
from sandbox.mods_de_xml import XML, dumps
from sandbox.site import Request, Response, Site
from sandbox.world import World

FORUM, PROFILES = "forum.mods.de", "my.mods.de"
SHADOWED = 13  # a user whose uid is somebody's name
DIRTY = 17  # every so many posts hold bytes that XML forbids
NOWHERE = Response(404, b"<html><title>404</title></html>", "text/html")


class ModsDe(Site):
    hosts = (FORUM, PROFILES)

    def __init__(self, world: World) -> None:
        self._world = world
        self._people = {person.uid: person for person in people(world.seed)}

    def answer(self, request: Request, now: datetime) -> Response:
        at = now.timestamp()
        if request.host == PROFILES:
            return self._profile(request.path.strip("/"))
        if request.path == "/bb/xml/board.php":
            return self._board(request, at)
        if request.path == "/bb/xml/thread.php":
            return self._thread(request, at)
        if request.path == "/bb/xml/boards.php":
            return self._boards()
        if request.path == "/bb/thread.php":
            return self._page(request, at)
        return NOWHERE

    def _boards(self) -> Response:
        shown = [spec for spec in BOARDS.values() if spec.for_guests]
        boards = [{"id": spec.id, "name": spec.name, "description": "", "in-category": {"id": "1"}} for spec in shown]
        category = {
            "id": "1",
            "name": "Foren",
            "description": "",
            "boards": {"count": str(len(boards)), "board": boards},
        }
        return _xml("categories", {"current-user-id": "0", "count": "1", "category": category})

    def _board(self, request: Request, at: float) -> Response:
        spec = BOARDS.get(request.argument("BID") or "")
        if spec is None:
            return _xml("invalid-board", {})
        if not spec.for_guests:
            return _xml("no-access", {})
        offset = int(request.argument("offset") or 0) or (int(request.argument("page") or 1) - 1) * PER_PAGE
        mine = [(board, thread) for board, thread in self._threads(at) if thread.board(at, board.spec.id) == spec.id]
        usual = [pair for pair in mine if not (pair[1].sticky or pair[1].is_global)]
        usual.sort(key=lambda pair: (-pair[1].last(at).created, -pair[1].id))
        first: list[tuple[Board, BoardThread]] = []
        if request.argument("with-globals") != "0":
            first += [pair for pair in self._threads(at) if pair[1].is_global]
        if request.argument("with-stickies") != "0":
            first += [pair for pair in mine if pair[1].sticky]
        shown = first + usual[offset : offset + PER_PAGE]
        replies = sum(len(thread.written(at)) - 1 for _, thread in mine)
        threads = [board.listed_payload(thread, at) for board, thread in shown]
        page = {"page": str(offset // PER_PAGE + 1)} if offset % PER_PAGE == 0 else {}
        return _xml("board", {
            "id": spec.id,
            "current-user-id": "0",
            "name": spec.name,
            "description": "",
            "number-of-threads": {"value": str(len(mine) + 2)},  # it counts what is deleted, too
            "number-of-replies": {"value": str(replies)},
            "in-category": {"id": "1"},
            "threads": {"with-stickies": "1", "with-globals": "1", **page, "offset": str(offset),
                        "count": str(len(threads)), "thread": threads},
        })  # fmt: skip

    def _thread(self, request: Request, at: float) -> Response:
        found = self._find(request, at)
        if found is None:
            return _xml("invalid-thread", {})
        board, thread = found
        written = thread.written(at)
        page = int(request.argument("page") or 1)
        if (wanted := request.argument("PID")) is not None:  # of an unknown one, the first page
            page = next((i // PER_PAGE + 1 for i, post in enumerate(written) if str(post.id) == wanted), 1)
        offset = int(request.argument("offset") or (page - 1) * PER_PAGE)
        posts = [board.payload(post, at) for post in written[offset : offset + PER_PAGE] if post.visible(at)]
        for post in posts:
            if int(post["id"]) % DIRTY == 0 and post["message"]["content"]:
                post["message"]["content"] = "\x00" + post["message"]["content"] + "\x0b"
        inside = {"page": str(page), "offset": str(offset), "count": str(len(posts)), "post": posts}
        return _xml("thread", board.thread_payload(thread, at) | {"current-user-id": "0", "posts": inside})

    def _page(self, request: Request, at: float) -> Response:
        found = self._find(request, at)
        if found is None:
            return Response(200, b"<html><body>Dieser Thread existiert nicht.</body></html>", "text/html")
        return _html(thread_page(found[1].id, found[1].tags))

    def _profile(self, uid: str) -> Response:
        person = self._people.get(int(uid)) if uid.isdigit() else None
        if person is None:
            return _html(f"<html><body>Benutzer <b>{uid}</b> nicht gefunden!</body></html>")
        return _html(profile(self._people[SHADOWED + 1] if person.uid == SHADOWED else person))

    def _threads(self, at: float) -> list[tuple[Board, BoardThread]]:
        boards = [self._world.mods_de_board(name) for name, spec in BOARDS.items() if spec.for_guests]
        return [(board, thread) for board in boards for thread in board.threads.values() if thread.visible(at)]

    def _find(self, request: Request, at: float) -> tuple[Board, BoardThread] | None:
        wanted = request.argument("TID")
        return next((pair for pair in self._threads(at) if str(pair[1].id) == wanted), None)


def _xml(name: str, record: Payload) -> Response:
    return Response(200, dumps(name, record), XML)


def _html(page: str) -> Response:
    return Response(200, page.encode("iso-8859-15", "xmlcharrefreplace"), "text/html")
