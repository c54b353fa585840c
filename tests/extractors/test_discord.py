"""Discord, crawled from the sandbox over HTTP: windows, edits, deletions, closed doors, the whole past, politeness."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from extractors.discord_api import created_at, headers, id_at
from extractors.errors import NotFound, Refused
from extractors.lake import Commit
from extractors.platform import HOUR, Community, Page, Window, floor_hour
from sandbox.discord import PLAIN_TOKEN, Discord
from sandbox.discord_world import GENERAL, GUILD, STAFF
from sandbox.faults import Fault
from sandbox.limits import Limit
from sandbox.server import Sandbox
from sandbox.site import Request, Response, Site, json_response
from sandbox.world import World
from tests.extractors.crawling import CHAT, MINUTE, QUESTIONS, START, Crawler, Truth, client, discord, hourly, track

SERVER = Community(f"discord:{GUILD}", "discord.com")
HOST, MESSAGES = r"discord\.com", r"/api/v10/channels/\d+/messages"
# what moves on every reading, and what a message says of others
MOVING = {"reactions", "thread", "flags", "referenced_message", "author", "mentions", "mood"}


@pytest.fixture(scope="module")
def world() -> World:
    return World(start=START, hours=52)


@pytest.fixture
def sandbox(world: World) -> Iterator[Sandbox]:
    with Sandbox(world, now=START + 30 * HOUR + 25 * MINUTE) as sandbox:
        yield sandbox


@pytest.fixture
def crawler(sandbox: Sandbox, tmp_path: Path) -> Crawler:
    return Crawler(discord(), sandbox, tmp_path)


def said(payload: dict[str, Any]) -> dict[str, Any]:
    """A message without what moves on every reading, its files by their ids."""
    files = [file["id"] for file in payload["attachments"]]
    return {name: value for name, value in payload.items() if name not in MOVING} | {"attachments": files}


class ChatTruth(Truth):
    """What readings of hours must have seen."""

    def read(self, commits: Sequence[Commit]) -> "ChatTruth":
        for commit in sorted(commits, key=lambda commit: commit.observed_at):
            at, hour = commit.observed_at.timestamp(), Window.hour(commit.hour)
            for post in self.invented.posts():
                if post.created > at or datetime.fromtimestamp(post.created, UTC) not in hour:
                    continue
                if post.visible(at):
                    self.see(post, at)
                elif at - post.created >= 300:
                    self.miss(post, at)
        return self

    def check(self, crawler: Crawler) -> None:
        latest = {key[1]: row for key, row in crawler.latest().items() if key[0] == self.community.key}
        assert latest.keys() == self.shown.keys()
        alive = {
            row["post_id"]: row for row in crawler.rows() if row["payload"] and row["community"] == self.community.key
        }
        for key, shown in self.shown.items():
            row = latest[key]
            assert row["gone"] == shown.gone and row["thread_id"] == shown.thread, (key, row, shown)
            assert said(orjson.loads(alive[key]["payload"])) == said(shown.payload)
            assert abs(row["created_at"] - shown.created) < timedelta(seconds=1 if shown.gone else 0.001)


def truth(world: World, community: Community, commits: Sequence[Commit]) -> ChatTruth:
    return ChatTruth(world, community).read(commits)


# -- the truth -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("community", [CHAT, QUESTIONS, SERVER], ids=["channel", "forum", "guild"])
def test_two_days_hour_by_hour_are_the_truth(community: Community, world: World, tmp_path: Path) -> None:
    """Edits, deletions, deleted threads; ten hours of outage; polls of an open hour; revisits."""
    with Sandbox(world, now=START + 3 * HOUR) as sandbox:
        crawler = Crawler(discord(), sandbox, tmp_path)
        track(crawler.lake, community, START)
        list(hourly(crawler, START + 12 * HOUR, crawler.catch_up))
        for _ in range(3):
            sandbox.now += 10 * MINUTE
            crawler.poll(community)
        sandbox.now = START + 22 * HOUR + 25 * MINUTE
        crawler.catch_up()
        list(hourly(crawler, START + 40 * HOUR, crawler.catch_up))
        assert all(receipt.complete and not receipt.error for receipt in crawler.receipts(community))
        found = truth(world, community, crawler.lake.commits("discord"))
        found.check(crawler)
        assert sum(shown.gone for shown in found.shown.values()) > 3
        versions = {(row["post_id"], row["content_hash"]) for row in crawler.rows() if row["payload"]}
        assert len(versions) > len(found.shown), "edits were seen"
        threads = {thread: row for (_, thread), row in crawler.latest("threads").items()}
        assert threads.keys() >= {shown.thread for shown in found.shown.values()}
        guild = world.discord_guild(community.name)
        for thread, row in threads.items():
            assert row["name"] == guild.by_id[int(thread)].name or row["gone"]
        gone = {thread for thread, row in threads.items() if row["gone"]}
        assert all(guild.by_id[int(thread)].deleted <= sandbox.now.timestamp() for thread in gone)


def test_old_windows_are_addressed_directly(crawler: Crawler, world: World) -> None:
    crawler.sandbox.now = START + 52 * HOUR
    for first, last in ((20, 23), (0, 2), (40, 41)):
        crawler.crawl(Window(START + first * HOUR, START + last * HOUR), SERVER)
    found = truth(world, SERVER, crawler.lake.commits("discord"))
    found.check(crawler)
    assert len(found.shown) > 200


def test_one_window_of_two_days_is_read_once(crawler: Crawler, world: World) -> None:
    crawler.sandbox.now = START + 52 * HOUR + 10 * MINUTE
    commits = crawler.crawl(Window(START, START + 52 * HOUR), SERVER)
    assert len(commits) == 52 and all(commit.closes(SERVER.key) for commit in commits)
    truth(world, SERVER, commits).check(crawler)
    asked = Counter(one.target for one in crawler.sandbox.requests)
    assert max(asked.values()) == 1, "no page twice"
    refreshed = crawler.crawl(Window(START, START + 52 * HOUR), SERVER, refresh=True)
    truth(world, SERVER, [*commits, *refreshed]).check(crawler)


def test_rows_have_what_people_ask_for(crawler: Crawler) -> None:
    crawler.sandbox.now = START + 52 * HOUR
    crawler.crawl(Window(START, START + 52 * HOUR), SERVER)
    rows = crawler.rows()
    assert {row["type"] for row in rows} >= {0, 7, 19, 21}
    replies = [row for row in rows if row["type"] == 19]
    assert all(row["quotes"] == [orjson.loads(row["payload"])["message_reference"]["message_id"]] for row in replies)
    forwards = [row for row in rows if row["reference_type"] == 1]
    assert forwards and all(row["text"] and not row["quotes"] and row["content"] == "" for row in forwards)
    assert any(row["edited_timestamp"] for row in rows) and any(row["reaction_count"] for row in rows)
    files = [row for row in rows if row["attachment_ids"]]
    assert files and all("cdn.discordapp.com" not in row["text"] for row in files)
    assert any(":crane:" in row["text"] and "**" not in row["text"] for row in rows)
    mentions = [row for row in rows if "<@" in row["content"]]
    assert mentions and all("@folder" in row["text"].lower() for row in mentions)
    assert any(row["links"] for row in rows) and any(row["author_bot"] for row in rows)
    assert all(row["created_at"] == created_at(row["post_id"]) for row in rows)
    threads = crawler.rows("threads")
    assert {row["type"] for row in threads} >= {0, 5, 10, 11, 12}
    assert any("solved" in row["tags"] for row in threads)


# -- a guild made by hand ------------------------------------------------------------------------------------------


class Room(Site):
    """One text channel made by hand: ids to contents; `hidden` are served by none, `status` by all."""

    hosts = ("discord.com",)

    def __init__(self, *ids: int, signature: str = "1") -> None:
        self.ids, self.hidden, self.signature, self.words = list(ids), set[int](), signature, True
        self.closed = self.blind = False
        self.sequel: list[dict[str, Any]] = []

    def message(self, id: int) -> dict[str, Any]:
        file = {
            "id": "5",
            "filename": "a.png",
            "url": f"https://cdn.discordapp.com/a.png?ex={self.signature}&is=1&hm=2",
        }
        return {
            "id": str(id), "channel_id": GENERAL.partition("/")[2], "type": 0, "content": "hello" if self.words else "",
            "author": {"id": "600000000000000001", "username": "ada"}, "attachments": [file] if self.words else [],
            "embeds": [], "timestamp": created_at(str(id)).isoformat(), "edited_timestamp": None, "mentions": [],
        }  # fmt: skip

    def answer(self, request: Request, now: datetime) -> Response:
        if request.path.endswith("/messages"):
            if self.closed:
                return json_response({"code": 50001, "message": "Missing Access"}, 403)
            below = int(request.argument("before") or 2**63)
            shown = [] if self.blind else [id for id in self.ids if id < below and id not in self.hidden]
            return json_response([self.message(id) for id in sorted(shown, reverse=True)[:100]])
        if "threads" in request.path:
            return json_response({"threads": self.sequel, "members": [], "has_more": False})
        if request.path.endswith("/@me"):
            return json_response({"id": "1", "flags": 0})
        guild, channel = GENERAL.split("/")
        last = str(max(self.ids)) if self.ids else None
        return json_response({"id": channel, "type": 0, "name": "g", "guild_id": guild, "last_message_id": last})


def ids(*hours: float) -> list[int]:
    return [id_at(START + hour * HOUR) for hour in hours]


def test_a_signature_that_expires_is_no_change(tmp_path: Path) -> None:
    room = Room(*ids(0.1, 0.2))
    with Sandbox(now=START + 2 * HOUR, sites=[room]) as sandbox:
        crawler = Crawler(discord(), sandbox, tmp_path)
        crawler.crawl(Window.hour(START), CHAT)
        room.signature = "2"
        assert crawler.crawl(Window.hour(START), CHAT)[0].rows == 0


def test_an_empty_list_proves_nothing(tmp_path: Path) -> None:
    """A bot that lost Read Message History gets one."""
    room = Room(*ids(0.1, 0.2, 1.2))
    with Sandbox(now=START + 2 * HOUR, sites=[room]) as sandbox:
        crawler = Crawler(discord(), sandbox, tmp_path)
        crawler.crawl(Window.hour(START), CHAT)
        room.blind = True
        crawler.crawl(Window.hour(START), CHAT)
        assert not any(row["gone"] for row in crawler.rows())
        room.blind, room.hidden = False, {room.ids[1]}
        crawler.crawl(Window.hour(START), CHAT)
        assert [row["post_id"] for row in crawler.rows() if row["gone"]] == [str(room.ids[1])]


def test_what_misses_below_other_messages_is_gone(tmp_path: Path) -> None:
    """Nothing is left below the window's end, but the channel shows what it has above."""
    room = Room(*ids(0.1, 1.2))
    with Sandbox(now=START + 2 * HOUR, sites=[room]) as sandbox:
        crawler = Crawler(discord(), sandbox, tmp_path)
        crawler.crawl(Window(START, START + 2 * HOUR), CHAT)
        room.hidden = {room.ids[0]}
        crawler.crawl(Window.hour(START), CHAT)
        assert [row["post_id"] for row in crawler.rows() if row["gone"]] == [str(room.ids[0])]


def test_a_closed_channel_is_remembered_for_a_day(tmp_path: Path) -> None:
    room = Room(*ids(0.1, 0.2, 1.2))
    with Sandbox(now=START + 1.5 * HOUR, sites=[room]) as sandbox:
        crawler = Crawler(discord(), sandbox, tmp_path)
        crawler.crawl(Window.hour(START), CHAT)
        room.closed = True
        asked = []
        for hour in range(1, 30):
            sandbox.now = START + (hour + 1.5) * HOUR
            room.ids += ids(hour + 0.5)
            sandbox.requests.clear()
            crawler.crawl(Window.hour(START + hour * HOUR), CHAT)
            asked.append(crawler.asked("discord.com", MESSAGES))
        assert asked[0] == 1 and sum(asked) == 2 and asked[24:26].count(1) == 1
        assert not any(row["gone"] for row in crawler.rows())


def test_words_that_all_are_missing_have_a_reason(tmp_path: Path) -> None:
    room = Room(*ids(0.1, 0.2))
    room.words = False
    with Sandbox(now=START + 2 * HOUR, sites=[room]) as sandbox:
        crawler = Crawler(discord(), sandbox, tmp_path)
        note = crawler.crawl(Window.hour(START), CHAT)[0].communities[CHAT.key].note
        assert note and "Message Content Intent" in note
        room.words = True
        assert crawler.crawl(Window.hour(START), CHAT, refresh=True)[0].communities[CHAT.key].note is None


# -- what goes wrong -----------------------------------------------------------------------------------------------


def test_a_refused_token_stops_all_that_host(world: World, tmp_path: Path) -> None:
    with Sandbox(world, now=START + 8 * HOUR) as sandbox:
        crawler = Crawler(discord(), sandbox, tmp_path, {"secrets": {"discord.com": headers("somebodys-own-token")}})
        commit = crawler.crawl(Window.hour(START + 7 * HOUR), CHAT, QUESTIONS, SERVER)[0]
        errors = [receipt.error or "" for receipt in commit.communities.values()]
        assert len(errors) == 3 and all("401" in error and "a user's token is refused" in error for error in errors)
        assert len(sandbox.requests) <= 2, "those that were under way"
        with pytest.raises(ValueError, match="no bot's token"):
            headers("mfa.something")


@pytest.mark.parametrize("fault", [
    Fault("500", path=MESSAGES, after=2), Fault("html", path=MESSAGES, after=1, times=1),
    Fault("invalid_json", path=r"/api/v10/guilds/\d+/threads"), Fault("cut", path=MESSAGES),
    Fault("wrong_type", path=r"/api/v10/guilds", field="thread_metadata", value=None),
    Fault("redirect", path=MESSAGES, location="https://discord.com/login"),
], ids=lambda fault: f"{fault.kind}-{fault.field}")  # fmt: skip
def test_a_fault_is_named_and_heals(fault: Fault, world: World, tmp_path: Path) -> None:
    window = Window(START + 9 * HOUR, START + 12 * HOUR)
    with Sandbox(world, now=window.end + 10 * MINUTE) as sandbox:
        crawler = Crawler(discord(), sandbox, tmp_path)
        sandbox.faults.add(fault)
        commits = crawler.crawl(window, CHAT)
        errors = [r.error for commit in commits if not (r := commit.communities[CHAT.key]).complete]
        assert errors and all(error and error.startswith(f"{CHAT.key}: https://discord.com/api/") for error in errors)
        sandbox.faults.clear()
        healed = crawler.crawl(window, CHAT)
        assert all(commit.closes(CHAT.key) for commit in healed)
        truth(world, CHAT, healed).check(crawler)


def test_limits_of_routes_are_kept(world: World, tmp_path: Path) -> None:
    site = Discord(world, Limit(3, 0.3))
    with Sandbox(world, now=START + 52 * HOUR, sites=[site]) as sandbox:
        crawler = Crawler(discord(), sandbox, tmp_path, {"patience": 2})
        commits = crawler.crawl(Window(START + 20 * HOUR, START + 52 * HOUR), CHAT)
        assert all(commit.closes(CHAT.key) for commit in commits)
        assert [one.status for one in sandbox.requests if one.status != 200] == [], "told in time"


# -- what it says of a community -----------------------------------------------------------------------------------


def test_about(sandbox: Sandbox, tmp_path: Path, world: World) -> None:
    http, platform = client(sandbox, tmp_path), discord()
    assert platform.about(CHAT, http) == (CHAT, "#general", None)
    assert platform.about(SERVER, http)[1] == "Paper folders"
    assert platform.about(QUESTIONS, http)[1] == "#help"
    guild = world.discord_guild(GENERAL)
    thread = next(t for t in guild.threads if str(t.parent) in GENERAL and t.stands(sandbox.now.timestamp()))
    assert platform.about(Community(f"discord:{GUILD}/{thread.id}", "discord.com"), http).community == CHAT
    for name, expected, words in (
        (STAFF, Refused, "View Channel and Read Message History"),
        (f"{GUILD}/700000000000000015", Refused, "follow its channels"),
        (f"{GUILD}/700000000000000077", NotFound, "Unknown Channel"),
        ("700000000000000077", NotFound, "Unknown Guild"),
    ):
        with pytest.raises(expected, match=words) as caught:
            platform.about(Community(f"discord:{name}", "discord.com"), http)
        assert str(caught.value).startswith(f"discord:{name}: https://discord.com/")
    plain = client(sandbox, tmp_path, secrets={"discord.com": headers(PLAIN_TOKEN)})
    with pytest.raises(Refused, match="Message Content Intent"):
        platform.about(CHAT, plain)


# -- the whole past ------------------------------------------------------------------------------------------------


def past(sandbox: Sandbox, folder: Path, community: Community, since: datetime = START) -> Iterator[Page]:
    return discord().history(community, since, client(sandbox, folder), None)


@pytest.mark.parametrize("community", [CHAT, QUESTIONS, SERVER], ids=["channel", "forum", "guild"])
def test_the_past_is_the_truth_wherever_it_is_killed(community: Community, world: World, tmp_path: Path) -> None:
    with Sandbox(world, now=START + 52 * HOUR) as sandbox:
        stand = {post.id for post in world.truth("discord", community.name, sandbox.now) if post.visible}
        pages = list(past(sandbox, tmp_path, community))
        found = [row.post_id for page in pages for row in page.posts]
        assert set(found) == stand and len(found) == len(stand), "each once"
        threads = {row.thread_id for page in pages for row in page.threads}
        assert threads >= {row.thread_id for page in pages for row in page.posts}
        done = [page.progress for page in pages]
        assert all(part and 0 <= part[0] <= part[1] for part in done) and done == sorted(done)  # type: ignore[type-var]
        assert max(len(page.posts) for page in pages) <= 100
        whole = Counter(one.target for one in sandbox.requests if "/messages" in one.target)
        for number in range(0, len(pages), 1 if community == QUESTIONS else len(pages) // 20):
            sandbox.requests.clear()
            cursor = orjson.loads(orjson.dumps(pages[number].state))
            rest = list(discord().history(community, START, client(sandbox, tmp_path), cursor))
            posts = [row.post_id for page in rest for row in page.posts]
            before = {row.post_id for page in pages[: number + 1] for row in page.posts}
            assert before | set(posts) == stand and not before & set(posts)
            again = Counter(one.target for one in sandbox.requests if "/messages" in one.target)
            assert sum((again - whole).values()) == 0 and sum(again.values()) <= len(pages) - number - 1
        assert max(whole.values()) == 1


def test_the_past_ends_where_it_is_told(world: World, tmp_path: Path) -> None:
    since = START + 40 * HOUR
    with Sandbox(world, now=START + 52 * HOUR) as sandbox:
        found = {row.post_id for page in past(sandbox, tmp_path, SERVER, since) for row in page.posts}
        truth = world.truth("discord", SERVER.name, sandbox.now)
        assert found == {post.id for post in truth if post.visible and post.created_at >= since}


def test_a_thread_that_is_opened_meanwhile_is_not_missed(world: World, tmp_path: Path) -> None:
    """It leaves the archive before it is reached there."""
    with Sandbox(world, now=START + 30 * HOUR) as sandbox:
        found: set[str | None] = set()
        for page in past(sandbox, tmp_path, QUESTIONS):
            found |= {row.post_id for row in page.posts}
            sandbox.now += 2 * MINUTE
        then = START + 30 * HOUR
        truth = world.truth("discord", QUESTIONS.name, sandbox.now)
        assert {post.id for post in truth if post.visible and post.created_at < then} <= found


def test_a_past_of_30000_messages_takes_305_requests(tmp_path: Path) -> None:
    room = Room(*(id_at(START) + (n << 22) * 60_000 for n in range(30_000)))
    with Sandbox(now=START + timedelta(days=30), sites=[room]) as sandbox:
        seen = 0
        for page in discord().history(CHAT, START - timedelta(days=400), client(sandbox, tmp_path), None):
            seen += len(page.posts)
        assert seen == 30_000 and len(sandbox.requests) <= 305


# -- polite --------------------------------------------------------------------------------------------------------


def test_an_hour_costs_few_requests_and_a_settled_one_only_its_channels(crawler: Crawler, world: World) -> None:
    hour = Window.hour(START + 29 * HOUR)
    crawler.crawl(hour, CHAT)
    read = {row["thread_id"] for row in crawler.rows()}
    lists = crawler.asked("discord.com") - crawler.asked("discord.com", MESSAGES)
    assert lists == 4, "the channel, the open threads, the archived ones, public and private"
    crawler.sandbox.now += HOUR
    crawler.sandbox.requests.clear()
    assert crawler.crawl(hour, CHAT)[0].closes(CHAT.key)
    assert crawler.asked("discord.com") == crawler.asked("discord.com", MESSAGES) <= len(read)


def test_a_bot_without_rights_asks_once_for_private_threads(world: World, tmp_path: Path) -> None:
    with Sandbox(world, now=START + 6 * HOUR) as sandbox:
        crawler = Crawler(discord(), sandbox, tmp_path, {"secrets": {"discord.com": headers(PLAIN_TOKEN)}})
        for _ in range(4):
            crawler.crawl(Window.hour(floor_hour(sandbox.now) - HOUR), CHAT)
            sandbox.now += HOUR
        assert crawler.asked("discord.com", r".*/threads/archived/private") == 1
        notes = [page.note for page in discord().history(CHAT, START, crawler.http, None) if page.note]
        assert notes and all("needs the right to manage threads" in note for note in notes)
