"""The pages: what people see. Each gathers its rows and hands them to a template; what a URL asks stays in the URL."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dashboard import charts, conversation, queries, text
from dashboard import search as searching
from dashboard.guard import COOKIE, client_of
from dashboard.reader import Row
from dashboard.statistics import GROUPS, POSTER_YEARS, POSTERS, STATISTICS, WORDS
from dashboard.views import CSV_ROWS, Asked, BadParameter, Found, View, as_csv, find, read, read_time
from extractors.errors import CrawlError

if TYPE_CHECKING:
    from dashboard.app import Parts

DAY, WEEK = 24, 168
STALE_AFTER = timedelta(hours=3)
TABLES = {view.name: view for view in (*queries.VIEWS, *STATISTICS)}
NO_STORE = {"cache-control": "no-store"}


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in (
        "number",
        "share",
        "moment",
        "ago",
        "change",
        "outside",
        "host_of",
        "visible",
        "plain",
        "thread_path",
        "post_path",
        "poster_path",
        "community_path",
    ):
        made.filters[name] = getattr(text, name)
    made.globals["differences"] = text.differences
    made.globals["is_time"] = lambda value: hasattr(value, "isoformat")
    return made


TEMPLATES = _environment()


def parts_of(request: Request) -> "Parts":
    parts: Parts = request.app.state.parts
    return parts


With = Annotated["Parts", Depends(parts_of)]


def render(
    request: Request, template: str, status: int = 200, headers: Mapping[str, str] | None = None, **values: Any
) -> Response:
    def link(**changes: Any) -> str:
        """This page's URL with other values; None takes one away."""
        asked = {name: value for name, value in request.query_params.items() if value and name not in changes}
        asked |= {name: value for name, value in changes.items() if value not in (None, "")}
        return f"{request.url.path}?{urlencode(asked)}" if asked else request.url.path

    body = TEMPLATES.get_template(template).render(path=request.url.path, link=link, **values)
    return HTMLResponse(body, status, headers)


def error_page(request: Request, status: int, detail: str) -> Response:
    return render(request, "error.html", status, status_code=status, detail=detail)


def router() -> APIRouter:
    """All of them; none stands in OpenAPI, which describes what programs use."""
    made = APIRouter(include_in_schema=False)
    made.get("/")(overview)
    made.get("/c/{key:path}")(community)
    made.get("/t/{platform}/{instance}/{thread_id:path}")(thread)
    made.get("/p/{platform}/{instance}/{post_id:path}")(post)
    made.get("/u/{platform}/{instance}/{author_id:path}")(poster)
    made.get("/statistics")(statistics)
    made.get("/statistics/{name}")(table_page)
    made.get("/tables/{name}")(table_page)
    made.get("/coverage")(coverage)
    made.get("/search")(search)
    made.get("/communities")(communities)
    made.post("/communities")(add)
    made.post("/communities/drop")(drop)
    made.get("/sign-in")(ask_token)
    made.post("/sign-in")(sign_in)
    made.post("/sign-out")(sign_out)
    made.get("/healthz")(health)
    return made


# -- what happens -----------------------------------------------------------------------------------------------------


def overview(request: Request, parts: With) -> Response:
    """What happened, what is trending, what is stale."""
    now = parts.reader.published_at()
    recent = queries.recent(parts.reader, now, DAY)
    titles = parts.followed.titles()
    hours = queries.by_hour(parts.reader, now, 2 * DAY)
    for row in (*recent, *hours):
        row["title"] = titles.get(row["community"]) or row["community"]
    return render(
        request,
        "overview.html",
        now=now,
        recent=recent,
        totals={name: sum(row[name] or 0 for row in recent) for name in ("posts", "posts_before", "edited", "deleted")},
        chart=charts.lines(hours, "hour", "posts", "title", "posts an hour"),
        threads=queries.busiest_threads(parts.reader, now, DAY, 8),
        trending=_trending(parts),
        stale=_stale(parts, now),
    )


def community(request: Request, parts: With, key: str) -> Response:
    known = {row["community"]: row for row in queries.communities(parts.reader)}
    if key not in known:
        raise HTTPException(404, f"There are no posts of a community {key!r}.")
    now = parts.reader.published_at()
    row = known[key]
    return render(
        request,
        "community.html",
        now=now,
        row={**row, "title": parts.followed.titles().get(key)},
        recent=next(iter(queries.recent(parts.reader, now, WEEK, key)), None),
        chart=charts.bars(queries.by_hour(parts.reader, now, WEEK, key), "hour", "posts", "posts an hour", time=True),
        threads=queries.busiest_threads(parts.reader, now, WEEK, 10, key),
        posts=_rows(parts, queries.POSTS, community=key, limit="20"),
        posters=_rows(parts, POSTERS, community=key, limit="10"),
        trending=_trending(parts, key),
    )


def _rows(parts: "Parts", view: View, **asked: str) -> list[Row]:
    return find(parts.reader, view, read(view, asked)).rows


def _trending(parts: "Parts", key: str = "") -> list[Row]:
    """The strongest first; what trends in several communities is told once."""
    found = _rows(parts, WORDS, limit="40", community=key)
    return list({row["word"]: row for row in reversed(found)}.values())[::-1][:20]


def _stale(parts: "Parts", now: datetime) -> list[Row]:
    """Communities of which no hour was read as a whole for too long, though they are tracked."""
    tracked = parts.followed.titles()
    return [
        row
        for row in queries.last_observed(parts.reader)
        if row["community"] in tracked and (row["complete_hour"] is None or now - row["complete_hour"] > STALE_AFTER)
    ]


# -- conversations and people -----------------------------------------------------------------------------------------


def thread(
    request: Request, parts: With, platform: str, instance: str, thread_id: str, after: str = "", post: str = ""
) -> Response:
    row = queries.thread(parts.reader, platform, instance, thread_id)
    if row is None:
        raise HTTPException(404, f"There is no thread {thread_id!r} on {instance}.")
    begin = None
    if after:
        moment, _, last = after.partition(" ")
        begin = (read_time("after", moment), last)
    found = queries.posts_of_thread(parts.reader, row, begin, queries.THREAD_PAGE + 1)
    posts = found[: queries.THREAD_PAGE]
    following = f"{posts[-1]['created_at'].isoformat()} {posts[-1]['post_id']}" if len(found) > len(posts) else None
    return render(
        request,
        "thread.html",
        row=row,
        nodes=list(conversation.walk(conversation.tree(posts))),
        versions=queries.versions_of(parts.reader, posts),
        following=following,
        continued=bool(after),
        marked=post,
    )


def post(request: Request, parts: With, platform: str, instance: str, post_id: str) -> Response:
    """Goes to the page of the thread on which the post stands."""
    row = queries.post(parts.reader, platform, instance, post_id)
    if row is None:
        raise HTTPException(404, f"There is no post {post_id!r} on {instance}.")
    asked = {"post": post_id}
    if before := queries.page_before(parts.reader, row):
        asked["after"] = before
    return RedirectResponse(f"{text.thread_path(row)}?{urlencode(asked)}#marked", 303)


def poster(request: Request, parts: With, platform: str, instance: str, author_id: str) -> Response:
    row = queries.poster(parts.reader, platform, instance, author_id)
    if row is None:
        raise HTTPException(404, f"There is nobody with the id {author_id!r} on {instance}.")
    years = _rows(parts, POSTER_YEARS, platform=platform, instance=instance, author=author_id)
    return render(
        request,
        "poster.html",
        row=row,
        communities=queries.communities_of(parts.reader, row),
        posts=_rows(parts, queries.POSTS, platform=platform, instance=instance, author=author_id, limit="30"),
        years=years,
        chart=charts.bars(sorted(years, key=lambda one: one["year"]), "year", "posts", "posts")
        if len(years) > 1
        else None,
    )


# -- tables -----------------------------------------------------------------------------------------------------------


def statistics(request: Request, parts: With) -> Response:
    there = [
        (title, [view for view in views if all(parts.reader.columns(one) for one in view.needs)])
        for title, views in GROUPS
    ]
    return render(request, "statistics.html", groups=[(title, views) for title, views in there if views])


def table_page(request: Request, parts: With, name: str) -> Response:
    """Any view: its filters, its chart, its table; as CSV on request."""
    view = TABLES.get(name)
    if view is None:
        raise HTTPException(404, f"There is no table {name!r}.")
    asked = read(view, request.query_params)
    if request.query_params.get("format") == "csv":
        return csv_of(parts, view, asked)
    found = find(parts.reader, view, asked)
    return render(
        request,
        "table.html",
        view=view,
        asked=asked,
        found=found,
        chart=_chart(parts, view, asked),
        communities=_choices(parts, view, "community"),
        platforms=_choices(parts, view, "platform"),
        shown=[one for one in found.columns if one not in view.hidden],
    )


def csv_of(parts: "Parts", view: View, asked: Asked) -> Response:
    found = find(parts.reader, view, asked, limit=CSV_ROWS)
    headers = {"content-disposition": f'attachment; filename="{view.name}.csv"'}
    return Response(as_csv(found.columns, found.rows), media_type="text/csv; charset=utf-8", headers=headers)


def _chart(parts: "Parts", view: View, asked: Asked) -> Any:
    if view.chart is None:
        return None
    found: Found = find(
        parts.reader, view, Asked(asked.values, asked.texts, view.chart_order or asked.sort), limit=view.chart_rows
    )
    return view.chart(found.rows, asked)


def _choices(parts: "Parts", view: View, name: str) -> list[str]:
    if name not in {one.name for one in view.filters}:
        return []
    return sorted({row[name] for row in queries.communities(parts.reader)})


def search(request: Request, parts: With) -> Response:
    question = searching.read(request.query_params)
    known = queries.communities(parts.reader)
    return render(
        request, "search.html", question=question, filters=searching.FILTERS, results=parts.searcher.search(question),
        page=question.offset // question.limit + 1, last_page=searching.DEEPEST // searching.PAGE,
        communities=sorted({row["community"] for row in known}), platforms=sorted({row["platform"] for row in known}),
    )  # fmt: skip


def coverage(request: Request, parts: With, days: str = "7") -> Response:
    """Which hours of which community were observed, which failed."""
    now = parts.reader.published_at()
    count = {"1": 1, "7": 7, "30": 30}.get(days)
    if count is None:
        raise BadParameter("days", "must be 1, 7 or 30.")
    rows = queries.coverage(parts.reader, now, count)
    return render(
        request,
        "coverage.html",
        now=now,
        days=count,
        chart=charts.states(rows, "hour", "community", "state"),
        observed=queries.last_observed(parts.reader),
    )


# -- who is followed --------------------------------------------------------------------------------------------------


def communities(request: Request, parts: With, said: str = "", wrong: str = "") -> Response:
    session = parts.keys.session(request)
    return render(
        request,
        "communities.html",
        headers=NO_STORE,
        rows=parts.followed.communities(),
        session=session,
        word=parts.keys.form_word(session),
        message=parts.keys.unsealed(said),
        wrong=parts.keys.unsealed(wrong),
        now=parts.pipeline.settings.now(),
    )


def add(
    request: Request,
    parts: With,
    url: Annotated[str, Form()] = "",
    since: Annotated[str, Form()] = "",
    every: Annotated[str, Form()] = "",
    word: Annotated[str, Form()] = "",
) -> Response:
    _must_be_signed_in(request, parts, word)
    return _told(parts, lambda: parts.followed.add(url, since, every))


def drop(
    request: Request, parts: With, key: Annotated[str, Form()] = "", word: Annotated[str, Form()] = ""
) -> Response:
    _must_be_signed_in(request, parts, word)
    return _told(parts, lambda: parts.followed.drop(key))


def _told(parts: "Parts", do: Callable[[], str]) -> Response:
    """Do it, and go back to the page, which says how it went."""
    try:
        said = {"said": parts.keys.sealed(do())}
    except (ValueError, CrawlError) as problem:
        said = {"wrong": parts.keys.sealed(str(problem))}
    return RedirectResponse(f"/communities?{urlencode(said)}", 303)


def _must_be_signed_in(request: Request, parts: "Parts", word: str) -> None:
    if not parts.keys.may_post(request, word):
        raise HTTPException(
            403, "Sign in first, and send the form from the page: it carries a word that no other site knows."
        )


def ask_token(request: Request, parts: With) -> Response:
    return render(request, "sign_in.html", headers=NO_STORE, wrong="", file=_token_place(parts))


def sign_in(request: Request, parts: With, token: Annotated[str, Form()] = "") -> Response:
    client = client_of(request)
    if parts.attempts.blocked(client):
        raise HTTPException(429, "Too many wrong tokens: try again in five minutes.")
    if not parts.keys.is_token(token.strip()):
        parts.attempts.fail(client)
        return render(request, "sign_in.html", 403, NO_STORE, wrong="That is not the token.", file=_token_place(parts))
    answer = RedirectResponse("/communities", 303)
    secure = request.url.scheme == "https"
    answer.set_cookie(
        COOKIE, parts.keys.new_session(), httponly=True, samesite="strict", secure=secure, max_age=14 * 86_400
    )
    return answer


def sign_out(request: Request, parts: With, word: Annotated[str, Form()] = "") -> Response:
    _must_be_signed_in(request, parts, word)
    answer = RedirectResponse("/communities", 303)
    answer.delete_cookie(COOKIE)
    return answer


def _token_place(parts: "Parts") -> str:
    settings = parts.pipeline.settings
    return (
        "THREADLAKE_DASHBOARD_TOKEN"
        if settings.dashboard_token
        else f"{settings.home.name}/{settings.dashboard_token_file.name}"
    )


def health(parts: With) -> dict[str, Any]:
    """For probes: answers as long as something is published."""
    return {"status": 1, "published": parts.reader.version()}
