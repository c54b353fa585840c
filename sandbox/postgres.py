"""Debian's PostgreSQL as a server on loopback, in a temporary folder."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.running import free_port

DATABASE = USER = "dagster"
OPTIONS = ("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off")


@dataclass(frozen=True)
class Postgres:
    """Where it is, as `deploy/dagster.yaml` wants to be told."""

    port: int
    password: str = "a made-up one"

    @property
    def env(self) -> dict[str, str]:
        return {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(self.port), "POSTGRES_PASSWORD": self.password}

    def connect(self, database: str = DATABASE) -> Any:
        """A connection of psycopg2, which commits each statement."""
        import psycopg2  # type: ignore[import-untyped]

        connection = psycopg2.connect(
            host="127.0.0.1", port=self.port, user=USER, password=self.password, dbname=database
        )
        connection.autocommit = True
        return connection


def missing() -> str | None:
    """Why there can be none, and what to do."""
    return None if _programs() else "PostgreSQL is not here: apt-get install postgresql"


@contextmanager
def served(*options: str) -> Iterator[Postgres]:
    """A new one with an empty database; ended with the block. `options`: of the server."""
    programs, server = _programs()[-1], Postgres(free_port())
    # as root it refuses to run, so as the user that Debian's package makes
    user: dict[str, Any] = {"user": "postgres"} if os.getuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="threadlake-postgres-"))  # which only its user may enter
    if user:
        shutil.chown(folder, "postgres")
    password, data = folder / "password", folder / "data"
    password.write_text(server.password)
    password.chmod(0o644)
    made = ["--username", USER, "--pwfile", str(password), "--auth", "scram-sha-256", "--no-sync"]
    subprocess.run(
        [str(programs / "initdb"), "--pgdata", str(data), *made], check=True, capture_output=True, cwd=folder, **user
    )
    command = [str(programs / "postgres"), "-D", str(data), "-p", str(server.port), "-k", str(folder), *OPTIONS]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, *options], stderr=log, cwd=folder, **user)
    try:
        _make_database(server, process)
        yield server
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Sequence[Path]:
    return sorted(path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def _make_database(server: Postgres, process: "subprocess.Popen[bytes]") -> None:
    """As the image of compose.yaml does where POSTGRES_DB names one."""
    import psycopg2

    for _ in range(100):
        try:
            connection = server.connect("postgres")
            break
        except psycopg2.OperationalError:
            assert process.poll() is None
            time.sleep(0.1)
    connection.cursor().execute(f"create database {DATABASE}")
    connection.close()
