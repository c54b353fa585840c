"""A crawl against the sandbox, and what it ought to have brought: for the tests of all platforms."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from extractors import plan
from extractors.crawl import crawl
from extractors.discord import Discord
from extractors.discord_api import headers
from extractors.discourse import COUNTERS as FORUM_COUNTERS
from extractors.discourse import Discourse
from extractors.fourchan import Fourchan
from extractors.fourchan_thread import COUNTERS as BOARD_COUNTERS
from extractors.http import Http
from extractors.lake import Commit, Lake, Receipt, Tracked
from extractors.lemmy import Lemmy
from extractors.mods_de import ModsDe
from extractors.pace import Pace
from extractors.platform import HOUR, Community, Entity, Platform, Window, floor_hour
from extractors.store import Folder, Store
from sandbox.discord import HOST as DISCORD_HOST
from sandbox.discord import TOKEN as DISCORD_TOKEN
from sandbox.discord_world import GENERAL, HELP
from sandbox.faults import Fault
from sandbox.history import Community as Invented
from sandbox.history import Post
from sandbox.server import Sandbox
from sandbox.world import World

START = datetime(2026, 11, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FAST = Pace(requests=100_000, seconds=1, in_flight=2)
PO = Community("fourchan:po", "4chan.org")
OUT = Community("fourchan:out", "4chan.org")
FORUM = Community("discourse:forum.example", "forum.example")
OLD = Community("discourse:old.example", "old.example")
PRIVATE = Community("discourse:private.example", "private.example")
CHAT = Community(f"discord:{GENERAL}", DISCORD_HOST)
QUESTIONS = Community(f"discord:{HELP}", DISCORD_HOST)
SECRETS = {DISCORD_HOST: headers(DISCORD_TOKEN)}
FOLDING = Community("lemmy:lemmy.example/folding", "lemmy.example")
TRAILS = Community("lemmy:old.lemmy.example/trails", "old.lemmy.example")
MAPS = Community("lemmy:new.lemmy.example/maps", "new.lemmy.example")
PUBLIC = Community("mods_de:14", "forum.mods.de")
TENTS = Community("mods_de:15", "forum.mods.de")
ARCHIVES = {"po": "https://archive.example"}
VOLATILE = BOARD_COUNTERS | FORUM_COUNTERS | {"mood"}  # which is what a fault adds

Row = dict[str, Any]
Key = tuple[str, str]  # community, id


def fourchan(**options: Any) -> Fourchan:
    return Fourchan(**{"pace": FAST} | options)


def lemmy(**options: Any) -> Lemmy:
    return Lemmy(**{"pace": FAST} | options)


def discourse(**options: Any) -> Discourse:
    return Discourse(**{"pace": FAST} | options)


def mods_de(**options: Any) -> ModsDe:
    return ModsDe(**{"pace": FAST} | options)


def track(lake: Lake, community: Community, since: datetime) -> None:
    lake.track(Tracked(community.key, community.instance, since, since))


def discord(**options: Any) -> Discord:
    return Discord(**{"pace": FAST} | options)


def client(sandbox: Sandbox, locks: Path, **options: Any) -> Http:
    defaults = {"attempts": 2, "backoff": 0.01, "patience": 0.05, "timeout": (5, 20), "clock": lambda: sandbox.now}
    given = options.pop("secrets", {})
    secrets = {host: {**SECRETS.get(host, {}), **given.get(host, {})} for host in {*SECRETS, *given}}
    defaults |= {"via": sandbox.url, "locks": locks, "user_agent": "threadlake tests", "secrets": secrets}
    return Http(**defaults | options)


def impatient(fault: Fault) -> dict[str, Any]:
    """Options of a client that a fault meets: it takes no huge answers, and a server that hangs is soon given up; any
    other may be as slow as a busy machine makes it."""
    return {"max_bytes": 1_000_000} | ({"timeout": (5, 0.5)} if fault.kind == "hang" else {})


@dataclass
class Crawler:
    """Crawls of one platform into one lake; the time is the sandbox's."""

    platform: Platform
    sandbox: Sandbox
    folder: Path
    http_options: Mapping[str, Any] = field(default_factory=dict)
    runs: int = 0
    store: Store | None = None  # another than in the folder

    def __post_init__(self) -> None:
        self.lake = Lake(self.store or Folder(self.folder / "lake"))
        self.http = client(self.sandbox, self.folder / "locks", **self.http_options)

    def crawl(self, window: Window, *communities: Community, refresh: bool = False) -> list[Commit]:
        self.runs += 1
        options: dict[str, Any] = {"lake": self.lake, "http": self.http, "run_id": f"run{self.runs:04}"}
        options |= {"clock": self.clock, "scratch": self.folder / "scratch", "refresh": refresh}
        return list(crawl(self.platform, communities, window, **options))

    def clock(self) -> datetime:
        """Later in each run, as in life: the state of a board is the one that was committed last."""
        return self.sandbox.now + timedelta(milliseconds=self.runs)

    def poll(self, *communities: Community) -> Commit:
        """One observation of the hour that is open."""
        return self.crawl(Window.hour(floor_hour(self.sandbox.now)), *communities)[0]

    def catch_up(self, start: datetime = START) -> list[Commit]:
        """What the schedule does: read what the lake lacks."""
        wanted = plan.wanted(self.lake, self.platform, self.sandbox.now, start)
        return [commit for window, some in plan.groups(wanted) for commit in self.crawl(window, *some)]

    def rows(self, entity: Entity = "posts") -> list[Row]:
        """Every committed row."""
        commits = self.lake.commits(self.platform.name)
        return [row for c in commits if entity in c.files for row in self.lake.table(c, entity).to_pylist()]

    def latest(self, entity: Entity = "posts") -> dict[Key, Row]:
        """The last row of each key: what the clean tables will show. An archive's row never replaces the API's."""
        name = "post_id" if entity == "posts" else "thread_id"
        keyed = [row for row in self.rows(entity) if row[name] and not row["parse_error"]]
        keyed.sort(key=lambda row: (row["source"] != "archive", row["observed_at"], row["run_id"]))
        return {(row["community"], row[name]): row for row in keyed}

    def receipts(self, community: Community) -> list[Receipt]:
        """Its receipts, by hour and time."""
        commits = self.lake.commits(self.platform.name)
        return [commit.communities[community.key] for commit in commits if community.key in commit.communities]

    def asked(self, host: str, path: str = ".*") -> int:
        return self.sandbox.requests.count(host, path)


def constant(payload: Mapping[str, Any], without: Iterable[str] = VOLATILE) -> dict[str, Any]:
    """A payload without what moves on every reading."""
    return {name: value for name, value in payload.items() if name not in without}


@dataclass
class Shown:
    """What a reader must know of a post."""

    thread: str
    created: datetime
    payload: dict[str, Any]
    gone: bool = False


class Truth:
    """What readings at certain moments must have seen, told from the world alone."""

    def __init__(self, world: World, community: Community, prefix: str = "") -> None:
        self.community, self.prefix = community, prefix
        self.invented: Invented = world.community(community.platform, community.name)
        self.shown: dict[str, Shown] = {}

    def see(self, post: Post, at: float) -> None:
        thread = f"{self.prefix}{self.invented.thread_of(post, at)}"
        created = datetime.fromtimestamp(post.created, UTC)
        self.shown[f"{self.prefix}{post.id}"] = Shown(thread, created, self.invented.payload(post, at))

    def miss(self, post: Post, at: float) -> None:
        """A reading in which the post ought to stand, if it was not deleted."""
        shown, absence = self.shown.get(f"{self.prefix}{post.id}"), post.absence(at)
        if shown and absence and not absence.pruned:
            shown.gone = True

    def check(self, crawler: Crawler) -> None:
        """The lake's latest rows are this, and nothing else."""
        latest = {key[1]: row for key, row in crawler.latest().items() if key[0] == self.community.key}
        assert latest.keys() == self.shown.keys()
        alive: dict[str, bytes] = {}
        for row in crawler.rows():
            if row["payload"] is not None and row["source"] == "api" and row["post_id"]:
                alive[row["post_id"]] = row["payload"]
        wrong = []
        for key, shown in self.shown.items():
            row = latest[key]
            payload = orjson.loads(alive[key])
            same = constant(payload) == constant(shown.payload) and row["gone"] == shown.gone
            if not same or (row["thread_id"], row["created_at"]) != (shown.thread, _whole_or_not(row, shown)):
                wrong.append((key, row["gone"], shown.gone, row["thread_id"], row["created_at"], shown, payload))
        assert not wrong, (len(wrong), wrong[:3])


def _whole_or_not(row: Row, shown: Shown) -> datetime:
    """The state keeps whole seconds, so that is what a row knows that says something is gone."""
    return shown.created.replace(microsecond=0) if row["gone"] else shown.created


def board_truth(world: World, community: Community, polls: Sequence[datetime]) -> Truth:
    """Of a board read at these moments. An archived thread is read once more, at the first reading after it left."""
    truth = Truth(world, community, f"{community.name}/")
    board = world.fourchan_board(community.name)
    stood: set[int] = set()
    for moment in polls:
        at = moment.timestamp()
        index = {thread.no for thread in board.index(at)}
        for no in index | stood:
            thread = board.thread(no, at)
            for post in board.threads[no].posts:
                if thread is not None and post.visible(at):
                    truth.see(post, at)
                else:
                    truth.miss(post, at)
        stood = index
    return truth


def forum_truth(world: World, community: Community, commits: Sequence[Commit]) -> Truth:
    """Of a forum whose hours were read as these commits say."""
    truth = Truth(world, community)
    by_hour: dict[datetime, list[Post]] = {}
    for post in truth.invented.posts():
        by_hour.setdefault(floor_hour(datetime.fromtimestamp(post.created, UTC)), []).append(post)
    for commit in sorted(commits, key=lambda commit: commit.observed_at):
        at = commit.observed_at.timestamp()
        for post in by_hour.get(commit.hour, []):
            if not post.regular or post.created > at:  # type: ignore[attr-defined]
                continue
            if post.visible(at):
                truth.see(post, at)
            elif at - post.created >= 300:
                truth.miss(post, at)
    return truth


def hourly(crawler: Crawler, until: datetime, tick: Callable[[], object]) -> Iterator[datetime]:
    """Set the clock on by hours, at minute 25 each, and do as told."""
    while crawler.sandbox.now + HOUR <= until:
        now = floor_hour(crawler.sandbox.now) + HOUR + 25 * MINUTE
        crawler.sandbox.now = now
        tick()
        yield now
