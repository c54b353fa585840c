"""What all tests share: hypothesis without deadlines, since a shared machine's speed proves nothing; and an environment
of their own, since the profile of dbt and the settings are read from it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from orchestration.pipeline import Pipeline
from orchestration.settings import Settings
from sandbox.bigquery import BigQueryServer, missing, served

settings.register_profile("threadlake", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("threadlake")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those of the whole system are the longest, and begin first: no worker is left alone with one of them."""
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent)


@pytest.fixture(autouse=True, scope="module")
def environment() -> Iterator[None]:
    """No module's homes and warehouses are another's."""
    os.environ.pop("THREADLAKE_WAREHOUSE", None)  # what session fixtures set, before this one began
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dbt project, parsed: a home that begins with a copy of it as its `dbt` saves eight seconds."""
    home = tmp_path_factory.mktemp("parsed")
    Pipeline.of(Settings.from_env({"THREADLAKE_HOME": str(home)})).dbt.prepare()
    return home / "dbt"


@pytest.fixture(scope="session")
def bigquery_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[BigQueryServer, Path]]:
    """A stand-in for BigQuery, and the folder where it finds buckets; to start one costs some seconds."""
    if reason := missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("bigquery")
    with served(folder / "server", folder / "buckets") as server:
        yield server, folder / "buckets"
