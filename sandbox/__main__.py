"""Runs a sandbox from the command line until SIGTERM or Ctrl-C."""

import argparse
import signal
import threading
from datetime import UTC, datetime
from pathlib import Path

from sandbox.discourse_world import FORUMS
from sandbox.fourchan_world import BOARDS
from sandbox.lemmy_world import COMMUNITIES
from sandbox.recorded import RecordedDiscourse, RecordedFourchan, RecordedVersions
from sandbox.server import Sandbox
from sandbox.site import Site
from sandbox.world import World

EPILOG = f"""\
A platform's URL https://HOST/PATH is served at http://127.0.0.1:PORT/HOST/PATH.

The invented world has the 4chan boards {", ".join(BOARDS)} on a.4cdn.org, their FoolFuuka archive on
archive.example (on shifted.example with New York's wall clock for UTC), and the Discourse forums
{", ".join(FORUMS)}; private.example wants the header "Api-Key: sandbox-key".
Lemmy's instances have the communities {", ".join(COMMUNITIES)}.

Clock, faults, limits and counters can be set and read under /_sandbox/: clock, faults, limits, requests, health.

example:
  python -m sandbox --start 2026-11-01T00:00Z --hours 336 --now 2026-11-08T00:00Z --port 8020
  curl localhost:8020/a.4cdn.org/po/threads.json
  curl -X POST localhost:8020/_sandbox/clock -d '{{"now": "2026-11-08T01:00:00+00:00"}}'
  curl -X POST localhost:8020/_sandbox/faults -d '{{"kind": "429", "host": "a.4cdn.org", "times": 3}}'
"""


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    recorded = list(zip(options.recorded, options.platform, strict=False))
    if len(options.recorded) != len(options.platform):
        _parser().error("each --recorded needs its --as")
    world = World(start=options.start, hours=options.hours, seed=options.seed, scale=options.scale)
    sandbox = Sandbox(
        world,
        now=options.now or options.start,
        sites=[_recorded_site(folder, platform) for folder, platform in recorded],
        port=options.port,
        latency=options.latency,
        clock_file=options.clock_file,
    )
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with sandbox:
        print(f"sandbox listening on {sandbox.url}", flush=True)
        ended.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="Serves 4chan, FoolFuuka and Discourse on loopback, over an invented world or recorded responses.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=1, help="of the world; the same seed gives the same world (1)")
    parser.add_argument(
        "--start", type=_time, required=True, help="when people begin to post, ISO 8601, UTC if no zone"
    )
    parser.add_argument("--hours", type=int, required=True, help="for how long they post")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies how much is posted (1)")
    parser.add_argument("--now", type=_time, help="the clock, which stands still until it is set (--start)")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (0)")
    parser.add_argument("--clock-file", type=Path, metavar="FILE", help="always holds the clock's time in ISO 8601")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS", help="of each answer (0)")
    parser.add_argument(
        "--recorded",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="serve what was recorded instead of the invented world's host; may be given several times, each with --as",
    )
    parser.add_argument(
        "--as",
        dest="platform",
        action="append",
        default=[],
        choices=("fourchan", "discourse", "versions"),
        help="what the folder holds: <board>/threads.json; *.ndjson.gz of posts; *.ndjson.gz of captures over time",
    )
    return parser


def _recorded_site(folder: Path, platform: str) -> Site:
    if platform == "fourchan":
        return RecordedFourchan(folder)
    files = sorted(folder.glob("*.ndjson.gz"))
    if not files:
        raise SystemExit(f"no *.ndjson.gz in {folder}")
    return RecordedDiscourse(files) if platform == "discourse" else RecordedVersions(files)


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


if __name__ == "__main__":
    main()
