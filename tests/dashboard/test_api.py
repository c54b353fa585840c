"""The JSON API over HTTP: what it says equals what SQL says of the warehouse, and it keeps the manners of HTTP."""

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from dashboard.app import reader_of
from dashboard.guard import RateLimit
from dashboard.pages import TABLES
from dashboard.reader import WarehouseReader
from dashboard.views import find, read
from tests.dashboard.conftest import COMMUNITIES, TOKEN, Served

pytestmark = pytest.mark.xdist_group("dashboard")
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def rows_of(served: Served, path: str) -> list[dict[str, Any]]:
    """All pages of it, by following `next`."""
    found: list[dict[str, Any]] = []
    following: str | None = path
    while following:
        answer = served.get(following)
        assert answer.status_code == 200, (following, answer.text)
        body = answer.json()
        found += body["rows"]
        following = body["next"]
    return found


@pytest.mark.parametrize("sort", ["-created_at", "score", "-edited_at", "author_name"])
def test_all_pages_together_are_all_rows_each_once(served: Served, sort: str) -> None:
    found = rows_of(served, f"/api/posts?limit=300&sort={sort}")
    keys = [(row["platform"], row["instance"], row["post_id"]) for row in found]
    wanted = served.sql("select platform, instance, post_id from clean.all_posts")
    assert len(keys) == len(set(keys)) and set(keys) == set(wanted)
    column = sort.removeprefix("-")
    values = [row[column] for row in found if row[column] is not None]
    if column != "created_at":  # texts sort by their bytes, as Python's do
        assert values == sorted(values, reverse=sort.startswith("-"))


def test_ids_are_strings_and_times_are_utc(served: Served) -> None:
    for row in served.get("/api/posts?platform=discord&limit=20").json()["rows"]:
        assert isinstance(row["post_id"], str) and isinstance(row["author_id"], str)
        assert row["created_at"].endswith("Z") and datetime.fromisoformat(row["created_at"]).tzinfo is UTC


def test_every_table_answers_as_json_and_as_csv(served: Served) -> None:
    for name in TABLES:
        rows = served.get(f"/api/{name}?limit=5").json()["rows"]
        text = served.get(f"/api/{name}", headers={"Accept": "text/csv"})
        assert (
            text.headers["Content-Type"].startswith("text/csv") and "attachment" in text.headers["Content-Disposition"]
        )
        lines = list(csv.DictReader(io.StringIO(text.text)))
        assert len(lines) >= len(rows) and (not rows or list(lines[0]) == list(rows[0])), name
        assert not any(str(cell).startswith(("=", "@", "+")) for line in lines for cell in line.values()), name


STATISTICS = {
    "/api/weekdays?community=mods_de:14": (
        "select isodow(created_at), hour(created_at), count(*) from clean.all_posts "
        "where community = 'mods_de:14' group by all",
        ("weekday", "hour_of_day", "posts"),
    ),
    "/api/days": (
        # the marts were made before one more was said to be gone
        "select cast(created_at as date), count(*), count(case when run_id <> 'gone' then deleted_at end) "
        "from clean.all_posts group by all",
        ("day", "posts", "deletions"),
    ),
    "/api/posters?limit=1000": (
        "select community, author_id, count(*), count(distinct cast(created_at as date)) from clean.all_posts "
        "where author_id is not null group by all",
        ("community", "author_id", "posts", "active_days"),
    ),
    **dict.fromkeys(("/api/active-posters", "/api/active-posters?since=1970-01-02"), (
        "select community, count(distinct author_id), count(*), count(distinct day), min(day), max(day) "
        "from (select *, created_at::date as day from clean.all_posts) where author_id is not null group by all",
        ("community", "posters", "posts", "days", "first_day", "last_day"),
    )),
    "/api/links?limit=1000": (
        "select link, count(*) from clean.all_posts, unnest(links) as t(link) group by all",
        ("url", "posts"),
    ),
    "/api/community-totals": (
        "select community, count(*), count(distinct author_id), count(case when is_opening then 1 end) "
        "from clean.all_posts group by all",
        ("community", "posts", "authors", "threads"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("path", STATISTICS)
def test_statistics_equal_what_sql_counts(served: Served, path: str) -> None:
    statement, names = STATISTICS[path]
    wanted = {tuple(str(value) for value in row) for row in served.sql(statement)}
    # posters that others quoted and who did not write are in the mart, too
    found = {tuple(str(row[name]) for name in names) for row in rows_of(served, path) if row.get("posts") != 0}
    assert found == wanted


def test_a_thread_is_all_of_its_posts_and_each_stands_below_what_it_quotes(served: Served) -> None:
    (thread,) = served.sql(
        "select platform, instance, thread_id, count(*) as n from clean.all_posts where platform = 'lemmy' "
        "group by all order by n desc, thread_id limit 1"
    )
    path = "/api/thread/{}/{}/{}".format(*thread[:3])
    first = served.get(f"{path}?limit=5").json()
    rest = served.get(f"{path}{first['next']}&limit=1000".replace("limit=5&", "")).json()
    posts = [*first["posts"], *rest["posts"]]
    assert len({post["post_id"] for post in posts}) == thread[3] and rest["next"] is None
    whole = served.get(path).json()["posts"]
    answers = [post for post in whole if post["parent"]]
    assert answers and all(post["parent"] in post["quotes"] for post in answers)
    depth = {post["post_id"]: post["depth"] for post in whole}
    assert all(depth[post["post_id"]] in (depth[post["parent"]] + 1, 6) for post in answers)


def test_search_finds_what_sql_finds(served: Served) -> None:
    def found(query: str, **more: str) -> tuple[set[str], int]:
        keys, page = set(), 1
        while True:
            body = served.get("/api/search", params={"q": query, "page": str(page), **more}).json()
            keys |= {row["post_id"] for row in body["rows"]}
            if not body["next"]:
                return keys, body["total"]
            page += 1

    def wanted(condition: str) -> set[str]:
        said = "concat_ws(' ', title, text)"
        return {
            row[0] for row in served.sql(f"select post_id from clean.all_posts where {condition.replace('@', said)}")
        }

    word = r"regexp_matches(@, '\b{}\b', 'i')".format
    for query, condition in {
        "crane": r"regexp_matches(@, '\bcranes?\b', 'i')",
        '"wet base"': r"regexp_matches(@, '\bwet[\W_]+bases?\b', 'i')",
        "paper NOT glue": f"{word('papers?')} and not {word('glues?|glued')}",
        "(tent OR stove) -crane": f"({word('tents?')} or {word('stoves?')}) and not {word('cranes?')}",
        "migr*": r"regexp_matches(@, '\bmigr', 'i')",
        "stoev~": word("stove"),
    }.items():
        keys, total = found(query)
        assert keys == wanted(condition) and keys and total == len(keys), query
    assert found("wet base", exact="yes")[0] == wanted("contains(lower(text), 'wet base')")
    assert found("crane", community="mods_de:14", sort="newest")[0] == wanted(
        r"regexp_matches(@, '\bcranes?\b', 'i') and community = 'mods_de:14'"
    )
    row = served.get("/api/search?q=crane").json()["rows"][0]
    assert all("crane" in row["snippet"][start:end].lower() for start, end in row["marks"]) and row["marks"]
    for odd in ('"', "(((", "NOT", "-", "~", "*", ") OR (", '"a', "AND OR NOT", "a~9 b*c"):
        assert served.get("/api/search", params={"q": odd}).status_code == 200, odd


def test_the_earlier_paths_have_the_columns_their_users_know(served: Served) -> None:
    user = {"name", "uid", "aliases"}
    five = {"post_count", "edit_count", "threads_created", "avg_post_length"}
    shapes = {
        "/api/boards": {"bid", "name", "description", "thread_count", "post_count"},
        "/api/social-graph": {"from", "to", "count", "intensity"},
        "/api/user-domains": {"User", "domain", "count"},
        "/api/domains": {"domain", "count"},
        "/api/poster-stats?bid=14": five | {"User", "quoted_count", "quotes_count"},
        "/api/weekday-stats": five | {"weekday", "active_users"},
        "/api/year-over-year-stats?year=2026": five | {"year", "active_users"},
    }
    for path, columns in shapes.items():
        rows = served.get(path).json()["rows"]
        assert rows and all(set(row) == columns for row in rows), path
        assert all(set(row[name]) == user for row in rows for name in ("User", "from", "to") if name in row)
    first = served.get("/api/poster-stats?limit=3&order_by=threads_created").json()
    second = served.get(first["next"]).json()["rows"]
    everybody = served.get("/api/poster-stats?order_by=threads_created").json()["rows"]
    assert [*first["rows"], *second] == everybody[:6]
    uid = everybody[0]["User"]["uid"]
    assert set(served.get(f"/api/poster-development?uid={uid}").json()) == {"user", "years"}
    assert served.get(f"/api/poster-development?uid={uid}&csv=1").text.startswith(
        "year,post_count,edit_count,threads_created,"
    )
    days = served.get("/api/daily-stats?year=2026&statistic=post_count").json()["series"]
    assert [day["name"] for day in days[0]["series"]][:2] == ["Sonntag", "Montag"]
    assert (
        sum(day["value"] for week in days for day in week["series"])
        == served.sql("select count(*) from clean.all_posts")[0][0]
    )
    chats = served.get("/api/chats/search?search_term=100%25&page_size=5").json()
    assert set(chats) == {"messages", "count", "total_count"}
    by_date = served.get("/api/chats/search/by-date?start_date=2026-11-20&end_date=2026-11-20&page_size=100").json()
    assert by_date["count"] == 100 and set(by_date["messages"][0]) == {
        "message_id",
        "channel_id",
        "content",
        "message_date",
    }
    assert served.get("/api/chats/search/by-date?start_date=2026-11-21&end_date=2026-11-20").status_code == 400
    assert served.get("/api/chats/search?search_term=a&page=0").status_code == 422
    old = served.get("/api/search?content=crane&type=post&sort=date-desc").json()
    assert set(old) == {"count", "type", "elapsed", "results"} and "<strong>" in old["results"][0]["snippet"]
    assert set(served.get("/api/es/chats/search?keyword=crane").json()) == {"data", "total", "page", "page_size"}


def test_who_has_an_answer_gets_304_and_long_ones_are_packed(served: Served) -> None:
    first = served.get("/api/posts")
    assert first.headers["Content-Encoding"] == "gzip"
    again = served.get("/api/posts", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert served.get("/api/threads").headers["ETag"] != first.headers["ETag"]
    served.pipeline.publish()
    assert served.get("/api/posts", headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/posts?since=yesterday", 422), ("/api/posts?sort=nothing", 422),
        ("/api/posts?after=x", 422), ("/api/posts?limit=0", 422),
        ("/api/posts?deleted=perhaps", 422), ("/api/nothing", 404), ("/api/thread/lemmy/lemmy.example/0", 404),
        ("/api/community/nobody", 404), ("/api/posts?format=xml", 422), ("/api/poster-stats?year=x", 422),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_told_as_problem_details(served: Served, path: str, status: int) -> None:
    answer = served.get(path)
    body = answer.json()
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert body["status"] == status and body["title"] and body["detail"] and body["instance"] == path.partition("?")[0]


def test_only_the_token_changes_something(served: Served) -> None:
    place = f"{served.url}/api/communities"
    told = {"url": "fourchan:out", "since": "1d"}
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic x"}):
        assert requests.post(place, json=told, headers=headers, timeout=30).status_code == 401
        assert requests.delete(f"{place}/mods_de:14", headers=headers, timeout=30).status_code == 401
    made = requests.post(place, json=told, headers=BEARER, timeout=30)
    assert made.status_code == 201 and served.pipeline.lake.is_tracked("fourchan:out"), made.text
    assert "fourchan:out" in {
        row["community"] for row in served.get("/api/communities").json()["rows"] if row["tracked"]
    }
    assert requests.post(place, json={"url": "not a community"}, headers=BEARER, timeout=30).status_code == 422
    assert requests.delete(f"{place}/fourchan:out", headers=BEARER, timeout=30).status_code == 200
    assert requests.delete(f"{place}/fourchan:out", headers=BEARER, timeout=30).status_code == 404


def test_a_form_of_another_site_changes_nothing(served: Served) -> None:
    browser = requests.Session()
    assert browser.post(f"{served.url}/sign-in", data={"token": TOKEN}, timeout=30).status_code == 200
    drop = {"key": "mods_de:14"}
    for data, headers in (
        (drop, {}),
        (drop | {"word": "guessed"}, {}),
        (drop | {"word": _word(browser, served)}, {"Origin": "https://evil.example"}),
    ):
        assert browser.post(f"{served.url}/communities/drop", data=data, headers=headers, timeout=30).status_code == 403
    stranger = requests.post(f"{served.url}/communities/drop", data=drop | {"word": _word(browser, served)}, timeout=30)
    assert stranger.status_code == 403 and served.pipeline.lake.is_tracked("mods_de:14")
    cookie = next(iter(browser.cookies))
    assert cookie.has_nonstandard_attr("HttpOnly") and cookie.get_nonstandard_attr("SameSite") == "strict"


def _word(browser: requests.Session, served: Served) -> str:
    page = browser.get(f"{served.url}/communities", timeout=30).text
    return page.partition('name="word" value="')[2].partition('"')[0]


def test_every_answer_is_guarded(served: Served) -> None:
    for path in ("/", "/api/", "/nothing", "/static/style.css", "/api/nothing"):
        headers = served.get(path).headers
        assert (
            "default-src 'none'" in headers["Content-Security-Policy"]
            and "unsafe" not in headers["Content-Security-Policy"]
        )
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "same-origin"
    assert served.get("/", headers={"Host": "evil.example"}).status_code == 400, "a name that points here reads nothing"
    assert served.get("/static/../app.py").status_code == 404


def test_each_client_has_its_rate() -> None:
    now = 0.0
    limit = RateLimit(None, 2, lambda: now)  # type: ignore[arg-type]
    assert [limit._wait("a") for _ in range(20)] == [0] * 20
    assert limit._wait("a") == 1 and limit._wait("b") == 0
    now = 1.0
    assert [bool(limit._wait("a")) for _ in range(3)] == [False, False, True]


def test_health(served: Served) -> None:
    assert served.get("/healthz").json()["status"] == 1
    assert {row["community"] for row in served.get("/api/overview").json()["observed"]} == set(COMMUNITIES)


def test_a_warehouse_that_many_may_open_is_read_as_it_stands(served: Served) -> None:
    """The same rows as what is published, by the interface that all warehouses have."""
    reader, published = WarehouseReader(served.pipeline.warehouse), reader_of(served.pipeline)
    for view in (TABLES["posters"], TABLES["weekdays"], TABLES["threads"], TABLES["changes"]):
        asked = read(view, {"limit": "30"})
        assert find(reader, view, asked) == find(published, view, asked), view.name
    assert reader.version() == reader.version() and reader.columns("marts.nothing") == ()
