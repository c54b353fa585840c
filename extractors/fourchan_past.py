"""What 4chan says of a board, and what is left of the board's past: the threads that stand and those in its short
archive, newest first, then whatever a FoolFuuka archive has, if one is set.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from extractors import foolfuuka
from extractors.errors import CrawlError, NotFound
from extractors.http import Http, Request
from extractors.platform import About, Community, Page, State

if TYPE_CHECKING:
    from extractors.fourchan import Fourchan

API = "https://a.4cdn.org"


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
    board, state = community.name, cursor or {"below": None}
    base = platform.archives.get(board)
    if "below" in state:
        index, archived = platform.standing(board, http)
        todo = sorted(map(int, {*index, *archived}), reverse=True)
        left = [no for no in todo if state["below"] is None or no < state["below"]]
        requests = [Request(f"{API}/{board}/thread/{no}.json", tag=no) for no in left]
        for request, response in http.get_all(requests, platform.pace):
            if isinstance(response, CrawlError):
                raise response
            no = str(request.tag)
            page, _ = platform.thread(community, no, response, None, index.get(no), False, True)
            page.posts = [row for row in page.posts if row.created_at is None or row.created_at >= since]
            page.threads = page.threads if page.posts else []
            page.state = {"below": request.tag}
            page.progress = (todo.index(request.tag) + 1, len(todo))
            yield page
        note = "4chan shows only what stands and its archive of some days; set THREADLAKE_ARCHIVES for what was before"
        yield Page(state={"day": None} if base else None, note=None if base else note)
        state = {"day": None}
    if base:
        yield from foolfuuka.history(platform, community, base, since, http, state)
