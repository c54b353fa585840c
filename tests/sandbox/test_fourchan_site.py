"""What 4chan's server answers equals the world's truth, and its conditional requests are as strict as the real ones."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from conftest import START, Client

from sandbox.server import Sandbox
from sandbox.world import World

API = "a.4cdn.org"


def crawl(client: Client, board: str) -> dict[str, Any]:
    """Every post the board serves, by number: those of the index and those of the archive."""
    index = client.json(f"{API}/{board}/threads.json")
    numbers = [thread["no"] for page in index for thread in page["threads"]]
    if board == "po":
        numbers += client.json(f"{API}/{board}/archive.json")
    threads = [client.json(f"{API}/{board}/thread/{no}.json") for no in numbers]
    return {str(post["no"]): post for thread in threads for post in thread["posts"]}


@pytest.mark.parametrize("board", ["po", "out"])
@pytest.mark.parametrize("hours", [1, 31.5, 140, 400])
def test_answers_are_the_truth(sandbox: Sandbox, client: Client, world: World, board: str, hours: float) -> None:
    sandbox.now = START + timedelta(hours=hours)
    truth = world.truth("fourchan", board, sandbox.now)
    assert crawl(client, board) == {post.id: post.payload for post in truth if post.visible}


def test_index_agrees_with_threads_and_snapshot(sandbox: Sandbox, client: Client, world: World) -> None:
    snapshot = world.board("po", sandbox.now)
    listed = [thread for page in client.json(f"{API}/po/threads.json") for thread in page["threads"]]
    assert [(t["no"], t["last_modified"], t["replies"]) for t in listed] == [
        (t.no, t.last_modified, t.replies) for t in snapshot.threads
    ]
    assert client.json(f"{API}/po/archive.json") == list(snapshot.archive) != []
    for page in client.json(f"{API}/po/catalog.json"):
        for entry in page["threads"]:
            thread = client.json(f"{API}/po/thread/{entry['no']}.json")["posts"]
            assert entry["replies"] == len(thread) - 1
            assert entry.get("last_replies", []) == thread[1:][-5:]
            assert entry.get("omitted_posts", 0) == max(len(thread) - 6, 0)


def test_not_modified_only_for_the_very_same_date(sandbox: Sandbox, client: Client) -> None:
    address = f"{API}/po/threads.json"
    validator = client.get(address).headers["Last-Modified"]
    assert client.get(address, headers={"If-Modified-Since": validator}).status_code == 304
    later = "Fri, 01 Jan 2038 00:00:00 GMT"
    assert client.get(address, headers={"If-Modified-Since": later}).status_code == 200
    sandbox.now += timedelta(hours=1)
    assert client.get(address, headers={"If-Modified-Since": validator}).status_code == 200


def test_a_validator_never_hides_a_change(sandbox: Sandbox, client: Client) -> None:
    seen: dict[tuple[str, str], bytes] = {}
    for minute in range(0, 180, 7):
        sandbox.now = START + timedelta(hours=40, minutes=minute)
        for thread in client.json(f"{API}/po/threads.json")[0]["threads"]:
            response = client.get(f"{API}/po/thread/{thread['no']}.json")
            key = (str(thread["no"]), response.headers["Last-Modified"])
            assert seen.setdefault(key, response.content) == response.content


def test_what_is_not_there_answers_404_in_html(client: Client) -> None:
    for path in ("out/archive.json", "po/thread/1.json", "nope/threads.json", "po/nope.json"):
        response = client.get(f"{API}/{path}")
        assert response.status_code == 404
        assert response.headers["Content-Type"].startswith("text/html")


def test_boards_say_who_has_an_archive(client: Client) -> None:
    boards = {board["board"]: board for board in client.json(f"{API}/boards.json")["boards"]}
    assert boards["po"]["is_archived"] == 1
    assert "is_archived" not in boards["out"]


def test_archived_threads_are_served_until_they_are_dropped(sandbox: Sandbox, client: Client) -> None:
    no = client.json(f"{API}/po/archive.json")[0]
    opening = client.json(f"{API}/po/thread/{no}.json")["posts"][0]
    assert opening["archived"] == opening["closed"] == 1
    assert "unique_ips" not in opening
    assert datetime.fromtimestamp(opening["archived_on"], UTC) <= sandbox.now
    sandbox.now = datetime.fromtimestamp(opening["archived_on"], UTC) + timedelta(hours=73)
    assert no not in client.json(f"{API}/po/archive.json")
    assert client.get(f"{API}/po/thread/{no}.json").status_code == 404


def test_attributes_are_absent_never_null(client: Client) -> None:
    for post in crawl(client, "po").values():
        assert None not in post.values()
        assert ("tim" in post) == ("md5" in post) == ("fsize" in post)
        assert not ("filedeleted" in post and "tim" in post)
        assert post["now"][8] == "("


def test_a_wipe_moves_replies_but_not_last_modified(world: World) -> None:
    board = world.fourchan_board("po")
    silent = [(t, time) for t in board.threads.values() for time in t.changes if time not in t.touched]
    assert silent
    thread, time = silent[0]
    assert thread.last_modified(time) == thread.last_modified(time - 1)
    assert thread.replies(time) < thread.replies(time - 1)
    assert thread.last_change(time) > thread.last_change(time - 1), "the thread's own Last-Modified does move"
