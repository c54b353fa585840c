"""What the tests kill: `python -m tests.extractors.crawl_once URL NOW FOLDER START HOURS KEY…` crawls once into
FOLDER/lake, or into the bucket that LAKE names, as a run of its own. In milliseconds and requests, PACE in the
environment sets another pace."""

import os
import sys
from datetime import datetime
from pathlib import Path

from extractors.crawl import crawl
from extractors.http import Http
from extractors.lake import Lake
from extractors.pace import Pace
from extractors.platform import HOUR, Window
from extractors.platforms import PLATFORMS, recognise
from extractors.store import Bucket, Folder, Store
from tests.extractors.crawling import SECRETS


def open_store(home: Path, bucket: str) -> Store:
    if not bucket:
        return Folder(home / "lake")
    from google.cloud.storage import Client

    from extractors.gcs import Gcs

    return Gcs(Client(project=None), Bucket.parse(bucket), home / "scratch" / "copies", delay=0.01)


def main() -> None:
    url, moment, folder, start, hours = sys.argv[1], *map(str, sys.argv[2:6])
    now, home, first = datetime.fromisoformat(moment), Path(folder), datetime.fromisoformat(start)
    requests, milliseconds = map(int, os.environ.get("PACE", "100000 1000").split())
    pace = Pace(requests, milliseconds / 1000, in_flight=2)
    platforms = [platform(pace=pace) for platform in PLATFORMS]  # type: ignore[call-arg]
    communities = [recognise(platforms, key) for key in sys.argv[6:]]
    platform = next(p for p in platforms if p.name == communities[0].platform)
    commits = crawl(
        platform,
        communities,
        Window(first, first + int(hours) * HOUR),
        lake=Lake(open_store(home, os.environ.get("LAKE", ""))),
        http=Http(
            via=url,
            locks=home / "locks",
            user_agent="threadlake tests",
            clock=lambda: now,
            attempts=2,
            backoff=0,
            secrets=SECRETS,
        ),
        run_id=f"run{os.getpid():08}",
        clock=lambda: now,
        scratch=home / "scratch",
    )
    for commit in commits:
        for receipt in commit.communities.values():
            assert receipt.complete, receipt.error


if __name__ == "__main__":
    main()
