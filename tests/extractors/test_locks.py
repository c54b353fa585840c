"""Who alone may do something, on one machine and on several that share a bucket, each with a scratch folder."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from datetime import UTC, datetime
from pathlib import Path

import filelock
import pytest

from extractors import lease
from extractors.gcs import Gcs
from extractors.locks import READING, alone, is_done, turn
from extractors.pace import Gate, HeldOff, Pace
from extractors.store import Bucket, Folder
from sandbox.faults import Fault
from sandbox.gcs import GcsSite, address, served
from sandbox.server import Sandbox
from tests.stores import BUCKET, gcs

ROOT = Path(__file__).parents[2]
KEY = "lemmy:lemmy.example/folding"
HOLD = """
import sys, time
from pathlib import Path
from google.cloud.storage import Client
from extractors.gcs import Gcs
from extractors.locks import READING, alone
from extractors.store import Bucket
scratch = Path(sys.argv[1])
with alone(READING, sys.argv[2], Gcs(Client(project=None), Bucket("lake", "p"), scratch / "copies"), scratch, 0):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sandbox]:
    with served(tmp_path / "storage", BUCKET) as sandbox:
        yield sandbox


Machine = Callable[..., tuple[Gcs, Path]]


@pytest.fixture
def machine(server: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A store and a scratch folder; leases end after two seconds."""
    monkeypatch.setattr(lease, "SECONDS", 2.0)
    monkeypatch.setattr(lease, "RENEWED", 0.2)
    monkeypatch.setattr(lease, "SKEW", 0.0)
    monkeypatch.setattr(lease, "LOOK", 0.02)

    def make(name: str, at: Sandbox = server) -> tuple[Gcs, Path]:
        (tmp_path / name).mkdir(exist_ok=True)
        return gcs(at, tmp_path / name, Bucket(BUCKET, "p"), patience=0.3), tmp_path / name

    return make


def test_one_at_a_time_on_one_machine_whatever_the_store(tmp_path: Path, machine: Machine) -> None:
    for store, scratch in ((Folder(tmp_path / "lake"), tmp_path / "x"), machine("a")):
        with alone(READING, KEY, store, scratch, 0):
            with pytest.raises(filelock.Timeout), alone(READING, KEY, store, scratch, 0.05):
                pass
            assert is_done(READING, ["other", KEY], store, scratch) and not is_done(READING, ["other"], store, scratch)
            with alone(READING, "other", store, scratch, 0), alone("rewriting", KEY, store, scratch, 0):
                pass
        assert not is_done(READING, [KEY], store, scratch)
        with alone(READING, KEY, store, scratch, 0):
            pass


def test_one_at_a_time_on_several_machines(machine: Machine) -> None:
    a, b = machine("a"), machine("b")
    with alone(READING, KEY, *a, 0):
        time.sleep(2.5)  # longer than a lease lasts without a word
        with pytest.raises(filelock.Timeout), alone(READING, KEY, *b, 0.05):
            pass
        assert is_done(READING, [KEY], *b) and not is_done(READING, ["other"], *b)
    began = time.monotonic()
    with alone(READING, KEY, *b, 0):
        assert time.monotonic() - began < 1.5, "it was given back"
    assert list(a[0].list("")) == []


def test_many_machines_take_turns(machine: Machine) -> None:
    inside, most, done = 0, 0, []

    def work(name: str) -> None:
        nonlocal inside, most
        store, scratch = machine(name)
        for _ in range(3):
            with alone(READING, KEY, store, scratch, 30):
                inside += 1
                most = max(most, inside)
                time.sleep(0.01)
                inside -= 1
        done.append(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == 1 and sorted(done) == list("abcd")


def test_machines_keep_a_hosts_pace_together_and_take_turns(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"SECONDS": 1.5, "TERM": 0.3, "GAP": 0.5, "WAITS": 3.0}.items():
        monkeypatch.setattr(lease, name, seconds)
    monkeypatch.setattr("extractors.pace.SLICE", 0.2)
    pace, sent, stop = Pace(5, 0.3, in_flight=2), [], threading.Event()
    problems = []

    def ask(name: str) -> None:
        store, scratch = machine(name)
        gate = Gate(scratch / "hosts", "A.example", machines=turn("A.example", store, scratch))
        try:
            while not stop.is_set():
                with gate.enter(pace, stop):
                    sent.append((time.monotonic(), name))
        except CancelledError:
            pass
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=ask, args=(name,)) for name in ("a", "a", "b", "b")]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 60
    while time.monotonic() < until and len([1 for i in range(1, len(sent)) if sent[i][1] != sent[i - 1][1]]) < 3:
        time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert not problems and {name for _, name in sent} == {"a", "b"}
    turns = [i for i in range(1, len(sent)) if sent[i][1] != sent[i - 1][1]]
    assert len(turns) >= 3, "nobody keeps it for ever"
    assert all(sent[i][0] - sent[i - 1][0] >= pace.span for i in turns), "the requests of both count"


def test_who_waits_for_its_turn_too_long_is_told_how_long_it_takes_yet(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "SECONDS", 60.0)
    (a, here), (b, there) = machine("a"), machine("b")
    pace = Pace(5, 0.3)
    with Gate(here / "hosts", "x", machines=turn("x", a, here)).enter(pace, threading.Event()):
        pass
    with Gate(here / "more", "x", machines=turn("x", a, here)).enter(pace, threading.Event()) as waited:
        assert waited < 2, "another process of the same machine"
    gate = Gate(there / "hosts", "x", patience=0.1, machines=turn("x", b, there))
    with pytest.raises(HeldOff) as held, gate.enter(pace, threading.Event()):
        pass
    assert 50 < held.value.seconds <= 60
    assert turn("x", Folder(here / "lake"), here) is None


def test_a_machine_that_died_keeps_others_waiting_for_a_lease_and_itself_not_at_all(
    machine: Machine, server: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = machine("a"), machine("b")
    monkeypatch.setattr(lease, "SECONDS", 3.0)
    for other, least, most in ((a, 0.0, 2.0), (b, 0.5, 20.0)):
        env = os.environ | {"STORAGE_EMULATOR_HOST": address(server), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", HOLD, str(a[1]), KEY]
        with subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE) as process:
            assert process.stdout and process.stdout.readline() == b"held\n"
            process.kill()
        began = time.monotonic()
        with alone(READING, KEY, *other, 30):
            assert least <= time.monotonic() - began < most


@pytest.mark.parametrize("fault", [Fault("reset"), Fault("503", untouched=True), Fault("429")], ids=lambda f: f.kind)
def test_a_lost_answer_neither_takes_nor_gives_a_lease(fault: Fault, machine: Machine, server: Sandbox) -> None:
    a, b = machine("a"), machine("b")
    server.faults.add(Fault(**{**vars(fault), "method": "POST|DELETE", "times": 1}))
    with alone(READING, KEY, *a, 0):
        assert is_done(READING, [KEY], *b)
        server.faults.clear()
        server.faults.add(Fault(**{**vars(fault), "method": "DELETE", "times": 1}))
    server.faults.clear()
    assert not is_done(READING, [KEY], *b)


def test_whoever_cannot_reach_the_bucket_loses_it_and_takes_nothing_back(
    tmp_path: Path, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    site = GcsSite(tmp_path / "shared", [BUCKET])
    with Sandbox(now=datetime.now(UTC), sites=[site]) as cut_off, Sandbox(now=datetime.now(UTC), sites=[site]) as open_:
        a, b = machine("a", cut_off), machine("b", open_)
        with alone(READING, KEY, *a, 0):
            cut_off.faults.add(Fault("503", method="POST", untouched=True))
            with alone(READING, KEY, *b, 30):
                cut_off.faults.clear()
                until = time.monotonic() + 30
                while "lost to another machine" not in caplog.text and time.monotonic() < until:
                    time.sleep(0.05)
                assert "lost to another machine" in caplog.text
                held = b[0].find_lease(f"leases/{READING}/lemmy:lemmy.example%2Ffolding")
            assert held and held.owner == (b[1] / "machine").read_text()
        with alone(READING, KEY, *b, 0):
            pass
