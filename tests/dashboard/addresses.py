"""Every address of the JSON API that reads, with what it can be asked."""

from urllib.parse import quote, urlencode

from dashboard.pages import TABLES
from dashboard.views import View

VALUES = {"text": "fold", "time": "2026-01-01T00:00", "number": "1", "switch": "yes"}
SEARCHED = (
    "q=paper", "q=%22the+second+fold%22", "q=paper+-fold", "q=(half+OR+second)+NOT+xyz", "q=foldi*", "q=papr~1",
    "q=the&sort=oldest", "q=fold&kind=thread", "q=thread&exact=yes", "q=fold&exact=yes&kind=thread&sort=oldest",
    "q=fold&platform=lemmy&since=2026-01-01&until=2027-01-01&deleted=no&edited=no",
)  # fmt: skip
EARLIER = (
    "boards", "boards?year=2026", "social-graph?limit=20", "domains?type=link", "user-domains?limit=20",
    "poster-stats?bid=14", "poster-stats?limit=3&order_by=threads_created", "weekday-stats?bid=14", "hourly-stats",
    "year-over-year-stats?year=2026", "daily-stats?year=2026&statistic=active_users", "chats/search?search_term=fold",
    "chats/search/all?search_term=twin", "chats/search/by-date?start_date=2026-01-01&end_date=2027-01-01",
    "chats/context-search?search_term=fold", "search?content=fold&type=post&sort=date-desc",
    "es/chats/search?keyword=a",
)  # fmt: skip


def tables() -> list[str]:
    """Each table as it comes, the page after the first, and by each of its filters."""
    return [
        f"/api/{name}?{told}" for name, view in TABLES.items() for told in ("limit=1000", "limit=2", *_filtered(view))
    ]


def _filtered(view: View) -> list[str]:
    """Filtered by each filter that is alone in its rows, and by all at once."""
    each = {one.name: one.choices[0] if one.choices else VALUES[one.kind] for one in view.filters}
    return [urlencode({name: value}) for name, value in each.items()] + [urlencode(each)]


def others() -> list[str]:
    """Search, the earlier paths, and the overview."""
    return ["/api/overview", *(f"/api/search?{one}" for one in SEARCHED), *(f"/api/{one}" for one in EARLIER)]


def of_one(post: dict[str, str], quoting: dict[str, str]) -> list[str]:
    """What is said of a post's thread, author and community; `quoting` names a post as others quote it."""
    host = f"{post['platform']}/{post['instance']}"
    author = quote(post["author_id"], safe="")
    return [
        f"/api/community/{post['community']}",
        f"/api/thread/{host}/{quote(post['thread_id'], safe='')}?limit=5",
        f"/api/post/{host}/{quote(post['post_id'], safe='')}",
        f"/api/poster/{host}/{author}",
        f"/api/poster-development?uid={author}",
        f"/api/post/{quoting['platform']}/{quoting['instance']}/{quote(quoting['post_id'], safe='')}",
    ]
