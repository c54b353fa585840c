"""The invented world is a pure function of its fields, and as varied as its readers rely on."""

from datetime import UTC, datetime, timedelta

import pytest

from sandbox.discourse_forum import COUNTERS
from sandbox.history import PostTruth
from sandbox.world import COMMUNITIES, World

START = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
EVERY = sorted(COMMUNITIES)


@pytest.mark.parametrize(("platform", "community"), EVERY)
def test_same_seed_gives_the_same_world(platform: str, community: str) -> None:
    one, other = (World(start=START, hours=30, seed=7) for _ in range(2))
    assert one.truth(platform, community, START + DAY) == other.truth(platform, community, START + DAY)
    different = World(start=START, hours=30, seed=8)
    assert one.truth(platform, community, START + DAY) != different.truth(platform, community, START + DAY)


@pytest.mark.parametrize(("platform", "community"), EVERY)
def test_a_longer_world_begins_like_a_shorter_one(platform: str, community: str) -> None:
    short, long = World(start=START, hours=24), World(start=START, hours=48)
    at = START + timedelta(hours=23)
    assert short.truth(platform, community, at) == long.truth(platform, community, at)


def test_scale_multiplies_the_volume(world: World) -> None:
    busy = World(start=START, hours=24, scale=3)
    ordinary = len(world.truth("fourchan", "po", START + DAY))
    assert 1200 < ordinary < 1700
    assert 2.7 < len(busy.truth("fourchan", "po", START + DAY)) / ordinary < 3.3


@pytest.mark.parametrize(("platform", "community"), EVERY)
def test_truth_grows_and_never_forgets(world: World, platform: str, community: str) -> None:
    earlier = {post.id: post for post in world.truth(platform, community, START + 3 * DAY)}
    later = {post.id: post for post in world.truth(platform, community, START + 6 * DAY)}
    assert earlier.keys() < later.keys()
    for id, post in earlier.items():
        assert later[id].versions[: len(post.versions)] == post.versions
        assert later[id].created_at == post.created_at


@pytest.mark.parametrize(("platform", "community"), EVERY)
def test_absent_posts_are_deleted_or_pruned(world: World, platform: str, community: str) -> None:
    for post in world.truth(platform, community, START + 6 * DAY):
        assert post.visible == (post.deleted_at is None and not post.pruned)
        assert not (post.deleted_at and post.pruned)


def test_everything_happens_somewhere(world: World) -> None:
    at = START + 6 * DAY
    po, out = (world.truth("fourchan", board, at) for board in ("po", "out"))
    forum = world.truth("discourse", "forum.example", at)
    for truth in (po, out, forum):
        assert any(post.deleted_at for post in truth)
        assert any(len(post.versions) > 1 for post in truth)
        assert any(back for post in truth for _, back in post.absences)
    assert any(post.pruned for post in po), "dropped from the archive"
    assert any(post.pruned for post in out), "fallen off the last page"
    assert any(post.payload.get("archived") and post.visible for post in po)
    assert any("filedeleted" in post.payload and "tim" not in post.payload for post in po)
    comments = [post.payload.get("com", "") for post in po]
    for markup in ("quotelink", "deadlink", 'class="quote"', "<wbr>", "&#039;", "&amp;", "\x00", "USER WAS BANNED"):
        assert any(markup in comment for comment in comments), markup
    assert "" in comments
    assert any(post.payload["user_deleted"] for post in forum)
    assert any(post.payload["hidden"] and "raw" not in post.payload for post in forum)
    assert any('<aside class="quote' in post.payload["cooked"] for post in forum)
    assert _edits(forum, bumped=True) and _edits(forum, bumped=False)
    assert any(post.payload["post_type"] == 3 for post in forum)


def _edits(truth: list[PostTruth], bumped: bool) -> list[PostTruth]:
    """Posts with an edit of `raw` that moved `version`, or did not."""
    return [
        post
        for post in truth
        for (_, old), (_, new) in zip(post.versions, post.versions[1:], strict=False)
        if old.get("raw") != new.get("raw") and (new["version"] > old["version"]) == bumped and not new["hidden"]
    ]


def test_posts_move_between_topics_and_keep_their_id(world: World) -> None:
    before = {post.id: post.thread_id for post in world.truth("discourse", "forum.example", START + 3 * DAY)}
    after = {post.id: post.thread_id for post in world.truth("discourse", "forum.example", START + 6 * DAY)}
    assert any(after[id] != thread_id for id, thread_id in before.items())


def test_counters_move_without_making_a_version(world: World) -> None:
    hour = timedelta(hours=1)
    first = {post.id: post for post in world.truth("discourse", "forum.example", START + DAY)}
    second = {post.id: post for post in world.truth("discourse", "forum.example", START + DAY + hour)}
    same = [(first[id], second[id]) for id in first if first[id].versions == second[id].versions]
    moved = [old for old, new in same if old.payload != new.payload]
    assert len(moved) > len(same) / 3
    for old, new in same:
        if old.payload["updated_at"] == new.payload["updated_at"] and old.visible and new.visible:
            differing = {name for name in old.payload if old.payload[name] != new.payload[name]}
            assert differing <= COUNTERS | {"topic_id", "post_number", "topic_slug", "topic_title", "topic_html_title",
                                            "category_id", "post_url"}  # fmt: skip


def test_stickies_lead_and_lose_old_replies(world: World) -> None:
    board = world.board("po", START + 4 * DAY)
    sticky = board.threads[0]
    assert sticky.posts[0]["sticky"] == 1 and sticky.page == 1
    assert sticky.replies <= 30 < len([p for p in world.truth("fourchan", "po", START + 4 * DAY)
                                       if p.thread_id == str(sticky.no)])  # fmt: skip
    assert [thread.page for thread in board.threads] == sorted(thread.page for thread in board.threads)


def test_a_naive_start_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        World(start=datetime(2026, 11, 1), hours=1)  # noqa: DTZ001
