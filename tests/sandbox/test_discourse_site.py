"""What the Discourse servers answer equals the world's truth, in both meanings of `before`."""

from datetime import timedelta
from typing import Any

import pytest
from conftest import START, Client

from sandbox.limits import Limit
from sandbox.server import Sandbox
from sandbox.world import World

FORUM = "forum.example"
OLD = "old.example"


def walk(client: Client, host: str, step: int = 0) -> tuple[dict[str, Any], list[int]]:
    """All of /posts.json down to id 1, as a careful client reads it, and the lengths of the pages."""
    posts: dict[str, Any] = {}
    lengths = []
    before: int | None = None
    while before is None or before > 1:
        page = client.json(f"{host}/posts.json", params={} if before is None else {"before": before})["latest_posts"]
        lengths.append(len(page))
        posts |= {str(post["id"]): post for post in page}
        lowest = min((post["id"] for post in page), default=None)
        if lowest is None and not step:
            break
        if before is not None and (lowest is None or lowest == before):
            lowest = before - step
        before = lowest
    return posts, lengths


@pytest.mark.parametrize("hours", [2, 130.5])
def test_latest_posts_are_the_truth(sandbox: Sandbox, client: Client, world: World, hours: float) -> None:
    sandbox.now = START + timedelta(hours=hours)
    truth = {
        post.id: post.payload
        for post in world.truth("discourse", FORUM, sandbox.now)
        if post.visible and post.payload["post_type"] == 1
    }
    posts, lengths = walk(client, FORUM)
    assert posts == truth
    assert set(lengths[:-2]) <= {50}


def test_old_before_is_inclusive_and_leaves_pages_short_or_empty(
    sandbox: Sandbox, client: Client, world: World
) -> None:
    sandbox.now = START + timedelta(hours=120)
    truth = world.truth("discourse", OLD, sandbox.now)
    posts, lengths = walk(client, OLD, step=49)
    assert posts == {post.id: post.payload for post in truth if post.visible and post.payload["post_type"] == 1}
    assert lengths.count(0) >= 6, "the gap in the ids is wider than 300"
    assert all(length < 50 for length in lengths)
    known = max(map(int, posts))
    assert client.json(f"{OLD}/posts.json?before={known}")["latest_posts"][0]["id"] == known
    assert "post_url" not in posts[str(known)]


def test_new_before_is_exclusive(client: Client) -> None:
    first = client.json(f"{FORUM}/posts.json")["latest_posts"]
    second = client.json(f"{FORUM}/posts.json?before={first[-1]['id']}")["latest_posts"]
    ids = [post["id"] for post in first + second]
    assert ids == sorted(set(ids), reverse=True)


def test_topics_lead_to_every_visible_post(sandbox: Sandbox, client: Client, world: World) -> None:
    page, topics = 0, []
    while True:
        listing = client.json(f"{FORUM}/latest.json?order=created&page={page}")["topic_list"]
        topics += listing["topics"]
        page += 1
        if "more_topics_url" not in listing:
            break
    assert [topic["created_at"] for topic in topics] == sorted((t["created_at"] for t in topics), reverse=True)
    truth = {post.id: post for post in world.truth("discourse", FORUM, sandbox.now) if post.visible}
    stream: dict[str, int] = {}
    for topic in topics:
        full = client.json(f"{FORUM}/t/{topic['id']}.json")
        assert len(full["post_stream"]["posts"]) == min(len(full["post_stream"]["stream"]), 20)
        stream |= {str(id): topic["id"] for id in full["post_stream"]["stream"]}
    assert stream == {id: int(post.thread_id) for id, post in truth.items()}


def test_posts_of_a_topic_by_ids(client: Client) -> None:
    topic = client.json(f"{FORUM}/latest.json")["topic_list"]["topics"][0]
    stream = client.json(f"{FORUM}/t/{topic['id']}.json")["post_stream"]["stream"]
    assert len(stream) > 40
    wanted = {"post_ids[]": stream[20:40]}
    plain = client.json(f"{FORUM}/t/{topic['id']}/posts.json", params=wanted)["post_stream"]["posts"]
    assert [post["id"] for post in plain] == stream[20:40]
    assert all("raw" not in post for post in plain)
    raw = client.json(f"{FORUM}/t/{topic['id']}/posts.json", params=wanted | {"include_raw": 1})
    assert any("raw" in post for post in raw["post_stream"]["posts"])
    tail = client.json(f"{FORUM}/t/{topic['id']}/99999.json")["post_stream"]
    assert [post["id"] for post in tail["posts"]] == stream[-20:]
    whole = client.json(f"{FORUM}/t/{topic['id']}.json?print=true")["post_stream"]
    assert [post["id"] for post in whole["posts"]] == stream
    one = client.json(f"{FORUM}/posts/{stream[0]}.json")
    assert "raw" in one and "topic_title" not in one


def test_the_default_order_pins_first(client: Client) -> None:
    assert client.json(f"{FORUM}/latest.json")["topic_list"]["topics"][0]["pinned"]
    assert not client.json(f"{FORUM}/latest.json?order=activity")["topic_list"]["topics"][0]["pinned"]
    bumped = [t["bumped_at"] for t in client.json(f"{FORUM}/latest.json?order=activity")["topic_list"]["topics"]]
    assert bumped == sorted(bumped, reverse=True)


def test_anonymous_answers_are_cached_for_a_minute_of_the_clock(sandbox: Sandbox, client: Client) -> None:
    address, key = f"{FORUM}/posts.json", {"Api-Key": "sandbox-key"}
    first = client.get(address)
    assert first.headers["X-Discourse-Cached"] == "store"
    sandbox.now += timedelta(seconds=59)
    cached = client.get(address)
    assert cached.headers["X-Discourse-Cached"] == "true"
    assert cached.content == first.content
    assert client.get(address, headers=key).content != first.content, "whoever has a key sees counters move"
    sandbox.now += timedelta(seconds=1)
    assert client.get(address).headers["X-Discourse-Cached"] == "store"


def test_a_private_forum_wants_a_key(client: Client) -> None:
    refused = client.get("private.example/posts.json")
    assert refused.status_code == 403
    assert refused.json()["error_type"] == "not_logged_in"
    for header in ("Api-Key", "User-Api-Key"):
        assert client.get("private.example/posts.json", headers={header: "sandbox-key"}).status_code == 200
        assert client.get("private.example/posts.json", headers={header: "wrong"}).status_code == 403


def test_deleted_topics_and_unknown_posts_are_not_found(sandbox: Sandbox, client: Client, world: World) -> None:
    sandbox.now = START + timedelta(hours=143)
    gone = [t for t in world.discourse_forum(FORUM).topics.values() if not t.visible(sandbox.now.timestamp())]
    for address in (f"t/{gone[0].id}.json", f"posts/{gone[0].members[0].id}.json", "t/999999.json", "nope.json"):
        response = client.get(f"{FORUM}/{address}")
        assert response.status_code == 404
        assert response.json()["error_type"] == "not_found"
    assert client.get(f"{FORUM}/posts.json?before=x").status_code == 400


def test_limits_answer_as_discourse_does(sandbox: Sandbox, client: Client) -> None:
    sandbox.limits.set(FORUM, Limit(3, 60, "ip_60_secs_limit"))
    sandbox.limits.set(OLD, Limit(0, 60, "user_api_key_limiter_60_secs"))
    statuses = [client.get(f"{FORUM}/site.json").status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    refused = client.get(f"{FORUM}/about.json")
    assert refused.headers["Discourse-Rate-Limit-Error-Code"] == "ip_60_secs_limit"
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["Content-Type"].startswith("text/plain")
    assert client.get("a.4cdn.org/boards.json").status_code == 200
    assert client.get(f"{OLD}/posts.json").json()["extras"]["wait_seconds"] == 60
