"""`python -m dashboard.screenshots FOLDER`: photographs every page of what is published, light, dark and on a phone.

It starts an application of its own over the home that the environment names, and Debian's chromium. What a page said
to the console and whom it asked beside us is printed, and makes the command fail.
"""

import argparse
import re
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dashboard import queries, text
from dashboard.app import make_app
from dashboard.reader import PublishedReader
from dashboard.statistics import STATISTICS
from orchestration.pipeline import Pipeline
from orchestration.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
LOOKS = {
    "light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "device_scale_factor": 2},
}
TALLEST = 2600  # pixels of a picture


@contextmanager
def serving(pipeline: Pipeline) -> Iterator[str]:
    """The application on a free port of this machine, in a thread; yields its URL."""
    import uvicorn

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = uvicorn.Config(make_app(pipeline), host="127.0.0.1", port=port, log_level="warning", server_header=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("The application did not start.")
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


def pages(pipeline: Pipeline) -> dict[str, str]:
    """A name and a path of every kind of page, each with something on it."""
    reader = PublishedReader(pipeline.settings.published)
    now = reader.published_at()
    found = {
        "overview": "/",
        "statistics": "/statistics",
        "coverage": "/coverage",
        "communities": "/communities",
        "sign-in": "/sign-in",
    }
    found |= {
        "search": "/search?q=paper",
        "threads": "/tables/threads",
        "posts": "/tables/posts",
        "not-found": "/c/nobody",
    }
    for row in queries.communities(reader)[:1]:
        found["community"] = text.community_path(row["community"])
    for row in queries.busiest_threads(reader, now, 24 * 365, 1):
        found["thread"] = text.thread_path(row)
    edited = reader.query(
        "select * from clean.all_posts where version_count > 1 order by version_count desc, post_id limit 1"
    )
    for row in edited or reader.query(
        "select * from clean.all_posts where author_id is not null order by post_id limit 1"
    ):
        found["edited-post"] = text.post_path(row)
        found["poster"] = text.poster_path(row)
    return found | {f"statistics-{view.name}": f"/statistics/{view.name}" for view in STATISTICS}


@contextmanager
def browser() -> Iterator["Browser"]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield made
        made.close()


def complaints(page: "Page", ours: str) -> list[str]:
    """A list that fills with what pages say to the console, and with requests to others than us."""
    found: list[str] = []
    page.on(
        "console",
        lambda message: (
            found.append(f"{message.type}: {message.text}") if message.type in ("error", "warning") else None
        ),
    )
    page.on("pageerror", lambda error: found.append(f"error: {error}"))
    page.on(
        "request",
        lambda request: (
            None if urlsplit(request.url).netloc == urlsplit(ours).netloc else found.append(f"asked {request.url}")
        ),
    )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dashboard.screenshots", description="Photograph every page.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="pages whose name matches this expression")
    options = parser.parse_args()
    if CHROMIUM is None:
        print("There is no chromium on this machine: apt-get install chromium", file=sys.stderr)
        return 1
    options.folder.mkdir(parents=True, exist_ok=True)
    pipeline = Pipeline.of(Settings.from_env({**_environment(), "THREADLAKE_DASHBOARD_RATE": "1000"}))
    wrong: list[str] = []
    with serving(pipeline) as url, browser() as started:
        for look, how in LOOKS.items():
            page = started.new_page(**how)  # type: ignore[arg-type]
            said = complaints(page, url)
            for name, path in pages(pipeline).items():
                if re.search(options.only, name):
                    page.goto(url + path)
                    height = page.evaluate("document.documentElement.scrollHeight")
                    clip = {"x": 0, "y": 0, "width": how["viewport"]["width"], "height": min(height, TALLEST)}  # type: ignore[index]
                    page.screenshot(path=options.folder / f"{name}-{look}.png", full_page=True, clip=clip)  # type: ignore[arg-type]
                    expected = "404" if name == "not-found" else None
                    wrong += [f"{name}, {look}: {one}" for one in said if not (expected and expected in one)]
                    said.clear()
            page.close()
    print(
        "\n".join(wrong)
        or f"All pages are in {options.folder}; none said anything to the console or asked another host."
    )
    return 1 if wrong else 0


def _environment() -> dict[str, str]:
    import os

    return dict(os.environ)


if __name__ == "__main__":
    sys.exit(main())
