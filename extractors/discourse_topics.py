"""Which topics of a Discourse forum get a row in a window, and from where."""

from datetime import UTC, datetime

from extractors.discourse_pages import TOPICS_PER_PAGE, Pages
from extractors.memory import gone
from extractors.platform import Community, Platform, Record, Row, Source, dumps, instant


class Topics:
    """Thread rows for the topics whose posts were read.

    Of a recent window the list of topics by activity has them all, 30 a request. An older one would need a request
    each, so its rows are derived from opening posts, unless a revisit found one changed.
    """

    def __init__(self, platform: Platform, community: Community, pages: Pages) -> None:
        self._platform, self._community, self._pages = platform, community, pages
        self.recent = True
        self._listed: dict[int, Record] = {}
        self._number, self._down_to = 0, datetime.max.replace(tzinfo=UTC)
        self._touched: set[int] = set()
        self._opened: dict[int, Record] = {}
        self._earliest: dict[int, datetime] = {}
        self._done: set[int] = set()

    def touch(self, post: Record, created: datetime) -> None:
        """A post of the topic is new or changed."""
        topic = post["topic_id"]
        self._earliest[topic] = min(created, self._earliest.get(topic, created))
        if topic not in self._done:
            self._touched.add(topic)
        if post["post_number"] == 1:
            self._opened[topic] = post

    def rows(self, hour: datetime, *, known: bool, last: bool) -> list[Row]:
        """Each topic once, as soon as it is known when it was created; at the `last` hour, by its earliest post."""
        found = []
        while self.recent and self._touched - self._listed.keys() and self._down_to >= hour:
            batch = self._pages.topics(self._number)
            self._number += 1
            self._listed |= {topic["id"]: topic for topic in batch}
            bumped = [instant(topic["bumped_at"]) for topic in batch if topic.get("bumped_at")]
            self._down_to = (
                min(bumped, default=hour) if len(batch) >= TOPICS_PER_PAGE else datetime.min.replace(tzinfo=UTC)
            )
        for topic in sorted(self._touched):
            record, opening = self._listed.get(topic), self._opened.get(topic)
            if record is None and known and not self.recent and opening:
                record = self._pages.topic(topic)
            created = (record or {}).get("created_at") or (opening or {}).get("created_at")
            if created is None and not last:
                continue
            if record:
                found.append(self._row(record, created or self._earliest[topic].isoformat(), "api"))
            elif opening:
                names = {"id": "topic_id", "title": "topic_title", "slug": "topic_slug", "category_id": "category_id"}
                derived = {name: opening.get(theirs) for name, theirs in names.items()}
                found.append(self._row(derived, opening["created_at"], "derived"))
            self._touched.discard(topic)
            self._done.add(topic)
            self._listed.pop(topic, None)
            self._opened.pop(topic, None)
            self._earliest.pop(topic, None)
        return found

    def listed(self, record: Record) -> Row:
        """The row of a topic as a list shows it."""
        return self._row(record, str(record.get("created_at")), "api")

    def vanished(self, topic: int, created: datetime) -> list[Row]:
        """The opening post is gone: ask whether the topic is, too."""
        if self._pages.topic(topic) is not None:
            return []
        return [gone(str(topic), None, created, self._pages.observed_at)]

    def _row(self, record: Record, created: str, source: Source) -> Row:
        row = self._platform.row(
            "threads", self._community, {**record, "created_at": created}, self._pages.observed_at, source
        )
        return row._replace(payload=dumps(record))
