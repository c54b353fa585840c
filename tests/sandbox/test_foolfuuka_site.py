"""The archive keeps what the boards of the world ever showed, in its own form."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from conftest import START, Client

from sandbox.server import Sandbox
from sandbox.world import World

API = "archive.example/_/api/chan"


def test_search_by_date_finds_everything_deleted_or_not(sandbox: Sandbox, client: Client, world: World) -> None:
    sandbox.now = START + timedelta(days=5)
    found: dict[str, dict[str, str]] = {}
    query = {"boards": "out", "start": "2026-11-02", "end": "2026-11-03", "order": "asc"}
    for page in range(1, 100):
        answer = client.json(f"{API}/search/", params=query | {"page": page})
        if "error" in answer:
            break
        assert len(answer["0"]["posts"]) <= 25
        found |= {post["num"]: post for post in answer["0"]["posts"]}
    day = START + timedelta(days=1), START + timedelta(days=2)
    truth = {p.id: p for p in world.truth("fourchan", "out", sandbox.now) if day[0] <= p.created_at <= day[1]}
    assert found.keys() == truth.keys()
    assert list(found) == sorted(found, key=int)
    for no, post in found.items():
        assert (post["deleted"] == "1") == (truth[no].deleted_at is not None)
        assert post["thread_num"] == truth[no].thread_id
        assert datetime.fromtimestamp(int(post["timestamp"]), UTC) == truth[no].created_at
    openings = client.json(f"{API}/search/", params=query | {"type": "op"})["0"]["posts"]
    assert openings and all(post["op"] == "1" for post in openings)


def test_thread_is_a_map_of_strings(client: Client, world: World, sandbox: Sandbox) -> None:
    thread = world.board("po", sandbox.now).threads[2]
    answer = client.json(f"{API}/thread/", params={"board": "po", "num": thread.no})[str(thread.no)]
    assert answer["op"]["num"] == str(thread.no)
    assert {str(post["no"]) for post in thread.posts[1:]} <= answer["posts"].keys()
    everything = [answer["op"], *answer["posts"].values()]
    assert all(isinstance(post[name], str) for post in everything for name in ("doc_id", "num", "timestamp", "deleted"))
    newest = max(int(post["doc_id"]) for post in everything)
    again = client.get(f"{API}/thread/", params={"board": "po", "num": thread.no, "latest_doc_id": newest})
    assert again.status_code == 204 and not again.content
    one = client.json(f"{API}/post/", params={"board": "po", "num": thread.no})
    assert one == answer["op"]


def test_shifted_timestamps_betray_themselves(client: Client, world: World, sandbox: Sandbox) -> None:
    no = world.board("po", sandbox.now).threads[1].no
    right, shifted = (
        client.json(f"{host}/_/api/chan/post/", params={"board": "po", "num": no})
        for host in ("archive.example", "shifted.example")
    )
    assert right["fourchan_date"] == shifted["fourchan_date"]
    written = datetime.strptime(right["fourchan_date"], "%m/%d/%y(%a)%H:%M").replace(tzinfo=UTC)
    assert timedelta() <= datetime.fromtimestamp(int(shifted["timestamp"]), UTC) - written < timedelta(minutes=1)
    local = datetime.fromtimestamp(int(right["timestamp"]), ZoneInfo("America/New_York"))
    assert local.strftime("%H:%M") == written.strftime("%H:%M")


def test_errors(client: Client) -> None:
    for address, status in (
        ("thread/?board=po", 422),
        ("thread/?board=po&num=1", 404),
        ("post/?board=nope&num=1", 404),
        ("post/?board=po&num=1", 404),
        ("index/?board=po", 422),
        ("search/?boards=po&start=2031-01-01", 200),
    ):
        response = client.get(f"{API}/{address}")
        assert (response.status_code, list(response.json())) == (status, ["error"]), address


def test_index_pages_are_newest_threads_first(client: Client) -> None:
    first, second = (client.json(f"{API}/index/", params={"board": "po", "page": page}) for page in (1, 2))
    assert min(map(int, first)) > max(map(int, second))
    assert all(len(thread.get("posts", [])) <= 5 for thread in first.values())


def test_search_repeats_its_last_match_beyond_the_maximum(sandbox: Sandbox, client: Client) -> None:
    sandbox.now = START + timedelta(days=5)
    pages = [client.json(f"{API}/search/", params={"boards": "po", "page": page}) for page in (200, 201, 300)]
    assert len(pages[0]["0"]["posts"]) == 25
    assert [page["0"]["posts"] for page in pages[1:]] == [pages[0]["0"]["posts"][-1:]] * 2
    assert pages[0]["meta"]["total_found"] > 5000
