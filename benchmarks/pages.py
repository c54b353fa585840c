"""Each platform's pages as a short script would read them, with requests and orjson: what dlt's Arrow side is given."""

from collections.abc import Callable, Iterator
from typing import Any

import orjson
import requests

from benchmarks import discord_bodies, lemmy_bodies
from benchmarks.server import BOARD, FORUM, FOURCHAN
from extractors.platform import Record

Pages = Iterator[tuple[list[Record], list[Record]]]
"""(posts, threads) of each answer."""
Get = Callable[[str], Any]


def fourchan(server: str, get: Get) -> Pages:
    for page in get(f"{server}/{FOURCHAN}/{BOARD}/threads.json"):
        for thread in page["threads"]:
            yield get(f"{server}/{FOURCHAN}/{BOARD}/thread/{thread['no']}.json")["posts"], [thread]


def discourse(server: str, get: Get) -> Pages:
    url = f"{server}/{FORUM}/posts.json"
    while records := get(url)["latest_posts"]:
        yield records, []
        if records[-1]["id"] == 1:
            break
        url = f"{server}/{FORUM}/posts.json?before={records[-1]['id']}"
    page = 0
    while topics := get(f"{server}/{FORUM}/latest.json?page={page}")["topic_list"]["topics"]:
        yield [], topics
        page += 1


def lemmy(server: str, get: Get) -> Pages:
    at = lemmy_bodies
    query = f"community_name={at.COMMUNITY}&limit={at.PER_PAGE}&sort=New&type_=All"
    posts = url = f"{server}{at.API}/post/list?{query}&show_nsfw=true"
    while records := (answer := get(url))["posts"]:
        yield records, []
        url = f"{posts}&page_cursor={answer['next_page']}"
    page = 1
    while records := get(f"{server}{at.API}/comment/list?{query}&page={page}")["comments"]:
        yield records, []
        page += 1


def discord(server: str, get: Get) -> Pages:
    channel = f"{server}{discord_bodies.API}/channels/{discord_bodies.CHANNEL}"
    yield [], [get(channel)]
    messages = url = f"{channel}/messages?limit={discord_bodies.PER_PAGE}"
    while records := get(url):
        yield records, []
        url = f"{messages}&before={records[-1]['id']}"


PAGES: dict[str, Callable[[str, Get], Pages]] = {
    "fourchan": fourchan,
    "discourse": discourse,
    "lemmy": lemmy,
    "discord": discord,
}


def pages(platform: str, server: str) -> Pages:
    with requests.Session() as session:
        yield from PAGES[platform](server, lambda url: orjson.loads(session.get(url).content))
