"""What the mods.de servers answer equals the world's truth, with the defects of the real ones."""

from datetime import timedelta
from xml.etree import ElementTree

import pytest
from conftest import START, Client

from sandbox.mods_de_xml import REFUSED
from sandbox.server import Sandbox
from sandbox.world import World

API = "forum.mods.de/bb/xml"


def ask(client: Client, address: str) -> ElementTree.Element:
    response = client.get(address)
    assert response.status_code == 200 and "charset" not in response.headers["Content-Type"]
    return ElementTree.fromstring(REFUSED.sub("", response.content.decode()))


def listed(client: Client, board: str) -> dict[str, ElementTree.Element]:
    threads: dict[str, ElementTree.Element] = {}
    for page in range(1, 99):
        found = ask(client, f"{API}/board.php?BID={board}&page={page}").findall("threads/thread")
        new = {thread.attrib["id"]: thread for thread in found if thread.attrib["id"] not in threads}
        if not new:
            return threads
        threads |= new
    raise AssertionError("a board without an end")


def timestamp(element: ElementTree.Element, path: str) -> int:
    date = element.find(f"{path}/date")
    assert date is not None
    return int(date.attrib["timestamp"])


@pytest.mark.parametrize("hours", [2, 60.5])
def test_boards_lead_to_every_visible_post(sandbox: Sandbox, client: Client, world: World, hours: float) -> None:
    sandbox.now = START + timedelta(hours=hours)
    found: dict[str, str] = {}
    short = 0
    for thread, element in listed(client, "14").items():
        pages = element.find("number-of-pages")
        assert pages is not None
        for page in range(1, int(pages.attrib["value"]) + 1):
            posts = ask(client, f"{API}/thread.php?TID={thread}&page={page}").findall("posts/post")
            short += len(posts) < 30 and page < int(pages.attrib["value"])
            found |= {post.attrib["id"]: thread for post in posts if post.findall("in-board[@id='14']")}
    board = world.mods_de_board("14")
    at = sandbox.now.timestamp()
    here = {post.id for post in world.truth("mods_de", "14", sandbox.now) if post.visible
            and board.threads[int(post.thread_id)].board(at, "14") == "14"}  # fmt: skip
    assert {post for post in found if post.startswith("14")} == here and (short > 0) == (hours > 50), (
        "hidden posts make pages short"
    )


def test_the_last_active_comes_first_after_those_on_top(client: Client) -> None:
    threads = ask(client, f"{API}/board.php?BID=14").findall("threads/thread")
    raised = ("flags/is-sticky[@value='1']", "flags/is-global[@value='1']")
    on_top = [thread for thread in threads if any(thread.findall(path) for path in raised)]
    assert threads[: len(on_top)] == on_top and len(on_top) == 3
    boards = {element.attrib["id"] for thread in on_top for element in thread.findall("in-board")}
    assert boards == {"14", "15"}, "global threads of other boards are shown, too"
    active = [timestamp(thread, "lastpost/post") for thread in threads[3:]]
    assert active == sorted(active, reverse=True) and len(active) == 30
    fewer = ask(client, f"{API}/board.php?BID=14&with-globals=0&with-stickies=0").findall("threads/thread")
    assert [thread.attrib["id"] for thread in fewer] == [thread.attrib["id"] for thread in threads[3:]]
    moved = ask(client, f"{API}/board.php?BID=14&offset=29").findall("threads/thread")
    assert moved[3].attrib["id"] == threads[-1].attrib["id"]


def test_what_is_not_there_is_said_so(sandbox: Sandbox, client: Client, world: World) -> None:
    assert ask(client, f"{API}/board.php?BID=99").tag == "invalid-board"
    assert ask(client, f"{API}/board.php?BID=16").tag == "no-access"
    assert ask(client, f"{API}/thread.php?TID=5").tag == "invalid-thread"
    gone = next(t for t in world.mods_de_board("14").threads.values() if not t.visible(sandbox.now.timestamp())
                and t.deleted and t.created < sandbox.now.timestamp())  # fmt: skip
    assert ask(client, f"{API}/thread.php?TID={gone.id}").tag == "invalid-thread"
    thread = next(iter(listed(client, "14")))
    beyond = ask(client, f"{API}/thread.php?TID={thread}&page=6700000").find("posts")
    assert beyond is not None and beyond.attrib["count"] == "0" and beyond.attrib["offset"] == "200999970"
    assert client.get("forum.mods.de/bb/nope.php").status_code == 404


def test_bytes_that_xml_forbids_are_sent_now_and_then(client: Client) -> None:
    bodies = [client.get(f"{API}/thread.php?TID={thread}").content for thread in listed(client, "14")]
    assert any(b"\x00" in body and b"\x0b" in body for body in bodies)
    text = b"".join(bodies).decode()
    assert "¤" in text and "&#26481;" in text and "€" not in text


def test_the_pages_in_html(client: Client, world: World) -> None:
    thread = next(thread for thread in world.mods_de_board("14").threads.values() if "€uro" in thread.tags)
    page = client.get(f"forum.mods.de/bb/thread.php?TID={thread.id}").content
    assert "€uro" in page.decode("iso-8859-15") and f"TID={thread.id}&set_thread_groups=1" in page.decode("latin-1")
    assert "UID 5 -->" in client.get("my.mods.de/5").text and "UID 14 -->" in client.get("my.mods.de/13").text
    assert "nicht gefunden!" in client.get("my.mods.de/999").text
