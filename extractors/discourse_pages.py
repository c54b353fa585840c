"""The requests to a Discourse forum: pages of posts, downwards, and of topics.

`before` means two things: today `id < before`, without gaps; in older versions the ids in (before-50, before], filtered
afterwards, so that a short or empty page is not the end. Both are read alike: the next `before` is the least id of the
page, what came twice is dropped, and after a page with nothing new it goes down by 49.
"""

from datetime import datetime

from extractors.errors import Malformed
from extractors.http import Http
from extractors.pace import Pace
from extractors.platform import Community, Platform, Record, Row, instant, whole

PER_PAGE = 50
TOPICS_PER_PAGE = 30


class Pages:
    """`/posts.json` of one forum, downwards. `asked`: the last `before`; `before`: where the next page begins;
    `ended`: there is none; `whole`: every record so far had a usable key; `modern`: `before` has today's meaning."""

    def __init__(self, community: Community, http: Http, pace: Pace) -> None:
        self.community, self.http, self.pace = community, http, pace
        self.base = f"https://{community.name}"
        self.asked: int | None = None
        self.before, self.ended, self.whole = 0, False, True
        self._lowest = 2**63
        self._broken: list[Record] = []
        self.modern = False

    def get(self, before: int | None) -> list[Record]:
        """The page of posts below an id, or the newest; newest first. Records without a usable key stand aside."""
        records = self._posts(before)
        if not records and self.modern:  # so it says that there are no more: better asked twice
            records = self._posts(before)
        well = sorted(filter(_usable, records), key=lambda record: -record["id"])
        self._broken += [record for record in records if not _usable(record)]
        least = well[-1]["id"] if well else None
        if least is not None and least <= (before or well[0]["id"]) - PER_PAGE:
            self.modern = True  # the older meaning of `before` never reaches so far down
        if least is None and before is None:
            raise Malformed(f"{self.base}/posts.json", None, "the newest posts", "none, which a forum always has")
        self.asked = before
        self.before = least if least is not None and least < self._lowest else (before or 1) - PER_PAGE + 1
        # a short page is not the end: a plugin or a proxy may have taken some of it out
        self.ended = self.before <= 1 or (self.modern and not records)
        return well

    def resume(self, before: int, modern: bool) -> None:
        """Go on where another reading stopped."""
        self._lowest, self.modern, self.ended = before, modern, before <= 1

    def _posts(self, before: int | None) -> list[Record]:
        params = {} if before is None else {"before": before}
        answer = self.http.get(f"{self.base}/posts.json", pace=self.pace, params=params, tolerate=frozenset())
        self.observed_at = answer.observed_at
        body = answer.json()
        records = body.get("latest_posts") if isinstance(body, dict) else None
        if not isinstance(records, list):
            raise Malformed(answer.url, None, 'an object with "latest_posts"', f"{answer.body[:80]!r}")
        return records

    def fresh(self, batch: list[Record]) -> list[Record]:
        """Those of a page that no page before it had: the older `before` gives the last one again."""
        records = [record for record in batch if record["id"] < self._lowest]
        self._lowest = min((record["id"] for record in records), default=self._lowest)
        return records

    def broken(self, platform: Platform) -> list[Row]:
        """Rows in quarantine for the records whose key or time cannot be read."""
        rows = [platform.row("posts", self.community, record, self.observed_at) for record in self._broken]
        self._broken.clear()
        self.whole = self.whole and not rows
        return rows

    def find(self, end: datetime, newest: list[Record]) -> list[Record]:
        """The page on which posts younger than `end` give way to older ones, by bisecting over the ids."""
        low, high = 0, newest[-1]["id"]
        while high - low > PER_PAGE:
            middle = below = (low + high) // 2
            batch = self.get(middle)
            while not (batch or self.modern) and below - PER_PAGE > low:  # an older forum has gaps
                below -= PER_PAGE - 1
                batch = self.get(below)
            if not batch or created_of(batch[0]) < end:
                low = middle - 1
            elif created_of(batch[-1]) < end:
                return batch
            else:
                high = min(high, batch[-1]["id"])
        return self.get(high)

    def topic(self, topic: int) -> Record | None:
        """One topic, without its posts; None if it cannot be read any more."""
        url = f"{self.base}/t/{topic}.json"
        answer = self.http.get(url, pace=self.pace, tolerate=frozenset({403, 404, 410}))
        body = answer.json() if answer.status == 200 else None
        if body is None:
            return None
        return {name: value for name, value in body.items() if name not in ("post_stream", "suggested_topics")}

    def topics(self, number: int) -> list[Record]:
        """A page of the topics, the last active first."""
        params = {"order": "activity", "page": number}
        answer = self.http.get(f"{self.base}/latest.json", pace=self.pace, params=params, tolerate=frozenset())
        try:
            topics: list[Record] = answer.json()["topic_list"]["topics"]
            self.observed_at = answer.observed_at
            for topic in topics:
                whole(topic, "id"), instant(topic.get("bumped_at") or 0)
            return topics
        except (LookupError, TypeError, ValueError, AttributeError) as problem:
            raise Malformed(answer.url, self.community.key, "a list of topics", f"{answer.body[:80]!r}") from problem


def _usable(record: object) -> bool:
    try:
        return (  # in one expression: it is asked of every record
            isinstance(record, dict)
            and type(record["id"]) is type(record["topic_id"]) is type(record["post_number"]) is int
            and isinstance(record["created_at"], str)
            and bool(instant(record["created_at"]))
        )
    except (LookupError, ValueError):
        return False


def created_of(record: Record) -> datetime:
    return instant(record["created_at"])
