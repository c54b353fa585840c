"""The clock, the log, the control API and the command line."""

import signal
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import requests
from conftest import START, Client

from sandbox.server import Sandbox
from sandbox.world import World

ROOT = Path(__file__).parents[2]


def test_clock_file_follows_the_clock(world: World, tmp_path: Path) -> None:
    file = tmp_path / "clock"
    with Sandbox(world, now=START, clock_file=file) as sandbox:
        assert datetime.fromisoformat(file.read_text()) == START
        sandbox.now = START + timedelta(hours=5)
        assert datetime.fromisoformat(file.read_text()) == sandbox.now
        requests.post(f"{sandbox.url}/_sandbox/clock", json={"advance": 60}, timeout=5)
        assert datetime.fromisoformat(file.read_text()) == START + timedelta(hours=5, minutes=1)
        assert [path.name for path in tmp_path.iterdir()] == ["clock"]


def test_requests_are_logged_with_their_time(sandbox: Sandbox, client: Client) -> None:
    client.get("a.4cdn.org/po/threads.json", headers={"User-Agent": "me"})
    client.get("a.4cdn.org/nope/threads.json")
    client.get("forum.example/posts.json?before=5")
    assert sandbox.requests.count() == 3
    assert sandbox.requests.count("a.4cdn.org", "/po/") == 1
    assert next(iter(sandbox.requests)).headers["user-agent"] == "me"
    by_host = client.json("_sandbox/requests")
    assert by_host["a.4cdn.org"]["count"] == 2
    assert by_host["a.4cdn.org"]["statuses"] == {"200": 1, "404": 1}
    assert by_host["forum.example"]["paths"] == {"/posts.json?before=5": 1}
    assert by_host["a.4cdn.org"]["times"] == sorted(by_host["a.4cdn.org"]["times"])
    assert 0 <= time.monotonic() - by_host["forum.example"]["times"][0] < 5
    sandbox.requests.clear()
    assert client.json("_sandbox/requests") == {}


def test_control_over_http(sandbox: Sandbox, client: Client) -> None:
    url = f"{sandbox.url}/_sandbox"
    assert "a.4cdn.org" in client.json("_sandbox/health")["hosts"]
    later = (sandbox.now + timedelta(hours=1)).isoformat()
    assert requests.post(f"{url}/clock", json={"now": later}, timeout=5).json() == {"now": later}
    assert sandbox.now.isoformat() == later
    added = requests.post(f"{url}/faults", json={"kind": "500", "times": 1}, timeout=5)
    assert added.json()[0]["struck"] == 0
    assert client.get("forum.example/site.json").status_code == 500
    requests.post(f"{url}/faults", json={"kind": "500"}, timeout=5)
    assert requests.delete(f"{url}/faults", timeout=5).json() == []
    assert client.get("forum.example/site.json").status_code == 200
    limits = {"host": "forum.example", "limits": [{"requests": 0, "seconds": 10}]}
    assert requests.post(f"{url}/limits", json=limits, timeout=5).json() == limits
    assert client.get("forum.example/site.json").status_code == 429
    for bad in ({"kind": "typo"}, {"nonsense": 1}):
        assert requests.post(f"{url}/faults", json=bad, timeout=5).status_code == 400
    assert requests.post(f"{url}/clock", json={"now": "2026-11-01T00:00:00"}, timeout=5).status_code == 400


def test_unknown_hosts_and_head(client: Client, sandbox: Sandbox) -> None:
    assert client.get("nowhere.example/").status_code == 502
    head = requests.head(f"{sandbox.url}/a.4cdn.org/po/threads.json", timeout=5)
    assert head.status_code == 200 and int(head.headers["Content-Length"]) > 100


def test_latency_does_not_make_others_wait(world: World) -> None:
    with Sandbox(world, now=START, latency=0.5) as sandbox:
        address = f"{sandbox.url}/a.4cdn.org/boards.json"
        requests.get(address, timeout=5)
        threads = [threading.Thread(target=requests.get, args=(address,), kwargs={"timeout": 5}) for _ in range(8)]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 0.5 <= time.monotonic() - started < 3, "one after another takes 4"


def test_given_sites_replace_those_of_the_world(world: World) -> None:
    from sandbox.fourchan import Fourchan

    other = Fourchan(World(start=START, hours=2, seed=99))
    with Sandbox(world, now=START + timedelta(hours=2), sites=[other]) as sandbox:
        replaced = Client(sandbox).json("a.4cdn.org/po/threads.json")
    with Sandbox(world, now=START + timedelta(hours=2)) as sandbox:
        assert Client(sandbox).json("a.4cdn.org/po/threads.json") != replaced


def test_command_line(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    command = [sys.executable, "-m", "sandbox", "--start", START.isoformat(), "--hours", "3", "--now"]
    command += [(START + timedelta(hours=2)).isoformat(), "--clock-file", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("sandbox listening on http://127.0.0.1:")
        url = line.split()[-1]
        assert requests.get(f"{url}/a.4cdn.org/out/threads.json", timeout=10).json()
        assert datetime.fromisoformat(file.read_text()) == START + timedelta(hours=2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def test_help_names_what_is_served(capsys: pytest.CaptureFixture[str]) -> None:
    from sandbox.__main__ import main

    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for word in ("a.4cdn.org", "forum.example", "--clock-file", "--latency", "--recorded", "_sandbox"):
        assert word in text
