"""What went wrong, in a sentence: as RFC 9457 problem details for programs."""

from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response


def problem(status: int, detail: str, path: str, **more: Any) -> Response:
    """An `application/problem+json`."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": path,
    }
    return Response(orjson.dumps(body | more), status, media_type="application/problem+json")
