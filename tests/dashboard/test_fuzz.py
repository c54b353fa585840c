"""The API under fire: schemathesis reads the OpenAPI description and asks everything of every path, also what is not
allowed; and the ways in that have names, tried at every parameter."""

from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings

from tests.dashboard.conftest import TOKEN, Served

pytestmark = pytest.mark.xdist_group("dashboard")
WAYS_IN = (
    "' or 1=1; drop table clean.all_posts; --", "1); select * from read_text('/etc/passwd')", "../../../etc/passwd",
    "%2e%2e%2fsecret",
    "a\r\nSet-Cookie: x=1", "<script>alert(1)</script>", "\u202e\u0000", "{{ 7*7 }}", "$after_0", "-" * 5000,
)  # fmt: skip


def test_no_answer_is_a_server_error(served: Served) -> None:
    """Eight requests a path, valid and invalid ones; what changes something is asked without the token."""
    schema = schemathesis.openapi.from_url(f"{served.url}/api/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) > 40
    for operation in operations:

        @settings(
            max_examples=8,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @_given(operation)
        def ask(case: Any) -> None:
            answer = case.call(timeout=30)
            assert answer.status_code < 500, (case.as_curl_command(), answer.text)
            kind = answer.headers.get("content-type", [""])[0]
            assert answer.status_code < 400 or kind == "application/problem+json", (
                case.as_curl_command(),
                answer.status_code,
                kind,
            )

        ask()


def _given(operation: Any) -> Any:
    from hypothesis import given

    return given(case=operation.as_strategy())


def test_the_ways_in_that_have_names(served: Served) -> None:
    """At each parameter of each path, and in the paths: nothing but answers and refusals, and no header of theirs."""
    described = requests.get(f"{served.url}/api/openapi.json", timeout=30).json()
    session = requests.Session()
    for path, methods in described["paths"].items():
        operation = methods.get("get")
        if operation is None:
            continue
        query = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
        for i, way in enumerate(WAYS_IN):
            filled = path
            for one in operation.get("parameters", ()):
                if one["in"] == "path":
                    filled = filled.replace(f"{{{one['name']}}}", requests.utils.quote(way, safe=""))  # type: ignore[attr-defined]
            asked = [{}] if not query else [{query[i % len(query)]: way}, dict.fromkeys(query, way)]
            for parameters in asked:
                answer = session.get(served.url + filled, params=parameters, timeout=30)
                assert answer.status_code < 500, (filled, parameters, answer.text)
                assert "set-cookie" not in answer.headers and "root:" not in answer.text, (filled, parameters)
    assert served.get("/api/posts?limit=1").json()["rows"], "nothing was dropped"
    for way in WAYS_IN:
        for page in (
            "/c/",
            "/t/lemmy/x/",
            "/u/lemmy/x/",
            "/p/lemmy/x/",
            "/statistics/",
            "/tables/posts?after=",
            "/search?q=",
            "/static/",
        ):
            answer = session.get(served.url + page + requests.utils.quote(way, safe=""), timeout=30)  # type: ignore[attr-defined]
            assert answer.status_code < 500 and TOKEN not in answer.text, (page, way)
            assert "<script" not in answer.text, (page, way)
