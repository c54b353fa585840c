"""Each fault is seen by a plain HTTP client, strikes what it is told to, and no more often."""

import time
from typing import Any

import pytest
import requests
from conftest import Client

from sandbox.faults import Fault
from sandbox.server import Sandbox

THREADS = "a.4cdn.org/po/threads.json"
POSTS = "forum.example/posts.json"


def strike(sandbox: Sandbox, client: Client, address: str = THREADS, **fault: Any) -> requests.Response:
    sandbox.faults.add(Fault(times=1, **fault))
    response = client.get(address)
    assert client.get(address).status_code == 200, "only once"
    return response


def test_429_with_seconds_or_date(sandbox: Sandbox, client: Client) -> None:
    response = strike(sandbox, client, kind="429", retry_after=7)
    assert (response.status_code, response.headers["Retry-After"]) == (429, "7")
    date = "Sun, 01 Nov 2026 00:00:10 GMT"
    assert strike(sandbox, client, kind="429", retry_after=date).headers["Retry-After"] == date
    assert "Retry-After" not in strike(sandbox, client, kind="429", retry_after=None).headers


def test_statuses(sandbox: Sandbox, client: Client) -> None:
    assert strike(sandbox, client, kind="500").status_code == 500
    bad_gateway = strike(sandbox, client, kind="502")
    assert bad_gateway.status_code == 502 and "<h1>" in bad_gateway.text
    assert strike(sandbox, client, kind="304").status_code == 304
    moved = strike(sandbox, client, kind="redirect", location="https://other.example/x")
    assert (moved.status_code, moved.headers["Location"]) == (302, "https://other.example/x")


def test_reset_connection(sandbox: Sandbox, client: Client) -> None:
    with pytest.raises(requests.ConnectionError, match="aborted"):
        strike(sandbox, client, kind="reset")


def test_hanging(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("hang", times=1, seconds=600))
    started = time.monotonic()
    with pytest.raises(requests.Timeout):
        requests.get(f"{sandbox.url}/{THREADS}", timeout=0.2)
    assert time.monotonic() - started < 60


def test_cut_body(sandbox: Sandbox, client: Client) -> None:
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        strike(sandbox, client, kind="cut")


@pytest.mark.parametrize("kind", ["html", "text", "invalid_json"])
def test_not_json(sandbox: Sandbox, client: Client, kind: Any) -> None:
    response = strike(sandbox, client, kind=kind)
    assert response.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        response.json()


@pytest.mark.parametrize(
    ("address", "field", "value"), [(THREADS, "no", None), (POSTS, "id", None), (POSTS, "reads", "x")]
)
def test_wrong_type_in_one_record(
    sandbox: Sandbox, client: Client, address: str, field: str, value: str | None
) -> None:
    document = strike(sandbox, client, address, kind="wrong_type", field=field, value=value).json()
    records = document[0]["threads"] if address == THREADS else document["latest_posts"]
    assert [record[field] == value for record in records] == [True] + [False] * (len(records) - 1)


def test_new_field_in_every_record(sandbox: Sandbox, client: Client) -> None:
    document = strike(sandbox, client, POSTS, kind="new_field", field="mood", value={"a": 1}).json()
    assert all(post["mood"] == {"a": 1} for post in document["latest_posts"])


def test_empty_list(sandbox: Sandbox, client: Client) -> None:
    assert strike(sandbox, client, kind="empty_list").json() == []
    assert strike(sandbox, client, POSTS, kind="empty_list").json() == {"latest_posts": []}


@pytest.mark.parametrize("declared", [True, False])
def test_huge_body(sandbox: Sandbox, client: Client, declared: bool) -> None:
    response = strike(sandbox, client, kind="huge", size=3_000_000, declared=declared)
    assert len(response.content) == 3_000_000
    assert ("Content-Length" in response.headers) == declared


def test_shifting_pages(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add(Fault("shift", host=r"forum\.example", seconds=3600))
    before = sandbox.now
    first = client.json(POSTS)["latest_posts"]
    second = client.json(POSTS)["latest_posts"]
    assert second[0]["id"] > first[0]["id"], "posts came between the two requests"
    assert (sandbox.now - before).total_seconds() == 7200


def test_faults_choose_by_host_path_and_count(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add(Fault("500", host=r"a\.4cdn\.org", path=r"/po/thread/", after=1, times=2))
    no = client.json(THREADS)[0]["threads"][0]["no"]
    statuses = [client.get(f"a.4cdn.org/po/thread/{no}.json").status_code for _ in range(5)]
    assert statuses == [200, 500, 500, 200, 200]
    assert client.get(POSTS).status_code == 200
    assert sandbox.faults.describe()[0]["struck"] == 2
    sandbox.faults.add(Fault("500"))
    assert [client.get(POSTS).status_code for _ in range(3)] == [500] * 3
    sandbox.faults.clear()
    assert client.get(POSTS).status_code == 200


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="no fault 'typo'"):
        Fault("typo")  # type: ignore[arg-type]
