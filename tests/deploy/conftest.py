"""Debian's PostgreSQL, where it is installed."""

from collections.abc import Iterator

import pytest

from sandbox.postgres import Postgres, missing, served


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    if reason := missing():
        pytest.skip(reason)
    with served() as server:
        yield server
