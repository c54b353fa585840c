"""Lemmy: communities of an instance, from its API (0.18 and 0.19: v3; 1.0: v4; see lemmy_api.py and lemmy_feeds.py).

Each post is a thread and its own opening post `p<id>`; its comments are posts `c<id>`, whose `path` tells the parent.
Ids belong to the instance; `ap_id` is the same everywhere. A deleted or removed comment stays listed without its words
and says so; a post vanishes from the lists. How a window is read stands in lemmy_crawl.py, the whole past in
lemmy_history.py.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from extractors import lemmy_crawl, lemmy_history
from extractors.erasure import NOBODY
from extractors.errors import Malformed, NotFound, NotPublic, Refused
from extractors.http import Http
from extractors.lemmy_api import Instance, utc, zoned
from extractors.markdown import plain
from extractors.pace import Pace
from extractors.platform import (
    HOST,
    About,
    Community,
    Entity,
    Page,
    Parsed,
    Platform,
    Record,
    Source,
    State,
    Window,
    Words,
    whole,
)
from extractors.records import TIMESTAMP, columns

if TYPE_CHECKING:
    from extractors.erasure import Those

PACE = Pace(requests=1, seconds=1.0)  # what its nginx example allows in the long run; 180 in 60 s are Lemmy's own
NAME = rf"[a-z0-9_]+(?:@{HOST})?"
URL = re.compile(rf"^(?:https?://)?({HOST})/(?:c|feeds/c)/({NAME})(?:\.xml)?/?(?:[?#].*)?$", re.IGNORECASE)
ITEM = re.compile(rf"^https?://({HOST})/((?:post|comment)/\d+)(?:[/?#].*)?$", re.IGNORECASE)
KEY = re.compile(rf"^lemmy:({HOST})/({NAME})$", re.IGNORECASE)
HANDLE = re.compile(rf"^!([a-z0-9_]+)@({HOST})$", re.IGNORECASE)
HANDLED = re.compile(rf"@(\w+)@({HOST})")
PROFILE = re.compile(rf"https?://{HOST}/u/\w+(?!\w*@)")
OF_POSTERS = frozenset((
    "creator_id", "name", "url", "body", "thumbnail_url", "embed_title", "embed_description", "embed_video_url",
    "alt_text",
))  # fmt: skip
"""What of a post its poster wrote, or is."""
PEOPLE = "creator_name creator_display_name creator_actor_id creator_avatar creator_bio"
THREAD_STRINGS = f"name url body ap_id thumbnail_url embed_title embed_description alt_text {PEOPLE}"
THREAD_INTEGERS = "id creator_id community_id language_id comments score upvotes downvotes"
THREAD_BOOLEANS = (
    "removed locked deleted nsfw local featured_community featured_local creator_bot_account creator_banned"
)
STRINGS = f"name url body content ap_id path {PEOPLE}"
INTEGERS = "id creator_id language_id parent_id depth score upvotes downvotes comments child_count"
BOOLEANS = "removed deleted local distinguished creator_bot_account creator_banned creator_is_moderator"


class Lemmy(Platform):
    """A community as one instance shows it: `lemmy:lemmy.world/technology`, or `…/name@host` of one that is remote."""

    name = "lemmy"
    threads = columns(
        {pa.string(): THREAD_STRINGS, pa.int64(): THREAD_INTEGERS, pa.bool_(): THREAD_BOOLEANS,
         TIMESTAMP: "updated newest_comment_time creator_published"}
    )  # fmt: skip
    posts = columns(
        {pa.string(): STRINGS, pa.int64(): INTEGERS, pa.bool_(): BOOLEANS, TIMESTAMP: "updated creator_published"}
    )
    memory = "hour"
    writer, called = ("creator_id",), ("creator_name", "creator_display_name", "creator_actor_id")

    def __init__(self, pace: Pace = PACE) -> None:
        self.pace = pace

    def community(self, url: str) -> Community | None:
        found = URL.match(url) or KEY.match(url)
        handle = HANDLE.match(url)
        if item := ITEM.match(url):  # whose it is, `about` asks
            return Community(f"lemmy:{item[1].lower()}/{item[2].lower()}", item[1].lower())
        if not (found or handle):
            return None
        host, name = (found[1], found[2]) if found else (handle[2], handle[1]) if handle else ("", "")
        return _community(host, name)

    def url(self, community: Community) -> str:
        host, _, name = community.name.partition("/")
        return f"https://{host}/c/{name}"

    def crawl(
        self, community: Community, window: Window, http: Http, states: Mapping[datetime, State], *, refresh: bool
    ) -> Iterator[Page]:
        yield from lemmy_crawl.crawl(self, Instance(community, http, self.pace), window, states, refresh=refresh)

    def about(self, community: Community, http: Http) -> About:
        kind, _, id = community.name.partition("/")[2].partition("/")
        if id:
            instance = Instance(community, http, self.pace)
            if (record := instance.one(kind, id)) is None:
                advice = "check its address: it is unknown there, or was deleted"
                raise NotFound(instance.url, community.key, f"a {kind}", "none", advice)
            return self.about(_community_of(record["community"], community.instance), http)
        try:
            instance = Instance(community, http, self.pace)
            answer = instance.get("community", {"name": instance.name})
        except NotPublic:
            raise
        except (NotFound, Refused) as problem:
            if "instance_is_private" in problem.came:
                advice = "the instance shows nothing without a login, so follow the community where it is public"
            else:
                advice = "check the host and the community's name: it is unknown there, was removed, or is private"
            raise type(problem)(problem.url, community.key, "a community", problem.came, advice) from None
        view = answer.get("community_view") or {}
        own = view.get("community") or {}
        if "name" not in own:
            raise Malformed(instance.url, community.key, "a community", f"{str(answer)[:80]!r}")
        state = str(own.get("visibility", "public")).lower()
        closed = "removed" if own.get("removed") else "deleted" if own.get("deleted") else ""
        closed = closed or (state if "private" in state or "local" in state else "")
        if closed:
            raise Refused(instance.url, community.key, "a public community", f"one that is {closed}")
        counts = {**own, **view.get("counts", {})}
        total = counts.get("posts", 0) + counts.get("comments", 0)
        found = _community_of(own, instance.url.split("/")[2].lower())
        return About(found, own.get("title") or own["name"], total)

    def history(self, community: Community, since: datetime, http: Http, cursor: State | None) -> Iterator[Page]:
        yield from lemmy_history.history(self, Instance(community, http, self.pace), since, cursor)

    def parse(self, entity: Entity, community: Community, record: Record, source: Source) -> Parsed:
        kind = "comment" if "comment" in record else "post"
        own: Record = record[kind]
        if "published_at" in own:  # 1.0
            own = {name.removesuffix("_at"): value for name, value in own.items()}
        id = whole(own, "id")
        thread = whole(own, "post_id") if kind == "comment" else id
        creator = record.get("creator") or {}
        fields: Record = {
            **record.get("counts", {}),
            **own,
            "updated": zoned(own.get("updated")),
            "creator_name": creator.get("name"),
            "creator_display_name": creator.get("display_name"),
            "creator_actor_id": creator.get("actor_id") or creator.get("ap_id"),
            "creator_avatar": creator.get("avatar"),
            "creator_bio": creator.get("bio"),
            "creator_bot_account": creator.get("bot_account"),
            # 1.0 says it beside the person
            "creator_banned": record.get("creator_banned", creator.get("banned")),
            "creator_published": zoned(creator.get("published") or creator.get("published_at")),
            "creator_is_moderator": record.get("creator_is_moderator"),
        }
        fields["newest_comment_time"] = zoned(fields.get("newest_comment_time"))
        if kind == "comment":
            path = own["path"].split(".")
            fields |= {"depth": len(path) - 1, "parent_id": int(path[-2]) or None, "name": None, "thread": str(thread)}
        created = utc(own["published"])
        if entity == "threads":
            return Parsed(str(thread), None, created, fields)
        return Parsed(str(thread), f"{kind[0]}{id}", created, fields)

    def redact(self, entity: Entity, record: Record, those: "Those", opened: bool) -> Record:
        def spoken(text: str | None) -> str | None:
            text = text and HANDLED.sub(lambda it: NOBODY if those.name(f"https://{it[2]}/u/{it[1]}") else it[0], text)
            return text and PROFILE.sub(lambda it: "" if those.name(it[0]) else it[0], text)

        found, post, comment = dict(record), record.get("post"), record.get("comment")
        if post and (opened or those.author(post.get("creator_id"))):
            found["post"] = {name: None if name in OF_POSTERS else value for name, value in post.items()}
            if comment is None:
                found["creator"] = None
        elif post:
            found["post"] = {n: spoken(v) if n in ("name", "body") else v for n, v in post.items()}
        if comment:
            found["comment"] = comment | {"content": spoken(comment.get("content"))}
        return found

    def opens(self, row: Record) -> bool:
        return str(row["post_id"]).startswith("p")

    def words(self, entity: Entity, community: Community, fields: Sequence[Record]) -> list[Words]:
        found = []
        for record in fields:
            text, links = plain(record.get("content") or record.get("body") or "")
            quotes = []
            if "path" in record:
                quotes = [f"c{record['parent_id']}" if record["parent_id"] else f"p{record['thread']}"]
            links = [record["url"], *links] if record.get("url") else links
            found.append(Words(text, quotes, list(dict.fromkeys(links))))
        return found

    def content(self, entity: Entity, fields: Record) -> object:
        return fields["content"] if "path" in fields else [fields["name"], fields.get("url"), fields.get("body")]


def _community_of(own: Record, host: str) -> Community:
    """What an instance calls a community."""
    actor = str(own.get("ap_id") or own.get("actor_id")).split("/")[2].lower()
    return _community(host, own["name"] if own.get("local", actor == host) else f"{own['name']}@{actor}")


def _community(host: str, name: str) -> Community:
    host, name = host.lower(), name.lower()
    return Community(f"lemmy:{host}/{name.removesuffix(f'@{host}')}", host)
