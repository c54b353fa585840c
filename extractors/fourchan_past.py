"""What 4chan says of a board, and what is left of the board's past: the threads that stand and those in its short
archive, newest first, then whatever a FoolFuuka archive has, if one is set.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from extractors import foolfuuka, fourchan_thread
from extractors.errors import CrawlError, NotFound
from extractors.fourchan_board import API, Board
from extractors.http import Http
from extractors.platform import About, Community, Page, State

if TYPE_CHECKING:
    from extractors.fourchan import Fourchan


def about(platform: "Fourchan", community: Community, http: Http) -> About:
    """Its title; one request."""
    answer = http.get(f"{API}/boards.json", pace=platform.pace, tolerate=frozenset())
    titles = {board["board"]: board.get("title") for board in answer.json()["boards"]}
    if community.name not in titles:
        came, advice = f"{len(titles)} others", "look at the list of boards on https://www.4chan.org/"
        raise NotFound(answer.url, community.key, f"a board /{community.name}/", came, advice)
    return About(community, f"/{community.name}/ - {titles[community.name]}")


def history(
    platform: "Fourchan", community: Community, since: datetime, http: Http, cursor: State | None
) -> Iterator[Page]:
    """The cursor is the thread below which the standing ones are to be read, then the archive's own."""
    state = cursor or {"below": None}
    base = platform.archives.get(community.name)
    if "below" in state:
        board = Board(platform, community, http)
        index, archived = board.standing()
        todo = sorted(map(int, {*index, *archived}), reverse=True)
        left = [no for no in todo if state["below"] is None or no < state["below"]]
        for no, response in board.threads({str(no): None for no in left}):
            if isinstance(response, CrawlError):
                raise response
            page, _ = fourchan_thread.read(platform, community, no, response, None, index.get(no), refresh=True)
            page.posts = [row for row in page.posts if row.created_at is None or row.created_at >= since]
            page.threads = page.threads if page.posts else []
            page.state = {"below": int(no)}
            page.progress = (todo.index(int(no)) + 1, len(todo))
            yield page
        note = "4chan shows only what stands and its archive of some days; set THREADLAKE_ARCHIVES for what was before"
        yield Page(state={"day": None} if base else None, note=None if base else note)
        state = {"day": None}
    if base:
        yield from foolfuuka.history(platform, community, base, since, http, state)
