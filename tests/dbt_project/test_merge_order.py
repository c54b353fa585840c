"""Merging any observations in any order, in any pieces, again and again, gives what all of them together mean.

Many small worlds go through the same dbt runs, each under an instance of its own, so that one example costs as much as
one world would.
"""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import oracle
from dbt_warehouse import Warehouse
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

SEEN = datetime(2026, 1, 15, 10, 50, tzinfo=UTC)
CREATED = [
    datetime(2013, 5, 1, 12, 30, tzinfo=UTC),  # always history
    datetime(2024, 12, 7, 3, 59, 59, 999999, tzinfo=UTC),  # recent at first, history in the end
    datetime(2024, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),  # so is this
    datetime(2025, 1, 1, tzinfo=UTC),  # just recent in the end
    datetime(2026, 1, 15, 9, tzinfo=UTC),
    datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),  # a clock that is wrong
]
NOWS = ["2026-01-15T00:00:00+00:00", "2026-02-15T00:00:00+00:00"]
COUNTERS = {"fourchan": "replies", "discourse": "posts_count", "discord": "message_count"}
HOURS = ["2026-01-15T10", "2026-01-15T11", "2013-05-01T12", "2026-01-14T00"]

OBSERVATION = {
    "entity": ["posts", "posts", "threads"],
    "key": [0, 1],
    "minute": [0, 1, 2, 3, 4],
    "run": ["r1", "r2"],
    "source": ["api", "api", "archive", "export"],
    "gone": [False, False, True],
    "words": [0, 1, 2],
    "counter": [0, 1],
    "created": list(range(len(CREATED))),
    "edited": [None, None, 1, 2, 3],  # in minutes after it was created
    "broken": [*[None] * 15, "parse_error", "created_at", "id"],
    "hour": list(range(len(HOURS))),
}


def observation(number: int) -> dict[str, Any]:
    """The observation of this number. One number each: an example of hypothesis has room for some thousand."""
    seen = {}
    for name, choices in OBSERVATION.items():
        number, place = divmod(number, len(choices))
        seen[name] = choices[place]
    return seen


KINDS = math.prod(map(len, OBSERVATION.values()))
world = st.fixed_dictionaries(
    {
        "platform": st.sampled_from(sorted(COUNTERS)),
        # whether all observations of a key agree on when it was created
        "agree": st.booleans(),
        "observations": st.lists(st.integers(0, KINDS - 1).map(observation), min_size=3, max_size=8),
    }
)
step = st.fixed_dictionaries(
    {
        "hours": st.sets(st.integers(0, len(HOURS) - 1), min_size=1).map(sorted),
        "named": st.booleans(),  # whether the run names its hours, or merges what is in raw
        "now": st.sampled_from(NOWS),
    }
)


def micro(time: datetime) -> int:
    return int(time.timestamp()) * 1_000_000 + time.microsecond


def raw_row(number: int, world: dict[str, Any], seen: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The raw table and row of an observation, and what the oracle must know of it."""
    platform, entity, key = world["platform"], seen["entity"], seen["key"]
    created = CREATED[(key + number) % len(CREATED)] if world["agree"] else CREATED[seen["created"]]
    observed = SEEN + timedelta(minutes=5 * seen["minute"])
    gone, words = seen["gone"], f"words {seen['words']}"
    edits = platform != "fourchan" and entity == "posts" and seen["edited"] is not None and not gone
    edited = created + timedelta(minutes=seen["edited"]) if edits else None
    row: dict[str, Any] = {
        "platform": platform,
        "instance": f"w{number}.example",
        "community": f"{platform}:w{number}",
        "thread_id": f"t/{key}",
        "post_id": f"p/{key}" if entity == "posts" else None,
        "run_id": seen["run"],
        "source": seen["source"],
        "payload": None if gone else f'{{"words": "{words}", "likes": {seen["counter"]}, "edited": {seen["edited"]}}}',
        "parse_error": None,
        "text": None if gone else words,
        "content_hash": None if gone else f"hash of {words}",
        "gone": gone,
        "created_at": created,
        "observed_at": observed,
        "hour": datetime.strptime(HOURS[seen["hour"]], "%Y-%m-%dT%H").replace(tzinfo=UTC),
    }
    if not gone and entity == "threads":
        row[COUNTERS[platform]] = seen["counter"] + 1
    if edited:
        row |= {"edited_timestamp": edited} if platform == "discord" else {"version": 2, "updated_at": edited}
    if seen["broken"] == "parse_error":
        row["parse_error"] = "no is not a number"
    elif seen["broken"] == "created_at":
        row["created_at"] = None
    elif seen["broken"] == "id":
        row["post_id" if entity == "posts" else "thread_id"] = None
    known = row | {
        "title": None,
        "created_at": micro(row["created_at"]) if row["created_at"] else None,
        "observed_at": micro(observed),
        "platform_edited_at": micro(edited) if edited else None,
        "reply_count": (seen["counter"] + (platform != "discourse")) if entity == "threads" and not gone else None,
    }
    return f"{platform}_{entity}", row, known


def agreeing(found: dict[tuple[Any, ...], dict[str, Any]], worlds: list[dict[str, Any]]) -> dict[Any, Any]:
    """The part whose times need no healing."""
    return {key: row for key, row in found.items() if worlds[int(key[0][1:].split(".")[0])]["agree"]}


def by_key(rows: list[dict[str, Any]], *names: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    found = {tuple(row[name] for name in names): row for row in rows}
    assert len(found) == len(rows), "a key stands there twice"
    return found


def compare(warehouse: Warehouse, known: dict[str, list[dict[str, Any]]], only: list[dict[str, Any]] | None) -> None:
    expectations = [
        ("all_posts", ("instance", "post_id"), oracle.posts(known["posts"])),
        ("post_versions", ("instance", "post_id", "content_hash", "source"), oracle.versions(known["posts"])),
        ("all_threads", ("instance", "thread_id"), oracle.threads(known["threads"])),
        ("thread_snapshots", ("instance", "thread_id", "snapshot_hour"), oracle.snapshots(known["threads"])),
    ]
    for table, key, expected in expectations:
        rows = warehouse.rows(f"clean.{table}")
        if only is not None:
            rows = list(agreeing({(r["instance"], i): r for i, r in enumerate(rows)}, only).values())
            expected = agreeing(expected, only)
        found = by_key(rows, *key)
        assert found.keys() == expected.keys(), table
        for which, row in expected.items():
            for column in found[which].keys() & row.keys():
                assert found[which][column] == row[column], (table, which, column)


@settings(
    max_examples=3,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking would cost minutes; a failure names its world
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(worlds=st.lists(world, min_size=70, max_size=100), steps=st.lists(step, min_size=1, max_size=3))
def test_any_order_any_pieces(
    built: Any, target: Any, tmp_path_factory: Any, worlds: list[dict[str, Any]], steps: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("order") / "threadlake.duckdb"
    path.write_bytes(built.read_bytes())
    warehouse = Warehouse(path, target)
    pieces: dict[int, list[tuple[str, dict[str, Any]]]] = {hour: [] for hour in range(len(HOURS))}
    known: dict[str, list[dict[str, Any]]] = {"posts": [], "threads": []}
    for number, each in enumerate(worlds):
        for seen in each["observations"]:
            table, row, fact = raw_row(number, each, seen)
            pieces[seen["hour"]].append((table, row))
            known[seen["entity"]].append(fact)
    missing = sorted(set(range(len(HOURS))) - {hour for each in steps for hour in each["hours"]})
    last = {"hours": missing or [0], "named": True, "now": NOWS[-1]}
    for each in [*steps, last]:
        warehouse.clear_raw()
        # a run that names its hours must leave the others alone, also when they are there
        for hour in range(len(HOURS)) if each["named"] else each["hours"]:
            for table in {table for table, _ in pieces[hour]}:
                warehouse.load(table, [row for where, row in pieces[hour] if where == table])
        warehouse.merge([HOURS[hour] for hour in each["hours"]] if each["named"] else None, now=each["now"])
    compare(warehouse, known, only=worlds)
    healed = warehouse.dbt("test", "--select", "clean", "--exclude-resource-type", "unit_test", heal=True, whole=True)
    assert all(result.status == "pass" for result in healed.result.results if hasattr(result.node, "test_metadata"))
    compare(warehouse, known, only=None)
    path.unlink()
