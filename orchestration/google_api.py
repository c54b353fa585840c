"""Google's JSON APIs that no client library here speaks: where they are, and whose calls these are."""

from typing import Any

import requests

TIMEOUT = 30.0
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class GoogleApi:
    """One API at its endpoint, such as https://run.googleapis.com. One without TLS is a local server, which asks nobody
    who they are."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint.rstrip("/")

    def get(self, path: str) -> dict[str, Any]:
        """Raises requests.RequestException."""
        return self._answer(self._session().get(f"{self._endpoint}/{path}", timeout=TIMEOUT))

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Raises requests.RequestException."""
        return self._answer(self._session().post(f"{self._endpoint}/{path}", json=body, timeout=TIMEOUT))

    def _session(self) -> requests.Session:
        if self._endpoint.startswith("http://"):
            return requests.Session()
        import google.auth
        from google.auth.transport.requests import AuthorizedSession

        credentials, _ = google.auth.default(scopes=[SCOPE])
        session: requests.Session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
        return session

    @staticmethod
    def _answer(response: requests.Response) -> dict[str, Any]:
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer
