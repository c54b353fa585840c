"""What is wanted, whatever was crawled, failed or open in whatever order."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extractors import plan
from extractors.lake import Lake, Receipt
from extractors.platform import HOUR, Community, Platform, Window
from extractors.store import Folder
from tests.extractors.crawling import FORUM, OLD, OUT, PO, START, discourse, fourchan

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
    lake.follow(first, START)
    lake.follow(second, since)
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
            followed = community == first or START + n * HOUR >= since.replace(minute=0)
            assert (community in wanted.get(START + n * HOUR, [])) == (followed and not read)
    assert max(wanted, default=START) < START + 30 * HOUR, "the hour that is open is nobody's lack"
    groups = plan.groups(wanted)
    covered = [(hour, community) for window, some in groups for hour in window.hours for community in some]
    assert sorted(covered) == sorted((hour, community) for hour, some in wanted.items() for community in some)
    assert len(groups) <= len(wanted)


def test_neighbours_that_the_same_communities_want_are_one_crawl() -> None:
    hours = {START + n * HOUR: [PO, OUT] for n in (0, 1, 2, 5)} | {START + 3 * HOUR: [PO]}
    assert plan.groups(hours) == [
        (Window(START + 5 * HOUR, START + 6 * HOUR), [OUT, PO]),
        (Window(START + 3 * HOUR, START + 4 * HOUR), [PO]),
        (Window(START, START + 3 * HOUR), [OUT, PO]),
    ]


def test_what_is_not_followed_is_not_wanted(tmp_path_factory: pytest.TempPathFactory) -> None:
    lake = Lake(Folder(tmp_path_factory.mktemp("lake")))
    lake.follow(PO, START)
    assert plan.wanted(lake, discourse(), NOW, START) == {}
    lake.unfollow(PO.key)
    assert plan.wanted(lake, fourchan(), NOW, START) == {}
