"""Crawling to Parquet, side by side with dlt: posts a second, waiting for a slow network, memory."""

import json
import os
import platform as machine
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.server import POSTS_PER_THREAD, served
from benchmarks.tables import Line, show

PLATFORMS = ("fourchan", "discourse", "lemmy", "discord")
LATENCY = 0.03  # seconds an answer
CRAWLS = ("fourchan", "discourse")  # whose memory is measured
HISTORIES = ("discourse", "discord", "lemmy")
PATIENCE = 900  # seconds for one crawl
MEGABYTE = 2**20
MOST_MEMORY = 300  # MB
NAMES = {
    "threadlake": "threadlake, text, quotes and links made",
    "threadlake-wordless": "threadlake, without text",
    "dlt-rest-api": "dlt rest_api, columns and payload",
    "dlt-rest-api-lean": "dlt rest_api, only key, time and payload",
    "dlt-arrow": "dlt, Arrow tables of columns and payload",
    "dlt-arrow-lean": "dlt, Arrow tables of key, time and payload",
}
TARGETS = {
    platform: {
        ("threadlake-wordless", "dlt-rest-api"): 3.0 if platform == "fourchan" else 2.5,
        ("threadlake", "dlt-rest-api"): 2.0,
        ("threadlake-wordless", "dlt-arrow"): 1.5 if platform == "fourchan" else 1.3,
    }
    for platform in PLATFORMS
}
"""Targets: (ours, theirs) of a platform: how many times its posts a second."""


@dataclass(frozen=True)
class Took:
    """One crawl: wall clock and processor seconds without imports, peak memory in bytes of its process."""

    posts: int
    seconds: float
    cpu: float
    peak: int


def run(side: str, platform: str, server: str, out: Path | None = None, in_flight: int | None = None) -> Took:
    """Crawl once, in a process of its own; into a folder that goes, unless `out` is to keep it."""
    with TemporaryDirectory(prefix="threadlake-bench-") as scratch:
        command = [sys.executable, "-m", "benchmarks.sides", side, platform]
        command += ["--server", server, "--out", str(out or scratch)]
        command += ["--in-flight", str(in_flight)] if in_flight else []
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=Path(__file__).parents[1])
        if done.returncode:
            raise RuntimeError(f"{side} on {platform} failed:\n{done.stderr[-2000:]}")
        return Took(**json.loads(done.stdout.splitlines()[-1]))


def about() -> str:
    """The machine and what runs on it."""
    names = ("pyarrow", "requests", "orjson", "selectolax", "dlt")
    return (
        f"{os.cpu_count()} cores, {machine.processor() or machine.machine()}, {machine.system()} {machine.release()},"
        f" Python {machine.python_version()}, load {os.getloadavg()[0]:.1f}; "
        + ", ".join(f"{name} {version(name)}" for name in names)
    )


def speed(quick: bool) -> None:
    """Every side in turn, several times over; the best time of each counts."""
    posts, rounds = (3_000, 1) if quick else (30_000, 3)
    with served(posts) as server:
        for platform in PLATFORMS:
            best: dict[str, Took] = {}
            for number in range(rounds):
                sides = list(NAMES)
                for side in sides[number % len(sides) :] + sides[: number % len(sides)]:  # nobody is always first
                    took = run(side, platform, server)
                    if side not in best or took.seconds < best[side].seconds:
                        best[side] = took
            lines = [
                Line(NAMES[side], f"{took.posts / took.seconds:,.0f} posts/s", detail=f"{took.cpu:.2f} s of processor")
                for side, took in best.items()
            ]
            for ours in ("threadlake-wordless", "threadlake"):
                for theirs in ("dlt-rest-api", "dlt-rest-api-lean", "dlt-arrow", "dlt-arrow-lean"):
                    ratio = best[theirs].seconds / best[ours].seconds
                    target = TARGETS[platform].get((ours, theirs))
                    lines.append(Line(f"{ours} : {theirs}", f"{ratio:.2f} x", *_judged(ratio, target)))
            show(f"crawl of {platform}: {posts:,} posts to Parquet, best of {rounds}", about(), lines)


def latency(quick: bool) -> None:
    """8 requests in flight against one, each answered after 30 ms, at a limit that is never near."""
    posts, rounds = (3_000, 1) if quick else (30_000, 2)
    with served(posts, LATENCY) as server:
        best: dict[int, Took] = {}
        for _ in range(rounds):
            for in_flight in (1, 8):
                took = run("threadlake", "fourchan", server, in_flight=in_flight)
                if in_flight not in best or took.seconds < best[in_flight].seconds:
                    best[in_flight] = took
    lines = [Line(f"{many} in flight", f"{took.posts / took.seconds:,.0f} posts/s") for many, took in best.items()]
    ratio = best[1].seconds / best[8].seconds
    lines.append(Line("8 : 1", f"{ratio:.2f} x", *_judged(ratio, 6.0)))
    title = f"latency: {posts // POSTS_PER_THREAD} 4chan threads, {LATENCY * 1000:.0f} ms an answer, best of {rounds}"
    show(title, about(), lines)


def memory(quick: bool) -> None:
    """Peak memory of the crawling process, with all its libraries, for as many posts and for ten times as many."""
    few, many = (1_500, 15_000) if quick else (30_000, 300_000)
    readings = [("crawl", "threadlake", platform) for platform in CRAWLS]
    readings += [("whole past", "threadlake-history", platform) for platform in HISTORIES]
    peaks: dict[tuple[str, str, int], int] = {}
    for posts in (few, many):
        with served(posts) as server:
            for what, side, platform in readings:
                took = run(side, platform, server)
                assert took.posts == posts, (side, platform, took)
                peaks[what, platform, posts] = took.peak
    lines = []
    for (what, platform, posts), peak in peaks.items():
        met = "met" if peak <= MOST_MEMORY * MEGABYTE else "NOT met"
        name = f"{what} of {platform}, {posts:,} posts"
        lines.append(Line(name, f"{peak / MEGABYTE:.0f} MB", f"<= {MOST_MEMORY} MB", met))
    for what, _, platform in readings:
        ratio = peaks[what, platform, many] / peaks[what, platform, few]
        met = "met" if ratio <= 1.1 else "NOT met"
        lines.append(Line(f"{what} of {platform}, {many:,} : {few:,} posts", f"{ratio:.2f} x", "<= 1.10 x", met))
    show("memory: peak of the process", about(), lines)


def _judged(ratio: float, target: float | None) -> Sequence[Any]:
    return () if target is None else (f">= {target:g} x", "met" if ratio >= target else "NOT met")
