"""Everything killed at once, Dagster's daemon included: what the schedules make of it afterwards is the truth."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from orchestration.cli import main
from orchestration.pipeline import Pipeline
from orchestration.recover import orphans
from orchestration.settings import Settings
from orchestration.warehouse import WarehouseError
from sandbox.discord import TOKEN
from sandbox.server import Sandbox
from sandbox.world import World
from tests.test_plug import COMMUNITIES, HOUR, SINCE, START, differences

PATIENCE = 480.0  # seconds, on a machine that does much else besides


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts `threadlake up` with schedules that tick every minute; ends whatever is left of it."""
    started: list[subprocess.Popen[bytes]] = []
    listed = tmp_path / "communities.toml"
    listed.write_text(f"communities = {list(COMMUNITIES)}\n".replace("'", '"'))

    def start() -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-m",
            "orchestration.cli",
            "up",
            "--no-dashboard",
            "--port",
            str(free_port()),
            "--communities",
            str(listed),
        ]
        with (tmp_path / "up.log").open("ab") as log:
            started.append(subprocess.Popen(command, stdout=log, stderr=log))
        return started[-1]

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
    for process in started:
        process.wait(60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def kill_everything(settings: Settings, up: subprocess.Popen[bytes]) -> int:
    """As a power cut would: all of it stands still, then all of it is gone."""
    doomed = [psutil.Process(up.pid), *orphans(settings)]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for process in doomed:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
    up.wait()
    psutil.wait_procs(doomed, timeout=10)
    return len(doomed)


def wait_for(what: str, condition: Callable[[], bool], home: Path, step: float = 0.05) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        logs = "\n".join(
            f"{log}: {log.read_text()[-1500:]}" for log in [home.parent / "up.log", *home.glob("logs/*.log")]
        )
        assert time.monotonic() < until, f"{what} did not happen in {PATIENCE:.0f} s\n{logs}"
        time.sleep(step)


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_three_times_everything_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, up: Callable[[], subprocess.Popen[bytes]]
) -> None:
    world = World(seed=4, start=START - timedelta(hours=8), hours=100, scale=0.5)
    home, clock = tmp_path / "home", tmp_path / "clock"
    with Sandbox(world, now=START + timedelta(minutes=40), clock_file=clock) as sandbox:
        for name, value in {
            "HOME": home, "VIA": sandbox.url, "CLOCK": clock, "PACE": 300, "START": f"{SINCE:%Y-%m-%dT%H}",
            "EXTRACT_CRON": "* * * * *", "LOAD_CRON": "* * * * *",
        }.items():  # fmt: skip
            monkeypatch.setenv(f"THREADLAKE_{name}", str(value))
        monkeypatch.setenv("DISCORD_TOKEN", TOKEN)
        settings = Settings.from_env()
        pipeline = Pipeline.of(settings)
        for community in COMMUNITIES:
            assert main(["track", community, "--since", f"{SINCE:%Y-%m-%dT%H}"]) == 0
        ticks = [sandbox.now]
        assert main(["catch-up"]) == 0

        def files(pattern: str) -> set[Path]:
            return set(home.glob(pattern))

        def done() -> bool:
            if any(pipeline.wanted(platform) for platform in pipeline.platforms):
                return False
            with suppress(WarehouseError):
                return not pipeline.unmerged(None, patience=0)
            return False

        moments = {
            "a crawl writes": "lake/*/posts/*/*.parquet",
            "a commit is made": "lake/*/commits/*/*.json",
            "dbt runs": "dbt/runs/*/*",
        }
        for moment, pattern in moments.items():
            sandbox.now += HOUR
            ticks.append(sandbox.now)
            before = files(pattern)
            running = up()
            wait_for(moment, lambda: bool(files(pattern) - before), home)  # noqa: B023 - called at once
            assert kill_everything(settings, running) >= 4  # supervisor, code server, daemon, web server, workers
            running = up()
            wait_for(f"the catch-up after a kill when {moment}", done, home, step=1.0)
            running.send_signal(signal.SIGTERM)
            assert running.wait(60) == 0
            assert orphans(settings) == []
            assert differences(world, home, ticks) == [], moment
