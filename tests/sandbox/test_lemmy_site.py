"""Lemmy's API as the sandbox serves it: three versions, their lists, and what they refuse."""

from datetime import timedelta
from typing import Any

import pytest
from conftest import START, Client

from sandbox.lemmy_community import key
from sandbox.limits import RATE_LIMIT_ERROR, Limit
from sandbox.server import Sandbox
from sandbox.world import World

OLD, NOW, NEW = "old.lemmy.example/api/v3", "lemmy.example/api/v3", "new.lemmy.example/api/v4"
COMMUNITIES = {OLD: "trails", NOW: "folding", NEW: "maps"}
each = pytest.mark.parametrize("api", COMMUNITIES, ids=["0.18", "0.19", "1.0"])


def listed(client: Client, api: str, kind: str, **params: Any) -> list[Any]:
    sort = params.pop("sort", "New")
    query = {"community_name": COMMUNITIES[api], "limit": 50, "sort": sort.lower() if api == NEW else sort} | params
    answer = client.json(f"{api}/{kind}/list", params=query)
    found: list[Any] = answer["items" if api == NEW else f"{kind}s"]
    return found


def test_each_says_its_version(client: Client) -> None:
    hosts = ("old.lemmy.example", "lemmy.example", "new.lemmy.example")
    versions = [client.json(f"{host}/api/v3/site")["version"] for host in hosts]
    assert versions == ["0.18.5", "0.19.15", "1.0.0"]
    assert client.get("lemmy.example/api/v4/post/list").status_code == 404


@each
def test_lists_by_time_begin_with_what_is_featured(api: str, sandbox: Sandbox, client: Client, world: World) -> None:
    community = world.lemmy_community(f"{api.partition('/')[0]}/{COMMUNITIES[api]}")
    post = next(p for p in community.all_posts if p.featured[0] < (START + timedelta(hours=130)).timestamp())
    at = (post.featured[0] + post.featured[1]) / 2
    sandbox.now = START + timedelta(seconds=at - START.timestamp())
    times = [view["post"].get("published") or view["post"]["published_at"] for view in listed(client, api, "post")]
    flags = [view["post"]["featured_community"] for view in listed(client, api, "post")]
    assert flags[0] and flags == sorted(flags, reverse=True)
    rest = times[sum(flags) :]
    assert rest == sorted(rest, reverse=True) and len(rest) > 5
    assert all(time.endswith("Z") != (api == OLD) for time in times)


@each
def test_a_deleted_comment_stays_without_its_words(api: str, sandbox: Sandbox, client: Client, world: World) -> None:
    community = world.lemmy_community(f"{api.partition('/')[0]}/{COMMUNITIES[api]}")
    comment = next(c for c in community.all_comments if c.absences == c.tombs != [] and c.arrived == c.created)
    for delta, gone in ((-1, False), (1, True)):
        sandbox.now = START + timedelta(seconds=comment.tombs[0].since + delta - START.timestamp())
        view = client.json(f"{api}/comment", params={"id": comment.id})["comment_view"]
        assert (view["comment"]["content"] == "") == gone
        assert (view["comment"]["deleted"] or view["comment"]["removed"]) == gone
    [truth] = [post for post in world.truth("lemmy", community.spec.key, sandbox.now) if post.id == key(comment)]
    assert truth.deleted_at and truth.payload["comment"]["content"]


def test_pages_end_with_the_hundredth(client: Client) -> None:
    assert listed(client, NOW, "comment", page=100) == []
    refused = client.get(f"{NOW}/comment/list", params={"community_name": "folding", "sort": "New", "page": 101})
    assert (refused.status_code, refused.json()) == (400, {"error": "couldnt_get_comments"})
    assert listed(client, OLD, "comment", page=101) == []
    assert client.get(f"{NOW}/post/list", params={"community_name": "folding", "limit": 51}).status_code == 400


def test_a_cursor_is_the_id_of_a_post_even_of_another_community(client: Client) -> None:
    posts = listed(client, NOW, "post")
    ids = [view["post"]["id"] for view in posts if not view["post"]["featured_community"]]
    below = [view["post"]["id"] for view in listed(client, NOW, "post", page_cursor=f"P{ids[9]:x}")]
    assert below[:20] == ids[10:30]
    foreign = next(id for id in range(ids[9] - 1, ids[10], -1) if id % 41)
    assert listed(client, NOW, "post", page_cursor=f"P{foreign:x}")[0]["post"]["id"] in ids[9:12]
    assert client.get(f"{NOW}/post/list?community_name=folding&sort=New&page_cursor=P0").status_code == 400


@pytest.mark.parametrize("kind", ["post", "comment"])
def test_cursors_of_v4_lead_through_a_list_once(kind: str, client: Client) -> None:
    query: dict[str, Any] = {"community_name": "maps", "sort": "new", "limit": 30}
    ids: list[int] = []
    while True:
        answer = client.json(f"{NEW}/{kind}/list", params=query)
        ids += [view[kind]["id"] for view in answer["items"]]
        if "next_page" not in answer:
            break
        query["page_cursor"] = answer["next_page"]
    assert len(ids) == len(set(ids)) > 60


def test_a_tree_is_cut_at_300_and_a_time_range_at_its_beginning(client: Client) -> None:
    assert len(listed(client, NOW, "comment", max_depth=8)) == 300
    assert len(listed(client, NEW, "comment", time_range_seconds=7200)) < 50


def test_what_is_private_or_unknown_or_moved(client: Client) -> None:
    private = client.get("private.lemmy.example/api/v3/site")
    assert (private.status_code, private.json()) == (400, {"error": "instance_is_private"})
    assert client.get(f"{NOW}/community?name=nothing").json() == {"error": "couldnt_find_community"}
    moved = client.get("moved.lemmy.example/api/v3/community?name=folding")
    assert moved.headers["Location"] == "https://lemmy.example/api/v3/community?name=folding"


def test_a_limit_is_a_400_without_a_word_of_when(sandbox: Sandbox, client: Client) -> None:
    sandbox.limits.set("lemmy.example", Limit(1, 60, RATE_LIMIT_ERROR))
    assert client.get(f"{NOW}/site").status_code == 200
    refused = client.get(f"{NOW}/site")
    assert (refused.status_code, refused.json()) == (400, {"error": "rate_limit_error"})
    assert "Retry-After" not in refused.headers
