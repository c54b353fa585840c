"""Puts the application together: reader, pages, API and what guards them; and serves it."""

import logging
import secrets
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from dashboard import api, charts, old_api, pages
from dashboard.followed import Followed
from dashboard.guard import Attempts, Keys, RateLimit, SecurityHeaders, Validators
from dashboard.problems import problem
from dashboard.reader import InBigQuery, NothingPublished, PublishedReader, Reader, WarehouseReader
from dashboard.search import IndexSearcher, Searcher
from dashboard.views import BadParameter
from orchestration.duckdb_file import DuckDBFile
from orchestration.pipeline import Pipeline
from orchestration.settings import Settings

HERE = Path(__file__).parent
LOOPBACK = ("127.0.0.1", "localhost", "::1")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """What the routes need; they find it as `request.app.state.parts`."""

    pipeline: Pipeline
    reader: Reader
    searcher: Searcher
    followed: Followed
    keys: Keys
    attempts: Attempts


def make_app(pipeline: Pipeline, reader: Reader | None = None) -> FastAPI:
    """A fresh application. `reader`: another warehouse than what is published."""
    settings = pipeline.settings
    reader = reader or reader_of(pipeline)
    app = FastAPI(
        title="threadlake",
        version="0.1",
        description="What the pages show, as JSON or CSV. Ids are strings, times are UTC.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_warm,
    )
    app.state.parts = Parts(
        pipeline,
        reader,
        _searcher(settings, reader),
        Followed(pipeline, reader),
        Keys(token_of(settings)),
        Attempts(),
    )
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    app.include_router(api.router(), prefix="/api")
    app.include_router(old_api.router(), prefix="/api")
    app.include_router(pages.router())
    for kind in (BadParameter, NothingPublished, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _explain)
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    app.add_middleware(Validators, version=reader.version)
    app.add_middleware(RateLimit, rate=settings.dashboard_rate)
    app.add_middleware(SecurityHeaders)
    if settings.dashboard_host in LOOPBACK:  # else another site could have its name point here, and read
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK))
    return app


def reader_of(pipeline: Pipeline) -> Reader:
    """Of what is published, where nobody may open the warehouse while it is written; else of the warehouse itself."""
    if isinstance(pipeline.warehouse, DuckDBFile):
        return PublishedReader(pipeline.settings.published)
    return WarehouseReader(pipeline.warehouse)


def _searcher(settings: Settings, reader: Reader) -> Searcher:
    if isinstance(reader.dialect, InBigQuery):
        from dashboard.bigquery_search import BigQuerySearcher

        return BigQuerySearcher(reader)
    return IndexSearcher(settings.search_index, reader)


def token_of(settings: Settings) -> str:
    """The setting, else one that is made once and kept in the home, for its owner's eyes only."""
    if settings.dashboard_token:
        return settings.dashboard_token
    file = settings.dashboard_token_file
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(f"{secrets.token_urlsafe(24)}\n")
    return file.read_text().strip()


def serve(pipeline: Pipeline) -> None:
    """Where the settings say, until a signal ends it."""
    import uvicorn

    host, port = pipeline.settings.dashboard_host, pipeline.settings.dashboard_port
    print(f"The dashboard is at http://{host}:{port}", flush=True)
    app = make_app(pipeline)
    uvicorn.run(app, host=host, port=port, log_level="warning", server_header=False, proxy_headers=False)


@asynccontextmanager
async def _warm(app: FastAPI) -> AsyncIterator[None]:
    """The first chart costs two seconds, the others hundredths."""
    threading.Thread(target=charts.bars, args=([{"x": 1, "y": 1}], "x", "y"), daemon=True).start()
    yield


async def _explain(request: Request, error: Exception) -> Response:
    status, detail, more = _status(error)
    if status == 500:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    if request.url.path.startswith("/api"):
        return problem(status, detail, request.url.path, **more)
    return pages.error_page(request, status, detail)


def _status(error: Exception) -> tuple[int, str, dict[str, Any]]:
    if isinstance(error, BadParameter):
        return 422, str(error), {"parameter": error.name}
    if isinstance(error, NothingPublished):
        return 503, str(error), {}
    if isinstance(error, RequestValidationError):
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        return 422, told, {}
    if isinstance(error, HTTPException):
        return error.status_code, str(error.detail), {}
    return 500, "Something broke here; the log says what.", {}
