"""4chan: boards, from the JSON API. Facts: one request a second; 304 only to the exact Last-Modified; no paging.

The API shows the present and, on most boards, a few days of archived threads. So a reading is of the board as it
stands (fourchan_board.py), thread by thread (fourchan_thread.py). What was pruned before it was read is only in a
FoolFuuka archive, if one is set (foolfuuka.py); the whole past stands in fourchan_past.py.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from extractors import foolfuuka, fourchan_board, fourchan_past
from extractors.http import Http
from extractors.pace import Pace
from extractors.platform import (
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
    instant,
    whole,
)
from extractors.records import columns
from extractors.text import plain_texts, urls

if TYPE_CHECKING:
    from extractors.erasure import Those

INSTANCE = "4chan.org"
PACE = Pace(requests=1, seconds=1.0)
URL = re.compile(r"^(?:https?://)?(?:boards\.4chan(?:nel)?\.org|a\.4cdn\.org)/([a-z0-9]+)(?:/|$)", re.IGNORECASE)
QUOTE = re.compile(r'<a href="(?:/([a-z0-9]+)/thread/\d+)?#p(\d+)"')
INTEGERS = "no resto time since4pass tim fsize w h tn_w tn_h filedeleted spoiler custom_spoiler m_img"
STRINGS = "now name trip id capcode country country_name board_flag flag_name sub com email filename ext md5"
THREAD_INTEGERS = "no time sticky closed replies images bumplimit imagelimit unique_ips archived archived_on"
THREAD_STRINGS = "name trip id capcode sub com semantic_url tag"
# What a thread's record says that is not of its first post; the last ones in an archive's words.
OF_THREADS = frozenset((
    *THREAD_INTEGERS.split(), "resto", "num", "thread_num", "subnum", "op", "timestamp", "fourchan_date", "nreplies",
    "nimages", "locked",
))  # fmt: skip


class Fourchan(Platform):
    """`archives`: the base URL of a FoolFuuka archive by board, such as `{"po": "https://archive.example"}`."""

    name = "fourchan"
    threads = columns({pa.string(): THREAD_STRINGS, pa.int64(): THREAD_INTEGERS + " last_modified page"})
    posts = columns({pa.string(): STRINGS, pa.int64(): INTEGERS})
    memory = "community"
    revisits = ()  # each reading is of all that stands, whatever its hour
    writer = ("trip", "id")  # names are anybody's

    def __init__(self, archives: Mapping[str, str] | None = None, pace: Pace = PACE) -> None:
        self.archives = dict(archives or {})
        self.pace = pace

    def community(self, url: str) -> Community | None:
        found = URL.match(url) or re.match(r"^fourchan:([a-z0-9]+)$", url) or re.match(r"^/([a-z0-9]+)/$", url)
        return Community(f"fourchan:{found[1].lower()}", INSTANCE) if found else None

    def url(self, community: Community) -> str:
        return f"https://boards.4chan.org/{community.name}/"

    def crawl(
        self, community: Community, window: Window, http: Http, states: Mapping[datetime, State], *, refresh: bool
    ) -> Iterator[Page]:
        return fourchan_board.crawl(self, community, window, http, states, refresh=refresh)

    def about(self, community: Community, http: Http) -> About:
        return fourchan_past.about(self, community, http)

    def history(self, community: Community, since: datetime, http: Http, cursor: State | None) -> Iterator[Page]:
        return fourchan_past.history(self, community, since, http, cursor)

    def parse(self, entity: Entity, community: Community, record: Record, source: Source) -> Parsed:
        if source == "archive":
            record = foolfuuka.fields(record)
        no, resto = whole(record, "no"), whole(record, "resto", 0)
        own, thread = f"{community.name}/{no}", f"{community.name}/{resto or no}"
        return Parsed(thread, own if entity == "posts" else None, instant(record["time"]), record)

    def redact(self, entity: Entity, record: Record, those: "Those", opened: bool) -> Record:
        # others show nothing but numbers; a thread's record is its first post
        own = record.get("trip") or record.get("id") or record.get("poster_hash")
        if entity == "threads" and (opened or those.author(own)):
            return {name: value if name in OF_THREADS else None for name, value in record.items()}
        return record

    def words(self, entity: Entity, community: Community, fields: Any) -> list[Words]:
        comments = [record.get("com") or "" for record in fields]
        return [
            Words(text, _quoted(html, community.name) if "#p" in html else [], urls(text) if "://" in text else [])
            for html, text in zip(comments, plain_texts(comments), strict=True)
        ]

    def content(self, entity: Entity, fields: Record) -> object:
        get = fields.get
        return [get("sub"), get("com"), get("md5"), get("filename"), get("filedeleted")]


def _quoted(html: str, board: str) -> list[str]:
    """The ids of the posts that a comment replies to, each once."""
    return list(dict.fromkeys(f"{other or board}/{no}" for other, no in QUOTE.findall(html)))
