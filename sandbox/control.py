"""The sandbox's own HTTP API under `/_sandbox/`, for tests and benchmarks in other processes.

GET  health              {"hosts": [...], "now": "2026-11-01T00:00:00+00:00"}
GET  clock               {"now": ...}         POST clock {"now": ...} or {"advance": seconds}
GET  faults              [{...fault, "struck": n}]
POST faults              {"kind": "429", "host": "a\\\\.4cdn\\\\.org", "times": 2, ...}
DELETE faults            switches all off
POST limits              {"host": "forum.example", "limits": [{"requests": 50, "seconds": 10, "code": ...}]}
GET  requests            {host: {"count", "paths", "statuses", "times"}}, times in monotonic seconds
DELETE requests          forgets them
"""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from sandbox.faults import Fault
from sandbox.limits import Limit
from sandbox.site import Request, Response, json_response

if TYPE_CHECKING:
    from sandbox.server import Sandbox

HOST = "_sandbox"


def answer(sandbox: "Sandbox", request: Request) -> Response:
    """400 with {"error"} for what cannot be understood, 404 for unknown paths."""
    action = _ACTIONS.get((request.method, request.path))
    if action is None:
        return json_response({"error": f"no {request.method} {request.path}"}, 404)
    try:
        document = orjson.loads(request.body) if request.body else {}
        return json_response(action(sandbox, document))
    except (KeyError, TypeError, ValueError) as error:
        return json_response({"error": str(error)}, 400)


def _health(sandbox: "Sandbox", document: dict[str, Any]) -> object:
    return {"hosts": sandbox.hosts, "now": sandbox.now.isoformat()}


def _clock(sandbox: "Sandbox", document: dict[str, Any]) -> object:
    return {"now": sandbox.now.isoformat()}


def _set_clock(sandbox: "Sandbox", document: dict[str, Any]) -> object:
    if "advance" in document:
        sandbox.clock.advance(float(document["advance"]))
    else:
        sandbox.now = datetime.fromisoformat(document["now"])
    return _clock(sandbox, document)


def _faults(sandbox: "Sandbox", document: dict[str, Any]) -> object:
    return sandbox.faults.describe()


def _add_fault(sandbox: "Sandbox", document: dict[str, Any]) -> object:
    sandbox.faults.add(Fault(**document))
    return sandbox.faults.describe()


def _clear_faults(sandbox: "Sandbox", document: dict[str, Any]) -> object:
    sandbox.faults.clear()
    return []


def _set_limits(sandbox: "Sandbox", document: dict[str, Any]) -> object:
    sandbox.limits.set(document["host"], *(Limit(**limit) for limit in document["limits"]))
    return document


def _requests(sandbox: "Sandbox", document: dict[str, Any]) -> object:
    return sandbox.requests.by_host()


def _clear_requests(sandbox: "Sandbox", document: dict[str, Any]) -> object:
    sandbox.requests.clear()
    return {}


_ACTIONS: dict[tuple[str, str], Callable[["Sandbox", dict[str, Any]], object]] = {
    ("GET", "/health"): _health,
    ("GET", "/clock"): _clock,
    ("POST", "/clock"): _set_clock,
    ("GET", "/faults"): _faults,
    ("POST", "/faults"): _add_fault,
    ("DELETE", "/faults"): _clear_faults,
    ("POST", "/limits"): _set_limits,
    ("GET", "/requests"): _requests,
    ("DELETE", "/requests"): _clear_requests,
}
