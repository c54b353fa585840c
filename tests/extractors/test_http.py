"""The client against real servers on loopback: pace, retries, faults, redirects, secrets."""

import gzip
import json
import logging
import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from extractors import errors
from extractors.http import Http, Request, Response
from extractors.pace import Gate, Pace
from extractors.usage import Usage
from extractors.wire import _public, host_of

FREE = Pace(1_000_000, 1, 4)
SECRET = "hunter2-hunter2"
Route = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Server:
    """Answers by path; remembers what was asked and when."""

    url: str = ""
    routes: dict[str, Route] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str], float]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.seen]


def reply(status: int = 200, body: bytes = b"{}", headers: Mapping[str, str] | None = None) -> Route:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def in_turn(*routes: Route) -> Route:
    """One after the other; the last stays."""
    left = list(routes)
    return lambda handler: (left.pop(0) if len(left) > 1 else left[0])(handler)


def raw(data: bytes, drip: float = 0) -> Route:
    """These bytes, then the end of the connection; with `drip`, seconds between any two."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        try:
            for piece in [data[i : i + 1] for i in range(len(data))] if drip else [data]:
                handler.wfile.write(piece)
                time.sleep(drip)
        except OSError:
            pass  # the client has gone, as it should

    return answer


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with state.lock:
                state.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}, time.monotonic()))
            state.routes.get(self.path.partition("?")[0], reply(404, b"no such page"))(self)

        def log_message(self, *args: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

    httpd = Quiet(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Http]]:
    made: list[Http] = []

    def build(**options: Any) -> Http:
        quick: dict[str, Any] = {"backoff": 0.01, "patience": 0.3, "timeout": (2, 1), "deadline": 5, "attempts": 3}
        quick["allow"] = {"127.0.0.1", "localhost"}
        made.append(Http(locks=tmp_path, user_agent="threadlake (+https://example.org)", **(quick | options)))
        return made[-1]

    yield build
    for http in made:
        http.close()


def test_an_answer_and_what_was_sent(server: Server, make: Callable[..., Http]) -> None:
    server.routes["/a"] = reply(200, gzip.compress(b'{"x": 1}'), {"Content-Encoding": "gzip", "Last-Modified": "then"})
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    http = make(clock=lambda: moment)
    answer = http.get(f"{server.url}/a", params={"ids[]": [1, 2]}, pace=FREE, if_modified_since="As Received")
    assert (answer.status, answer.json(), answer.observed_at) == (200, {"x": 1}, moment)
    assert answer.headers["last-MODIFIED"] == "then"
    path, headers, _ = server.seen[0]
    assert path == "/a?ids%5B%5D=1&ids%5B%5D=2"
    assert headers["if-modified-since"] == "As Received"
    assert headers["accept-encoding"] == "gzip"
    assert headers["user-agent"] == "threadlake (+https://example.org)"


def test_304_is_an_answer_to_a_condition_only(server: Server, make: Callable[..., Http]) -> None:
    server.routes["/a"] = reply(304, b"")
    http = make()
    assert http.get(f"{server.url}/a", pace=FREE, if_modified_since="x").not_modified
    with pytest.raises(errors.Malformed, match="without a condition"):
        http.get(f"{server.url}/a", pace=FREE)
    [usage] = http.stats.snapshot().values()
    assert (usage.requests, usage.not_modified) == (2, 2)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, errors.Refused),
        (403, errors.Refused),
        (422, errors.Refused),
        (410, errors.NotFound),
        (305, errors.Malformed),
    ],
)
def test_fatal_statuses_are_not_repeated(
    server: Server, make: Callable[..., Http], status: int, error: type[errors.CrawlError]
) -> None:
    server.routes["/a"] = reply(status, b"<html><title>Sorry,\n you are banned</title>")
    with pytest.raises(error, match=f"{status} with an HTML page titled 'Sorry, you are banned'"):
        make().get(f"{server.url}/a", pace=FREE)
    assert len(server.seen) == 1
    assert make().get(f"{server.url}/a", pace=FREE, tolerate=frozenset({status})).status == status


def test_404_is_tolerated_unless_the_caller_needs_it(server: Server, make: Callable[..., Http]) -> None:
    answer = make().get(f"{server.url}/gone", pace=FREE)
    assert answer.status == 404
    with pytest.raises(errors.NotFound):
        answer.json()
    with pytest.raises(errors.NotFound):
        make().get(f"{server.url}/gone", pace=FREE, tolerate=frozenset())


def answer_with(body: bytes) -> Response:
    return Response(200, "https://h/a", {}, body, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "value",
    [
        "\ud83d",
        2**80,
        -(2**70),
        [10**19],
        {"n": 12345678901234567890123},
        ["1234567890123456789", 2**70],
        {"1234567890123456789": [2**70]},
    ],
)
def test_json_that_orjson_refuses_or_rounds(value: Any) -> None:
    assert answer_with(json.dumps(value).encode()).json() == value


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<!DOCTYPE html><title>Just a moment...</title>", "HTML page titled 'Just a moment...'"),
        (b'{"a": ', "the text '{\"a\":'"),
        (b"", "an empty body"),
        (b"[" * 100_000, "the text"),
        (b"\xff\xfe", "the text"),
    ],
)
def test_no_json(body: bytes, says: str) -> None:
    with pytest.raises(errors.Malformed) as caught:
        answer_with(body).json()
    assert str(caught.value).startswith("https://h/a: expected JSON, got 200 with ") and says in str(caught.value)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
FAULTS = {
    "cut body": raw(HEAD + b"Content-Length: 100\r\n\r\n{"),
    "cut chunk": raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"),
    "no last chunk": raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
    "cut gzip": raw(HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"{}" * 999)[:-9]),
    "bad gzip": reply(200, b"not gzip at all", {"Content-Encoding": "gzip"}),
    "no answer": raw(b""),
    "no http": raw(b"SSH-2.0-hello\r\n\r\n"),
    "cut headers": raw(HEAD[:20]),
    "silence": lambda handler: time.sleep(0.6),
    "dripping body": raw(HEAD + b"Content-Length: 999\r\n\r\n" + b" " * 999, drip=0.05),
    "dripping headers": raw(HEAD + b"X: " + b"y" * 999, drip=0.05),
    "500": reply(500),
    "503": reply(503, b"<title>Down</title>"),
    "520": reply(520),
    "429 without a word": reply(429, b"Slow down"),
    "400 that is a limit": reply(400, b'{"error":"rate_limit_error"}'),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_repeated_and_then_unavailable(server: Server, make: Callable[..., Http], fault: str) -> None:
    server.routes["/once"] = in_turn(FAULTS[fault], reply(200, b"[1]"))
    server.routes["/always"] = FAULTS[fault]
    http = make(timeout=(2, 0.4), deadline=0.6, attempts=2)
    assert http.get(f"{server.url}/once", pace=FREE).json() == [1]
    with pytest.raises(errors.Unavailable, match="in the last of 2 tries; the next run asks again"):
        http.get(f"{server.url}/always", pace=FREE)
    assert server.paths() == ["/once", "/once", "/always", "/always"]
    [usage] = http.stats.snapshot().values()
    assert (usage.requests, usage.retries) == (4, 2)


def test_nobody_listens(make: Callable[..., Http], caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(errors.Unavailable, match=r"a broken connection \(ConnectionRefusedError\)"):
        make().get("http://127.0.0.1:9/a", pace=FREE)
    lines = [r.getMessage() for r in caplog.records if r.name == "extractors.http" and r.levelno == logging.WARNING]
    assert len(lines) == 2 and "try 2 of 3 in 0.0 s" in lines[0]


@pytest.mark.parametrize(
    "asking",
    [
        lambda: reply(429, b"", {"Retry-After": "0.3"}),
        lambda: reply(429, b'{"extras": {"wait_seconds": 0.3}}'),
    ],
)
def test_everybody_waits_when_the_host_asks_for_it(
    server: Server, make: Callable[..., Http], tmp_path: Path, asking: Callable[[], Route]
) -> None:
    server.routes["/a"] = in_turn(asking(), reply())
    make().get(f"{server.url}/a", pace=FREE)
    first, second = (at for _, _, at in server.seen)
    assert second - first >= 0.29

    server.routes["/b"] = asking()
    with pytest.raises(errors.Unavailable):
        make(attempts=1).get(f"{server.url}/b", pace=FREE)
    with Gate(tmp_path, host_of(server.url)).enter(FREE, threading.Event()) as waited:
        assert waited > 0.05, "another process waits too"


@pytest.mark.parametrize(
    "asking",
    [
        lambda: reply(503, b"", {"Retry-After": "3600"}),
        lambda: reply(429, b"", {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)}),
    ],
)
def test_a_host_that_wants_more_than_our_patience_is_left_alone(
    server: Server, make: Callable[..., Http], asking: Callable[[], Route]
) -> None:
    server.routes["/a"] = asking()
    for _ in range(2):  # the second client, as another process would, does not even ask
        with pytest.raises(errors.Unavailable, match=r"come back in 3[56]\d\d s"):
            make(patience=5).get(f"{server.url}/a", pace=FREE)
    assert len(server.seen) == 1


def test_a_limit_of_one_route_leaves_the_others_alone(server: Server, make: Callable[..., Http]) -> None:
    """As Discord tells it: what is left before a 429, and in a 429 whether it is a limit of all."""
    last = {"X-RateLimit-Bucket": "b", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "0.4"}
    server.routes["/used"] = in_turn(reply(headers=last), reply())
    passed = reply(429, b'{"retry_after": 0.4, "global": false}', {"X-RateLimit-Bucket": "b", "Retry-After": "0.4"})
    server.routes["/passed"] = in_turn(passed, reply())
    everywhere = {"X-RateLimit-Global": "true", "Retry-After": "0.4", "X-RateLimit-Bucket": "b"}
    server.routes["/global"] = in_turn(reply(429, b'{"retry_after": 0.4, "global": true}', everywhere), reply())
    http = make(patience=5)

    def seconds(path: str, route: str) -> float:
        began = time.monotonic()
        http.get(f"{server.url}{path}", pace=FREE, route=route)
        return time.monotonic() - began

    assert seconds("/used", "a") < 0.3
    assert seconds("/used", "b") < 0.3 <= seconds("/used", "a")
    waits: list[float] = []
    for path, least in (("/passed", 0.0), ("/global", 0.2)):
        waits.clear()
        (other := threading.Timer(0.1, lambda: waits.append(seconds("/used", "b")))).start()
        assert seconds(path, "c") >= 0.4
        other.join()
        assert least <= waits[0] < least + 0.25


def test_a_host_that_refuses_our_key_is_asked_no_more(server: Server, make: Callable[..., Http]) -> None:
    server.routes["/no"] = reply(401, b'{"message": "401: Unauthorized"}')
    http = make(secrets={server.url.removeprefix("http://"): {"Authorization": SECRET}})
    for path in ("/no", "/other"):
        with pytest.raises(errors.Refused, match="401 with the text"):
            http.apart().get(server.url + path, pace=FREE)
    assert server.paths() == ["/no"]


def test_too_large(server: Server, make: Callable[..., Http]) -> None:
    server.routes["/declared"] = raw(HEAD + b"Content-Length: 2000\r\n\r\n")
    server.routes["/real"] = raw(HEAD + b"\r\n" + b"x" * 2000)
    server.routes["/bomb"] = reply(200, gzip.compress(b"0" * 50_000_000), {"Content-Encoding": "gzip"})
    server.routes["/moved"] = raw(b"HTTP/1.1 302 Found\r\nLocation: /fits\r\n\r\n" + b"x" * 2000)
    server.routes["/fits"] = reply(200, gzip.compress(b"0" * 1000) + gzip.compress(b""), {"Content-Encoding": "gzip"})
    http = make(max_bytes=1000)
    for path in ("/declared", "/real", "/bomb", "/moved"):
        with pytest.raises(errors.TooLarge, match="at most 1000 bytes"):
            http.get(f"{server.url}{path}", pace=FREE)
    assert len(http.get(f"{server.url}/fits", pace=FREE).body) == 1000
    assert len(server.seen) == 5


def test_an_encoding_nobody_asked_for(server: Server, make: Callable[..., Http]) -> None:
    server.routes["/a"] = reply(200, b"x", {"Content-Encoding": "br"})
    with pytest.raises(errors.Malformed, match="one in br"):
        make().get(f"{server.url}/a", pace=FREE)


def test_via_sends_every_host_to_the_sandbox(server: Server, make: Callable[..., Http]) -> None:
    server.routes["/forum.example/t/1"] = reply(301, b"", {"Location": "/t/slug/1?x=1"})
    server.routes["/forum.example/t/slug/1"] = reply(302, b"", {"Location": "https://other.example/z"})
    server.routes["/other.example/z"] = reply(307, b"", {"Location": f"{server.url}/third.example/end"})
    server.routes["/third.example/end"] = reply(200, b"[]")
    http = make(
        via=server.url, secrets={"Forum.example": {"Api-Key": SECRET + "\n"}, "other.example": {"Cookie": "c=1"}}
    )
    answer = http.get("https://forum.example/t/1", pace=FREE)
    assert answer.url == "https://third.example/end"
    assert [("api-key" in headers, "cookie" in headers) for _, headers, _ in server.seen] == [
        (True, False),
        (True, False),
        (False, True),
        (False, False),
    ]
    assert {host: usage.requests for host, usage in http.stats.snapshot().items()} == {
        "forum.example": 2,
        "other.example": 1,
        "third.example": 1,
    }


def test_each_hop_keeps_the_pace(server: Server, make: Callable[..., Http]) -> None:
    server.routes["/a"] = reply(302, b"", {"Location": "/b"})
    server.routes["/b"] = reply()
    make().get(f"{server.url}/a", pace=Pace(1, 0.3))
    first, second = (at for _, _, at in server.seen)
    assert second - first >= 0.29


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("/a", errors.Malformed),
        ("ftp://h/x", errors.Malformed),
        ("file:///etc/passwd", errors.Malformed),
        ("http://[broken/", errors.Malformed),
        ("/session/login?return=/a", errors.Refused),
    ],
)
def test_redirects_that_lead_nowhere(
    server: Server, make: Callable[..., Http], location: str, error: type[errors.CrawlError]
) -> None:
    server.routes["/a"] = reply(302, b"", {"Location": location})
    with pytest.raises(error):
        make().get(f"{server.url}/a", pace=FREE)
    assert len(server.seen) == (6 if location == "/a" else 1)


def test_no_secret_goes_from_https_to_http(server: Server, make: Callable[..., Http]) -> None:
    server.routes["/h.example/a"] = in_turn(reply(302, b"", {"Location": "http://h.example/a"}), reply())
    make(via=server.url, secrets={"h.example": {"Api-Key": SECRET}}).get("https://h.example/a", pace=FREE)
    assert ["api-key" in headers for _, headers, _ in server.seen] == [True, False]


@pytest.mark.parametrize("url", ["ftp://h/x", "nonsense", "http://", "http://h:port/", "https://[::1/"])
def test_no_url(make: Callable[..., Http], url: str) -> None:
    with pytest.raises(errors.Malformed, match="expected an http or https URL"):
        make().get(url, pace=FREE)


def everything(error: BaseException | None) -> Iterator[str]:
    """All that a logger or a reporter might show of an error, its causes included."""
    while error is not None:
        yield from (str(error), repr(error), repr(vars(error)))
        error = error.__cause__ or error.__context__


def test_secrets_are_nowhere(server: Server, make: Callable[..., Http], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    host = server.url.removeprefix("http://")
    server.routes["/down"] = reply(500, f"you sent {SECRET}".encode())
    server.routes["/cut"] = FAULTS["cut body"]
    server.routes["/no"] = reply(403, f"bad key {SECRET}".encode())
    server.routes["/text"] = reply(200, f"hello {SECRET}".encode(), {"X": SECRET})
    server.routes["/away"] = reply(302, b"", {"Location": f"/login?key={SECRET}"})
    http = make(secrets={host: {"Authorization": f"Bearer {SECRET}"}})
    shown: list[str] = []
    for path in ("/down", "/cut", "/no", "/text", "/away"):
        url = f"http://user:password9@{host}{path}?api_key=in-the-url&b=2&access_token=also-there"
        try:
            answer = http.get(url, pace=FREE)
            shown += [repr(answer), answer.url]
            answer.json()
        except errors.CrawlError as error:
            shown += everything(error)
    broken = make(secrets={host: {"Api-Key": "line\nbreak-in-a-key"}})
    with pytest.raises(errors.Malformed) as caught:
        broken.get(f"{server.url}/text", pace=FREE)
    shown += [*everything(caught.value), repr(http), repr(Request(f"{server.url}/x", {"token": "in-the-url"}))]
    assert any("b=2" in line for line in shown) and all(h["authorization"] for _, h, _ in server.seen)
    logged = [record.getMessage() for record in caplog.records]
    assert any("urllib3" in record.name for record in caplog.records) and len(logged) > 8
    for secret in (SECRET, "in-the-url", "also-there", "password9", "break-in-a-key"):
        assert not [line for line in shown + logged if secret in line]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://h/a?api_key=1&page=2", "https://h/a?api_key=***&page=2"),
        ("https://h/a?keyword=cats&author=me", "https://h/a?keyword=cats&author=me"),
        ("https://me:pw@h/a#access_token=x", "https://***@h/a#access_token=***"),
    ],
)
def test_mask(text: str, masked: str) -> None:
    assert errors.mask(text) == masked


def test_an_error_is_one_sentence_and_travels_between_processes() -> None:
    error = errors.NotFound("https://h/b?token=1", "fourchan:b", expected="a catalog", came="404")
    text = "fourchan:b: https://h/b?token=***: expected a catalog, got 404; "
    text += "check whether the community moved or was removed."
    assert str(error) == text == str(pickle.loads(pickle.dumps(error)))


def test_get_all_keeps_the_order_and_yields_errors(server: Server, make: Callable[..., Http]) -> None:
    def slow(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.02)
        reply(200, handler.path[1:].encode())(handler)

    for n in range(12):
        server.routes[f"/{n}"] = reply(200, str(n).encode()) if n % 3 else slow
    server.routes["/5"] = reply(403)
    asked = [Request(f"{server.url}/{n}", tag=n) for n in range(12)]
    results = list(make().get_all(asked, FREE))
    assert [request.tag for request, _ in results] == list(range(12))
    assert isinstance(results[5][1], errors.Refused)
    assert [a.json() for _, a in results if isinstance(a, Response)] == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]


def test_get_all_looks_ahead_a_little_only(server: Server, make: Callable[..., Http]) -> None:
    server.routes["/a"] = reply()
    drawn = 0

    def endless() -> Iterator[str]:
        nonlocal drawn
        while True:
            drawn += 1
            yield f"{server.url}/a"

    answers = make().get_all(endless(), Pace(1_000_000, 1, 3))
    for count in range(1, 20):
        next(answers)
        time.sleep(0.002)
        assert drawn <= count + 6
    answers.close()  # type: ignore[attr-defined]
    assert len(server.seen) <= 25


def test_get_all_that_is_closed_waits_for_nobody(server: Server, make: Callable[..., Http]) -> None:
    held = threading.Event()

    def hold(handler: BaseHTTPRequestHandler) -> None:
        reply(429, b"", {"Retry-After": "60"})(handler)
        held.set()

    def after_that(handler: BaseHTTPRequestHandler) -> None:
        held.wait(5)
        reply()(handler)

    server.routes |= {"/first": after_that, "/held": hold}
    http = make(patience=60, timeout=(2, 10), deadline=10)
    answers = http.get_all([f"{server.url}/{name}" for name in ("first", *["held"] * 8)], Pace(1_000_000, 1, 2))
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 5
    while (left := [t for t in threading.enumerate() if t.name.startswith("http")]) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left and len(server.seen) <= 4


CRAWLER = """
import sys
from pathlib import Path
from extractors.http import Http
from extractors.pace import Pace
locks, url, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
http = Http(locks=locks, user_agent="t", allow=["127.0.0.1"])
for _, answer in http.get_all([url] * count, Pace(int(sys.argv[4]), float(sys.argv[5]), int(sys.argv[6]))):
    assert answer.status == 200
"""


def crawl_twice(server: Server, tmp_path: Path, count: int, pace: Pace) -> None:
    numbers = map(str, (count, pace.requests, pace.seconds, pace.in_flight))
    command = [sys.executable, "-c", CRAWLER, str(tmp_path), f"{server.url}/a", *numbers]
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert len(server.seen) == 2 * count


def test_two_processes_share_a_limit(server: Server, tmp_path: Path) -> None:
    server.routes["/a"] = reply()
    crawl_twice(server, tmp_path, 10, Pace(4, 0.5, 4))
    times = sorted(at for _, _, at in server.seen)
    gaps = [later - at for at, later in zip(times, times[4:], strict=False)]
    assert min(gaps) >= 0.4, "half a second sees no fifth request, give or take what a busy machine delays"
    assert times[-1] - times[0] < 20


def test_two_processes_share_the_slots(server: Server, tmp_path: Path) -> None:
    inside, most = 0, 0

    def slow(handler: BaseHTTPRequestHandler) -> None:
        nonlocal inside, most
        with server.lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.03)
        with server.lock:
            inside -= 1
        reply()(handler)

    server.routes["/a"] = slow
    crawl_twice(server, tmp_path, 15, Pace(1_000_000, 1, 3))
    assert most == 3


def test_stats_can_be_attributed(server: Server, make: Callable[..., Http]) -> None:
    server.routes["/a"] = reply(200, b"12345")
    http = make()
    http.get(f"{server.url}/a", pace=FREE)
    before = http.stats.snapshot()
    assert http.stats.since(before) == {}
    http.get(f"{server.url}/a", pace=FREE)
    [(host, usage)] = http.stats.since(before).items()
    assert (host, usage.requests, usage.bytes) == (host_of(server.url), 1, 5)
    assert usage + Usage(retries=1) - usage == Usage(retries=1)


# -- private addresses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "10.1.2.3", "192.168.1.1", "169.254.169.254", "[::1]", "[fe80::1]", "0.0.0.0",
             "[::ffff:127.0.0.1]", "2130706433", "[2002:7f00:1::1]", "[64:ff9b::10.0.0.1]", "224.0.0.1", "[ff0e::1]",
             "[::127.0.0.1]"],
)  # fmt: skip
def test_a_private_address_is_refused_in_a_sentence(host: str, server: Server, make: Callable[..., Http]) -> None:
    server.routes["/a"] = reply()
    port = server.url.rpartition(":")[2]
    with pytest.raises(errors.Refused, match=r"expected a host on the public internet, got the address .*ALLOW_HOSTS"):
        make(allow=()).get(f"http://{host}:{port}/a", pace=FREE)
    assert not server.seen


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "64:ff9b::93.184.216.34"])
def test_what_is_public_is_let_through(address: str) -> None:
    assert _public(address)


def test_a_redirect_to_a_private_address_is_refused(server: Server, make: Callable[..., Http]) -> None:
    port = server.url.rpartition(":")[2]
    server.routes["/a"] = reply(302, b"", {"Location": f"http://localhost:{port}/b"})
    server.routes["/b"] = reply()
    with pytest.raises(errors.Refused, match="the address"):
        make(allow=["127.0.0.1"]).get(f"{server.url}/a", pace=FREE)
    assert [path for path, *_ in server.seen] == ["/a"]


def test_a_name_that_changes_its_address_does_not_get_in(
    server: Server, make: Callable[..., Http], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = socket.getaddrinfo, []

    def rebinding(host: str, *args: Any, **options: Any) -> Any:
        asked.append(host)
        return real("93.184.216.34" if len(asked) == 1 else "127.0.0.1", *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    server.routes["/a"] = reply()
    with pytest.raises(errors.Refused, match="the address 127"):
        make(allow=()).get(f"http://rebinding.example:{server.url.rpartition(':')[2]}/a", pace=FREE)
    assert len(asked) == 2 and not server.seen
