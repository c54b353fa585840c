"""What one reading of a listing knows of the last: which items are new, changed or back, and which are gone."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from extractors.platform import Row

YOUNG = timedelta(minutes=5)
"""A post younger than this may be missing from an answer for reasons of caching: its absence proves nothing."""


class Reading:
    """One complete reading, compared with the last. What it remembers of an item is a list that begins with
    `[created_at in Unix seconds, fingerprint]`; a platform may add what it needs to say that the item is gone."""

    def __init__(self, last: dict[str, list[Any]], refresh: bool = False) -> None:
        self._last = {} if refresh else last
        self._listed = last
        self.items: dict[str, list[Any]] = {}
        self.whole = True
        """To be set false where something listed could not be recognised: then nothing is known to be missing."""

    def __contains__(self, item: str) -> bool:
        """Whether the last reading listed it."""
        return item in self._listed

    def changed(self, item: str, created_at: datetime, fingerprint: str, *more: Any) -> bool:
        """Remember the item; whether its row must be written."""
        self.items[item] = [int(created_at.timestamp()), fingerprint, *more]
        known = self._last.get(item)
        return known is None or known[1] != fingerprint

    def forget(self, items: Iterable[str]) -> None:
        """What could not be read well is not known: the next reading writes it again."""
        for item in items:
            if item in self.items:
                self.items[item][1] = ""

    def missing(self, observed_at: datetime) -> Iterator[tuple[str, list[Any]]]:
        """Items of the last reading that this one, being complete, shows to be gone; the young stay remembered."""
        for item, known in self._listed.items():
            if item in self.items:
                continue
            if not self.whole or observed_at.timestamp() - known[0] < YOUNG.total_seconds():
                self.items[item] = known
            else:
                yield item, known


def gone(thread_id: str, post_id: str | None, created_at: datetime, observed_at: datetime) -> Row:
    """The row that says so."""
    return Row(thread_id, post_id, created_at, observed_at, {}, None)
