"""One request over the wire and its whole answer, within limits of time and size. No retries, no redirects."""

import http.client
import io
import ipaddress
import socket
import time
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from extractors.errors import Malformed, NotPublic, TooLarge, TryAgain

MOST_CONNECTIONS = 32  # kept alive per host
CHUNK = 256 * 1024
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # an IPv4 address, as networks without IPv4 write it


@dataclass(frozen=True, slots=True)
class Answer:
    """What came: header names in any case, the body decompressed, `size` as it travelled."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    size: int


@lru_cache(4096)  # asked for several times a request
def host_of(url: str) -> str:
    """The host, with the port where it is not the scheme's own. Raises Malformed for what is no http(s) URL."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    if parts.scheme not in ("http", "https") or not host:
        raise Malformed(url, expected="an http or https URL", came="another kind of address")
    own = {"http": 80, "https": 443}[parts.scheme]
    return host if port in (None, own) else f"{host}:{port}"


class Wire:
    """Keeps connections open; thread-safe. `timeout` is (connect, silence), `deadline` the whole answer; in seconds.
    `allow`: hosts, without port, that may have an address which is not public."""

    def __init__(
        self,
        *,
        via: str | None,
        timeout: tuple[float, float],
        deadline: float,
        max_bytes: int,
        allow: Collection[str] = (),
    ) -> None:
        self._via = via.rstrip("/") if via else None
        self._timeout = urllib3.Timeout(*timeout)  # else requests checks the numbers each time
        self._deadline, self._max_bytes = deadline, max_bytes
        own = {urlsplit(self._via).hostname or ""} if self._via else set()  # whoever sets `via` means that host
        self._adapter = _Adapter(deadline, {host.lower() for host in allow} | own)
        self._session = requests.Session()  # reads proxies and certificates from the environment
        self._environments: dict[str, Any] = {}

    def get(self, url: str, headers: Mapping[str, str]) -> Answer:
        """Raises TryAgain; TooLarge; Malformed if the answer is encoded in a way nobody asked for; NotPublic if the
        host has an address that is not public."""
        try:
            request = requests.PreparedRequest()  # 13 µs; by a Request's prepare() 35 (measured 2026-11-22)
            request.prepare_method("GET")
            request.prepare_url(self._address(url), None)
            request.prepare_headers(headers)
        except (ValueError, requests.RequestException) as problem:
            came = type(problem).__name__  # not its text, which may hold a header's value
        else:
            return self._exchange(url, request)
        raise Malformed(url, expected="a URL and headers that can be sent", came=came)

    def _exchange(self, url: str, request: requests.PreparedRequest) -> Answer:
        environment = self._environment(request.url or "")
        began = time.monotonic()
        try:  # not through the session, which reads a redirect's body whole, whatever its size, and keeps cookies
            # the type stubs do not know that it takes a Timeout
            with self._adapter.send(request, timeout=self._timeout, **environment) as response:  # type: ignore[arg-type]
                body, size = self._read(url, response)
                return Answer(response.status_code, response.headers, body, size)
        except _NotPublicError as private:
            address = str(private)
        except (requests.RequestException, urllib3.exceptions.HTTPError, zlib.error, OSError) as problem:
            late = time.monotonic() - began >= self._deadline
            came = f"no whole answer within {self._deadline:g} s" if late else _cause(problem)
            address = None
        # outside of `except`, so that no library's message, with URL and headers, hangs on to it
        if address is not None:
            raise NotPublic(url, expected="a host on the public internet", came=f"the address {address}")
        raise TryAgain(url, came)

    def _environment(self, url: str) -> Any:
        """Proxies and certificates for a host. Read once for each: it takes 0.1 ms (measured 2026-11-22)."""
        origin = _origin(url)
        if origin not in self._environments:
            self._environments[origin] = self._session.merge_environment_settings(url, {}, True, None, None)
        return self._environments[origin]

    def close(self) -> None:
        self._adapter.close()

    def address_to_url(self, address: str) -> str:
        """A redirect's absolute target as the host would have written it without `via`."""
        if self._via and address.startswith(f"{self._via}/"):
            return "https://" + address[len(self._via) + 1 :]
        return address

    def _address(self, url: str) -> str:
        """Where the request for this URL really goes."""
        host = host_of(url)
        if not self._via:
            return url
        parts = urlsplit(url)
        return f"{self._via}/{host}{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"

    def _read(self, url: str, response: requests.Response) -> tuple[bytes, int]:
        """The body, and its size on the wire. Never holds more than `max_bytes` and a chunk."""
        expected = f"at most {self._max_bytes} bytes"
        declared = response.headers.get("Content-Length", "")
        if declared.isdecimal() and int(declared) > self._max_bytes:
            raise TooLarge(url, expected=expected, came=f"{declared} bytes announced")
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("identity", "", "gzip", "x-gzip"):
            raise Malformed(url, expected="a body plain or in gzip", came=f"one in {encoding}")
        gunzip = zlib.decompressobj(31) if "gzip" in encoding else None
        body, size = bytearray(), 0
        while chunk := response.raw.read1(CHUNK, decode_content=False):
            size += len(chunk)
            while gunzip and chunk:
                body += gunzip.decompress(chunk, self._max_bytes + 1 - len(body))
                chunk = b""
                if gunzip.unused_data:  # a gzip file may have several members
                    chunk, gunzip = gunzip.unused_data, zlib.decompressobj(31)
                if len(body) > self._max_bytes:
                    break
            else:
                body += chunk
            if len(body) > self._max_bytes:
                raise TooLarge(url, expected=expected, came="more")
        if gunzip and size and not gunzip.eof:
            raise zlib.error("cut")
        return bytes(body), size


def _origin(url: str) -> str:
    """Scheme, host and port of a prepared URL, which always has a path."""
    return url[: url.find("/", len("https://"))]


def _cause(problem: BaseException) -> str:
    """The innermost reason without URL or address, e.g. 'a broken connection (ConnectionRefusedError)'."""
    inner = problem
    while (deeper := inner.__cause__ or inner.__context__) is not None:
        inner = deeper
    if isinstance(inner, zlib.error):
        return "a compressed body that is cut or damaged"
    if isinstance(inner, TimeoutError):
        return "silence until the timeout"
    return f"a broken connection ({type(inner).__name__})"


class _NotPublicError(Exception):
    """Its text is the address. No OSError, which the libraries would take for a connection that failed."""


def _public(address: str) -> bool:
    """Whether an IP address is one host of the public internet: not private, loopback, link-local, reserved or
    multicast, nor an IPv6 address that stands for such a one of IPv4."""
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        nat64 = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in NAT64 else None
        ip = ip.ipv4_mapped or ip.sixtofour or nat64 or ip
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _refuse_private(host: str, port: int) -> None:
    """Raises _NotPublicError if a host has no other address; one that has none at all is somebody else's affair."""
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return
    if found and not any(map(_public, found)):
        raise _NotPublicError(min(found))


class _Adapter(HTTPAdapter):
    """Connections whose answers end at a deadline, however slowly they drip, whose headers must come whole, and whose
    other end is public or allowed: what counts is the address that was reached, whatever its name resolved to before.
    A proxy of the environment is the operator's own, and is let be."""

    def __init__(self, deadline: float, allow: Collection[str]) -> None:
        class Reply(http.client.HTTPResponse):
            def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
                super().__init__(sock, *args, **options)
                self.clocked = _Clocked(self.fp.detach(), sock, time.monotonic() + deadline)
                self.fp = io.BufferedReader(self.clocked)

            def begin(self) -> None:
                super().begin()
                if self.clocked.ended:  # http.client takes cut headers for whole ones
                    raise http.client.IncompleteRead(b"")

        class Guarded:
            host: str
            port: int

            def _new_conn(self) -> socket.socket:
                allowed = self.host.lower().strip("[]") in allow
                if not allowed:  # so that nobody learns which private ports are open
                    _refuse_private(self.host, self.port)
                sock: socket.socket = super()._new_conn()  # type: ignore[misc]
                address = sock.getpeername()[0]
                if allowed or _public(address):
                    return sock
                sock.close()
                raise _NotPublicError(address)

        class ProxiedPlain(HTTPConnection):
            response_class = Reply

        class ProxiedSecure(HTTPSConnection):
            response_class = Reply

        class Plain(Guarded, ProxiedPlain):
            pass

        class Secure(Guarded, ProxiedSecure):
            pass

        def pool(kind: Any, connection: Any) -> Any:
            return type(kind.__name__, (kind,), {"ConnectionCls": connection})

        self._pools = {"http": pool(HTTPConnectionPool, Plain), "https": pool(HTTPSConnectionPool, Secure)}
        self._proxied = {
            "http": pool(HTTPConnectionPool, ProxiedPlain),
            "https": pool(HTTPSConnectionPool, ProxiedSecure),
        }
        self._by_origin: dict[str, Any] = {}
        super().__init__(pool_maxsize=MOST_CONNECTIONS)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def get_connection_with_tls_context(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> Any:
        """The host's pool, without building anew each time the key under which the manager keeps it."""
        origin = _origin(request.url or "")
        pool = self._by_origin.get(origin)
        if pool is None or pool.pool is None:  # closed: the manager keeps the last ten
            pool = self._by_origin[origin] = super().get_connection_with_tls_context(request, *args, **options)
        return pool

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        """As in requests, without looking for a proxy where none is set: that takes 0.05 ms (measured 2026-11-23)."""
        return super().request_url(request, proxies) if proxies else request.path_url

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = self._proxied
        return manager


class _Clocked(io.RawIOBase):
    """A socket's stream that raises TimeoutError at a deadline (of the monotonic clock)."""

    def __init__(self, stream: io.RawIOBase, sock: socket.socket, deadline: float) -> None:
        self._stream, self._sock, self._silence, self._deadline = stream, sock, sock.gettimeout(), deadline
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("deadline")
        self._sock.settimeout(left if self._silence is None else min(left, self._silence))
        size: int | None = self._stream.readinto(buffer)
        self.ended = size == 0
        return size

    def close(self) -> None:
        self._stream.close()
        super().close()
