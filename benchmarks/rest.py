"""What dlt's `rest_api` source is told of each platform, as its documentation shows it."""

from collections.abc import Callable
from typing import Any

import requests

from benchmarks import discord_bodies, lemmy_bodies
from benchmarks.server import BOARD, FORUM, FOURCHAN

Config = dict[str, Any]


def _resource(name: str, key: str = "id", **endpoint: Any) -> Config:
    return {"name": name, "primary_key": key, "write_disposition": "append", "endpoint": endpoint}


def fourchan(server: str) -> Config:
    path, selector = f"{BOARD}/threads.json", "$[*].threads[*]"
    changed = {"cursor_path": "last_modified", "initial_value": 0}
    threads = _resource(
        "threads", "no", path=path, data_selector=selector, paginator="single_page", incremental=changed
    )
    path = f"{BOARD}/thread/{{resources.threads.no}}.json"
    posts = _resource("posts", "no", path=path, data_selector="posts", paginator="single_page")
    return {"client": {"base_url": f"{server}/{FOURCHAN}/"}, "resources": [threads, posts]}


def discourse(server: str) -> Config:
    from dlt.sources.helpers.rest_client.paginators import PageNumberPaginator

    posts = _resource("posts", path="posts.json", data_selector="latest_posts", paginator=_before(1))
    pages = PageNumberPaginator(base_page=0, total_path=None)
    topics = _resource("topics", path="latest.json", data_selector="topic_list.topics", paginator=pages)
    return {"client": {"base_url": f"{server}/{FORUM}/"}, "resources": [topics, posts]}


def lemmy(server: str) -> Config:
    from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator, PageNumberPaginator

    params: Config = {
        "community_name": lemmy_bodies.COMMUNITY,
        "limit": lemmy_bodies.PER_PAGE,
        "sort": "New",
        "type_": "All",
    }
    cursor = JSONResponseCursorPaginator(cursor_path="next_page", cursor_param="page_cursor")
    posts = _resource(
        "posts", path="post/list", data_selector="posts", paginator=cursor, params=params | {"show_nsfw": "true"}
    )
    pages = PageNumberPaginator(base_page=1, total_path=None)
    comments = _resource("comments", path="comment/list", data_selector="comments", paginator=pages, params={**params})
    return {"client": {"base_url": f"{server}{lemmy_bodies.API}/"}, "resources": [posts, comments]}


def discord(server: str) -> Config:
    at = discord_bodies
    channel = _resource("channels", path=f"channels/{at.CHANNEL}", paginator="single_page")
    messages = _resource(
        "posts", path=f"channels/{at.CHANNEL}/messages", data_selector="$", paginator=_before(0),
        params={"limit": at.PER_PAGE},
    )  # fmt: skip
    return {"client": {"base_url": f"{server}{at.API}/"}, "resources": [channel, messages]}


CONFIGS: dict[str, Callable[[str], Config]] = {
    "fourchan": fourchan,
    "discourse": discourse,
    "lemmy": lemmy,
    "discord": discord,
}
POSTS = ("posts", "comments")
"""The resources whose rows are posts."""


def _before(last: int) -> Any:
    """A paginator: the next page is of what is below the least id of this one, down to the id `last`."""
    from dlt.sources.helpers.rest_client.paginators import BasePaginator

    class Before(BasePaginator):
        def update_state(self, response: requests.Response, data: list[Any] | None = None) -> None:
            self._before = min((int(record["id"]) for record in data), default=last) if data else last
            self._has_next_page = self._before > last

        def update_request(self, request: requests.Request) -> None:
            request.params = {**(request.params or {}), "before": self._before}

    return Before()
