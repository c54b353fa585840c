"""Discord's bot API as the sandbox serves it: tokens, pages, threads that are archived, what the bot may not see."""

from datetime import timedelta

import requests
from conftest import START, Client

from sandbox.discord import PLAIN_TOKEN, TOKEN, Discord
from sandbox.discord_guild import iso
from sandbox.discord_world import GENERAL, GUILD, HELP, STAFF
from sandbox.limits import Limit
from sandbox.server import Sandbox
from sandbox.world import World

API = "discord.com/api/v10"
BOT = {"User-Agent": "DiscordBot (tests, 1)", "Authorization": f"Bot {TOKEN}"}
CHANNEL, FORUM, CLOSED = (name.partition("/")[2] for name in (GENERAL, HELP, STAFF))


def test_who_may_ask(client: Client) -> None:
    def status(**headers: str) -> tuple[int, int]:
        response = client.get(f"{API}/channels/{CHANNEL}", headers=BOT | headers)
        return response.status_code, response.json().get("code", 1)

    assert status() == (200, 1)
    assert status(Authorization="Bot another") == status(Authorization=TOKEN) == (401, 0)
    assert status(**{"User-Agent": "threadlake"}) == (403, 40333)
    for path, code in ((f"channels/{CLOSED}/messages", 50001), ("channels/7", 10003), ("guilds/7", 10004)):
        assert client.get(f"{API}/{path}", headers=BOT).json()["code"] == code
    plain = BOT | {"Authorization": f"Bot {PLAIN_TOKEN}"}
    assert client.get(f"{API}/channels/{CHANNEL}/threads/archived/private", headers=plain).json()["code"] == 50013
    assert client.json(f"{API}/applications/@me", headers=plain)["flags"] == 0
    page = client.json(f"{API}/channels/{CHANNEL}/messages", headers=plain)
    assert page and not any(message["content"] or message["attachments"] for message in page)


def test_messages_come_newest_first_and_only_an_empty_page_is_the_end(client: Client, world: World) -> None:
    guild = world.discord_guild(GENERAL)
    at = (START + timedelta(hours=60)).timestamp()
    stand = [str(m.id) for m in guild.by_id[int(CHANNEL)].messages if m.visible(at)][::-1]
    found: list[str] = []
    while page := client.json(
        f"{API}/channels/{CHANNEL}/messages",
        params={"limit": 100} | ({"before": found[-1]} if found else {}),
        headers=BOT,
    ):
        found += [message["id"] for message in page]
    assert found == stand and len(found) > 1000
    after = client.json(f"{API}/channels/{CHANNEL}/messages?limit=3&after={stand[-1]}", headers=BOT)
    assert [message["id"] for message in after] == stand[-4:-1]
    assert client.get(f"{API}/channels/{CHANNEL}/messages?limit=101", headers=BOT).status_code == 400


def test_threads_are_active_or_archived(client: Client, world: World) -> None:
    at = (START + timedelta(hours=60)).timestamp()
    active = client.json(f"{API}/guilds/{GUILD}/threads/active", headers=BOT)["threads"]
    archived: list[dict[str, object]] = []
    before = iso(at)
    while True:
        answer = client.json(
            f"{API}/channels/{FORUM}/threads/archived/public", params={"limit": 20, "before": before}, headers=BOT
        )
        archived += answer["threads"]
        before = answer["threads"][-1]["thread_metadata"]["archive_timestamp"]
        if not answer["has_more"]:
            break
    mine = [thread for thread in active if thread["parent_id"] == FORUM]
    ids = {str(thread["id"]) for thread in [*mine, *archived]}
    guild = world.discord_guild(HELP)
    assert ids == {str(t.id) for t in guild.threads if str(t.parent) == FORUM and t.stands(at)}
    assert len(ids) == len(mine) + len(archived) and mine
    assert any(thread["type"] == 12 for thread in client.json(
        f"{API}/channels/{CHANNEL}/threads/archived/private", headers=BOT)["threads"])  # fmt: skip
    channels = client.json(f"{API}/guilds/{GUILD}/channels", headers=BOT)
    assert {channel["type"] for channel in channels} == {0, 2, 4, 5, 15} and CLOSED in {c["id"] for c in channels}


def test_a_route_has_a_limit_of_its_own(world: World) -> None:
    with Sandbox(world, now=START, sites=[Discord(world, Limit(2, 30))]) as sandbox:
        answers = [requests.get(f"{sandbox.url}/{API}/channels/{CHANNEL}", headers=BOT, timeout=5) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
        assert 29 < answers[2].json()["retry_after"] <= 30 and answers[2].headers["X-RateLimit-Scope"] == "user"
        other = requests.get(f"{sandbox.url}/{API}/channels/{FORUM}", headers=BOT, timeout=5)
        assert other.status_code == 200
