"""Authors, worked out from all observations at once, and in whatever pieces and order they arrive."""

import random
from collections.abc import Mapping
from typing import Any

import pytest
from dbt_warehouse import Warehouse

NOW = "2026-01-15T00:00:00+00:00"
AUTHORS = (
    "author_id, author_name, names, avatar, is_bot, first_post_at, last_post_at, last_active_at, first_seen_at, "
    "last_seen_at"
)


def observations(seed: int) -> list[dict[str, Any]]:
    """Posts of a forum whose authors change their names and pictures, each observed in one of six hours."""
    rng = random.Random(seed)
    found = []
    for number in range(120):
        author, hour = rng.choice([-1, 1, 2, 3]), rng.randrange(6)
        found.append({
            "platform": "discourse", "instance": "f.example", "community": rng.choice(["discourse:f", "discourse:g"]),
            "thread_id": "1", "post_id": str(number % 60), "id": number % 60, "topic_id": 1, "post_number": 2,
            "user_id": author, "username": f"name{author}-{rng.choice([hour // 3, 0])}", "run_id": f"r{hour}",
            "avatar_template": f"/a/{{size}}/{hour}.png" if rng.random() < 0.7 else None, "source": "api",
            "gone": rng.random() < 0.1, "payload": "{}", "text": "t", "content_hash": f"h{number}",
            "created_at": f"{2010 + number % 16}-01-02T0{number % 10}:00:00+00:00",
            "observed_at": f"2026-01-14T1{hour}:30:00+00:00", "hour": f"2026-01-14T1{hour}:00:00+00:00",
        })  # fmt: skip
    return found


def expected(rows: list[dict[str, Any]]) -> dict[str, Mapping[str, Any]]:
    found = {}
    for author in {row["user_id"] for row in rows}:
        mine = [row for row in rows if row["user_id"] == author and not row["gone"]]
        uses: dict[str, str] = {}
        for row in mine:
            uses[row["username"]] = min(row["created_at"], uses.get(row["username"], "9"))
        last = max(row["observed_at"] for row in mine)
        pictures = [(row["observed_at"], row["avatar_template"]) for row in mine if row["avatar_template"]]
        found[str(author)] = {
            "names": sorted(uses, key=lambda name: (uses[name], name)),
            "current": {row["username"] for row in mine if row["observed_at"] == last},
            "avatar": max(pictures)[1].replace("{size}", "240") if pictures else None,
            "first": min(row["created_at"] for row in mine), "last": max(row["created_at"] for row in mine),
        }  # fmt: skip
    return found


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
def test_authors_are_the_same_in_whatever_order_hours_come(warehouse: Warehouse, seed: int) -> None:
    rows = observations(seed)
    hours = sorted({row["hour"][:13] for row in rows})
    warehouse.load("discourse_posts", rows)
    warehouse.merge(hours, now=NOW)
    whole = warehouse.sql(f"select {AUTHORS} from clean.authors order by all")
    names = warehouse.sql("select * exclude (run_id) from clean.author_names order by all")
    truth = expected(rows)
    assert {row[0] for row in whole} == truth.keys()
    for author, name, known, avatar, bot, first, last, *_ in whole:
        wanted = truth[author]
        assert (known, bot) == (wanted["names"], author == "-1") and name in wanted["current"]
        assert (avatar or "").removeprefix("https://f.example") == (wanted["avatar"] or "")
        assert (first.isoformat(), last.isoformat()) == (wanted["first"], wanted["last"])
    warehouse.sql("delete from clean.authors; delete from clean.author_names")
    random.Random(seed).shuffle(hours)
    for hour in [*hours, hours[0]]:
        warehouse.merge([hour], now=NOW)
    assert warehouse.sql("select * exclude (run_id) from clean.author_names order by all") == names
    assert warehouse.sql(f"select {AUTHORS} from clean.authors order by all") == whole


def test_a_whole_run_puts_right_what_is_missing(warehouse: Warehouse) -> None:
    warehouse.load("discourse_posts", observations(1))
    warehouse.merge(now=NOW)
    before = warehouse.sql(f"select {AUTHORS} from clean.authors order by all")
    warehouse.sql("delete from clean.authors where author_id = '1'")
    warehouse.dbt("build", "--select", "authors", "--exclude-resource-type", "unit_test", whole=True, hours=[], now=NOW)
    assert warehouse.sql(f"select {AUTHORS} from clean.authors order by all") == before
