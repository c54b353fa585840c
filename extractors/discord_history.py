"""The whole past of a Discord community: channel after channel, the newest first, and of each its own messages
downwards, then its open threads, then its archived ones, those archived last first.

A thread that is opened again meanwhile leaves the archive before it is reached, so the open ones are looked at once
more in the end. The cursor says where it is: {begun, channel, part, thread, at, before}; `at` is when the thread was
archived, `before` the id below which its messages are left, 0 when none is. A page is a request for messages.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from extractors.discord_api import WITH_MESSAGES, Api, Closed, Vanished, archived_at, begins, created_at, id_at
from extractors.discord_crawl import kinds, tag_names, thread_row
from extractors.errors import Malformed
from extractors.platform import HOUR, Page, Record, State, instant

if TYPE_CHECKING:
    from extractors.discord import Discord

PARTS = ("messages", "active", "public", "private", "reopened")


def history(platform: "Discord", api: Api, since: datetime, cursor: State | None) -> Iterator[Page]:
    """As the platform's `history` promises."""
    containers = [channel for channel in api.containers() if channel["type"] in WITH_MESSAGES or kinds(channel)]
    begun = instant(cursor["begun"]) if cursor else api.observed_at
    past = Past(platform, api, since, begun, tag_names(containers), cursor)
    ids = [channel["id"] for channel in containers]
    if cursor and cursor["channel"] in ids:
        del containers[: ids.index(cursor["channel"])]
    for number, channel in enumerate(containers, len(ids) - len(containers)):
        for page in past.channel(channel):
            done = (number + past.share(channel, page.state)) / len(ids)
            page.progress = (int(done * 1_000_000), 1_000_000)
            yield page
        if past.notes:
            yield Page(note="; ".join(past.notes), progress=((number + 1) * 1_000_000 // len(ids), 1_000_000))


class Past:
    """What the channels of one history have in common."""

    def __init__(
        self,
        platform: "Discord",
        api: Api,
        since: datetime,
        begun: datetime,
        tags: Mapping[str, str],
        cursor: State | None,
    ) -> None:
        self._platform, self._api, self._since, self._begun, self._tags = platform, api, since, begun, tags
        self._cursor = cursor  # where to go on; None once there
        self.notes: list[str] = []
        """What may not be read."""

    def channel(self, channel: Record) -> Iterator[Page]:
        """All that is left of a channel, by its parts."""
        if self._cursor and self._cursor["channel"] != channel["id"]:
            self._cursor = None
        if channel["type"] in WITH_MESSAGES and self._comes("messages"):
            yield from self._thread(channel, channel, "messages")
        if not kinds(channel):
            return
        had_archived = bool(self._cursor)
        for part in PARTS[1:]:
            if not self._comes(part) or (part == "reopened" and not had_archived):
                continue
            for thread in self._threads(channel, part):
                had_archived |= part in ("public", "private")
                yield from self._thread(channel, thread, part)

    def share(self, channel: Record, state: State | None) -> float:
        """How much of a channel is done, by its times."""
        if state is None:
            return 0.0
        part, now = state["part"], self._since
        if part == "messages" and state["before"]:
            now = created_at(str(state["before"]))
        elif part in PARTS[1:-1] and channel["type"] not in WITH_MESSAGES:
            now = self._begun if part == "active" else instant(state["at"])
        start = max(self._since, created_at(channel["id"]))
        whole = (self._begun - start).total_seconds()
        return min(1.0, max(0.0, (self._begun - now).total_seconds() / whole)) if whole > 0 else 1.0

    def _comes(self, part: str) -> bool:
        """Whether a part is still to be read; the one where the cursor stands is."""
        return self._cursor is None or PARTS.index(part) >= PARTS.index(self._cursor["part"])

    def _threads(self, channel: Record, part: str) -> Iterator[Record]:
        """The threads of a part, from the one at the cursor on."""
        at = self._cursor if self._cursor and self._cursor["part"] == part else None
        if part in ("active", "reopened"):
            mine = [thread for thread in self._api.active() if thread.get("parent_id") == channel["id"]]
            if part == "reopened":
                mine = [thread for thread in mine if archived_at(thread) >= self._begun]
            mine.sort(key=lambda thread: -int(thread["id"]))
            yield from (thread for thread in mine if at is None or int(thread["id"]) <= int(at["thread"]))
        elif part in kinds(channel):
            try:
                pages = self._api.archived(channel["id"], part, self._since, instant(at["at"]) if at else None)
                for threads in pages:
                    yield from threads
            except Closed:
                right = "; that needs the right to manage threads" if part == "private" else ""
                self.notes.append(f"the bot may not read the {part} threads of channel {channel['id']}{right}")
            except Vanished:
                return

    def _thread(self, channel: Record, thread: Record, part: str) -> Iterator[Page]:
        """A thread's messages from the cursor, if it stands there, or from the newest on; its row with the first."""
        api, before = self._api, id_at(self._begun + HOUR)
        at, self._cursor = self._cursor, None
        if at and at["part"] == part and (part == "messages" or at["thread"] == thread["id"]):
            before = at["before"]
        row = None if before <= id_at(self._begun) else thread_row(self._platform, api, thread, self._tags)
        while before > id_at(self._since):
            try:
                records = api.messages(thread["id"], before)
            except Closed:
                records = []
                self.notes.append(f"the bot may not read channel {thread['id']}")
            except Vanished:
                records = []
            rows = [self._platform.row("posts", api.community, record, api.observed_at) for record in records]
            ids = [int(row.post_id) for row in rows if row.post_id]
            if records and not ids:
                url = self._platform.url(api.community)
                raise Malformed(url, api.community.key, "messages with ids", f"{str(records[0])[:80]}")
            before = 0 if not records or begins(records[-1], thread["id"]) else min(ids)
            state = {
                "begun": self._begun.isoformat(), "channel": channel["id"], "part": part, "thread": thread["id"],
                "at": thread["thread_metadata"]["archive_timestamp"] if part != "messages" else None, "before": before,
            }  # fmt: skip
            kept = [row for row in rows if row.created_at is None or row.created_at >= self._since]
            yield Page(threads=[row] if row else [], posts=kept, state=state)
            row = None
