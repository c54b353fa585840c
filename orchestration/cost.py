"""What a month on Google Cloud costs, by line: a model of what threadlake stores, writes and reads, times list prices.

Prices stand in `prices.toml`, with their date; nothing here knows one. What is measured says where. The model is a
month's cost once the data is so many months old; nothing in it grows with the age of the tables but what is stored.
"""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PRICES = Path(__file__).with_name("prices.toml")

DAYS = 365 / 12
HOURS = 24 * DAYS
GB, GIB, TIB = 10**9, 2**30, 2**40

PLATFORMS = 5
READINGS = 4
"""Of each hour: after it ends, and 1 hour, 24 hours and 7 days later."""
MERGE_READS = 2
"""How often a merge reads the partitions that its new rows belong to: to join what they have with what is new, and, as
BigQuery bills it, to delete what is replaced."""
MERGE_OVERHEAD = 1.1
"""10 % more for looking up which these are, for the few columns of versions that posts read, and for tests."""
RAW_KEPT_DAYS = 14
LONG_TERM_DAYS = 90  # after which BigQuery halves the price of a partition that nobody wrote

# Measured on 2026-11-24, on four days of the sandbox: 12,667 posts of four platforms. Their text is invented, shorter
# than that of people, so the bytes of posts are rounded up.
OBSERVATIONS_A_POST = 1.1  # raw rows: the post, and what edits, deletions and counters bring later
POSTS_A_THREAD = 13
POSTS_AN_AUTHOR = 50
SNAPSHOTS_A_THREAD = 3  # hours in which a thread was seen to move
LAKE_POST, LAKE_FILE = (
    400,
    20_000,
)  # bytes of Parquet: a post in a large file (140 to 335), and what each file costs alone
RAW_POST = 2_000
RAW_FILES, STATEMENTS, TABLES_A_STATEMENT = 2, 42, 2  # files a commit; models and tests an hour, and what each names

CLASSES = {"standard": 0, "nearline": 90, "coldline": 365}
"""From which day of its life a file is in which class, as `terraform/` sets it by default."""

MILLION_A_DAY = 1_000_000


@dataclass(frozen=True)
class Table:
    """A clean table: how many rows a post makes, how large they are as BigQuery counts bytes, how many days a partition
    spans (none: it has no partitions), and how many of them the new rows of an hour belong to."""

    name: str
    rows_a_post: float
    row_bytes: int
    partition_days: float | None
    touched: float

    def bytes_a_day(self, posts: float) -> float:
        return posts * self.rows_a_post * self.row_bytes

    def merged_bytes(self, posts: float, days: float, partitioned: bool = True) -> float:
        """What an hour's merge reads of it, when it holds so many days of so many posts a day."""
        span = days if not partitioned or self.partition_days is None else self.partition_days * self.touched
        return self.bytes_a_day(posts) * min(span, days)


TABLES = (
    # the hour itself and those that are read again; threads are dated by their first post, and move for days
    Table("posts", 1, 1_800, 1 / 24, READINGS),
    Table("threads", 1 / POSTS_A_THREAD, 1_200, 1 / 24, 48),
    Table("post_versions", 1, 1_700, 1, 3),  # today, yesterday, a week ago
    Table("thread_snapshots", SNAPSHOTS_A_THREAD / POSTS_A_THREAD, 120, DAYS, 1),
    Table("author_names", 1 / POSTS_AN_AUTHOR, 240, None, 1),
    Table("authors", 1 / POSTS_AN_AUTHOR, 220, None, 1),
)


@dataclass(frozen=True)
class Setup:
    """What is asked for. `lake_days`: after which rows are deleted from the lake, as `lake_delete_after_days` says."""

    communities: int = 20
    posts_a_day: int = 20_000
    months: int = 12
    lake_days: int | None = None
    place: str = "europe-west1"
    processors: int = 2
    disk_gb: int = 30
    snapshots: int = 14
    cloud_run_hours: float = 0.0
    dashboard_hours: float = 0.0

    def __post_init__(self) -> None:
        for name, least in (("communities", 1), ("posts_a_day", 1), ("months", 1), ("processors", 2), ("disk_gb", 10)):
            if getattr(self, name) < least:
                raise ValueError(f"--{name.replace('_', '-')} must be at least {least}.")
        if self.lake_days is not None and self.lake_days < 30:
            raise ValueError("--lake-days must be at least 30: rows younger than that are still needed.")
        for name in ("cloud_run_hours", "dashboard_hours", "snapshots"):
            if getattr(self, name) < 0:
                raise ValueError(f"--{name.replace('_', '-')} must not be negative.")

    @property
    def days(self) -> float:
        return self.months * DAYS


@dataclass(frozen=True)
class Line:
    """A line of the bill, and what it is made of."""

    name: str
    dollars: float
    what: str


@dataclass(frozen=True)
class Bill:
    setup: Setup
    lines: Sequence[Line]
    as_of: str
    hour: "Hour" = field(repr=False)

    @property
    def total(self) -> float:
        return sum(line.dollars for line in self.lines)


@dataclass(frozen=True)
class Hour:
    """An hour's merge once a year of a million posts a day is there: bytes read and dollars, with partitions or not."""

    bytes_with: float
    bytes_without: float
    dollars_with: float
    dollars_without: float


class Prices:
    """The price table, at one place. Raises ValueError with the places there are."""

    def __init__(self, place: str, path: Path = PRICES) -> None:
        table = tomllib.loads(path.read_text())
        if place not in table["places"]:
            raise ValueError(f"No prices are known for {place!r}: choose {', '.join(table['places'])}.")
        self.as_of = f"{table['as_of']:%Y-%m-%d}"
        self._prices: dict[str, float] = table["everywhere"] | table["places"][place]

    def __getitem__(self, name: str) -> float:
        return float(self._prices[name])


def bill(setup: Setup, path: Path = PRICES) -> Bill:
    """A month's cost by line."""
    prices = Prices(setup.place, path)
    lines = [line(setup, prices) for line in LINES]
    return Bill(setup, lines, prices.as_of, hour_of_a_year(prices))


def hour_of_a_year(prices: Prices) -> Hour:
    """What the hourly merge reads and costs at a year of a million posts a day, by the model above; no byte is free."""
    with_, without = (merged_bytes(MILLION_A_DAY, 365, partitioned) for partitioned in (True, False))
    return Hour(with_, without, with_ / TIB * prices["query_tib"], without / TIB * prices["query_tib"])


def merged_bytes(posts: float, days: float, partitioned: bool = True) -> float:
    """What one hour's merge reads: of each clean table the partitions that its new rows belong to, and the new rows."""
    new = posts / 24 * OBSERVATIONS_A_POST * RAW_POST * READINGS
    known = sum(table.merged_bytes(posts, days, partitioned) for table in TABLES)
    return (new + MERGE_READS * known) * MERGE_OVERHEAD


def _lake(setup: Setup, prices: Prices) -> Line:
    kept = min(setup.days, setup.lake_days or setup.days)
    a_day = setup.posts_a_day * OBSERVATIONS_A_POST * LAKE_POST + _commits_a_day() * RAW_FILES * LAKE_FILE
    ends = [*list(CLASSES.values())[1:], kept]
    dollars = stored = 0.0
    for (name, begin), end in zip(CLASSES.items(), ends, strict=True):
        part = max(min(kept, end) - begin, 0.0) * a_day / GB
        stored += part
        dollars += part * prices[name]
    return Line(
        "lake: storage", dollars, f"{stored:,.1f} GB of Parquet, {kept:,.0f} days; older files in colder classes"
    )


def _commits_a_day() -> float:
    return 24 * READINGS * PLATFORMS


def _operations(setup: Setup, prices: Prices) -> Line:
    commits = _commits_a_day() * DAYS
    states = setup.communities * 24 * READINGS * DAYS
    listings = HOURS * PLATFORMS * 4  # a look at the last days by crawl, load, catch-up and upkeep
    # what these looks read of the last 8 days' commits, the states that a reading begins with, and what is loaded
    reads = HOURS * PLATFORMS * 8 * 24 * READINGS + states + commits * RAW_FILES
    writes = commits * (RAW_FILES + 1) + states + listings
    dollars = writes / 1000 * prices["operations_a"] + reads / 1000 * prices["operations_b"]
    return Line("lake: operations", dollars, f"{writes:,.0f} writes and listings, {reads:,.0f} reads")


def _load(setup: Setup, prices: Prices) -> Line:
    loaded = setup.posts_a_day * OBSERVATIONS_A_POST * RAW_POST * DAYS / GB
    return Line("warehouse: load", loaded * prices["bigquery_load"], f"{loaded:,.1f} GB; load jobs are free")


def _storage(setup: Setup, prices: Prices) -> Line:
    raw = setup.posts_a_day * OBSERVATIONS_A_POST * RAW_POST * min(RAW_KEPT_DAYS, setup.days)
    active = old = 0.0
    for table in TABLES:
        everything = table.bytes_a_day(setup.posts_a_day) * setup.days
        resting = max(setup.days - LONG_TERM_DAYS, 0) / setup.days if table.partition_days else 0.0
        active, old = active + everything * (1 - resting), old + everything * resting
    active, old = (active + raw) / GIB, old / GIB
    free = min(prices["bigquery_storage_free"], active)
    dollars = (active - free) * prices["bigquery_active"] + old * prices["bigquery_long_term"]
    return Line("warehouse: storage", dollars, f"{active:,.1f} GiB active, {old:,.1f} GiB at rest for 90 days")


def _query(setup: Setup, prices: Prices) -> Line:
    merges = merged_bytes(setup.posts_a_day, setup.days) * HOURS / TIB
    least = STATEMENTS * TABLES_A_STATEMENT * prices["bigquery_least_bytes"] * HOURS / TIB
    read = merges + least
    dollars = max(read - prices["bigquery_query_free"], 0) * prices["query_tib"]
    return Line(
        "warehouse: queries", dollars, f"{merges:,.2f} TiB merged hourly, {least:,.2f} TiB as each statement's least"
    )


def _machine(setup: Setup, prices: Prices) -> Line:
    dollars = setup.processors * prices["processor_hour"] * HOURS
    return Line("machine", dollars, f"e2-standard-{setup.processors}, all month")


def _disk(setup: Setup, prices: Prices) -> Line:
    dollars = (setup.disk_gb + 20) * prices["disk"]
    return Line("machine: disks", dollars, f"{setup.disk_gb} GB of data, 20 GB to boot from")


def _snapshots(setup: Setup, prices: Prices) -> Line:
    stored = setup.disk_gb * 0.5 * (1 + 0.05 * setup.snapshots)  # half full, and a twentieth of that changes a day
    return Line("machine: snapshots", stored * prices["snapshot"], f"{setup.snapshots} days of them, {stored:,.0f} GB")


def _network(setup: Setup, prices: Prices) -> Line:
    crawled = setup.posts_a_day * RAW_POST * 3 * DAYS / GB  # JSON with what is around a post, and what is read again
    dollars = (prices["nat_hour"] + prices["address_hour"]) * HOURS + crawled * prices["nat_gb"]
    return Line("network", dollars, f"{crawled:,.1f} GB crawled through NAT, one address")


def _cloud_run(setup: Setup, prices: Prices) -> Line:
    job = setup.cloud_run_hours * 3600 * (2 * prices["run_cpu_second"] + 4 * prices["run_gib_second"])
    seconds = setup.dashboard_hours * 3600
    cpu = max(seconds - prices["service_free_cpu_seconds"], 0) * prices["service_cpu_second"]
    web = cpu + seconds * prices["service_gib_second"]
    what = f"{setup.cloud_run_hours:g} hours of runs sent there, {setup.dashboard_hours:g} of the web application"
    return Line("Cloud Run", job + web, what)


def _logs(setup: Setup, prices: Prices) -> Line:
    written = HOURS * (PLATFORMS + 2) * 150_000 / GIB  # an hour's runs write some 150 KB each (2026-11)
    dollars = max(written - prices["logs_free"], 0) * prices["logs_gb"]
    return Line("logs", dollars, f"{written:,.1f} GiB; {prices['logs_free']:g} are free")


def _rest(setup: Setup, prices: Prices) -> Line:
    return Line("images and secrets", 20 * prices["images_gb"] + 4 * prices["secret"], "20 GB of images, 4 secrets")


LINES: Sequence[Callable[[Setup, Prices], Line]] = (
    _lake, _operations, _load, _storage, _query, _machine, _disk, _snapshots, _network, _cloud_run, _logs, _rest,
)  # fmt: skip


class Dollars(float):
    """For a table: to the cent, and to the right."""

    def __str__(self) -> str:
        return f"{float(self):,.2f}"


def as_json(bill: Bill) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "as_of": bill.as_of,
        "setup": asdict(bill.setup),
        "lines": [asdict(line) for line in bill.lines],
        "dollars": bill.total,
        "hour_at_a_year_of_a_million_posts_a_day": asdict(bill.hour),
    }


def as_text(bill: Bill) -> str:
    """Everything, for people."""
    from orchestration.show import table

    setup, hour = bill.setup, bill.hour
    lines = [[line.name, Dollars(line.dollars), line.what] for line in bill.lines]
    total = ["a month", Dollars(bill.total), f"by list prices of {bill.as_of}: check orchestration/prices.toml"]
    hours = [
        ["with partitions", round(hour.bytes_with / GB), Dollars(hour.dollars_with)],
        ["without", round(hour.bytes_without / GB), Dollars(hour.dollars_without)],
    ]
    about = f"{setup.communities} communities, {setup.posts_a_day:,} posts a day, after {setup.months} months"
    return "\n".join(
        [
            f"{about}, in {setup.place}",
            "",
            table(["line", "dollars", "of"], [*lines, total]),
            "",
            "An hour's merge at a year of a million posts a day",
            "",
            table(["tables", "GB read", "dollars"], hours),
        ]
    )
