"""One world for all tests of the sandbox, six days long so that threads fall off and archives drop them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from sandbox.server import Sandbox
from sandbox.world import World

START = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def world() -> World:
    return World(start=START, hours=144)


@pytest.fixture
def sandbox(world: World) -> Iterator[Sandbox]:
    with Sandbox(world, now=START + timedelta(hours=60)) as sandbox:
        yield sandbox


class Client:
    """`get("a.4cdn.org/po/threads.json")` from a sandbox, over one connection."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._url = sandbox.url
        self._session = requests.Session()

    def get(self, address: str, **options: Any) -> requests.Response:
        return self._session.get(f"{self._url}/{address}", timeout=5, allow_redirects=False, **options)

    def json(self, address: str, **options: Any) -> Any:
        response = self.get(address, **options)
        assert response.status_code == 200, (address, response.text)
        return response.json()


@pytest.fixture
def client(sandbox: Sandbox) -> Client:
    return Client(sandbox)
