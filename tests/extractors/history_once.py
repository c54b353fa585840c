"""What the tests kill: `python -m tests.extractors.history_once URL NOW FOLDER KEY CHUNK` goes on with the past of a
community into FOLDER/lake, and prints the most memory it had, in MB."""

import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from extractors.history import history
from extractors.http import Http
from extractors.lake import Lake
from extractors.pace import Pace
from extractors.platforms import PLATFORMS, recognise
from extractors.store import Folder
from tests.extractors.crawling import SECRETS

PAST = datetime(2000, 1, 1, tzinfo=UTC)


def main() -> None:
    url, moment, folder, key, chunk = sys.argv[1:6]
    now, home = datetime.fromisoformat(moment), Path(folder)
    platforms = [platform(pace=Pace(100_000, 1, in_flight=2)) for platform in PLATFORMS]  # type: ignore[call-arg]
    community = recognise(platforms, key)
    http = Http(
        via=url, locks=home / "locks", user_agent="threadlake tests", clock=lambda: now, attempts=2, backoff=0,
        secrets=SECRETS,
    )  # fmt: skip
    chunks = history(
        next(platform for platform in platforms if platform.name == community.platform), community, PAST,
        lake=Lake(Folder(home / "lake")), http=http, run_id=f"run{os.getpid():08}", clock=lambda: now,
        scratch=home / "scratch", chunk=int(chunk),
    )  # fmt: skip
    for _, progress in chunks:
        assert progress.error is None, progress.error
    # not getrusage, which also knows the parent's
    peak = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    print(int(peak[1]) // 1024 if peak else 0)


if __name__ == "__main__":
    main()
