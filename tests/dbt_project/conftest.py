"""Warehouses for the tests of the dbt project."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from dbt_warehouse import Warehouse


@pytest.fixture(scope="session", autouse=True)
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where dbt writes."""
    path = tmp_path_factory.mktemp("target")
    os.environ["THREADLAKE_TEST_TARGET"] = str(path)
    return path


@pytest.fixture(scope="module", autouse=True)
def profile(environment: None, target: Path) -> None:
    """What the profile reads, for those tests that do not care which warehouse; its file gives the catalog its name."""
    os.environ["THREADLAKE_TEST_TARGET"] = str(target)
    os.environ.setdefault("THREADLAKE_WAREHOUSE", "threadlake.duckdb")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, target: Path) -> Path:
    """A warehouse in which everything was built once, from nothing."""
    warehouse = Warehouse(tmp_path_factory.mktemp("built") / "threadlake.duckdb", target)
    warehouse.dbt("run", now="2026-01-15T00:00:00+00:00")
    return warehouse.path


@pytest.fixture
def warehouse(built: Path, tmp_path: Path, target: Path) -> Iterator[Warehouse]:
    """A warehouse of one's own, built and empty, with the boundary at December 2024."""
    path = tmp_path / "threadlake.duckdb"
    shutil.copy(built, path)
    yield Warehouse(path, target)
    path.unlink()
