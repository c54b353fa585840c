"""A home in a temporary folder, and a real system in it where a test asks for one."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import psutil
import pytest

from extractors.lake import Tracked
from orchestration.instance import SESSION, environment, write_instance
from orchestration.pipeline import Pipeline
from orchestration.settings import Settings
from tests.orchestration.fake import fake_pipeline

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "tests" / "orchestration" / "dbt_tiny"


@pytest.fixture(scope="session")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny dbt project, parsed once for all tests of this process."""
    home = tmp_path_factory.mktemp("parsed")
    Pipeline(Settings.from_env(env_of(home)), ()).dbt.prepare()
    return home / "dbt"


def env_of(home: Path, **more: str) -> dict[str, str]:
    return {
        "THREADLAKE_HOME": str(home),
        "THREADLAKE_DBT": str(TINY),
        "THREADLAKE_START": "2026-11-01",
        **{f"THREADLAKE_{name}": value for name, value in more.items()},
    }


@pytest.fixture
def home(tmp_path: Path, parsed: Path) -> Path:
    """A home whose dbt project is parsed already, which costs five seconds."""
    shutil.copytree(parsed, tmp_path / "home" / "dbt")
    return tmp_path / "home"


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings.from_env(env_of(home))


@pytest.fixture
def pipeline(settings: Settings) -> Pipeline:
    """Two fake platforms, one community each."""
    made = fake_pipeline(settings)
    track(made, "fourchan:po", "discourse:meta.example")
    return made


def track(pipeline: Pipeline, *keys: str) -> None:
    for key in keys:
        for platform in pipeline.platforms:
            if community := platform.community(key):
                start = pipeline.settings.start
                pipeline.lake.track(Tracked(community.key, community.instance, start, start))


@pytest.fixture
def instance(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """A real instance, as `threadlake up` makes it."""
    folder = write_instance(settings)
    for name, value in environment(settings).items():
        if name != SESSION:
            monkeypatch.setenv(name, value)
    with dg.DagsterInstance.from_config(str(folder)) as made:
        yield made


@dataclass
class System:
    """`threadlake up` over the fake platforms, as a process."""

    home: Path
    port: int
    env: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def up(self, *arguments: str) -> None:
        communities = self.home / "communities.toml"
        command = [
            sys.executable,
            "-m",
            "orchestration.cli",
            "up",
            "--port",
            str(self.port),
            *arguments,
        ]
        command += [] if "--dashboard-port" in arguments else ["--no-dashboard"]
        command += ["--code", "tests.orchestration.fake_location", "--communities", str(communities)]
        with (self.home / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=os.environ | self.env, stdout=log, stderr=subprocess.STDOUT
            )
        self.wait(lambda: b"Dagster is at" in self.log().rpartition(b"\n---\n")[2], 180, "up did not start")

    def log(self) -> bytes:
        return (self.home / "up.log").read_bytes()

    def wait(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with suppress(psutil.Error):
                if condition():
                    return
            if self.process is not None and self.process.poll() is not None:
                break
            time.sleep(0.2)
        raise AssertionError(f"{what}: {self.log().decode()[-2000:]}")

    def family(self) -> list[psutil.Process]:
        """Every process that belongs to this home."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(SESSION) == str(self.home):
                    found.append(process)
        return found

    def kill(self) -> None:
        """SIGKILL to everything at once."""
        if self.process is not None:
            self.process.kill()
        for process in self.family():
            with suppress(psutil.Error):
                process.kill()
        if self.process is not None:
            self.process.wait()
        with (self.home / "up.log").open("ab") as log:
            log.write(b"\n---\n")

    def down(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def system(home: Path) -> Iterator[System]:
    """Not started yet; ended whatever happens."""
    (home / "communities.toml").write_text('communities = ["fourchan:po", "discourse:meta.example"]\n')
    made = System(home, free_port(), env_of(home) | {"PYTHONPATH": str(ROOT)})
    yield made
    made.kill()
