"""A host of the sandbox before the stand-in for BigQuery: it hands requests on, so that faults.py can strike before or
after the work, and lets jobs end in an error.
"""

import urllib.error
import urllib.request
from datetime import datetime

import orjson

from sandbox.site import Request, Response, Site, json_response

HOST = "bigquery.example"


class BigQueryDoor(Site):
    """Whoever is told `{sandbox.url}/bigquery.example` talks to the server behind. The next jobs end with the reasons
    in `ends`, such as `backendError`, and do nothing."""

    hosts = (HOST,)

    def __init__(self, url: str) -> None:
        self._url = url
        self.ends: list[str] = []
        self.began: list[str] = []
        """The ids of all jobs that were asked for."""

    def answer(self, request: Request, now: datetime) -> Response:
        if request.method == "POST" and request.path.endswith("/jobs"):
            body = (
                request.body
                if request.body.startswith(b"{")
                else b"{" + request.body.partition(b"{")[2].partition(b"\n")[0]
            )
            asked = orjson.loads(body.strip())
            self.began.append(asked.get("jobReference", {}).get("jobId", ""))
            if self.ends:
                why = {"reason": self.ends.pop(0), "message": "The job came to an end that it did not deserve."}
                status = {"state": "DONE", "errorResult": why, "errors": [why]}
                return json_response(asked | {"kind": "bigquery#job", "status": status, "statistics": {}})
        kept = ("content-type", "authorization", "x-upload-content-type", "accept-encoding")
        headers = {name: value for name, value in request.headers.items() if name in kept}
        onward = urllib.request.Request(
            f"{self._url}{request.target}", request.body or None, headers, method=request.method
        )
        try:
            with urllib.request.urlopen(onward, timeout=120) as answer:
                return Response(answer.status, answer.read(), answer.headers.get("Content-Type", ""), _encoding(answer))
        except urllib.error.HTTPError as refused:
            return Response(refused.code, refused.read(), refused.headers.get("Content-Type", ""), _encoding(refused))


def _encoding(answer: object) -> dict[str, str]:
    coded = answer.headers.get("Content-Encoding")  # type: ignore[attr-defined]
    return {"Content-Encoding": coded} if coded else {}
