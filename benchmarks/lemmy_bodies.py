"""One Lemmy community that stands still, in v3 of 0.19: posts by cursor and comments by page, 50 each."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from benchmarks.markdown import written
from sandbox import words

INSTANCE, COMMUNITY = "lemmy.example", "bench"
API = f"/{INSTANCE}/api/v3"
PER_PAGE, PEOPLE = 50, 200
COMMENTS = 14  # of each post
BORN = "2025-01-01T00:00:00.000000Z"


class LemmyBodies:
    """`posts` posts and comments together, written evenly in `span` before `now`."""

    def __init__(self, posts: int, now: datetime, span: timedelta) -> None:
        self._all, self._now, self._span = posts, now.timestamp(), span.total_seconds()
        self._posts = -(-posts // (1 + COMMENTS))
        self._comments = posts - self._posts

    def targets(self) -> Iterator[str]:
        """What a crawl asks for."""
        query = f"community_name={COMMUNITY}&limit={PER_PAGE}&sort=New&type_=All"
        posts = f"{API}/post/list?{query}&show_nsfw=true"
        yield posts
        yield from (f"{posts}&page_cursor=P{id:x}" for id in range(self._posts - PER_PAGE + 1, 0, -PER_PAGE))
        yield from (f"{API}/comment/list?{query}&page={i}" for i in range(1, self._comments // PER_PAGE + 3))

    def answer(self, path: str, arguments: dict[str, str]) -> object | None:
        if path == f"{API}/site":
            return {"version": "0.19.9"}
        if path == f"{API}/post/list":
            top = int(arguments.get("page_cursor", f"P{self._posts + 1:x}")[1:], 16) - 1
            shown = range(top, max(top - PER_PAGE, 0), -1)
            return {"posts": list(map(self._post, shown)), **({"next_page": f"P{shown[-1]:x}"} if shown else {})}
        if path == f"{API}/comment/list":
            top = self._comments - (int(arguments["page"]) - 1) * PER_PAGE
            return {"comments": [self._comment(id) for id in range(top, max(top - PER_PAGE, 0), -1)]}
        return None

    def _post(self, id: int) -> dict[str, Any]:
        rng = Random(id)
        last = _iso(self._at(id, COMMENTS))
        counts = {"post_id": id, "comments": COMMENTS, "score": 9, "upvotes": 10, "downvotes": 1,
                  "published": _iso(self._at(id, 0)), "newest_comment_time": last}  # fmt: skip
        more = {"saved": False, "read": False, "hidden": False, "unread_comments": COMMENTS}
        return {"post": self._bare(id), **self._around(rng), "counts": counts, **more}

    def _comment(self, id: int) -> dict[str, Any]:
        rng = Random(-id)
        post, place = (id - 1) // COMMENTS + 1, (id - 1) % COMMENTS + 1
        published = _iso(self._at(post, place))
        ancestors = sorted(rng.sample(range(id - place + 1, id), min(place - 1, rng.choice((0, 0, 1, 2, 4)))))
        own: dict[str, Any] = {
            "id": id, "creator_id": 0, "post_id": post, "content": written(rng), "removed": False,
            "published": published, "deleted": False, "ap_id": f"https://{INSTANCE}/comment/{id}", "local": True,
            "path": ".".join(map(str, (0, *ancestors, id))), "distinguished": False, "language_id": 37,
        }  # fmt: skip
        if rng.random() < 0.08:
            own["updated"] = published
        around = self._around(rng)
        own["creator_id"] = around["creator"]["id"]
        counts = {"comment_id": id, "score": 3, "upvotes": 3, "downvotes": 0, "published": published, "child_count": 1}
        return {"comment": own, "post": self._bare(post), **around, "counts": counts, "saved": False}

    def _bare(self, id: int) -> dict[str, Any]:
        rng = Random(id)
        own = {
            "id": id, "name": words.subject(rng).capitalize(), "creator_id": rng.randrange(PEOPLE), "community_id": 2,
            "removed": False, "locked": False, "published": _iso(self._at(id, 0)), "deleted": False, "nsfw": False,
            "ap_id": f"https://{INSTANCE}/post/{id}", "local": True, "language_id": 37, "featured_community": False,
            "featured_local": False, "url_content_type": "text/html; charset=utf-8",
        }  # fmt: skip
        return own | ({"body": written(rng)} if id % 2 else {"url": rng.choice(words.LINKS)})

    def _around(self, rng: Random) -> dict[str, Any]:
        id = rng.randrange(PEOPLE)
        creator = {
            "id": id, "name": f"folder{id}", "display_name": f"Folder {id}", "banned": False, "published": BORN,
            "avatar": f"https://{INSTANCE}/pictrs/image/{UUID(int=id << 100 | id)}.webp", "local": True,
            "deleted": False, "actor_id": f"https://{INSTANCE}/u/folder{id}", "bot_account": False, "instance_id": 1,
        }  # fmt: skip
        community = {
            "id": 2, "name": COMMUNITY, "title": "Paper folders", "description": "All about folding. " * 10,
            "removed": False, "published": BORN, "deleted": False, "nsfw": False, "local": True, "hidden": False,
            "actor_id": f"https://{INSTANCE}/c/{COMMUNITY}", "posting_restricted_to_mods": False, "instance_id": 1,
            "visibility": "Public",
        }  # fmt: skip
        return {"creator": creator, "community": community, "creator_banned_from_community": False,
                "banned_from_community": False, "creator_is_moderator": False, "creator_is_admin": False,
                "subscribed": "NotSubscribed", "creator_blocked": False}  # fmt: skip

    def _at(self, post: int, place: int) -> float:
        """When a post was written, or its comment of that place."""
        number = min((post - 1) * (1 + COMMENTS) + 1 + place, self._all)
        return self._now - self._span * ((self._all - number + 1) / (self._all + 1))


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
