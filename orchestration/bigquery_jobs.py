"""Jobs of BigQuery that are done once, whatever happens to the answers.

Each has an id made by whoever asks, so a request that is sent again after its answer was lost finds the job it began. A
job that ended in an error for which nobody can do anything is begun again under another id; any other is a sentence.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import requests
from google.api_core import exceptions as google
from google.api_core.retry import Retry
from google.auth import exceptions as auth
from google.cloud import bigquery

from orchestration.settings import PREFIX, BigQueryPlace
from orchestration.warehouse import QueryError, WarehouseError

ATTEMPTS = 6
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds between two attempts, doubled each time
LONGEST_JOB = 3600.0
PASSING = {
    "backendError", "internalError", "jobBackendError", "jobInternalError", "rateLimitExceeded", "jobRateLimitExceeded",
    "tableUnavailable",
}  # fmt: skip
"""Reasons that pass by themselves."""
TRANSPORT = (
    google.ServerError, google.TooManyRequests, requests.ConnectionError, requests.Timeout, auth.TransportError,
    requests.exceptions.ChunkedEncodingError, ConnectionError,
)  # fmt: skip


class PassingError(WarehouseError):
    """Something that passes by itself; try again later."""


def reason(problem: BaseException) -> str:
    """The API's word for what went wrong, such as `rateLimitExceeded`."""
    errors = getattr(problem, "errors", None) or [{}]
    return str(errors[0].get("reason", "")) if isinstance(errors[0], dict) else ""


RETRY = Retry(
    predicate=lambda problem: isinstance(problem, TRANSPORT) or reason(problem) in PASSING,
    initial=FIRST_WAIT, maximum=LONGEST_WAIT, multiplier=2, timeout=300,
)  # fmt: skip
"""For requests that may be sent twice without harm: all that read, and all that begin a job under an id."""
REQUEST = 60.0  # seconds that one request may take
log = logging.getLogger(__name__)
Job = Any  # of the client's kinds: load or query


def job_id(what: str, table: str, names: Iterable[str], attempt: str) -> str:
    """The id of the job that does this with a table, from these commits, in this load."""
    digest = blake2b("\0".join([*sorted(names), attempt]).encode(), digest_size=10).hexdigest()
    return f"threadlake-{what}-{table}-{digest}"


@dataclass(frozen=True)
class Jobs:
    """Where jobs run, what they may cost, and what stands on the bill as `part` of this system."""

    client: bigquery.Client
    place: BigQueryPlace
    part: str

    @property
    def labels(self) -> dict[str, str]:
        return {"app": "threadlake", "part": self.part}

    def sql(self, statement: str, name: str, parameters: Iterable[Any] = ()) -> Job:
        """Run SQL once; return its finished job."""
        config = bigquery.QueryJobConfig(
            labels=self.labels, maximum_bytes_billed=self.place.most_bytes, query_parameters=list(parameters)
        )

        def start(name: str) -> Job:
            return self.client.query(
                statement, job_config=config, job_id=name, location=self.place.location, retry=RETRY, timeout=REQUEST,
                job_retry=None,
            )  # fmt: skip

        return self.once(start, name)

    def once(self, start: Callable[[str], Job], name: str) -> Job:
        """Begin the job under this name and wait for its end; return it. Raises WarehouseError."""
        wait, ended = FIRST_WAIT, 0
        for attempt in range(1, ATTEMPTS + 1):
            began = f"{name}-{ended + 1}" if ended else name
            job: Job = None
            try:
                with explained(self.place):
                    job = self._begun(start, began)
                    job.result(retry=RETRY, timeout=LONGEST_JOB)
                    return job
            except PassingError as problem:
                if attempt == ATTEMPTS:
                    raise WarehouseError(
                        f"{began} failed {ATTEMPTS} times; nothing was half done. {problem}"
                    ) from problem
                # a job that has ended has used up its name; one whose answer was lost may still be found under it
                ended += job is not None and job.error_result is not None
                log.warning("%s: %s Again in %.1f s.", began, problem, wait)
                time.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT)
        raise AssertionError

    def _begun(self, start: Callable[[str], Job], name: str) -> Job:
        try:
            return start(name)
        except google.Conflict:  # an earlier request got through; its answer did not
            return self.client.get_job(name, location=self.place.location, retry=RETRY, timeout=REQUEST)


@contextmanager
def explained(place: BigQueryPlace) -> Iterator[None]:
    """Whatever Google's libraries raise, as a sentence that says what to do."""
    try:
        yield
    except (google.RetryError, *TRANSPORT) as problem:
        raise PassingError(f"BigQuery could not be reached ({type(problem).__name__}: {problem}).") from problem
    except auth.DefaultCredentialsError as problem:
        raise WarehouseError(
            f"There is no login for {place}: set GOOGLE_APPLICATION_CREDENTIALS, or run "
            "`gcloud auth application-default login`."
        ) from problem
    except auth.GoogleAuthError as problem:
        raise WarehouseError(f"The login for {place} does not work: {problem}") from problem
    except google.GoogleAPICallError as problem:
        why = reason(problem)
        if why in PASSING:
            raise PassingError(f"BigQuery could not do it now ({why}: {problem.message}).") from problem
        raise _said(problem, why, place) from problem
    except TimeoutError as problem:
        raise WarehouseError(
            f"A job of {place} did not end within {LONGEST_JOB:.0f} s: look at it in the console."
        ) from (problem)


def _said(problem: google.GoogleAPICallError, why: str, place: BigQueryPlace) -> WarehouseError:
    text = str(problem.message).strip().rstrip(".")
    if why == "bytesBilledLimitExceeded" or "bytes billed" in text:
        limit = f"{PREFIX}BIGQUERY_MOST_GB, {place.most_bytes >> 30} now"
        return WarehouseError(
            f"BigQuery would bill more for a statement than {limit}: raise it if that is right. {text}."
        )
    if isinstance(problem, google.Forbidden):
        return WarehouseError(
            f"{place} refuses: {text}. Who loads and transforms needs the roles bigquery.dataEditor and "
            "bigquery.jobUser."
        )
    if isinstance(problem, google.NotFound):
        return WarehouseError(f"{place} has it not: {text}.")
    if isinstance(problem, google.BadRequest) and ("does not match" in text or "changed type" in text):
        return WarehouseError(
            f"A file of the lake has a column of another type than its platform declares today: {text}. Give the new "
            "type a name of its own in the platform's columns; the lake keeps the values."
        )
    return QueryError(f"{place} says: {text}.")


def parameter(name: str, value: Any) -> Any:
    """A query's parameter of a Python value's own type."""
    if isinstance(value, list | tuple):
        return bigquery.ArrayQueryParameter(name, _type(value[0]) if value else "STRING", list(value))
    return bigquery.ScalarQueryParameter(name, _type(value), value)


def _type(value: Any) -> str:
    kinds: Mapping[type, str] = {bool: "BOOL", int: "INT64", float: "FLOAT64", str: "STRING"}
    return kinds.get(
        type(value), "TIMESTAMP" if hasattr(value, "hour") else "DATE" if hasattr(value, "year") else "STRING"
    )
