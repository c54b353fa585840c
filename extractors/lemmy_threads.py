"""Thread rows of the Lemmy posts and comments that a crawl has read."""

from datetime import datetime

from extractors.lemmy_api import Instance, Item, utc
from extractors.platform import Platform, Record, Row, Source, Window


class Threads:
    """Thread rows of what was read: a post is one itself; those of comments are in the list of posts by their last
    comment, 50 a request, or, of an older window, derived from the post that each comment carries."""

    def __init__(self, platform: Platform, instance: Instance, window: Window) -> None:
        self._platform, self._instance, self._window = platform, instance, window
        self._done: set[str] = set()
        self._touched: dict[str, Item] = {}
        self._active = instance.active(window.start)
        self._listed: dict[str, Item] = {}

    def __contains__(self, thread: str) -> bool:
        """Whether it waits for its row."""
        return thread in self._touched

    def touch(self, item: Item) -> list[Row]:
        """The post or comment is new or changed."""
        if item.key[0] == "c":
            if item.thread not in self._done:
                self._touched[item.thread] = item
            return []
        self._touched.pop(item.thread, None)
        self._done.add(item.thread)
        return [self._row(item.record, item.observed_at)]

    def rows(self, hour: datetime, recent: bool) -> list[Row]:
        """Of threads that comments of the hours read so far stand in, unless their posts are still to be read."""
        due = {thread: item for thread, item in self._touched.items() if hour == self._window.start or self._old(item)}
        while recent and due.keys() - self._listed.keys():
            post = next(self._active, None)
            if post is None:
                break
            self._listed[post.thread] = post
        found = []
        for thread, item in due.items():
            del self._touched[thread]
            self._done.add(thread)
            if thread in self._listed:
                found.append(self._row(self._listed[thread].record, self._listed[thread].observed_at))
            elif isinstance(item.record.get("post"), dict):
                found.append(self._row({"post": item.record["post"]}, item.observed_at, "derived"))
        return found

    def _old(self, item: Item) -> bool:
        post = item.record.get("post") or {}
        created = post.get("published_at") or post.get("published")
        return not created or utc(created) < self._window.start

    def _row(self, record: Record, observed_at: datetime, source: Source = "api") -> Row:
        return self._platform.row("threads", self._instance.community, record, observed_at, source)
