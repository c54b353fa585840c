"""What is wanted, whatever was crawled, failed or open in whatever order."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extractors import plan
from extractors.lake import Lake, Receipt, Tracked
from extractors.platform import HOUR, Community, Platform, Window, floor_hour
from extractors.store import Folder
from orchestration.checks import complete
from tests.extractors.crawling import FORUM, OLD, OUT, PO, START, discourse, fourchan, track

NOW = START + 30 * HOUR + timedelta(minutes=25)


@dataclass(frozen=True)
class Reading:
    """Of an hour (after START), so long after its end, of these communities: complete or not."""

    hour: int
    after: timedelta
    complete: dict[str, bool]


def readings(*communities: Community) -> st.SearchStrategy[list[Reading]]:
    keys = st.sampled_from([community.key for community in communities])
    after = st.sampled_from([-20, 0, 25, 59, 60, 61, 300, 1439, 1440, 1500, 1800]).map(lambda m: timedelta(minutes=m))
    return st.lists(
        st.builds(Reading, st.integers(0, 29), after, st.dictionaries(keys, st.booleans(), min_size=1)), max_size=40
    )


def due(platform: Platform, end: datetime) -> datetime:
    return end + max([timedelta(0), *[delay for delay in platform.revisits if end + delay <= NOW]])


@pytest.mark.parametrize(
    ("platform", "first", "second"), [(fourchan(), PO, OUT), (discourse(), FORUM, OLD)], ids=["fourchan", "discourse"]
)
@settings(max_examples=40)
@given(data=st.data())
def test_an_hour_is_wanted_until_it_was_read_whole_after_its_last_due_visit(
    platform: Platform, first: Community, second: Community, data: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    some = data.draw(readings(first, second))
    since = data.draw(st.sampled_from([START, START + 7 * HOUR, START + 10.5 * HOUR]))
    lake = Lake(Folder(tmp_path_factory.mktemp("lake")))
    track(lake, first, START)
    track(lake, second, since)
    for number, reading in enumerate(some):
        hour = START + reading.hour * HOUR
        observation = lake.observe(platform.name, hour, hour + HOUR + reading.after, f"run{number:03}")
        observation.commit({key: Receipt("x", complete=complete) for key, complete in reading.complete.items()})
    wanted = plan.wanted(lake, platform, NOW, START)
    for n in range(30):
        end = START + (n + 1) * HOUR
        for community in (first, second):
            read = any(
                r.hour == n and r.complete.get(community.key) and end + r.after >= due(platform, end) for r in some
            )
            tracked = community == first or START + n * HOUR >= since.replace(minute=0)
            assert (community in wanted.get(START + n * HOUR, [])) == (tracked and not read)
    assert max(wanted, default=START) < START + 30 * HOUR, "the hour that is open is nobody's lack"
    groups = plan.groups(wanted)
    covered = [(hour, community) for window, some in groups for hour in window.hours for community in some]
    assert sorted(covered) == sorted((hour, community) for hour, some in wanted.items() for community in some)
    assert len(groups) <= len(wanted)


def test_neighbours_that_the_same_communities_want_are_one_crawl() -> None:
    hours = {START + n * HOUR: [PO, OUT] for n in (0, 1, 2, 5)} | {START + 3 * HOUR: [PO]}
    assert plan.groups(hours) == [
        (Window(START + 5 * HOUR, START + 6 * HOUR), [PO, OUT]),
        (Window(START + 3 * HOUR, START + 4 * HOUR), [PO]),
        (Window(START, START + 3 * HOUR), [PO, OUT]),
    ]


def test_what_is_not_tracked_is_not_wanted(tmp_path_factory: pytest.TempPathFactory) -> None:
    lake = Lake(Folder(tmp_path_factory.mktemp("lake")))
    track(lake, PO, START)
    assert plan.wanted(lake, discourse(), NOW, START) == {}
    lake.untrack(PO.key)
    assert plan.wanted(lake, fourchan(), NOW, START) == {}


def observe(lake: Lake, moment: datetime, run: str, **receipts: Receipt) -> None:
    hour = floor_hour(moment) - HOUR
    keys = {"po": PO.key, "out": OUT.key}
    lake.observe("fourchan", hour, moment, run).commit({keys[name]: receipt for name, receipt in receipts.items()})


def test_a_sleepy_community_has_its_turn_once_in_its_interval(tmp_path_factory: pytest.TempPathFactory) -> None:
    lake = Lake(Folder(tmp_path_factory.mktemp("lake")))
    lake.track(Tracked(PO.key, PO.instance, START, START, every=timedelta(hours=6)))
    read: list[datetime] = []
    for n in range(1, 49):
        now = START + n * HOUR + timedelta(minutes=25)
        if hours := plan.wanted(lake, fourchan(), now, START):
            read.append(now)
            assert len(hours) <= 6
            for hour in hours:
                lake.observe("fourchan", hour, now, f"run{n}").commit({PO.key: Receipt("x")})
            assert plan.wanted(lake, fourchan(), now, START) == {}
    assert 7 <= len(read) <= 8 and {b - a for a, b in pairwise(read)} == {timedelta(hours=6)}


def test_turns_of_one_interval_are_spread() -> None:
    turns = {plan.turn(f"discourse:{n}.example", timedelta(days=1), NOW) for n in range(200)}
    assert len(turns) == 24 and all(NOW - timedelta(days=1) < turn <= NOW for turn in turns)


def test_a_fast_board_is_polled_as_often_as_it_is_said(tmp_path_factory: pytest.TempPathFactory) -> None:
    lake = Lake(Folder(tmp_path_factory.mktemp("lake")))
    lake.track(Tracked(PO.key, PO.instance, START, START, every=timedelta(minutes=20)))
    track(lake, OUT, START)
    polls = []
    for minute in range(0, 120, 10):
        now = START + timedelta(minutes=minute, seconds=2)
        if plan.polled(lake, fourchan(), now) == [PO]:
            polls.append(minute)
            lake.observe("fourchan", floor_hour(now), now, f"run{minute}").commit({PO.key: Receipt("x")})
    assert len(polls) >= 6 and {b - a for a, b in pairwise(polls[1:])} == {20}, (
        "after the first, which waits for nothing"
    )


def test_the_stalest_come_first(tmp_path_factory: pytest.TempPathFactory) -> None:
    lake = Lake(Folder(tmp_path_factory.mktemp("lake")))
    for community in (PO, OUT):
        track(lake, community, START)
    observe(lake, START + 3 * HOUR, "a", out=Receipt("x"))
    observe(lake, START + 4 * HOUR, "b", po=Receipt("x"))
    assert plan.wanted(lake, fourchan(), NOW, START)[START + 20 * HOUR] == [OUT, PO]
    observe(lake, START + 5 * HOUR, "c", out=Receipt("x"))
    assert plan.wanted(lake, fourchan(), NOW, START)[START + 20 * HOUR] == [PO, OUT]


def test_who_fails_again_and_again_is_left_alone_for_longer_and_longer(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    lake = Lake(Folder(tmp_path_factory.mktemp("lake")))
    for community in (PO, OUT):
        track(lake, community, START)
    tried: list[int] = []
    for n in range(1, 49):
        now = START + n * HOUR + timedelta(minutes=25)
        wanted = plan.wanted(lake, fourchan(), now, START)
        assert any(OUT in some for some in wanted.values()), "it stops nobody else"
        if any(PO in some for some in wanted.values()):
            tried.append(n)
            for hour in list(wanted)[:3]:  # a run fails in many hours, and counts once
                lake.observe("fourchan", hour, now, f"run{n}").commit({PO.key: Receipt("x", False, "503")})
    assert tried == [1, 2, 3, 4, 6, 10, 18, 34]
    last = plan.health(lake.commits("fourchan"), PO.key)
    assert (last.failures, last.error, last.succeeded_at) == (8, "503", None)
    observe(lake, START + 60 * HOUR, "well", po=Receipt("x"))
    assert plan.health(lake.commits("fourchan"), PO.key).failures == 0


def test_a_chunk_of_the_past_says_nothing_of_an_hour(tmp_path_factory: pytest.TempPathFactory) -> None:
    lake = Lake(Folder(tmp_path_factory.mktemp("lake")))
    track(lake, PO, START)
    before = plan.wanted(lake, fourchan(), NOW, START)
    observe(lake, START + 3 * HOUR, "past", po=Receipt("x", history="fourchan/history/x"))
    observe(lake, START + 4 * HOUR, "file", po=Receipt("x", source="export"))
    observe(lake, START + 5 * HOUR, "torn", po=Receipt("x", False, "cut off", source="export"))
    assert plan.wanted(lake, fourchan(), NOW, START) == before
    assert plan.health(lake.commits("fourchan"), PO.key) == plan.Health()
    assert complete(lake.commits("fourchan"), NOW)[0]


class Counting(Folder):
    """Counts the commits that are read."""

    reads = 0

    def read(self, name: str) -> bytes:
        self.reads += "/commits/" in name
        return super().read(name)

    def create(self, name: str, data: bytes) -> None:  # without the care that makes a year of it slow
        path = Path(self.location(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def test_a_tick_reads_the_last_days_of_a_year_and_as_far_back_as_a_gap(tmp_path: Path) -> None:
    store = Counting(tmp_path)
    lake, days = Lake(store), 365
    track(lake, PO, START)
    now = START + timedelta(days=days, minutes=25)
    year = [START + n * HOUR for n in range(24 * days)]
    lost, gap = year[1000], set(year[-24 * 20 :])
    for hour in year:
        if hour != lost and hour not in gap:
            lake.observe("fourchan", hour, hour + timedelta(days=9), "run").commit({PO.key: Receipt("x")})

    assert set(plan.wanted(lake, fourchan(), now, START, everything=False)) == gap, "an outage is caught up"
    assert store.reads <= 24 * 16
    for hour in gap:
        lake.observe("fourchan", hour, hour + timedelta(days=9), "run").commit({PO.key: Receipt("x")})
    store.reads = 0
    assert plan.wanted(lake, fourchan(), now, START, everything=False) == {}
    assert store.reads <= 24 * 8 + 1
    assert plan.wanted(lake, fourchan(), now, START) == {lost: [PO]}
