"""The paths of the systems before this one, with the columns that their users know; for every platform, and without
`bid` for all.

Their answers are made of the same marts as the pages. What differs on purpose: a mean length is a sum by a count,
ids are strings, nothing small is cut off unless the URL asks for it, and what has no rows is an empty answer.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from markupsafe import escape
from starlette.exceptions import HTTPException
from starlette.responses import Response

from dashboard import search as searching
from dashboard.answers import answer
from dashboard.pages import With
from dashboard.reader import Reader, Row
from dashboard.views import LONGEST, BadParameter, Filter, as_csv, read_number

Year = Annotated[int | None, Query(ge=1970, le=2200)]
Bid = Annotated[
    str | None, Query(max_length=LONGEST, description="A community's key, or what stands behind its colon.")
]
Limit = Annotated[int, Query(ge=1, le=10_000)]
Kind = Annotated[Literal["link", "image", "video"] | None, Query()]
Text = Annotated[str, Query(min_length=1, max_length=100)]
PageNumber = Annotated[int, Query(ge=1, le=10_000)]
PageSize = Annotated[int, Query(ge=1, le=100)]
Day = Annotated[date, Query()]
Statistic = Literal["post_count", "edit_count", "threads_created", "avg_post_length", "active_users"]
OrderBy = Literal["post_count", "edit_count", "avg_post_length", "threads_created", "quoted_count", "quotes_count"]
STATISTICS = """
    cast(sum(posts) as int64) as post_count, cast(sum(edits) as int64) as edit_count,
    cast(sum(threads) as int64) as threads_created,
    cast(coalesce(floor(sum(text_length) / nullif(sum(texts), 0)), 0) as int64) as avg_post_length
"""
QUOTED = "cast(sum(times_quoted) as int64) as quoted_count, cast(sum(times_quoting) as int64) as quotes_count"
THIRTY = 30
SORTS = {"score": "relevance", "date-asc": "oldest", "date-desc": "newest"}
YEAR_COLUMNS = (
    "year",
    "post_count",
    "edit_count",
    "threads_created",
    "quoted_count",
    "quotes_count",
    "avg_post_length",
)
WEEKDAYS = ("Sonntag", "Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag")
IN = "(community = $bid or ends_with(community, ':' || $bid) or ends_with(community, '/' || $bid))"


def router() -> APIRouter:
    made = APIRouter(tags=["earlier paths"])
    endpoints: dict[str, Callable[..., Any]] = {
        "/boards": boards,
        "/social-graph": social_graph,
        "/domains": domains,
        "/user-domains": user_domains,
        "/poster-stats": poster_stats,
        "/poster-development": poster_development,
        "/weekday-stats": weekday_stats,
        "/hourly-stats": hourly_stats,
        "/year-over-year-stats": year_over_year,
        "/daily-stats": daily_stats,
        "/chats/search": chats_search,
        "/chats/search/all": chats_search_all,
        "/chats/context-search": chats_context,
        "/chats/search/by-date": chats_by_date,
        "/es/chats/search": es_search,
        "/es/chats/search/by-date": es_by_date,
        "/search/keyword": es_search,
        "/search/date": es_by_date,
    }
    for path, endpoint in endpoints.items():
        made.add_api_route(path, endpoint, methods=["GET"], name=path)
    return made


def _where(year: int | None = None, bid: str | None = None, kind: str | None = None) -> tuple[str, dict[str, Any]]:
    parts = ["year = $year"] * (year is not None) + [IN] * (bid is not None) + ["kind = $kind"] * (kind is not None)
    if bid is not None and "\0" in bid:
        raise BadParameter("bid", "must have no NUL.")
    return " and ".join(parts) or "true", {"year": year, "bid": bid, "kind": kind}


def _users(reader: Reader, rows: list[Row], columns: Mapping[str, str]) -> list[Row]:
    """Rows in which each of these columns has become a user, `{name, uid, aliases}`, under another name."""
    ids = sorted({row[column] for row in rows for column in columns})
    known = reader.query(
        "select platform, instance, author_id, author_name, names from clean.authors "
        f"where {reader.dialect.among('author_id', 'ids')}",
        {"ids": ids},
    )
    users = {(one["platform"], one["instance"], one["author_id"]): one for one in known}
    made = []
    for row in rows:
        fresh = {columns.get(name, name): value for name, value in row.items() if name not in ("platform", "instance")}
        for column, told in columns.items():
            user = users.get((row["platform"], row["instance"], row[column]), {})
            name = user.get("author_name") or ""
            fresh[told] = {
                "name": name,
                "uid": row[column],
                "aliases": [one for one in user.get("names") or () if one != name],
            }
        made.append(fresh)
    return made


def boards(parts: With, year: Year = None) -> Response:
    where, values = _where(year)
    rows = parts.reader.query(
        f"""
        select community as bid, community as name, '' as description, cast(sum(threads) as int64) as thread_count,
            cast(sum(posts) as int64) as post_count
        from marts.activity_by_year where {where} group by community order by community
        """,
        values,
    )
    titles = parts.followed.titles()
    return answer({"rows": [{**row, "name": titles.get(row["bid"]) or row["name"]} for row in rows]})


def social_graph(parts: With, year: Year = None, limit: Limit = 1000) -> Response:
    where, values = _where(year)
    rows = parts.reader.query(
        f"""
        select platform, instance, author_id, quoted_author_id, count, count / max(count) over () as intensity
        from (
            select platform, instance, author_id, quoted_author_id, cast(sum(quotes) as int64) as count
            from marts.quote_graph where {where} group by platform, instance, author_id, quoted_author_id
        ) as edges
        order by count desc, platform, instance, author_id, quoted_author_id limit {limit}
        """,
        values,
    )
    return answer({"rows": _users(parts.reader, rows, {"author_id": "from", "quoted_author_id": "to"})})


def domains(parts: With, year: Year = None, type: Kind = None, limit: Limit = 1000) -> Response:
    where, values = _where(year, kind=type)
    return answer(
        {
            "rows": parts.reader.query(
                f"select cast(sum(links) as int64) as count, domain from marts.domains where {where} "
                f"group by domain order by count desc, domain limit {limit}",
                values,
            )
        }
    )


def user_domains(parts: With, year: Year = None, type: Kind = None, limit: Limit = 1000) -> Response:
    where, values = _where(year, kind=type)
    rows = parts.reader.query(
        f"""
        select platform, instance, author_id, domain, cast(sum(links) as int64) as count
        from marts.domain_posters where {where} group by platform, instance, author_id, domain
        order by count desc, platform, instance, author_id, domain limit {limit}
        """,
        values,
    )
    return answer({"rows": _users(parts.reader, rows, {"author_id": "User"})})


def poster_stats(
    parts: With,
    year: Year = None,
    bid: Bid = None,
    limit: Limit = 1000,
    order: Literal["asc", "desc"] = "desc",
    order_by: OrderBy = "post_count",
    following_uid: Annotated[str | None, Query(max_length=LONGEST)] = None,
    following_ob: Annotated[float | None, Query(allow_inf_nan=False)] = None,
) -> Response:
    if (following_uid is None) != (following_ob is None):
        raise BadParameter("following_uid", "and following_ob go together.")
    where, values = _where(year, bid)
    after = ""
    if following_uid is not None:
        sign = ">" if order == "asc" else "<"
        after = f"where {order_by} {sign} $ob or ({order_by} = $ob and who > $uid)"
    rows = parts.reader.query(
        f"""
        select * from (
            select platform, instance, author_id, platform || ' ' || instance || ' ' || author_id as who, {STATISTICS},
                {QUOTED}
            from marts.posters_by_year where {where} group by platform, instance, author_id
        ) as found
        {after} order by {order_by} {order}, who limit {limit + 1}
        """,
        {**values, "ob": following_ob, "uid": following_uid},
    )
    more, rows = len(rows) > limit, rows[:limit]
    body: dict[str, Any] = {"rows": _users(parts.reader, rows, {"author_id": "User"})}
    for row in body["rows"]:
        del row["who"]
    if more:
        told = {
            "year": year,
            "bid": bid,
            "limit": limit,
            "order": order,
            "order_by": order_by,
            "following_uid": rows[-1]["who"],
            "following_ob": rows[-1][order_by],
        }
        body["next"] = (
            f"/api/poster-stats?{urlencode({name: value for name, value in told.items() if value is not None})}"
        )
    return answer(body)


def poster_development(
    parts: With,
    uid: Annotated[str | None, Query(max_length=LONGEST)] = None,
    user: Annotated[str | None, Query(max_length=LONGEST)] = None,
    bid: Bid = None,
    csv: Annotated[str | None, Query(max_length=5)] = None,
) -> Response:
    """A name is looked for whatever its case; of several the one with most posts is meant."""
    if (uid is None) == (user is None) or "\0" in (uid or user or ""):
        raise BadParameter("uid", "or user must be given, and not both.")
    who = parts.reader.query(
        f"""
        select posters.platform, posters.instance, posters.author_id from marts.posters as posters
        where {"posters.author_id = $uid" if uid is not None else "lower(posters.author_name) = lower($user)"}
        group by posters.platform, posters.instance, posters.author_id
        order by sum(posters.posts) desc, posters.platform, posters.instance, posters.author_id limit 1
        """,
        {"uid": uid, "user": user},
    )
    if not who:
        raise HTTPException(404, "There is nobody of that id or name.")
    where, values = _where(bid=bid)
    rows = parts.reader.query(
        f"""
        select year, {STATISTICS}, {QUOTED} from marts.poster_development
        where platform = $platform and instance = $instance and author_id = $author_id and {where} group by year
        order by year
        """,
        {**values, **who[0]},
    )
    by_year = {int(row["year"]): row for row in rows}
    none = dict.fromkeys(YEAR_COLUMNS, 0)
    span = range(min(by_year), max(by_year) + 1) if by_year else ()
    years = [{name: {**none, **by_year.get(year, {}), "year": year}[name] for name in YEAR_COLUMNS} for year in span]
    if csv is not None:
        safe = "".join(one for one in who[0]["author_id"] if one.isascii() and one.isalnum())
        headers = {"content-disposition": f'attachment; filename="user-development-{safe}.csv"'}
        return Response(as_csv(YEAR_COLUMNS, years), media_type="text/csv; charset=utf-8", headers=headers)
    person = _users(parts.reader, who, {"author_id": "user"})[0]["user"]
    return answer({"user": person, "years": {str(row["year"]): row for row in years}})


def weekday_stats(parts: With, year: Year = None, bid: Bid = None) -> Response:
    where, values = _where(year, bid)
    rows = parts.reader.query(
        f"""
        select found.weekday, found.post_count, found.edit_count, found.threads_created,
            found.avg_post_length, coalesce(people.active_users, 0) as active_users
        from (select weekday, {STATISTICS} from marts.activity_by_day where {where} group by weekday) as found
        left join (
            select weekday, count(*) as active_users from (
                select distinct days.weekday, known.platform, known.instance, known.author_id
                from marts.posters_by_day as known
                join (select distinct day, weekday from marts.activity_by_day) as days on known.day = days.day
                where {where}
            ) as once group by weekday
        ) as people on found.weekday = people.weekday
        order by weekday
        """,
        values,
    )
    return answer({"rows": [{**row, "weekday": str(row["weekday"])} for row in rows]})


def hourly_stats(parts: With, year: Year = None, bid: Bid = None) -> Response:
    where, values = _where(year, bid)
    rows = parts.reader.query(
        f"""
        select weekday, hour_of_day, {STATISTICS} from marts.activity_by_weekday_hour where {where}
        group by weekday, hour_of_day order by weekday, hour_of_day
        """,
        values,
    )
    return answer(
        {"rows": [{"weekday_hour": f"{row.pop('weekday')}:{row.pop('hour_of_day'):02}", **row} for row in rows]}
    )


def year_over_year(parts: With, year: Year = None, bid: Bid = None) -> Response:
    where, values = _where(year, bid)
    rows = parts.reader.query(
        f"""
        select found.*, coalesce(people.active_users, 0) as active_users
        from (select year, {STATISTICS} from marts.activity_by_year where {where} group by year) as found
        left join (
            select year, count(*) as active_users from (
                select distinct year, platform, instance, author_id from marts.posters_by_year where posts > 0 and
                {where}
            ) as once group by year
        ) as people on found.year = people.year
        order by year
        """,
        values,
    )
    return answer({"rows": rows})


def daily_stats(
    parts: With, year: Annotated[int, Query(ge=1970, le=2200)], statistic: Statistic, bid: Bid = None
) -> Response:
    """Weeks as `%W` counts them, each with its days from Sunday on; days without posts are 0."""
    where, values = _where(year, bid)
    rows = parts.reader.query(
        f"""
        select found.*, people.active_users
        from (select day, {STATISTICS} from marts.activity_by_day where {where} group by day) as found
        join (
            select day, count(*) as active_users from (
                select distinct day, platform, instance, author_id from marts.posters_by_day where {where}
            ) as once group by day
        ) as people on found.day = people.day
        """,
        values,
    )
    found = {row["day"]: row[statistic] for row in rows}
    weeks: OrderedDict[int, dict[str, float]] = OrderedDict()
    day = date(year, 1, 1)
    while found and day.year == year:
        if min(found) <= day <= max(found):
            name = WEEKDAYS[int(f"{day:%w}")]
            weeks.setdefault(int(f"{day:%W}"), dict.fromkeys(WEEKDAYS, 0.0))[name] = float(found.get(day) or 0)
        day += timedelta(days=1)
    return answer(
        {
            "series": [
                {"name": week, "series": [{"name": name, "value": value} for name, value in days.items()]}
                for week, days in weeks.items()
            ]
        }
    )


# -- search and messages
# ---------------------------------------------------------------------------------------------------------


def _messages(parts: With, condition: str, values: dict[str, Any], page: int, size: int) -> tuple[list[Row], int]:
    """A page of posts, the newest first, and how many there are."""
    total = parts.reader.query(f"select count(*) as total from clean.all_posts where {condition}", values)[0]["total"]
    rows = parts.reader.query(
        f"""
        select post_id as message_id, thread_id as channel_id, text as content, created_at as message_date
        from clean.all_posts where {condition}
        order by created_at desc, platform, instance, post_id limit {size} offset {(page - 1) * size}
        """,
        values,
    )
    return rows, total


def _term(text: str) -> tuple[str, dict[str, Any]]:
    if "\0" in text:
        raise BadParameter("search_term", "must have no NUL.")
    return "strpos(lower(text), lower($term)) > 0", {"term": text}


def _between(start: date, end: date) -> tuple[str, dict[str, Any]]:
    """Whole days in UTC, the last one too."""
    if start > end:
        raise HTTPException(400, "start_date must not be after end_date.")
    if not 1970 <= start.year <= end.year <= 2200:
        raise BadParameter("start_date", "and end_date must be from 1970 to 2200.")
    first, last = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (start, end))
    return "created_at >= $start and created_at < $end", {"start": first, "end": last + timedelta(days=1)}


def chats_search(parts: With, search_term: Text, page: PageNumber = 1, page_size: PageSize = 10) -> Response:
    rows, total = _messages(parts, *_term(search_term), page, page_size)
    return answer({"messages": rows, "count": len(rows), "total_count": total})


def chats_search_all(parts: With, search_term: Text) -> Response:
    rows, _ = _messages(parts, *_term(search_term), 1, 1000)
    return answer({"messages": rows, "count": len(rows)})


def chats_by_date(
    parts: With, start_date: Day, end_date: Day, page: PageNumber = 1, page_size: PageSize = 10
) -> Response:
    rows, total = _messages(parts, *_between(start_date, end_date), page, page_size)
    return answer({"messages": rows, "count": len(rows), "total_count": total})


def es_search(parts: With, keyword: Text, page: PageNumber = 1, page_size: PageSize = 10) -> Response:
    rows, total = _messages(parts, *_term(keyword), page, page_size)
    return answer({"data": rows, "total": total, "page": page, "page_size": page_size})


def es_by_date(parts: With, start_date: Day, end_date: Day, page: PageNumber = 1, page_size: PageSize = 10) -> Response:
    rows, total = _messages(parts, *_between(start_date, end_date), page, page_size)
    return answer({"data": rows, "total": total, "page": page, "page_size": page_size})


def chats_context(parts: With, search_term: Text, page: PageNumber = 1, page_size: PageSize = 10) -> Response:
    """By words and their stems, the best first."""
    texts = {"kind": "post", "sort": "relevance"}
    values = {"kind": "post"}
    offset = (page - 1) * page_size
    found = None
    if offset < searching.DEEPEST:
        found = parts.searcher.search(searching.Question(search_term, values, texts, offset, page_size))
    rows = [
        {
            "message_id": row["post_id"],
            "channel_id": row["thread_id"],
            "content": row["text"],
            "message_date": row["created_at"],
        }
        for row in (found.rows if found else ())
    ]
    return answer({"messages": rows, "count": len(rows), "total_count": found.total if found else 0})


def search(request: Request, parts: With) -> Response:
    """`content`, `type` post or thread, `sort` score, date-asc or date-desc, `offset`; thirty at a time."""
    asked = request.query_params
    kind = Filter("type", "", "choice", "", ("post", "thread")).read(asked.get("type", ""))
    sort = Filter("sort", "", "choice", "", tuple(SORTS)).read(asked.get("sort") or "score")
    offset = read_number("offset", asked.get("offset") or "0", 0, searching.DEEPEST - THIRTY)
    content = Filter("content", "").read(asked["content"])
    question = searching.Question(content, {"kind": kind}, {"kind": kind, "sort": SORTS[sort]}, offset, THIRTY)
    found = parts.searcher.search(question)
    rows = []
    for place, row in enumerate(found.rows):
        thread = {"tid": row["thread_id"], "title": row.get("title") or "", "subtitle": ""}
        score = 1 / (1 + offset + place)
        if kind == "thread":
            rows.append({"score": score, **thread})
            continue
        marked = "".join(
            f"<strong>{escape(piece)}</strong>" if mark else str(escape(piece)) for piece, mark in row["pieces"]
        )
        user = {"name": row["author_name"] or "", "uid": row["author_id"], "aliases": []}
        moment = int(row["created_at"].timestamp())
        told = {"score": score, "pid": row["post_id"], "poster_uid": row["author_id"], "snippet": marked}
        rows.append({**told, "user": user, "thread": thread, "timestamp": moment})
    return answer({"count": found.total, "type": kind, "elapsed": round(found.seconds, 4), "results": rows})
