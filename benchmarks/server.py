"""The answers both sides crawl: prepared bodies on loopback, in a process of their own. Here a 4chan board and a
Discourse forum; a Discord channel and a Lemmy community stand in modules of their own.

The sandbox invents worlds that change; this one stands still and answers as fast as Python can, so that what is
measured is the client. Bodies are made of the sandbox's invented words, in the sizes of recorded ones (4chan 350 bytes
a post; Discourse 4 to 7 kB; Discord 1.3 kB; Lemmy 2 kB), the same bytes for the same arguments. `https://HOST/PATH`
is at `{url}/HOST/PATH`.
"""

import argparse
import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

import orjson

from benchmarks.discord_bodies import DiscordBodies
from benchmarks.lemmy_bodies import LemmyBodies
from sandbox import discourse_text, fourchan_text

FOURCHAN, BOARD, FORUM = "a.4cdn.org", "bench", "forum.example"
NOW = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
POSTS_PER_THREAD, THREADS_PER_PAGE = 60, 50
SPAN = timedelta(hours=24)
"""In which all posts of the forum, the channel and the community were written, evenly."""
PER_PAGE, TOPICS_PER_PAGE = 50, 30
TOPIC_POSTS, TOPICS_AT_ONCE = 20, 10
PERSON = discourse_text.people(Random(1), FORUM, 200)
REST: dict[str, Any] = {  # of a Discourse post, as an anonymous reader sees it
    "post_type": 1, "reply_count": 0, "quote_count": 0, "incoming_link_count": 2, "reads": 14, "readers_count": 13,
    "score": 12.8, "yours": False, "category_id": 4, "primary_group_name": None, "flair_name": None, "flair_url": None,
    "flair_bg_color": None, "flair_color": None, "flair_group_id": None, "badges_granted": [], "version": 1,
    "can_edit": False, "can_delete": False, "can_recover": False, "can_see_hidden_post": False, "can_wiki": False,
    "bookmarked": False, "actions_summary": [{"id": 2, "count": 1}], "hidden": False, "deleted_at": None,
    "user_deleted": False, "edit_reason": None, "can_view_edit_history": True, "wiki": False, "truncated": True,
    "reactions": [{"id": "heart", "type": "emoji", "count": 1}], "current_user_reaction": None,
    "reaction_users_count": 1, "current_user_used_main_reaction": False,
}  # fmt: skip


class Bodies:
    """What is answered to a path with its query; nothing of it changes."""

    def __init__(self, posts: int) -> None:
        self.posts = posts
        self.threads = posts // POSTS_PER_THREAD
        self.topics = -(-posts // TOPIC_POSTS)
        self._forum_writer = discourse_text.Writer(Random(2), FORUM, [person["username"] for person in PERSON])
        self._others = (DiscordBodies(posts, NOW, SPAN), LemmyBodies(posts, NOW, SPAN))
        self.answer = lru_cache(maxsize=None if posts <= 100_000 else 1000)(self._answer)

    def prepare(self) -> None:
        """Make all of them, so that no crawl waits for it."""
        self.answer(f"/{FOURCHAN}/{BOARD}/threads.json")
        for i in range(self.threads):
            self.answer(f"/{FOURCHAN}/{BOARD}/thread/{self._no(i)}.json")
        self.answer(f"/{FORUM}/posts.json")
        for before in range(self.posts + 1 - PER_PAGE, 0, -PER_PAGE):
            self.answer(f"/{FORUM}/posts.json?before={before}")
        for other in self._others:
            for target in other.targets():
                self.answer(target)

    def _answer(self, target: str) -> bytes:
        """A whole HTTP answer."""
        path, _, query = target.partition("?")
        arguments = dict(part.split("=", 1) for part in query.split("&") if part)
        headers = ""
        if path == f"/{FOURCHAN}/{BOARD}/threads.json":
            body: object | None = self._index()
            headers = f"Last-Modified: {formatdate(NOW.timestamp(), usegmt=True)}\r\n"
        elif path.startswith(f"/{FOURCHAN}/{BOARD}/thread/"):
            thread = (int(Path(path).stem) - self._no(0)) // POSTS_PER_THREAD
            body = {"posts": self._thread(thread)}
            headers = f"Last-Modified: {formatdate(NOW.timestamp() - thread, usegmt=True)}\r\n"
        elif path == f"/{FORUM}/posts.json":
            before = min(int(arguments.get("before", self.posts + 1)), self.posts + 1)
            body = {"latest_posts": [self._post(id) for id in range(before - 1, max(before - 1 - PER_PAGE, 0), -1)]}
        elif path == f"/{FORUM}/latest.json":
            first = self.topics - int(arguments.get("page", 0)) * TOPICS_PER_PAGE
            topics = [self._topic(id) for id in range(first, max(first - TOPICS_PER_PAGE, 0), -1)]
            body = {"topic_list": {"per_page": TOPICS_PER_PAGE, "topics": topics}}
        else:
            body = next((body for other in self._others if (body := other.answer(path, arguments)) is not None), None)
        if body is None:
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        data = orjson.dumps(body)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n{headers}\r\n"
        return head.encode() + data

    def _no(self, thread: int) -> int:
        return 570_000 + thread * POSTS_PER_THREAD

    def _index(self) -> list[dict[str, Any]]:
        threads = [
            {"no": self._no(i), "last_modified": int(NOW.timestamp()) - i, "replies": POSTS_PER_THREAD - 1}
            for i in range(self.threads)
        ]
        starts = range(0, self.threads, THREADS_PER_PAGE)
        return [{"page": page + 1, "threads": threads[i : i + THREADS_PER_PAGE]} for page, i in enumerate(starts)]

    def _thread(self, thread: int) -> list[dict[str, Any]]:
        rng = Random(thread)
        writer = fourchan_text.Writer(rng, country_flags=False, user_ids=False, spoilers=False)
        opening = self._no(thread)
        created = int(NOW.timestamp()) - 72 * 3600 + thread
        posts: list[dict[str, Any]] = []
        for no in range(opening, opening + POSTS_PER_THREAD):
            context = fourchan_text.Context(BOARD, [post["no"] for post in posts], None)
            posts.append(writer.post(no, opening if posts else 0, created, context, rng.randrange(100)))
            created += rng.randrange(3600)
        posts[0] |= {"replies": len(posts) - 1, "images": 9, "unique_ips": 31, "bumplimit": 0, "imagelimit": 0}
        return posts

    def _post(self, id: int) -> dict[str, Any]:
        rng = Random(id)
        topic, number = _place(id)
        author = PERSON[id % len(PERSON)]
        writer = self._forum_writer
        writer._rng = rng
        raw, cooked = writer.post(writer.lead())
        wanted = min(rng.lognormvariate(6.6, 1.1), 30_000)  # characters; recorded: median 921, mean 2,051
        while len(raw) < wanted:
            more = writer.post(writer.lead())
            raw, cooked = f"{raw}\n\n{more[0]}", f"{cooked}\n{more[1]}"
        created = _iso(NOW - SPAN * ((self.posts - id + 1) / (self.posts + 1)))
        title = f"The fold of topic {topic} & what follows"
        return {
            "id": id, "created_at": created, "updated_at": created, "raw": raw, "cooked": cooked, "topic_id": topic,
            "post_number": number, "topic_slug": f"the-fold-of-topic-{topic}", "topic_title": title,
            "topic_html_title": title.replace("&", "&amp;"), "posts_count": TOPIC_POSTS, "excerpt": raw[:100],
            "post_url": f"/t/the-fold-of-topic-{topic}/{topic}/{number}",
            "reply_to_post_number": rng.randrange(1, number) if number > 1 and rng.random() < 0.4 else None,
            **author, **REST,
        }  # fmt: skip

    def _topic(self, id: int) -> dict[str, Any]:
        posts = [post for post in _posts_of(id) if post <= self.posts]
        opened, bumped = (
            _iso(NOW - SPAN * ((self.posts - post + 1) / (self.posts + 1))) for post in (posts[0], posts[-1])
        )
        return {
            "id": id, "title": f"The fold of topic {id} & what follows", "slug": f"the-fold-of-topic-{id}",
            "posts_count": len(posts), "reply_count": 3, "highest_post_number": len(posts), "image_url": None,
            "created_at": opened, "last_posted_at": bumped, "bumped_at": bumped, "archetype": "regular",
            "pinned": False, "visible": True, "closed": False, "archived": False, "views": 300, "like_count": 9,
            "has_summary": False, "category_id": 4, "tags": [{"id": 1, "name": "fold", "slug": "fold"}],
        }  # fmt: skip


def _place(post: int) -> tuple[int, int]:
    """Topic and number of a post: ten topics go on side by side."""
    block, place = divmod(post - 1, TOPIC_POSTS * TOPICS_AT_ONCE)
    number, topic = divmod(place, TOPICS_AT_ONCE)
    return block * TOPICS_AT_ONCE + topic + 1, number + 1


def _posts_of(topic: int) -> range:
    block, place = divmod(topic - 1, TOPICS_AT_ONCE)
    first = block * TOPIC_POSTS * TOPICS_AT_ONCE + place + 1
    return range(first, first + TOPIC_POSTS * TOPICS_AT_ONCE, TOPICS_AT_ONCE)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Connection(asyncio.Protocol):
    """Keep-alive requests, without bodies, answered in order."""

    def __init__(self, bodies: Bodies, latency: float) -> None:
        self._bodies, self._latency, self._rest = bodies, latency, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        *requests, self._rest = (self._rest + data).split(b"\r\n\r\n")
        for request in requests:
            target = request.split(b" ", 2)[1].decode()
            asyncio.get_running_loop().call_later(self._latency, self._send, target)

    def _send(self, target: str) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._bodies.answer(target))


@contextmanager
def served(posts: int, latency: float = 0.0) -> Iterator[str]:
    """A server in a process of its own; yields its URL."""
    command = [sys.executable, "-m", "benchmarks.server", "--posts", str(posts), "--latency", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


async def _serve(bodies: Bodies, latency: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(bodies, latency), "127.0.0.1", 0, backlog=128)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server", description=__doc__)
    parser.add_argument("--posts", type=int, default=30_000, help="on the board, in the forum, and so on (30000)")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS", help="of each answer (0)")
    options = parser.parse_args()
    prepared = Bodies(options.posts)
    if options.posts <= 100_000:
        prepared.prepare()
    asyncio.run(_serve(prepared, options.latency))
