"""A machine's secrets, from a Secret Manager on loopback."""

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from orchestration.secret_manager import main

SECRETS = {"DISCORD_TOKEN": "Bot abc=", "POSTGRES_PASSWORD": "p w\n", "TWO_LINES": "a\nb", "EMPTY": ""}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        name = self.path.removeprefix("/v1/projects/p/secrets/").removesuffix("/versions/latest:access")
        known = SECRETS.get(name)
        data = base64.b64encode((known or "").encode()).decode()
        body = json.dumps({"name": f"projects/1/secrets/{name}/versions/3", "payload": {"data": data}}).encode()
        self.send_response(404 if known is None else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None: ...


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_each_secret_is_a_line(endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["p", "DISCORD_TOKEN", "POSTGRES_PASSWORD", "--endpoint", endpoint]) == 0
    assert capsys.readouterr().out == "DISCORD_TOKEN=Bot abc=\nPOSTGRES_PASSWORD=p w\n"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("MISSING", "gcloud secrets versions add MISSING"),
        ("TWO_LINES", "must be one line"),
        ("EMPTY", "must be one line"),
    ],
)
def test_all_or_none_and_no_value_in_a_complaint(
    endpoint: str, name: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["p", "DISCORD_TOKEN", name, "--endpoint", endpoint]) == 1
    told = capsys.readouterr()
    assert told.out == "" and sentence in told.err and "abc" not in told.err
