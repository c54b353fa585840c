"""The pages in headless Chromium: each opened, some clicked; nothing in the console, no request to another host, and
what strangers wrote is text."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from dashboard import text
from dashboard.screenshots import CHROMIUM, browser, complaints, pages
from tests.dashboard.conftest import HOSTILE, TOKEN, Served

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium"),
    pytest.mark.xdist_group("dashboard"),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture
def page(chromium: Browser, served: Served) -> Iterator[Page]:
    """One whose console and requests are looked at in the end."""
    made = chromium.new_page(viewport={"width": 1280, "height": 900})
    said = complaints(made, served.url)
    yield made
    made.close()
    assert said == []


def test_every_page_opens(served: Served, page: Page) -> None:
    for name, path in pages(served.pipeline).items():
        if name != "not-found":
            answer = page.goto(served.url + path)
            assert answer is not None and answer.status == 200, path
            assert page.locator("h1").count() == 1, path
            if name.startswith("statistics-") and "poster-years" not in name:
                assert page.locator("main table tbody tr").count() > 0, path
                assert page.locator("figure.chart svg").count() == 1, path


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_no_page_is_wider_than_a_phone_and_dark_mode_is_dark(
    served: Served, chromium: Browser, width: int, scheme: str
) -> None:
    made = chromium.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)  # type: ignore[arg-type]
    for name in ("overview", "community", "thread", "poster", "statistics-posters", "communities"):
        made.goto(served.url + pages(served.pipeline)[name])
        assert made.evaluate("document.documentElement.scrollWidth") <= width, name
    if scheme == "dark":
        assert made.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(20, 24, 27)"
    made.close()


def test_a_table_sorts_filters_and_pages_and_the_url_says_so(served: Served, page: Page) -> None:
    page.goto(f"{served.url}/statistics/posters")
    page.get_by_role("link", name="threads", exact=True).click()
    assert parse_qs(urlsplit(page.url).query)["sort"] == ["-threads"]
    page.get_by_label("Community").select_option("mods_de:14")
    page.get_by_role("button", name="Show").click()
    asked = parse_qs(urlsplit(page.url).query)
    assert asked["community"] == ["mods_de:14"] and asked["sort"] == ["-threads"]
    (wanted,) = served.sql(
        "select max(n) from (select sum(threads) as n from marts.posters_by_year "
        "where community = 'mods_de:14' group by author_id)"
    )
    cells = page.locator("tbody tr:first-child td[data-label=threads]")
    assert int(cells.inner_text()) == wanted[0]
    page.goto(f"{served.url}/tables/posts")
    first = page.locator("tbody tr").first.inner_text()
    page.get_by_role("link", name="Next rows").click()
    assert page.locator("tbody tr").first.inner_text() != first
    page.get_by_role("link", name="First rows").click()
    assert page.locator("tbody tr").first.inner_text() == first


def test_from_the_overview_to_a_conversation_and_its_people(served: Served, page: Page) -> None:
    page.goto(served.url)
    page.locator("#threads + ol a").first.click()
    expect(page.locator(".conversation .post").first).to_be_visible()
    page.locator(".conversation a.author").first.click()
    expect(page.get_by_role("heading", name="Latest posts")).to_be_visible()
    page.locator(".cards a time").first.click()
    expect(page.locator("#marked")).to_be_visible()


def test_edits_and_deletions_show(served: Served, page: Page) -> None:
    (edited,) = served.sql(
        "select platform, instance, post_id from clean.all_posts "
        "where version_count > 1 and text <> '' order by all limit 1"
    )
    page.goto(served.url + text.post_path(dict(zip(("platform", "instance", "post_id"), edited, strict=True))))
    page.locator("#marked summary").click()
    assert page.locator("#marked .versions section").count() > 1
    assert page.locator("#marked ins, #marked del").count() > 0
    gone = served.sql("select platform, instance, post_id from clean.all_posts where deleted_at is not null limit 1")
    for row in gone:
        page.goto(served.url + text.post_path(dict(zip(("platform", "instance", "post_id"), row, strict=True))))
        expect(page.locator("#marked .tag.deleted")).to_be_visible()


def test_what_strangers_write_is_text(served: Served, page: Page) -> None:
    """No dialog, no element of theirs, the words as they stand; and no page gets wider by them."""
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    (thread,) = served.sql(
        "select distinct platform, instance, thread_id from clean.all_posts where run_id = 'hostile'"
    )
    path = text.thread_path(dict(zip(("platform", "instance", "thread_id"), thread, strict=True)))
    (author,) = served.sql("select author_id from clean.all_posts where run_id = 'hostile' order by created_at limit 1")
    community = "/c/lemmy:lemmy.example/folding"
    for one in (
        path,
        "/",
        community,
        "/statistics/trending-words",
        "/statistics/thread-lives",
        f"/u/lemmy/lemmy.example/{author[0]}",
    ):
        page.goto(served.url + one)
        assert page.locator("main script, main img, main b, main svg[onload]").count() == 0, one
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280, one
    page.goto(served.url + path)
    shown = page.locator(".conversation").inner_text()
    assert HOSTILE[0] in shown and HOSTILE[1] in shown and "w" * 100_000 in shown and HOSTILE[5] in shown
    assert "nul \N{SYMBOL FOR NULL} bell \N{SYMBOL FOR BELL}" in shown
    assert page.locator("h1").inner_text() == HOSTILE[0]
    # the mark that turns the direction ends with the text it stands in
    assert page.evaluate("getComputedStyle(document.querySelector('.conversation bdi')).unicodeBidi") == "isolate"


def test_somebody_signs_in_adds_a_community_and_drops_one(served: Served, page: Page) -> None:
    page.goto(f"{served.url}/communities")
    assert page.get_by_role("button", name="Add").count() == 0
    page.get_by_role("link", name="Sign in to add or drop").click()
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Add a community").fill("https://boards.4chan.org/out/")
    page.get_by_label("Its past").fill("1d")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("fourchan:out is tracked")
    assert served.pipeline.lake.is_tracked("fourchan:out")
    page.get_by_label("Add a community").fill("https://nothing.invalid/")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_role("button", name="Drop fourchan:out").click()
    expect(page.get_by_role("status")).to_contain_text("tracked no more")
    assert not served.pipeline.lake.is_tracked("fourchan:out")


def test_all_of_it_works_by_keyboard(served: Served, page: Page) -> None:
    page.goto(served.url)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
