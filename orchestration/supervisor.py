"""`threadlake up`: code server, daemon, web server and dashboard as children of one process that ends them all."""

import logging
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import psutil

from orchestration.instance import environment, socket_of, write_instance
from orchestration.recover import end, only_one, recover
from orchestration.settings import PREFIX, Settings

CODE = "orchestration.code_location"
STARTING = 120.0  # seconds for the code server to load
GRACE = 10.0
log = logging.getLogger(__name__)


class SupervisorError(Exception):
    """A part of the system did not start or ended by itself; the sentence says which and where its log is."""


@dataclass
class Supervisor:
    """The children. `code`: the module whose `defs` they serve; `dashboard`: its port, None for none."""

    settings: Settings
    port: int = 3000
    code: str = CODE
    schedules: bool = True
    dashboard: int | None = None
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def run(self) -> None:
        """Recover, start, watch; return after a SIGTERM or Ctrl-C. Raises SupervisorError or RunningError."""
        from dagster import DagsterInstance

        with only_one(self.settings.home):
            signal.signal(signal.SIGTERM, _interrupt)
            folder = write_instance(self.settings)
            with DagsterInstance.from_config(str(folder)) as instance:
                print(recover(self.settings, instance), flush=True)
            for port, option in ((self.port, "--port"), (self.dashboard, "--dashboard-port")):
                if port and _taken(port):
                    raise SupervisorError(f"Port {port} is taken: choose another with {option}.")
            try:
                self._start()
                print(f"Dagster is at http://127.0.0.1:{self.port}; its logs are in {self.logs}.", flush=True)
                if self.dashboard:
                    print(f"The dashboard is at http://{self.settings.dashboard_host}:{self.dashboard}.", flush=True)
                self._watch()
            except KeyboardInterrupt:
                print("Ending …", flush=True)
            finally:
                self.stop()

    @property
    def logs(self) -> Path:
        return self.settings.home / "logs"

    def _start(self) -> None:
        self.logs.mkdir(parents=True, exist_ok=True)
        place = socket_of(self.settings)
        place.unlink(missing_ok=True)
        dagster = [sys.executable, "-m", "dagster"]
        self._spawn(
            "code", [*dagster, "api", "grpc", "-m", self.code, "--socket", str(place), "--log-level", "warning"]
        )
        self._wait_for(socket.AF_UNIX, str(place), "code server")
        target = ["--workspace", str(self.settings.dagster_home / "workspace.yaml")]
        self._spawn("daemon", [sys.executable, "-m", "orchestration.daemon", "run", *target])
        web = [sys.executable, "-m", "dagster_webserver", "--host", "127.0.0.1", "--port", str(self.port)]
        self._spawn("web", [*web, *target, "--uvicorn-log-level", "warning"])
        if self.dashboard:
            command = [sys.executable, "-m", "orchestration.cli", "dashboard", "--port", str(self.dashboard)]
            self._spawn("dashboard", command)
        self._wait_for(socket.AF_INET, ("127.0.0.1", self.port), "web server")
        if self.dashboard:
            host = self.settings.dashboard_host
            self._wait_for(socket.AF_INET, ("127.0.0.1" if host == "0.0.0.0" else host, self.dashboard), "dashboard")

    def _spawn(self, name: str, command: Sequence[str]) -> None:
        env = environment(self.settings) | {f"{PREFIX}SCHEDULES": "on" if self.schedules else "off"}
        with (self.logs / f"{name}.log").open("ab") as file:
            # a session of its own, so that Ctrl-C reaches this process only, which then ends them in order
            self.children[name] = subprocess.Popen(
                command, env=env, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )

    def _wait_for(self, kind: socket.AddressFamily, address: str | tuple[str, int], what: str) -> None:
        until = time.monotonic() + STARTING
        while time.monotonic() < until:
            self._check()
            with suppress(OSError), socket.socket(kind) as probe:
                probe.connect(address)
                return
            time.sleep(0.05)
        raise SupervisorError(f"The {what} did not start in {STARTING:.0f} s: see {self.logs}.")

    def _check(self) -> None:
        for name, child in self.children.items():
            if child.poll() is not None:
                end_of_log = (self.logs / f"{name}.log").read_text(errors="replace").strip().splitlines()[-1:]
                raise SupervisorError(
                    f"The {name} process ended by itself ({child.returncode}): see {self.logs / name}.log, "
                    f"which ends with: {''.join(end_of_log)}"
                )

    def _watch(self) -> None:
        while True:
            self._check()
            time.sleep(0.5)

    def stop(self) -> None:
        """End the daemon first, so that nothing new begins, then the runs, then what served them."""
        for name in ("daemon", "web", "dashboard"):
            end(self._processes(name), GRACE)
        end(self._processes("code")[1:], GRACE)
        end(self._processes("code"), 1.0)  # it has nothing left to finish, and would wait for its open streams
        for child in self.children.values():
            with suppress(subprocess.TimeoutExpired):
                child.wait(GRACE)
        self.children.clear()

    def _processes(self, name: str) -> list[psutil.Process]:
        """A child and its descendants, if it lives; without Python's resource trackers, which heed no signal and end
        with whom they serve."""
        child = self.children.get(name)
        with suppress(psutil.Error):
            if child is not None and child.poll() is None:
                process = psutil.Process(child.pid)
                descendants = process.children(recursive=True)
                return [process, *(one for one in descendants if "resource_tracker" not in " ".join(one.cmdline()))]
        return []


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
