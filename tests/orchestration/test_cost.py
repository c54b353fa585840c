"""`threadlake cost` beside sums made here by hand, from prices of its own where the sum is the point."""

import json
from pathlib import Path

import pytest

from orchestration.cli import main
from orchestration.cost import PRICES, Prices, Setup, bill, merged_bytes

EVERYWHERE = """
as_of = 2026-01-31
[everywhere]
bigquery_load = 0.0
bigquery_query_free = 1.0
bigquery_storage_free = 10.0
bigquery_least_bytes = 10485760
operations_a = 5
operations_b = 3
nat_hour = 0.5
nat_gb = 2
address_hour = 0.25
logs_gb = 1
logs_free = 0
images_gb = 1
secret = 10
run_cpu_second = 0.001
run_gib_second = 0.0001
service_cpu_second = 0.01
service_gib_second = 0.001
service_free_cpu_seconds = 3600
[places.here]
standard = 100
nearline = 10
coldline = 1
bigquery_active = 4
bigquery_long_term = 2
query_tib = 8
processor_hour = 0.1
disk = 3
snapshot = 7
"""


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    file = tmp_path / "prices.toml"
    file.write_text(EVERYWHERE)
    return file


def lines(prices: Path, **setup: object) -> dict[str, float]:
    found = bill(Setup(place="here", **setup), prices)  # type: ignore[arg-type]
    assert found.total == pytest.approx(sum(line.dollars for line in found.lines))
    return {line.name: line.dollars for line in found.lines}


def test_the_lake_is_stored_by_its_age(prices: Path) -> None:
    # a day: 1,000,000 posts, 1.1 rows each, 400 bytes; 480 commits of 2 files of 20,000 bytes
    a_day = (1_000_000 * 1.1 * 400 + 480 * 2 * 20_000) / 1e9
    found = lines(prices, posts_a_day=1_000_000, months=24)["lake: storage"]
    assert found == pytest.approx(a_day * (90 * 100 + 275 * 10 + 365 * 1))
    assert lines(prices, posts_a_day=1_000_000, months=24, lake_days=100)["lake: storage"] == pytest.approx(
        a_day * (90 * 100 + 10 * 10)
    )
    assert lines(prices, posts_a_day=1_000_000, months=1)["lake: storage"] == pytest.approx(a_day * 365 / 12 * 100)


def test_operations_are_those_of_every_reading(prices: Path) -> None:
    month = 365 / 12
    files = 24 * 4 * 5 * month * 3  # hours, readings, platforms; threads, posts, commit
    states = 7 * 24 * 4 * month
    looks = 24 * month * 5 * 4
    reads = 24 * month * 5 * 768 + states + 24 * 4 * 5 * month * 2
    found = lines(prices, communities=7)["lake: operations"]
    assert found == pytest.approx((files + states + looks) / 1000 * 5 + reads / 1000 * 3)


def test_the_warehouse_halves_what_rests(prices: Path) -> None:
    posts, days = 100_000, 730
    thread = posts / 13
    rested = (posts * 1800 + thread * 1200 + posts * 1700 + 3 * thread * 120) * (days - 90)
    active = (posts * 1800 + thread * 1200 + posts * 1700 + 3 * thread * 120) * 90
    active += posts / 50 * (240 + 220) * days + posts * 1.1 * 2000 * 14
    found = lines(prices, posts_a_day=posts, months=24)["warehouse: storage"]
    assert found == pytest.approx((active / 2**30 - 10) * 4 + rested / 2**30 * 2)
    assert lines(prices, posts_a_day=100, months=1)["warehouse: storage"] == 0  # the first 10 GiB are free


def test_an_hour_costs_its_partitions_whatever_the_tables_age(prices: Path) -> None:
    posts, month = 1_000_000, 365 / 12
    hourly = posts * 1800 * 4 / 24 + posts / 13 * 1200 * 48 / 24
    monthly = posts * 1700 * 3 + posts * 3 / 13 * 120 * month
    new = posts / 24 * 1.1 * 2000 * 4
    authors = posts / 50 * (240 + 220)
    for days in (100, 365, 3650):
        expected = (2 * (hourly + monthly + authors * days) + new) * 1.1
        assert merged_bytes(posts, days) == pytest.approx(expected)
    year = bill(Setup(place="here"), prices).hour
    everything = posts * (1800 + 1200 / 13 + 1700 + 3 / 13 * 120 + 460 / 50) * 365
    assert year.bytes_without == pytest.approx((2 * everything + new) * 1.1)
    known = hourly + monthly + authors * 365
    assert year.dollars_with == pytest.approx((2 * known + new) * 1.1 / 2**40 * 8)
    assert year.bytes_without > 15 * year.bytes_with


def test_each_statement_is_billed_ten_megabytes_a_table(prices: Path) -> None:
    hours = 8760 / 12
    least = 42 * 2 * 10 * 2**20 * hours / 2**40
    small = lines(prices, posts_a_day=1, months=1)["warehouse: queries"]
    assert small == 0 and least < 1  # the first TiB of a month is free
    merges = merged_bytes(1_000_000, 365) * hours / 2**40
    assert lines(prices, posts_a_day=1_000_000, months=12)["warehouse: queries"] == pytest.approx(
        (merges + least - 1) * 8
    )


def test_the_rest_is_what_is_rented(prices: Path) -> None:
    found = lines(
        prices, processors=4, disk_gb=100, snapshots=10, posts_a_day=1_000_000, cloud_run_hours=2, dashboard_hours=3
    )
    assert found["machine"] == pytest.approx(4 * 0.1 * 730)
    assert found["machine: disks"] == pytest.approx(120 * 3)
    assert found["machine: snapshots"] == pytest.approx(50 * 1.5 * 7)
    assert found["network"] == pytest.approx(0.75 * 730 + 1_000_000 * 2000 * 3 * 365 / 12 / 1e9 * 2)
    web = (10800 - 3600) * 0.01 + 10800 * 0.001
    assert found["Cloud Run"] == pytest.approx(7200 * (2 * 0.001 + 4 * 0.0001) + web)
    assert found["logs"] == pytest.approx(730 * 7 * 150_000 / 2**30)
    assert found["images and secrets"] == pytest.approx(20 + 40)
    assert found["warehouse: load"] == 0


def test_the_command_prints_a_table_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--communities", "3", "--posts-a-day", "5000"]) == 0
    table = capsys.readouterr().out
    assert "3 communities, 5,000 posts a day, after 12 months, in europe-west1" in table
    assert main(["cost", "--communities", "3", "--posts-a-day", "5000", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["setup"]["posts_a_day"] == 5000
    assert f"{told['dollars']:,.2f}" in table
    assert {line["name"] for line in told["lines"]} > {"lake: storage", "lake: operations", "machine", "logs"}


@pytest.mark.parametrize(
    "arguments", [["--place", "mars"], ["--posts-a-day", "0"], ["--lake-days", "7"], ["--disk-gb", "1"]]
)
def test_what_makes_no_sense_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", *arguments]) == 2
    assert "threadlake: " in capsys.readouterr().err


def test_every_place_has_every_price_and_the_table_has_a_date() -> None:
    places = ("europe-west1", "us-central1", "EU", "US")
    for place in places:
        assert bill(Setup(place=place, cloud_run_hours=1, dashboard_hours=100)).total > 50
    assert Prices("EU")["standard"] > Prices("europe-west1")["standard"]
    assert Prices("EU").as_of.startswith("20") and "check them" in PRICES.read_text()
