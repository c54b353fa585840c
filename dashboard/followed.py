"""Who is tracked, as the page and the API show and change it."""

import threading
import time
from typing import Any

from dashboard import queries
from dashboard.reader import NothingPublished, Reader
from extractors.plan import health
from extractors.platform import HOUR
from orchestration.communities import EVERYTHING, span, state, track, untrack
from orchestration.pipeline import Pipeline

DAYS = 9  # of receipts in which a community's health shows
FRESH = 10.0  # seconds for which the answer is kept: it costs some listings of the lake


class Followed:
    """The tracked communities of a lake, and those of which there are posts."""

    def __init__(self, pipeline: Pipeline, reader: Reader) -> None:
        self._pipeline, self._reader = pipeline, reader
        self._lock = threading.Lock()
        self._known: tuple[float, list[dict[str, Any]]] | None = None

    def communities(self) -> list[dict[str, Any]]:
        """Everybody tracked, with how they do, and everybody of whom there are posts."""
        with self._lock:
            if self._known is None or time.monotonic() - self._known[0] > FRESH:
                self._known = (time.monotonic(), self._look())
            return self._known[1]

    def titles(self) -> dict[str, str]:
        """What the tracked ones call themselves, by their keys."""
        return {row["community"]: row["title"] for row in self.communities() if row["tracked"]}

    def add(self, url: str, since: str, every: str) -> str:
        """Ask its platform, and track it. Raises ValueError and CrawlError, in a sentence."""
        if not 0 < len(url) <= 500:
            raise ValueError("The address of a community is needed, as from the browser.")
        tracked, about = track(self._pipeline, url.strip(), since.strip(), every.strip())
        self._forget()
        return f"{tracked.key} is tracked: {about.title}"

    def drop(self, key: str) -> str:
        """Track it no more; what was fetched stays. Raises ValueError."""
        untrack(self._pipeline, key)
        self._forget()
        return f"{key} is tracked no more; what was fetched of it stays"

    def _forget(self) -> None:
        with self._lock:
            self._known = None

    def _look(self) -> list[dict[str, Any]]:
        try:
            counted = {row["community"]: row for row in queries.communities(self._reader)}
        except NothingPublished:
            counted = {}
        lake, now, rows = self._pipeline.lake, self._pipeline.settings.now(), []
        for platform in self._pipeline.platforms:
            tracked = lake.tracked(platform.name)
            commits = lake.commits(platform.name, now - 24 * DAYS * HOUR) if tracked else []
            for one in tracked:
                last, posts = health(commits, one.key), counted.pop(one.key, {})
                rows.append({
                    "community": one.key, "platform": platform.name, "instance": one.instance, "title": one.title,
                    "tracked": True, "since": None if one.since <= EVERYTHING else one.since, "every": span(one.every),
                    "url": platform.url(one.community), "last_success_at": last.succeeded_at, "failures": last.failures,
                    "posts": posts.get("posts", 0), "last_post_at": posts.get("last_at"),
                    "state": state(self._pipeline, one, last),
                })  # fmt: skip
        nothing = dict.fromkeys(("since", "every", "url", "last_success_at"))
        for key, posts in counted.items():
            told = {"community": key, "platform": posts["platform"], "instance": posts["instance"], "title": ""}
            counts = {"failures": 0, "posts": posts["posts"], "last_post_at": posts["last_at"]}
            rows.append({**nothing, **told, **counts, "tracked": False, "state": "tracked no more"})
        return rows
