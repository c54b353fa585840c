"""From the launch of an hour's runs by a real Dagster daemon to their end: with nothing new, and busy."""

import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.tables import Line, show
from extractors.platform import HOUR
from sandbox.running import Dagster, served, set_clock, system

COMMUNITIES = ("fourchan:po", "fourchan:out", "discourse:forum.example", "discourse:old.example")
PLATFORMS = ("fourchan", "discourse")
TARGETS = {"nothing new": 8.0, "busy": 20.0}  # seconds
READINGS = 3
AGO = 20  # days: people post for a week, then nothing is new


def run(quick: bool) -> None:
    """Print the seconds that the ingest and transform runs of an hour take; of several hours the median."""
    today = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start = today - timedelta(days=AGO)
    busy = [start + timedelta(days=1) + HOUR * i for i in range(1 if quick else READINGS)]
    quiet = [today - HOUR * (len(busy) - i) for i in range(len(busy))]
    took: dict[str, list[tuple[float, float]]] = {}
    before = dict(os.environ)
    try:
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            with (
                served(home, start, busy[0] - HOUR / 2, hours=7 * 24) as url,
                system(home, url, start, COMMUNITIES) as dagster,
            ):
                dagster.hour(PLATFORMS)  # what was there before, and the first import of everything
                took["busy"] = [_hour(dagster, url, hour) for hour in busy]
                set_clock(url, quiet[0] - HOUR / 2)
                dagster.hour(PLATFORMS)  # the last posts, and the many hours since
                took["nothing new"] = [_hour(dagster, url, hour) for hour in quiet]
    finally:
        os.environ.clear()
        os.environ.update(before)
    lines = []
    for what, pairs in took.items():
        read, transform = sorted(pairs, key=sum)[len(pairs) // 2]
        total, target = read + transform, TARGETS[what]
        detail = f"ingest {read:.1f} s, transform {f'{transform:.1f} s' if transform else 'skipped'}"
        lines.append(Line(what, f"{total:.1f} s", f"{target:.0f} s", "yes" if total <= target else "no", detail))
    show("An hour of four communities", "From launch by the daemon to end, of several hours the median.", lines)


def _hour(dagster: Dagster, url: str, hour: datetime) -> tuple[float, float]:
    set_clock(url, hour + HOUR / 3)
    return dagster.hour(PLATFORMS)
