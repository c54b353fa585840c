"""Recorded responses through the whole pipeline: served over loopback, crawled, loaded, transformed, in one command.

`python -m sandbox.replay ../shared/recorded`: four boards and a forum, with all they ever had.
`python -m sandbox.replay --versions ../shared/recorded`: the same posts captured again and again, as time passes.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from orchestration.cli import main as threadlake
from orchestration.pipeline import Pipeline
from orchestration.settings import Settings
from sandbox.recorded import RecordedDiscourse, RecordedFourchan, RecordedVersions
from sandbox.server import Sandbox
from sandbox.site import Site

FORUM = "discourse:delvingbitcoin.org"
BEGINS = datetime(2022, 8, 24, tzinfo=UTC)  # the forum's first post
HOUR = timedelta(hours=1)
COUNTS = """
    select community, count(*) as posts, count(distinct thread_id) as threads, min(created_at) as first,
           max(created_at) as last,
           (select count(*) from clean.posts_history old where old.community = posts.community) as in_history
    from clean.all_posts as posts group by community order by community"""
VERSIONS = "select count(distinct post_id) as posts, count(*) as versions from clean.post_versions"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.replay", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of the recorded responses")
    parser.add_argument("--versions", action="store_true", help="replay the successive captures of one forum's posts")
    parser.add_argument("--home", type=Path, default=Path(".data/recorded"), help="where to build it (.data/recorded)")
    options = parser.parse_args(arguments)
    return versions(options.folder, options.home) if options.versions else everything(options.folder, options.home)


def everything(folder: Path, home: Path) -> int:
    """All boards and the whole forum."""
    now = datetime(2026, 10, 1, 0, 25, tzinfo=UTC)
    boards = RecordedFourchan(folder / "fourchan")
    forum = RecordedDiscourse(sorted((folder / "discourse" / "delvingbitcoin").glob("*.ndjson.gz")))
    with _served([boards, forum], now, home):
        for board in ("po", "an", "out", "ck"):
            threadlake(["track", f"fourchan:{board}"])
        threadlake(["track", FORUM])
        hour = f"{now - HOUR:%Y-%m-%dT%H}"
        return (
            threadlake(["crawl", "--platform", "fourchan", "--since", hour])
            or threadlake(["crawl", "--platform", "discourse", "--since", f"{BEGINS:%Y-%m-%d}", "--refresh"])
            or threadlake(["catch-up"])
            or threadlake(["query", COUNTS])
        )


def versions(folder: Path, home: Path) -> int:
    """Each post's captures, at the moments at which they were made."""
    site = RecordedVersions(sorted((folder / "discourse" / "delvingbitcoin_versions").glob("*.ndjson.gz")))
    moments = site.captured_at
    with _served([site], moments[0], home) as sandbox:
        threadlake(["track", FORUM])
        pipeline = Pipeline.of(Settings.from_env())
        platform, community = pipeline.platform("discourse"), pipeline.lake.tracked()[0].community
        for number, moment in enumerate(moments):
            sandbox.now = moment
            hours = {datetime.fromisoformat(post["created_at"]).replace(minute=0, second=0, microsecond=0)
                     for post in site.captured(moment)}  # fmt: skip
            for _ in pipeline.crawl(platform, {hour: [community] for hour in hours}, f"replay-{number:05}", False):
                pass
            print(f"\r{number + 1} of {len(moments)} captures", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        return threadlake(["catch-up"]) or threadlake(["query", VERSIONS])


@contextmanager
def _served(sites: list[Site], now: datetime, home: Path) -> Iterator[Sandbox]:
    home.mkdir(parents=True, exist_ok=True)
    clock = home / "clock"
    with Sandbox(now=now, sites=sites, clock_file=clock) as sandbox:
        start = (now - HOUR).replace(minute=0, second=0, microsecond=0)
        changed = {"HOME": home, "VIA": sandbox.url, "CLOCK": clock, "PACE": 5000, "START": f"{start:%Y-%m-%dT%H}"}
        before = dict(os.environ)
        os.environ |= {f"THREADLAKE_{name}": str(value) for name, value in changed.items()}
        try:
            yield sandbox
        finally:
            os.environ.clear()
            os.environ.update(before)


if __name__ == "__main__":
    sys.exit(main())
