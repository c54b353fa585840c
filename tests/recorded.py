"""Where the recorded responses stand, which are outside the project, and the mark for tests that need them."""

import os
from pathlib import Path

import pytest


def _find() -> Path | None:
    named = os.environ.get("THREADLAKE_RECORDED")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "recorded"
    return folder if folder.is_dir() else None


RECORDED = _find()

needs_recorded = pytest.mark.skipif(
    RECORDED is None, reason="recorded responses not found: set THREADLAKE_RECORDED to their folder"
)
