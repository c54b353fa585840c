"""JSON as the API gives it."""

from typing import Any

import orjson
from starlette.responses import Response

from dashboard.views import as_json


def answer(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(as_json(body), option=orjson.OPT_NON_STR_KEYS), status, media_type="application/json")
