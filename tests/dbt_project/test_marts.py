"""The marts are what the posts say, whatever came first: each is compared with one computed in plain Python."""

import random
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from dbt_warehouse import PROJECT, SOURCES, Warehouse, manifest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from marts_oracle import MARTS, NOT_COMPUTED, Oracle

VARIABLES = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
NOW = "2026-01-15T12:00:00+00:00"
HOURS = ("2026-01-15T08", "2026-01-15T09", "2026-01-15T10")
MOMENTS = (
    "2013-05-01T12:30:00+00:00",  # history
    "2024-12-31T22:50:00+00:00",  # a year before the others, in Berlin not
    "2025-03-30T00:40:00+00:00", "2025-03-30T01:20:00+00:00",  # around the hour that Berlin leaves out
    "2025-10-26T00:30:00+00:00", "2025-10-26T01:30:00+00:00",  # two hours of one name there
    "2025-12-31T18:20:00+00:00", "2025-12-31T18:40:00+00:00", "2026-01-01T00:10:00+00:00",  # new year, three times
    "2026-01-02T10:00:00+00:00", "2026-01-06T22:59:59+00:00", "2026-01-09T23:30:00+00:00", "2026-01-14T23:40:00+00:00",
    "2026-01-15T00:10:00+00:00", "2026-01-15T07:00:00+00:00",
)  # fmt: skip
WORDS = ["the", "Crease", "crane's", "Häuser", "valley-fold", "2026", "o'clock", "and", "paper", "x1", "nicht", "é"]
LINKS = (
    "https://www.paper.example/wiki/Miura?x=1.png", "http://paper.example:8080/a.PNG", "https://youtu.be/abc",
    "https://user@video.example/clip.webm#t=3", "mailto:someone@paper.example", "https://paper.example",
)  # fmt: skip


def world(rng: random.Random, number: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Observations of one community's posts and threads: raw table and row. Posts move, are edited, vanish."""
    platform = ("discourse", "fourchan", "mods_de", "lemmy")[number % 4]
    instance, names = f"w{number}.example", [f"{platform}:w{number}", f"{platform}:v{number}"]
    names = names if platform == "mods_de" else names[:1]
    posts = rng.randrange(6, 14)
    began = [datetime.fromisoformat(rng.choice(MOMENTS)) for _ in range(4)]
    for post in range(posts):
        created = datetime.fromisoformat(rng.choice(MOMENTS)) + timedelta(seconds=rng.choice([0, 1, 59, 600]))
        author = rng.choice([None, 1, 2, 3])
        thread, place = divmod(post, 4)
        others = rng.sample(range(posts + 1), rng.choice([0, 0, 1, 2]))
        if platform == "discourse":
            quotes = [f"{other // 4}/{other % 4 + 1}" for other in others]
        else:
            quotes = [name(platform, other) for other in others]
        for seen in range(rng.choice([1, 1, 2, 3])):
            hour = rng.choice(HOURS)
            observed = f"{hour}:{rng.randrange(10, 60)}:00+00:00"
            gone = rng.random() < 0.2
            text = None if rng.random() < 0.1 else " ".join(rng.choices([*WORDS, *LINKS], k=rng.randrange(8)))
            row: dict[str, Any] = {
                "platform": platform, "instance": instance, "community": rng.choice(names),
                "thread_id": f"{thread}", "post_id": name(platform, post), "run_id": f"r{seen}", "source": "api",
                "gone": gone, "created_at": created.isoformat(), "observed_at": observed, "hour": f"{hour}:00:00+00",
            }  # fmt: skip
            if not gone:
                row |= {
                    "payload": "{}", "text": text, "content_hash": f"{text}", "quotes": quotes,
                    "links": rng.sample(LINKS, rng.randrange(3)),
                }  # fmt: skip
            edit = created + timedelta(seconds=rng.choice([5, 70, 4000, 90_000])) if rng.random() < 0.2 else None
            row |= {
                "discourse": {"user_id": author, "topic_id": thread, "post_number": place + 1,
                              "version": 2 if edit else 1, "updated_at": edit},
                "fourchan": {"trip": author and f"!{author}", "no": post, "resto": place},
                "mods_de": {"user_id": author, "is_opening": not place,
                            "message_edited_lastedit_date_timestamp": edit and int(edit.timestamp())},
                "lemmy": {"creator_id": author, "id": post, "updated": edit, "deleted": rng.random() < 0.1},
            }[platform]  # fmt: skip
            yield f"{platform}_posts", row
        if rng.random() < 0.3:
            hour = rng.choice(HOURS)
            columns = ("platform", "instance", "community", "thread_id", "run_id", "source", "hour")
            yield f"{platform}_threads", {column: row[column] for column in columns} | {
                "created_at": began[thread].isoformat(), "observed_at": f"{hour}:59:00+00:00",
                "hour": f"{hour}:00:00+00", "gone": rng.random() < 0.2,
                "payload": "{}", "title": f"thread {thread}", "closed": rng.randrange(2), "locked": rng.random() < 0.5,
                "flags_is_closed": rng.random() < 0.5,
            }  # fmt: skip
    for reading in range(rng.randrange(5)):
        hour = rng.choice(HOURS)
        of = (datetime.fromisoformat(f"{hour}:00:00+00:00") - timedelta(hours=rng.randrange(4))).isoformat()
        yield "observations", {
            "commit_id": f"{number}-{reading}", "platform": platform, "instance": instance, "community": names[0],
            "run_id": f"r{reading}", "source": rng.choice(["api", "api", "history"]), "complete": rng.random() < 0.6,
            "error": rng.choice([None, None, "it is down"]), "posts": rng.randrange(9), "gone": 1, "parse_errors": 0,
            "requests": 2, "hour": of, "observed_at": f"{hour}:{rng.randrange(60)}:00+00:00",
        }  # fmt: skip


def name(platform: str, post: int) -> str:
    return f"{'c' if post % 4 else 'p'}{post}" if platform == "lemmy" else f"{post}"


def load(warehouse: Warehouse, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """Load raw rows, of them what is read of a table; return the hours they are of."""
    rows = list(rows)
    known = {table["name"]: {column["name"] for column in table["columns"]} for table in SOURCES}
    for table in {table for table, _ in rows}:
        warehouse.load(table, [{n: row[n] for n in row if n in known[table]} for name, row in rows if name == table])
    return sorted({str(row["hour"])[:13] for _, row in rows})


def oracle(warehouse: Warehouse, zone: str = "UTC", **changed: Any) -> Oracle:
    return Oracle(
        warehouse.rows("clean.all_posts"), warehouse.rows("clean.all_threads"), warehouse.rows("clean.observations"),
        ZoneInfo(zone), datetime.fromisoformat(NOW), VARIABLES | changed,
    )  # fmt: skip


def compare(warehouse: Warehouse, expected: Oracle, marts: Iterable[str] = MARTS) -> None:
    for mart in marts:
        found = [shown(row) for row in warehouse.rows(f"marts.{mart}")]
        wanted = [shown(row) for row in getattr(expected, mart)()]
        assert sorted(found) == sorted(wanted), mart


def shown(row: Mapping[str, Any]) -> str:
    """A row as a text that sorts, in which floats may differ in their last digits."""
    cells = {name: round(row[name], 9) if isinstance(row[name], float) else row[name] for name in sorted(row)}
    return str({name: value for name, value in cells.items() if name not in NOT_COMPUTED})


@pytest.mark.long
@settings(
    max_examples=2,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking would cost minutes
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(1, 10**6), zone=st.sampled_from(["Europe/Berlin", "Asia/Kolkata", "America/St_Johns"]))
def test_any_order_in_any_zone(built: Any, target: Any, tmp_path_factory: Any, seed: int, zone: str) -> None:
    """Many small worlds, of each its hours in an order of its own; the first run makes everything anew, in another zone
    than there was, the second only what changed."""
    path = tmp_path_factory.mktemp("marts") / "threadlake.duckdb"
    path.write_bytes(built.read_bytes())
    warehouse = Warehouse(path, target)
    rng = random.Random(seed)
    first, second = [], []
    for number in range(24):
        early = rng.sample(HOURS, rng.randrange(4))
        for each in world(rng, number):
            (first if read_in(each) in early else second).append(each)
    asked = {"now": NOW, "time_zone": zone, "minimal_quotes": 2, "trending_posts": 1}
    for rows in (first, second):
        warehouse.clear_raw()
        warehouse.merge(load(warehouse, rows), marts=True, **asked)
    compare(warehouse, oracle(warehouse, zone, minimal_quotes=2, trending_posts=1))
    path.unlink()


def read_in(each: tuple[str, Mapping[str, Any]]) -> str:
    """The hour in which a row was read; an observation's `hour` is the one it tells of."""
    return str(each[1]["observed_at"])[:13]


def test_what_failed_is_made_good_by_the_next_run(warehouse: Warehouse) -> None:
    """Meanwhile its hours count as merged, and the run after that makes only what changed."""
    rng = random.Random(5)
    rows = [each for number in range(8) for each in world(rng, number)]
    asked = {"now": NOW, "trending_posts": 1}
    warehouse.merge(load(warehouse, rows), **asked)  # without marts
    done = warehouse.dbt("run", "--select", "marts", expect=False, hours=[], now=NOW, trending="no number")
    assert {r.node.name for r in done.result.results if r.status == "error"} == {"trending_words", "trending_threads"}
    assert [r.node.name for r in done.result.results if r.status == "skipped"] == ["marts_built"]
    assert warehouse.sql("select count(*) > 0 from clean.observations") == [(True,)]
    assert warehouse.sql("select count(*) > 0 from clean.changed_hours") == [(True,)]
    warehouse.clear_raw()
    warehouse.merge([], marts=True, **asked)
    assert warehouse.sql("select count(*) from clean.changed_hours") == [(0,)]
    compare(warehouse, oracle(warehouse, trending_posts=1))


def test_a_run_makes_what_its_rows_touch(warehouse: Warehouse) -> None:
    """And names the partitions of posts that it reads: the hours of the days that changed, in the zone's own day."""
    rng = random.Random(6)
    warehouse.merge(load(warehouse, [each for number in range(4) for each in world(rng, number)]), marts=True, now=NOW)
    for mart in ("activity_by_day", "posters_by_day", "posted_links", "thread_days"):
        warehouse.sql(f"update marts.{mart} set year = -year")  # whatever is made anew has its year again
    warehouse.clear_raw()
    row = {
        "platform": "discourse", "instance": "w0.example", "community": "discourse:w0", "thread_id": "1",
        "post_id": "99", "run_id": "r9", "source": "api", "gone": False, "payload": "{}", "text": "late",
        "content_hash": "late", "user_id": 1, "topic_id": 1, "post_number": 99, "version": 1, "links": [], "quotes": [],
        "created_at": "2026-01-14T12:00:00+00:00", "observed_at": f"{HOURS[2]}:59:00+00:00",
        "hour": f"{HOURS[2]}:00:00+00",
    }  # fmt: skip
    warehouse.merge(load(warehouse, [("discourse_posts", row)]), marts=True, now=NOW)
    made = "select distinct instance, day::varchar from marts.{} where year > 0"
    for mart in ("activity_by_day", "posters_by_day", "thread_days"):
        assert warehouse.sql(made.format(mart)) == [("w0.example", "2026-01-14")], mart
    read = (warehouse.target / "compiled/threadlake/models/marts/activity_by_hour.sql").read_text()
    named = set(re.findall(r"timestamptz '(2026-01-1\d \d\d):00:00\+00'", read))
    assert named == {f"2026-01-14 {hour:02}" for hour in range(24)}


def test_a_zone_that_is_none_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(AssertionError, match="is not a time zone's name, such as Europe/Berlin"):
        warehouse.dbt("run", "--select", "changed_days", time_zone="Europe/Atlantis")


def test_the_last_mart_waits_for_all_others() -> None:
    nodes = manifest().nodes
    marts = {key for key, node in nodes.items() if node.resource_type == "model" and "marts" in node.fqn}
    last = "model.threadlake.marts_built"
    assert set(nodes[last].depends_on.nodes) >= marts - {last}
    assert {key.split(".")[2] for key in marts} == {*MARTS, "changed_days", "changed_years", "marts_built"}
