"""The JSON API: every view of the pages at `/api/<name>`, the pages of one thing, search, and who is tracked."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Body, Path, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from dashboard import conversation, old_api, queries
from dashboard import search as searching
from dashboard.answers import answer
from dashboard.pages import DAY, TABLES, With, csv_of
from dashboard.views import LONGEST, PAGE, BadParameter, Filter, View, find, read, read_time
from extractors.errors import CrawlError

KINDS: dict[str, dict[str, Any]] = {
    "text": {"type": "string", "maxLength": LONGEST},
    "time": {"type": "string", "examples": ["2026-11-22", "2026-11-22T13:00:00Z"]},
    "number": {"type": "integer", "minimum": 0, "maximum": 2**53},
    "switch": {"type": "string", "enum": ["yes", "no"]},
}
PROBLEM = {
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "detail"],
                "properties": {name: {"type": "string"} for name in ("type", "title", "detail", "instance")}
                | {"status": {"type": "integer"}},
            }
        }
    }
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    422: PROBLEM | {"description": "A parameter makes no sense; the sentence says what would."},
    429: PROBLEM | {"description": "Too many requests; Retry-After says when to come again."},
    503: PROBLEM | {"description": "Nothing is published yet."},
}
MISSING: dict[int | str, dict[str, Any]] = {404: PROBLEM | {"description": "There is no such thing."}}
FORBIDDEN: dict[int | str, dict[str, Any]] = {401: PROBLEM | {"description": "The bearer token is missing or wrong."}}
Id = Annotated[str, Path(max_length=LONGEST)]


def router() -> APIRouter:
    made = APIRouter(responses=PROBLEMS)
    made.get("/", summary="What there is", tags=["about"])(index)
    for view in TABLES.values():
        made.add_api_route(f"/{view.name}", _endpoint(view), **described(view))
    made.get("/overview", summary="The last 24 hours", tags=["pages"])(overview)
    made.get(
        "/search",
        summary="Posts and threads by what they say",
        tags=["pages"],
        openapi_extra={"parameters": _asked_of_search()},
    )(search)
    made.get("/community/{key:path}", summary="A community", tags=["pages"], responses=MISSING)(community)
    made.get(
        "/thread/{platform}/{instance}/{thread_id:path}",
        summary="A thread as a tree",
        tags=["pages"],
        responses=MISSING,
    )(thread)
    made.get(
        "/post/{platform}/{instance}/{post_id:path}",
        summary="A post with its versions",
        tags=["pages"],
        responses=MISSING,
    )(post)
    made.get("/poster/{platform}/{instance}/{author_id:path}", summary="A poster", tags=["pages"], responses=MISSING)(
        poster
    )
    made.get("/communities", summary="Who is tracked, and how they do", tags=["communities"])(communities)
    made.post("/communities", status_code=201, summary="Track a community", tags=["communities"], responses=FORBIDDEN)(
        add
    )
    made.delete(
        "/communities/{key:path}",
        summary="Track a community no more",
        tags=["communities"],
        responses=FORBIDDEN | MISSING,
    )(drop)
    return made


def _parameter(one: Filter) -> dict[str, Any]:
    kind = {"type": "string", "enum": list(one.choices)} if one.kind == "choice" else KINDS[one.kind]
    return {
        "name": one.name,
        "in": "query",
        "required": one.required and not one.default,
        "description": one.label or one.name,
        "schema": kind | ({"default": one.default} if one.default else {}),
    }


def _asked_of_search() -> list[dict[str, Any]]:
    about = "Words, phrases in quotes, AND OR NOT, + and -, brackets, prefix*, fuzzy~ and fuzzy~2."
    last = searching.DEEPEST // searching.PAGE
    return [
        {"name": "q", "in": "query", "description": about, "schema": KINDS["text"]},
        {"name": "page", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": last, "default": 1}},
        *(_parameter(one) for one in searching.FILTERS),
    ]


def described(view: View) -> dict[str, Any]:
    """What OpenAPI says of a view."""
    parameters = [_parameter(one) for one in view.filters]
    parameters += [
        {
            "name": "sort",
            "in": "query",
            "description": "A column, with - before it for descending.",
            "schema": {"type": "string", "default": view.order, "pattern": "^-?[a-z_][a-z0-9_]{0,60}$"},
        },
        {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": PAGE}},
        {
            "name": "after",
            "in": "query",
            "description": "What the page before gave in its `next`.",
            "schema": {"type": "string"},
        },
        {"name": "format", "in": "query", "schema": {"type": "string", "enum": ["json", "csv"], "default": "json"}},
    ]
    rows = {
        "type": "object",
        "required": ["rows", "next"],
        "properties": {
            "rows": {"type": "array", "items": {"type": "object"}},
            "next": {"type": ["string", "null"], "description": "The path of the next page, null on the last one."},
        },
    }
    content = {"application/json": {"schema": rows}, "text/csv": {"schema": {"type": "string"}}}
    return {
        "methods": ["GET"],
        "name": view.name,
        "summary": view.title,
        "description": view.about,
        "tags": ["tables"],
        "openapi_extra": {"parameters": parameters},
        "responses": {200: {"description": "A page of rows", "content": content}},
        "response_class": Response,
    }


def _endpoint(view: View) -> Callable[..., Any]:
    def endpoint(request: Request, parts: With) -> Response:
        kind = request.query_params.get("format") or (
            "csv" if request.headers.get("accept", "").startswith("text/csv") else "json"
        )
        if kind not in ("json", "csv"):
            raise BadParameter("format", "must be json or csv.")
        asked = read(view, request.query_params)
        if kind == "csv":
            return csv_of(parts, view, asked)
        found = find(parts.reader, view, asked)
        following = None
        if found.next:
            told = {**asked.texts, "sort": asked.sort, "limit": str(asked.limit), "after": found.next}
            following = f"/api/{view.name}?{urlencode(told)}"
        return answer({"rows": found.rows, "next": following})

    return endpoint


def index(parts: With) -> Response:
    """The tables, with where they are, and when what they show was published."""
    tables = [
        {
            "name": view.name,
            "title": view.title,
            "about": view.about,
            "href": f"/api/{view.name}",
            "there": all(parts.reader.columns(one) for one in view.needs),
        }
        for view in TABLES.values()
    ]
    return answer({"published_at": parts.reader.published_at(), "tables": tables, "openapi": "/api/openapi.json"})


def overview(parts: With) -> Response:
    now = parts.reader.published_at()
    return answer(
        {
            "now": now,
            "communities": queries.recent(parts.reader, now, DAY),
            "threads": queries.busiest_threads(parts.reader, now, DAY),
            "observed": queries.last_observed(parts.reader),
        }
    )


def search(request: Request, parts: With) -> Response:
    """`marks` are the places in `snippet` that the query meant. Who comes with the earlier `content` and `type` gets
    what they knew."""
    if "content" in request.query_params:
        return old_api.search(request, parts)
    question = searching.read(request.query_params)
    found = parts.searcher.search(question)
    following = None
    if found.total > question.offset + question.limit and question.offset + question.limit < searching.DEEPEST:
        told = {"q": question.text, **question.texts, "page": str(question.offset // question.limit + 2)}
        following = f"/api/search?{urlencode(told)}"
    rows = [{**row, **snippet_of(row["pieces"])} for row in found.rows]
    for row in rows:
        del row["pieces"]
    return answer({"rows": rows, "total": found.total, "seconds": round(found.seconds, 4), "next": following})


def snippet_of(pieces: Sequence[tuple[str, bool]]) -> dict[str, Any]:
    """A plain text, and where it is marked."""
    marks, at = [], 0
    for piece, marked in pieces:
        if marked:
            marks.append([at, at + len(piece)])
        at += len(piece)
    return {"snippet": "".join(piece for piece, _ in pieces), "marks": marks}


def community(parts: With, key: Id) -> Response:
    found = [row for row in queries.communities(parts.reader) if row["community"] == key]
    if not found:
        raise HTTPException(404, f"There are no posts of a community {key!r}.")
    now = parts.reader.published_at()
    week = queries.recent(parts.reader, now, 7 * DAY, key)
    return answer(
        {
            **found[0],
            "week": week[0] if week else None,
            "threads": queries.busiest_threads(parts.reader, now, 7 * DAY, 10, key),
        }
    )


def thread(
    parts: With,
    platform: Id,
    instance: Id,
    thread_id: Id,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    after: Annotated[str, Query(max_length=LONGEST)] = "",
) -> Response:
    """Posts in the order in which they were written; `parent` is the post that each stands below, `depth` how far."""
    row = queries.thread(parts.reader, _whole(platform), _whole(instance), _whole(thread_id))
    if row is None:
        raise HTTPException(404, f"There is no thread {thread_id!r} on {instance}.")
    begin = None
    if after:
        moment, _, last = _whole(after).partition(" ")
        begin = (read_time("after", moment), last)
    found = queries.posts_of_thread(parts.reader, row, begin, limit + 1)
    posts = found[:limit]
    versions = queries.versions_of(parts.reader, posts)
    nodes = [
        {**node.post, "depth": depth, "parent": node.parent, "versions": versions.get(node.post["post_id"], [])}
        for depth, node in conversation.walk(conversation.tree(posts))
    ]
    following = f"{posts[-1]['created_at'].isoformat()} {posts[-1]['post_id']}" if len(found) > limit else None
    return answer(
        {"thread": row, "posts": nodes, "next": following and f"?{urlencode({'after': following, 'limit': limit})}"}
    )


def post(parts: With, platform: Id, instance: Id, post_id: Id) -> Response:
    row = queries.post(parts.reader, _whole(platform), _whole(instance), _whole(post_id))
    if row is None:
        raise HTTPException(404, f"There is no post {post_id!r} on {instance}.")
    return answer({**row, "versions": queries.versions_of(parts.reader, [row]).get(row["post_id"], [])})


def poster(parts: With, platform: Id, instance: Id, author_id: Id) -> Response:
    row = queries.poster(parts.reader, _whole(platform), _whole(instance), _whole(author_id))
    if row is None:
        raise HTTPException(404, f"There is nobody with the id {author_id!r} on {instance}.")
    return answer({**row, "communities": queries.communities_of(parts.reader, row)})


def _whole(text: str) -> str:
    if "\0" in text:
        raise BadParameter("path", "must have no NUL.")
    return text


# -- who is followed --------------------------------------------------------------------------------------------------


def communities(parts: With) -> Response:
    return answer({"rows": parts.followed.communities()})


def add(
    request: Request,
    parts: With,
    url: Annotated[str, Body(max_length=500)],
    since: Annotated[str, Body(max_length=40)] = "",
    every: Annotated[str, Body(max_length=10)] = "",
) -> Response:
    """`url` as from a browser, or a key; `since`: a span such as 7d, or a date; `every`: 10m to 1d. Needs the bearer
    token."""
    _must_have_token(request, parts)
    try:
        said = parts.followed.add(_whole(url), since, every)
    except (ValueError, CrawlError) as problem:
        raise HTTPException(422, str(problem)) from None
    made = answer({"said": said})
    made.status_code = 201
    return made


def drop(request: Request, parts: With, key: Id) -> Response:
    """What was fetched of it stays. Needs the bearer token."""
    _must_have_token(request, parts)
    try:
        return answer({"said": parts.followed.drop(_whole(key))})
    except ValueError as problem:
        raise HTTPException(404, str(problem)) from None


def _must_have_token(request: Request, parts: With) -> None:
    if not parts.keys.has_bearer(request):
        raise HTTPException(
            401,
            "Send the token as `Authorization: Bearer …`: it stands in the home's dashboard-token.",
            {"www-authenticate": "Bearer"},
        )
