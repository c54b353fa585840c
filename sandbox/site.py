"""What a site is: requests in, responses out. What a platform answers does not belong here."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import formatdate
from functools import cached_property
from typing import Any, Literal
from urllib.parse import parse_qs

import orjson

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"

Delivery = Literal["whole", "cut", "reset", "hang", "huge"]


@dataclass(frozen=True)
class Request:
    """A request as a site sees it: `path` without the host, `headers` with names in lower case."""

    method: str
    host: str
    path: str
    query_string: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @cached_property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(self.query_string, keep_blank_values=True)

    def argument(self, name: str) -> str | None:
        """The first value of a query parameter."""
        return self.query.get(name, [None])[0]

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query_string}" if self.query_string else self.path


@dataclass(frozen=True)
class Response:
    """An answer. `delivery` says how the server is to send it; `extent` is the seconds of a hang or the bytes of a
    huge body."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    delivery: Delivery = "whole"
    extent: float = 0


class Site(ABC):
    """The answers of one or more hosts. Called from many threads at once."""

    hosts: tuple[str, ...]

    @abstractmethod
    def answer(self, request: Request, now: datetime) -> Response: ...


def json_response(document: Any, status: int = 200, **headers: str) -> Response:
    """Header names are given with underscores for hyphens."""
    return Response(status, orjson.dumps(document), JSON, {k.replace("_", "-"): v for k, v in headers.items()})


def conditional(request: Request, body: bytes, modified: float) -> Response:
    """200 with Last-Modified, or 304 if If-Modified-Since equals it as a string: 4chan compares nothing but that."""
    validator = formatdate(modified, usegmt=True)
    headers = {"Last-Modified": validator}
    if request.headers.get("if-modified-since") == validator:
        return Response(304, headers=headers)
    return Response(200, body, JSON, headers)
