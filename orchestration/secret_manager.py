"""The secrets of a machine, as an environment file: what its containers are started with, and nobody writes to a disk.

python -m orchestration.secret_manager PROJECT DISCORD_TOKEN POSTGRES_PASSWORD > /run/threadlake/secrets
"""

import argparse
import base64
import sys
from collections.abc import Iterator, Sequence

import requests

from orchestration.google_api import GoogleApi

ENDPOINT = "https://secretmanager.googleapis.com"


class SecretError(Exception):
    """A secret that cannot be had; the sentence says what to do, and never holds a value."""


def lines(project: str, names: Sequence[str], endpoint: str = ENDPOINT) -> Iterator[str]:
    """NAME=value for each, by its newest version."""
    api = GoogleApi(endpoint)
    for name in names:
        try:
            answer = api.get(f"v1/projects/{project}/secrets/{name}/versions/latest:access")
        except requests.HTTPError as problem:
            if problem.response.status_code == 404:
                raise SecretError(
                    f"Secret {name} has no value: gcloud secrets versions add {name} --data-file=-"
                ) from None
            raise SecretError(f"Secret {name} may not be read ({problem.response.status_code}).") from None
        value = base64.b64decode(answer["payload"]["data"]).decode().rstrip("\n")
        if not value or "\n" in value:
            raise SecretError(f"Secret {name} must be one line: an environment file has no other.")
        yield f"{name}={value}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print them all, or none and what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m orchestration.secret_manager", description=__doc__.split("\n")[0])
    parser.add_argument("project")
    parser.add_argument("names", nargs="+")
    parser.add_argument("--endpoint", default=ENDPOINT, help="of another Secret Manager")
    options = parser.parse_args(arguments)
    try:
        print("\n".join(list(lines(options.project, options.names, options.endpoint))))
    except (SecretError, requests.RequestException) as problem:
        print(f"threadlake: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
