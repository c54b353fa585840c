"""What can be made to go wrong: faults that are switched on for some requests and count how often they struck."""

import re
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import reduce
from typing import Any, Literal, get_args

import orjson

from sandbox import mods_de_xml
from sandbox.site import HTML, JSON, TEXT, Request, Response

Kind = Literal[
    "429",  # with Retry-After
    "403",
    "412",  # a precondition failed, it says
    "500",
    "503",
    "502",  # HTML, as a proxy in front says it
    "reset",  # the connection, instead of an answer
    "hang",  # no answer for `seconds`, then the connection is closed
    "slow",  # the answer comes, but only after `seconds`
    "cut",  # half of the body Content-Length promises
    "html",  # with status 200, instead of JSON
    "text",  # with status 200, instead of JSON
    "invalid_json",
    "wrong_type",  # the first record that has `field` gets `value` there
    "new_field",  # every record gets `field` with `value`
    "shift",  # the clock moves `seconds` on after the answer, so what pages show moves while one pages
    "empty_list",  # every list of records is empty
    "huge",  # a JSON string of `size` bytes, without Content-Length unless `declared`
    "304",  # though nobody asked on a condition
    "redirect",  # to `location`
]
WITHOUT_WORK = frozenset(("403", "412", "429", "500", "502", "503", "reset", "hang"))
"""What can strike before a site did anything."""


@dataclass(frozen=True)
class Fault:
    """Strikes requests whose method, host and path with query match the regular expressions, from the start of each.

    The first `after` matching requests are spared, the next `times` are struck; None means for ever. `retry_after` is
    sent as it is: seconds, an HTTP date, or nothing for None. What was asked for is done all the same, unless it is
    left `untouched`: so an answer can be lost after the work and before it.
    """

    kind: Kind
    host: str = ".*"
    path: str = ".*"
    times: int | None = None
    after: int = 0
    retry_after: int | str | None = 1
    seconds: float = 60
    field: str = "id"
    value: Any = None
    size: int = 100_000_000
    declared: bool = True
    location: str = "https://elsewhere.example/"
    method: str = ".*"
    untouched: bool = False

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"no fault {self.kind!r}; there are {', '.join(get_args(Kind))}")
        if self.untouched and self.kind not in WITHOUT_WORK:
            raise ValueError(f"{self.kind} spoils an answer, so there must be one")

    def matches(self, request: Request) -> bool:
        where = re.match(self.host, request.host) and re.match(self.path, request.target)
        return bool(where and re.match(self.method, request.method))


class Faults:
    """The faults that are switched on, asked in the order they were added. One request meets one fault at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[tuple[Fault, list[int]]] = []  # with the number of requests that matched so far

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append((fault, [0]))

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, request: Request) -> Fault | None:
        """The fault that strikes this request, counted."""
        if not self._faults:
            return None
        with self._lock:
            for fault, seen in self._faults:
                if fault.matches(request):
                    if fault.times is not None and seen[0] >= fault.after + fault.times:
                        continue
                    seen[0] += 1
                    if seen[0] > fault.after:
                        return fault
            return None

    def describe(self) -> list[dict[str, Any]]:
        """Each fault with `struck`, how often it did."""
        with self._lock:
            return [asdict(fault) | {"struck": max(seen[0] - fault.after, 0)} for fault, seen in self._faults]


def spoil(fault: Fault, response: Response) -> Response:
    """What arrives of `response`, which the site would have given, under a fault."""
    match fault.kind:
        case "429":
            headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            return Response(429, b"Slow down, too many requests.\n", TEXT, headers)
        case "403" | "412" | "503":
            return Response(int(fault.kind), b"Not now, not you, or not like this.\n", TEXT)
        case "500":
            return Response(500, b'{"status":500,"error":"Internal Server Error"}')
        case "502":
            return Response(502, _page("502 Bad Gateway"), HTML)
        case "reset":
            return Response(delivery="reset")
        case "hang":
            return Response(delivery="hang", extent=fault.seconds)
        case "cut":
            return replace(response, delivery="cut")
        case "html":
            return Response(200, _page("Just a moment..."), HTML)
        case "text":
            return Response(200, b"Sorry, the site is read only for some minutes.\n", TEXT)
        case "invalid_json":
            return replace(response, body=response.body[:-1] + b",]")
        case "wrong_type":
            return _edited(response, lambda document: _spoil_first(document, fault.field, fault.value))
        case "new_field":
            return _edited(response, lambda document: _add_everywhere(document, fault.field, fault.value))
        case "empty_list":
            return _edited(response, _emptied)
        case "huge":
            headers = {} if fault.declared else {"Connection": "close"}
            return Response(delivery="huge", extent=fault.size, headers=headers)
        case "304":
            return Response(304, headers=response.headers)
        case "redirect":
            return Response(302, _page("302 Found"), HTML, {"Location": fault.location})
        case "shift" | "slow":
            return response


def _page(title: str) -> bytes:
    return f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>".encode()


def _edited(response: Response, edit: Callable[[Any], Any]) -> Response:
    """Whatever is not JSON or XML with status 200 stays as it is. Of XML, the list of records is edited."""
    if response.status != 200 or not response.body:
        return response
    if response.content_type == mods_de_xml.XML:
        return replace(response, body=mods_de_xml.edited(response.body, edit))
    if response.content_type != JSON:
        return response
    return replace(response, body=orjson.dumps(edit(orjson.loads(response.body))))


def _is_record(node: Any) -> bool:
    return isinstance(node, dict) and bool(node.keys() & {"id", "no", "num"})


def _children(node: Any) -> list[Any]:
    return list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []


def _spoil_first(document: Any, field: str, value: Any) -> Any:
    """Breadth first, so that it is a post, not an author inside of one. A dot leads to a field inside of a field."""
    *path, name = field.split(".")
    level = [document]
    while level:
        for node in level:
            inside = reduce(lambda outer, part: outer.get(part) if isinstance(outer, dict) else None, path, node)
            if _is_record(node) and isinstance(inside, dict) and name in inside:
                inside[name] = value
                return document
        level = [child for node in level for child in _children(node)]
    return document


def _add_everywhere(node: Any, field: str, value: Any) -> Any:
    for child in _children(node):
        _add_everywhere(child, field, value)
    if _is_record(node):
        node[field] = value
    return node


def _emptied(node: Any) -> Any:
    if isinstance(node, list):
        return [] if all(isinstance(child, dict) for child in node) else node
    return {name: _emptied(child) for name, child in node.items()} if isinstance(node, dict) else node
