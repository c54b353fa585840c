"""The pace holds: for any arrivals, any clock, across processes, and whatever happens to its files."""

import json
import signal
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from concurrent.futures import CancelledError
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extractors.pace import LONGEST_BACKOFF, Gate, Pace, Recent, asked_to_wait, backoff

NOW = datetime(2026, 11, 22, 13, tzinfo=UTC)
UNLIMITED = Pace(1_000_000, 1, 64)
paces = st.builds(Pace, st.integers(1, 8) | st.integers(90, 250), st.floats(0.5, 100))
arrivals = st.tuples(st.floats(0, 1.2), st.integers(1, 300))  # (spans since the last, how many at once)


def most_in_a_span(times: list[float], seconds: float) -> int:
    """How many of these sorted times the busiest half-open span of so many seconds holds."""
    return max((bisect_left(times, start + seconds) - bisect_left(times, start) for start in times), default=0)


@settings(max_examples=60, deadline=None)
@given(paces, st.lists(arrivals, min_size=1, max_size=30))
def test_no_span_holds_more_than_its_pace(pace: Pace, crowds: list[tuple[float, int]]) -> None:
    """Askers come at any moment, are told to wait or let in, and the record goes through its file each time."""
    now, recent, sent = 1000.0, Recent(), []
    for spans, crowd in crowds:
        now += spans * pace.seconds
        sent += [now for _ in range(crowd) if recent.take(pace, now) == 0]
        recent = Recent.load(recent.dump(), now)
    assert most_in_a_span(sent, pace.seconds) <= pace.requests
    assert len(recent.sent) <= 102


@settings(max_examples=60, deadline=None)
@given(paces, st.integers(1, 700))
def test_who_waits_as_told_gets_in_and_loses_little(pace: Pace, count: int) -> None:
    now, recent = 50.0, Recent()
    for _ in range(count):
        while wait := recent.take(pace, now):
            assert 0 < wait <= pace.span * 1.01
            now += wait + 1e-9
    full_spans = (count - 1) // pace.requests
    assert now - 50.0 <= full_spans * pace.span * 1.01 + 0.001


@given(paces, st.lists(st.floats(-1000, 1000), max_size=60))
def test_a_clock_that_jumps_never_blocks_longer_than_a_span(pace: Pace, jumps: list[float]) -> None:
    now, recent = 5000.0, Recent()
    for jump in jumps:
        now += jump
        assert recent.take(pace, now) <= pace.span * 1.01 + 1e-6


def test_a_clock_set_back_opens_no_gate() -> None:
    recent, pace = Recent(), Pace(1, 10)
    assert recent.take(pace, 1000) == 0
    assert recent.take(pace, 400) == pytest.approx(pace.span)
    assert recent.take(pace, 405) == pytest.approx(pace.span - 5)


def test_hold_off_holds_everybody_and_is_never_shortened() -> None:
    recent = Recent()
    recent.hold_off(30, 100)
    recent.hold_off(5, 110)
    assert recent.take(UNLIMITED, 110) == pytest.approx(20)
    assert recent.take(UNLIMITED, 131) == 0


@pytest.mark.parametrize("keep", [1, 5, -1, -3])
def test_a_torn_file_means_a_full_span(keep: int) -> None:
    recent = Recent()
    recent.take(Pace(5, 10), 100)
    torn = recent.dump()[:keep]
    assert Recent.load(torn, 100).take(Pace(5, 10), 100) > 10
    assert Recent.load(recent.dump() + b"1]\n", 100).take(Pace(5, 10), 100) > 10
    assert Recent.load(b"", 100).take(Pace(5, 10), 100) == 0


def test_a_damaged_file_of_a_gate_heals(tmp_path: Path) -> None:
    gate, pace = Gate(tmp_path, "example.org"), Pace(3, 0.2)
    (tmp_path / "example.org" / "recent.json").write_bytes(b'[[[1.0,"x')
    for _ in range(2):
        with gate.enter(pace, threading.Event()) as waited:
            pass
    assert waited < 0.1, "the second finds a sound file"


@pytest.mark.parametrize("wrong", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (1, float("inf"), 1)])
def test_no_senseless_pace(wrong: tuple[int, float, int]) -> None:
    with pytest.raises(ValueError, match="not a pace"):
        Pace(*wrong)


@given(st.integers(1, 40), st.floats(0.01, 10))
def test_backoff_stays_within_its_bounds(attempt: int, first: float) -> None:
    assert 0 <= backoff(attempt, first) <= min(LONGEST_BACKOFF, first * 2 ** (attempt - 1))


def test_backoff_is_spread_over_the_whole_range() -> None:
    waits = [backoff(4, 1) for _ in range(400)]
    assert min(waits) < 1 and max(waits) > 7


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "7"}, b"", 7),
        ({"Retry-After": "0.25"}, b"", 0.25),
        ({"Retry-After": "Sun, 22 Nov 2026 13:00:09 GMT"}, b"", 9),
        ({"Retry-After": "Sun, 22 Nov 2026 13:00:09 GMT", "Date": "Sun, 22 Nov 2026 13:00:05 GMT"}, b"", 4),
        ({"Retry-After": "Sun, 22 Nov 2026 12:00:00 GMT"}, b"", 0),
        ({}, b'{"error_type":"rate_limit","extras":{"wait_seconds":12}}', 12),
        ({}, b'{"retry_after":0.75,"global":false}', 0.75),
        ({"Retry-After": "soon"}, b"Slow down", None),
        ({"Retry-After": "-3"}, b"[1]", None),
        ({"Retry-After": "nan"}, b'{"extras":null}', None),
    ],
)
def test_what_a_host_asks_for(headers: dict[str, str], body: bytes, seconds: float | None) -> None:
    assert asked_to_wait(headers, body, NOW) == seconds


def test_threads_never_hold_more_slots_than_there_are(tmp_path: Path) -> None:
    gate, pace = Gate(tmp_path, "h"), Pace(100_000, 1, 3)
    inside, most, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(5):
            with gate.enter(pace, threading.Event()):
                with lock:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.005)
                with lock:
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 3


def test_no_request_is_forgotten_while_others_hold_off(tmp_path: Path) -> None:
    gate, done = Gate(tmp_path, "h"), threading.Event()
    late = threading.Timer(10, done.set)  # a torn record would make each request wait

    def hold_off() -> None:
        while not done.is_set():
            gate.hold_off(0)

    threads = [threading.Thread(target=hold_off) for _ in range(3)]
    for thread in (late, *threads):
        thread.start()
    try:
        for _ in range(200):
            with gate.enter(Pace(1_000_000, 30), done):
                pass
    finally:
        late.cancel()
        done.set()
        for thread in threads:
            thread.join()
    sent, *_ = json.loads((tmp_path / "h" / "recent.json").read_bytes().splitlines()[0])
    assert sum(count for _, count in sent) == 200


def test_a_route_waits_alone() -> None:
    recent = Recent()
    recent.hold_off(5, 100, "a")
    recent.hold_off(2, 100, "a")
    assert (recent.wait_for("a", 101), recent.wait_for("b", 101), recent.take(Pace(9, 1), 101)) == (4, 0, 0)
    again = Recent.load(recent.dump(), 102)
    assert again.wait_for("a", 102) == 3
    again.hold_off(1, 110, "b")
    assert again.routes == {"b": 111}, "what is over is forgotten"
    assert again.wait_for("b", 50) == 1, "the clock began anew"


def test_who_waits_can_be_stopped(tmp_path: Path) -> None:
    gate, stop = Gate(tmp_path, "h"), threading.Event()
    gate.hold_off(60)
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(CancelledError), gate.enter(UNLIMITED, stop):
        pytest.fail("came in")


HOLDER = r"""
import sys, threading, time
from pathlib import Path
from extractors.pace import Gate, Pace
pace = Pace(100_000, 1, 2)
def hold(gate):
    with gate.enter(pace, threading.Event()):
        sys.stdout.write("in\n")
        sys.stdout.flush()
        time.sleep(60)
gate = Gate(Path(sys.argv[1]), "h")
for _ in range(3):  # two get the slots, one waits with the turn
    threading.Thread(target=hold, args=(gate,), daemon=True).start()
time.sleep(60)
"""


def test_a_killed_process_blocks_nobody(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE)
    assert holder.stdout
    with holder.stdout:
        assert [holder.stdout.readline(), holder.stdout.readline()] == [b"in\n", b"in\n"]
        gate, pace, stop = Gate(tmp_path, "h"), Pace(100_000, 1, 2), threading.Event()
        threading.Timer(0.2, stop.set).start()
        with pytest.raises(CancelledError), gate.enter(pace, stop):
            pytest.fail("both slots are taken")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with gate.enter(pace, threading.Event()) as waited:
        assert waited < 5
