"""Lemmy's API: which version an instance speaks, its lists as they come, and what a record of them is."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from extractors.errors import Malformed, Refused
from extractors.http import Http
from extractors.pace import Pace
from extractors.platform import Community, Record, instant

PER_PAGE = 50
TREE = 300  # comments at most of a request with max_depth, whatever its limit and page
ZONE = re.compile(r"[+-]\d\d:?\d\d$")

Mark = str | int | None
"""Where a page begins: a number or a cursor, empty for the newest; JSON can write it."""


class Item(NamedTuple):
    """A post or comment as listed. `key`: `p` or `c` and its id; `mark`: from where it is found again."""

    created: datetime
    key: str
    thread: str
    record: Record
    observed_at: datetime
    mark: Mark
    featured: bool


class Instance:
    """One instance, asked for one community. Its version is asked once, when it is made."""

    def __init__(self, community: Community, http: Http, pace: Pace) -> None:
        self.community, self._http, self._pace = community, http, pace
        self.name = community.name.partition("/")[2]
        self._base = f"https://{community.instance}/api/v3"
        version = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", str(self.get("site", {}).get("version", "")))
        if not version:
            raise Malformed(f"{self._base}/site", None, "the version of a Lemmy instance", "none")
        self.version = tuple(int(part or 0) for part in version.groups())
        self.modern = self.version >= (1,)
        if self.modern:
            self._base = f"https://{community.instance}/api/v4"

    def get(self, path: str, params: dict[str, Any], tolerate: frozenset[int] = frozenset()) -> Record:
        """The JSON object of an answer. Raises errors.CrawlError."""
        answer = self._http.get(f"{self._base}/{path}", pace=self._pace, params=params, tolerate=tolerate)
        self.observed_at, self.url = answer.observed_at, answer.url
        body = answer.json()
        if not isinstance(body, dict):
            raise Malformed(answer.url, None, "a JSON object", f"{answer.body[:80]!r}")
        return body

    def list(self, kind: str, sort: str, *, again: bool = True, **params: Any) -> tuple[list[Any], Record]:
        """Records of a list of posts or comments of the community, with all else the answer says."""
        names = {"sort": sort.lower(), "type_": "all"} if self.modern else {"sort": sort, "type_": "All"}
        if sort == "NewComments" and self.modern:
            names["sort"] = "new_comments"
        if kind == "post" and self.version >= (0, 19):
            names["show_nsfw"] = "true"  # else they are hidden from who has no account
        query = {"community_name": self.name, "limit": PER_PAGE, **names, **params}
        body = self.get(f"{kind}/list", {name: value for name, value in query.items() if value not in (None, "")})
        records = body.get("items" if self.modern else f"{kind}s")
        if not isinstance(records, list):
            raise Malformed(self.url, None, f"a list of {kind}s", f"{str(body)[:80]!r}")
        if not records and again:  # so it says that there are no more: better asked twice
            return self.list(kind, sort, again=False, **params)
        return records, body

    def one(self, kind: str, id: str) -> Record | None:
        """A post or comment by its id; None if it cannot be read any more."""
        body = self.get(kind, {"id": id}, frozenset({400, 404}))
        if "error" in body and body["error"] not in ("not_found", "couldnt_find_post", "couldnt_find_comment"):
            raise Refused(self.url, None, f"{kind} {id}", f"the error {body['error']!r}")
        view = body.get(f"{kind}_view", body)
        return view if kind in view else None

    def active(self, since: datetime) -> Iterator[Item]:
        """Posts that were commented since, by their last comment."""
        params: dict[str, Any] = {}
        while True:
            records, body = self.list("post", "NewComments", **params)
            items = [item for record in records if (item := item_of("post", record, self, None))]
            yield from items
            counts = [{**item.record.get("counts", {}), **item.record["post"]} for item in items if not item.featured]
            times = [own.get("newest_comment_time_at") or own.get("newest_comment_time") for own in counts]
            if len(records) < PER_PAGE or any(utc(time) < since for time in times[-1:] if time):
                return
            cursor, page = body.get("next_page"), int(params.get("page", 1)) + 1
            params = {"page_cursor": cursor} if cursor else {"page": page}


def item_of(kind: str, record: Any, instance: Instance, mark: Mark) -> Item | None:
    try:
        own = record[kind]
        id, thread = own["id"], own["id"] if kind == "post" else own["post_id"]
        created = utc(own.get("published_at") or own["published"])
        if type(id) is not int or type(thread) is not int or not isinstance(record.get("creator"), dict):
            return None
        featured = kind == "post" and bool(own.get("featured_community"))
        return Item(created, f"{kind[0]}{id}", str(thread), record, instance.observed_at, mark, featured)
    except (LookupError, TypeError, ValueError, AttributeError):
        return None


def utc(value: object) -> datetime:
    """A time of Lemmy's."""
    return instant(zoned(value) if isinstance(value, str) else None)


def zoned(value: object) -> object:
    """A time as it came; up to 0.18 without its zone, which is UTC."""
    if not isinstance(value, str) or value[-1:] == "Z" or ZONE.search(value):
        return value
    return f"{value}Z"
