"""The UI in headless Chromium: the asset graph, and a backfill launched by clicks that succeeds."""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus
from playwright.sync_api import Page, expect, sync_playwright

from orchestration.assets import partition_of
from orchestration.settings import Settings
from tests.orchestration.conftest import System
from tests.orchestration.fake import fake_pipeline

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PICTURES = Path(os.environ.get("THREADLAKE_PICTURES", ""))
HOURLY = quote('not group:"history"')  # what has a partition an hour
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium")


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield browser.new_page(viewport={"width": 1700, "height": 1000})
        browser.close()


def test_a_backfill_by_clicks(system: System, page: Page, tmp_path: Path) -> None:
    """Four hours of all that is hourly, from the graph: one run, one load, one dbt call, and the rows are there."""
    pictures = PICTURES if PICTURES.name else tmp_path
    start = (datetime.now(UTC) - timedelta(hours=6)).replace(minute=0, second=0, microsecond=0)
    system.env["THREADLAKE_START"] = f"{start:%Y-%m-%dT%H}"
    system.up("--no-schedules")

    page.goto(f"{system.url}/asset-groups~{HOURLY}/")
    expect(page.get_by_text("staging", exact=True).first).to_be_visible(timeout=30_000)
    page.wait_for_timeout(1500)
    page.keyboard.press("Alt+KeyE")  # expand all groups
    page.wait_for_timeout(2500)
    page.screenshot(path=pictures / "asset-graph.png")

    page.get_by_role("button", name="Materialize").first.click()
    first, last = partition_of(start + timedelta(hours=1)), partition_of(start + timedelta(hours=4))
    box = page.get_by_role("dialog").get_by_role("textbox").first
    box.fill(f"[{first}...{last}]")
    box.press("Enter")
    page.screenshot(path=pictures / "backfill-dialog.png")
    expect(page.get_by_text("4 partitions", exact=True).first).to_be_visible()
    page.get_by_role("button", name="Launch backfill").click()

    with dg.DagsterInstance.from_config(str(system.home / "dagster")) as instance:
        system.wait(instance.get_backfills, 90, "no backfill was made")
        system.wait(
            lambda: instance.get_backfills()[0].status == BulkActionStatus.COMPLETED_SUCCESS, 240, "it did not end"
        )
        backfill = instance.get_backfills()[0]
        assert len(instance.get_runs()) == 1
    page.goto(f"{system.url}/runs/b/{backfill.backfill_id}")
    expect(page.get_by_text("Completed").first).to_be_visible(timeout=30_000)
    page.wait_for_timeout(1500)
    page.screenshot(path=pictures / "backfill.png")
    page.goto(f"{system.url}/assets/lake/fourchan?view=overview")
    page.wait_for_timeout(4000)
    page.screenshot(path=pictures / "asset.png")

    pipeline = fake_pipeline(Settings.from_env(system.env))
    with pipeline.warehouse.open(read_only=True) as warehouse:
        assert warehouse.execute("select platform, count(*) from clean.posts group by 1 order by 1").fetchall() == [
            ("discourse", 12),
            ("fourchan", 12),
        ]
