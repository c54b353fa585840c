"""Tests pull no real plug, so nothing need reach the disk: syncing would be most of their time."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from extractors.store import Folder, Store
from sandbox.gcs import served
from sandbox.server import Sandbox
from tests.stores import BUCKET, gcs


@pytest.fixture(autouse=True)
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A server of buckets for all, on which nobody switches faults on."""
    with served(tmp_path_factory.mktemp("storage"), BUCKET) as sandbox:
        yield sandbox


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path, storage: Sandbox) -> Store:
    return Folder(tmp_path / "lake") if request.param == "folder" else gcs(storage, tmp_path)
