"""The HTTP server of all sites, and `Sandbox`, which runs it in a thread.

The first segment of a path is the host: `https://a.4cdn.org/po/threads.json` is at `{url}/a.4cdn.org/po/threads.json`.
Hand-written on sockets, because `http.server` answers a fifth of the requests in the same time.
"""

import socket
import socketserver
import struct
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import unquote

from sandbox import control
from sandbox.clock import Clock
from sandbox.faults import Faults, spoil
from sandbox.limits import Limits
from sandbox.requests_log import Logged, RequestLog
from sandbox.site import TEXT, Request, Response, Site
from sandbox.sites import world_sites
from sandbox.world import World

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_CHUNK = b"x" * 1_000_000
NO_SUCH_HOST = Response(502, b"no such host in this sandbox\n", TEXT)


class Sandbox:
    """Platform servers over a world. `url`, `now`, `faults`, `limits` and `requests` are for tests; `now` can be set.

    `sites` are served as well and take their hosts from the world's. `latency` is in seconds per request. Use as a
    context manager, or `start()` and `stop()`.
    """

    def __init__(
        self,
        world: World | None = None,
        *,
        now: datetime | None = None,
        sites: Sequence[Site] = (),
        port: int = 0,
        latency: float = 0.0,
        clock_file: Path | None = None,
    ) -> None:
        moment = now or (world.start if world else None)
        if moment is None:
            raise ValueError("without a world, the clock needs a time")
        self.clock = Clock(moment, clock_file)
        self.faults = Faults()
        self.limits = Limits()
        self.requests = RequestLog()
        self.latency = latency
        self._sites = {host: site for site in (*world_sites(world), *sites) for host in site.hosts}
        self._server = _Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="sandbox", daemon=True)
        self.stopping = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def now(self) -> datetime:
        return self.clock.now

    @now.setter
    def now(self, now: datetime) -> None:
        self.clock.set(now)

    @property
    def hosts(self) -> list[str]:
        return sorted(self._sites)

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Closes every connection, also those on which a client still waits."""
        self.stopping.set()
        self._server.shutdown()
        self._server.close_connections()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def respond(self, request: Request) -> Response:
        """The answer to a request, spoiled by a fault if one strikes, and logged."""
        if request.host == control.HOST:
            return control.answer(self, request)
        monotonic = time.monotonic()
        if self.latency:
            time.sleep(self.latency)
        response = self._answer(request, monotonic)
        status = 0 if response.delivery in ("reset", "hang") else response.status
        self.requests.append(Logged(monotonic, request.method, request.host, request.target, status, request.headers))
        return response

    def _answer(self, request: Request, monotonic: float) -> Response:
        site = self._sites.get(request.host)
        if site is None:
            return NO_SUCH_HOST
        refusal = self.limits.check(request, monotonic)
        if refusal is not None:
            return refusal
        fault = self.faults.take(request)
        if fault is None:
            return site.answer(request, self.now)
        response = Response() if fault.untouched else site.answer(request, self.now)
        if fault.kind == "shift":
            self.clock.advance(fault.seconds)
        if fault.kind == "slow":
            self.stopping.wait(fault.seconds)
        return spoil(fault, response)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], sandbox: Sandbox) -> None:
        super().__init__(address, _Connection)
        self.sandbox = sandbox
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are no news; anything else is printed by the base class."""
        if not self.sandbox.stopping.is_set():
            super().handle_error(request, client_address)

    def close_connections(self) -> None:
        with self._lock:
            for connection in self._open:
                _shut(connection)


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        sandbox = cast(_Server, self.server).sandbox
        try:
            while (request := self._read()) is not None:
                if not self._send(request, sandbox.respond(request), sandbox):
                    return
        except ConnectionError:
            return

    def _read(self) -> Request | None:
        """The next request, or None when the client has hung up."""
        line = self.rfile.readline(65_536)
        if not line.strip():
            return None
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers: dict[str, str] = {}
        while (line := self.rfile.readline(65_536)) not in (b"\r\n", b"\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        body = self.rfile.read(length)
        if len(body) < length:  # whoever sent it ended before its end
            return None
        path, _, query = target.partition("?")
        host, _, path = path.lstrip("/").partition("/")
        return Request(method, host, unquote("/" + path), query, headers, body)

    def _send(self, request: Request, response: Response, sandbox: Sandbox) -> bool:
        """Whether the connection stays open."""
        if response.delivery == "reset":
            # Closing with a linger of zero seconds sends RST instead of FIN.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return False
        if response.delivery == "hang":
            sandbox.stopping.wait(response.extent)
            return False
        if response.delivery == "huge":
            self._send_huge(response)
            return False
        body = b"" if request.method == "HEAD" else response.body
        if response.delivery == "cut":
            self.connection.sendall(_head(response, len(response.body)) + body[: len(body) // 2])
            return False
        self.connection.sendall(_head(response, len(response.body)) + body)
        return request.headers.get("connection", "").lower() != "close"

    def _send_huge(self, response: Response) -> None:
        size = int(response.extent)
        declared = None if "Connection" in response.headers else size
        self.connection.sendall(_head(response, declared) + b'"')
        left = size - 2
        while left > 0:
            self.connection.sendall(_CHUNK[:left])
            left -= len(_CHUNK)
        self.connection.sendall(b'"')


def _head(response: Response, length: int | None) -> bytes:
    lines = [f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Unknown')}"]
    lines.append(f"Content-Type: {response.content_type}")
    if length is not None and response.status not in (204, 304):
        lines.append(f"Content-Length: {length}")
    lines.extend(f"{name}: {value}" for name, value in response.headers.items())
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # closed in the meantime
