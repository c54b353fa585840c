"""Debian's PostgreSQL as a server of this test's own, in a temporary folder."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.orchestration.conftest import free_port


@dataclass(frozen=True)
class Postgres:
    """Where it is, as `deploy/dagster.yaml` wants to be told."""

    port: int
    password: str = "a made-up one"

    @property
    def env(self) -> dict[str, str]:
        return {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(self.port), "POSTGRES_PASSWORD": self.password}


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not here: apt-get install postgresql")
    server = Postgres(free_port())
    # as root it refuses to run, so as the user that Debian's package makes
    user: dict[str, Any] = {"user": "postgres"} if os.getuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="threadlake-postgres-"))  # not pytest's, which only its user may enter
    if user:
        shutil.chown(folder, "postgres")
    password, data = folder / "password", folder / "data"
    password.write_text(server.password)
    password.chmod(0o644)
    options = ["--username", "dagster", "--pwfile", password, "--auth", "scram-sha-256", "--no-sync"]
    subprocess.run([found[-1], "--pgdata", data, *options], check=True, capture_output=True, cwd=folder, **user)
    command = [found[-1].with_name("postgres"), "-D", data, "-p", str(server.port), "-k", folder]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"], stderr=log, cwd=folder, **user
        )
    try:
        _make_database(server, process)
        yield server
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _make_database(server: Postgres, process: "subprocess.Popen[bytes]") -> None:
    """As the image of compose.yaml does where POSTGRES_DB names one."""
    import psycopg2

    for _ in range(100):
        try:
            connection = psycopg2.connect(
                host="127.0.0.1", port=server.port, user="dagster", password=server.password, dbname="postgres"
            )
            break
        except psycopg2.OperationalError:
            assert process.poll() is None
            time.sleep(0.1)
    connection.autocommit = True
    connection.cursor().execute("create database dagster")
    connection.close()
