"""What the marts must say of communities, worked out from the sandbox's world and not from any table: who of the posts
that were read wrote when, in which thread, whom they quote, what they link to.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from sandbox.history import Community, Payload
from sandbox.world import World
from tests.truth import SUBJECTS, Expected

URL = re.compile(r"https?://[^\s<>\"'`)\]]+")


@dataclass(frozen=True)
class Fact:
    """One post of the world. `quotes` names what it quotes as the platform does, `domains` where its links lead."""

    row: str
    name: str
    author: str | None
    created: datetime
    thread: str
    opens: bool
    edited: bool
    quotes: frozenset[str]
    domains: tuple[str, ...]


def facts(world: World, key: str, at: datetime) -> Iterator[Fact]:
    """Of all posts that there ever were until then."""
    platform, _, name = key.partition(":")
    seen = set()
    for subject in SUBJECTS[platform](world, name, at, [at]):
        post = subject.post
        if post.created <= at.timestamp() and subject.row not in seen:
            seen.add(subject.row)
            served = post.last_served(at.timestamp())
            community = home(world, platform, name, post)
            thread = str(community.thread_of(post, served))
            told = READ[platform](community.payload(post, served), thread, post)
            yield Fact(
                row=subject.row, created=datetime.fromtimestamp(post.created, UTC),
                **{"name": subject.row, "edited": False, "domains": (), "thread": thread} | told,
            )  # fmt: skip


def home(world: World, platform: str, name: str, post: Any) -> Community:
    """Where a post was born: threads of mods.de move from board to board."""
    boards = [world.mods_de_board("14"), world.mods_de_board("15")] if platform == "mods_de" else []
    return next((board for board in boards if post.thread in board.threads), None) or world.community(platform, name)


def fourchan(said: Payload, thread: str, post: Any) -> dict[str, Any]:
    found = re.findall(r'href="(?:/(\w+)/thread/\d+)?#p(\d+)"', said.get("com", ""))
    return {
        "author": said.get("trip") or said.get("id"), "thread": f"po/{thread}", "opens": said["resto"] == 0,
        "quotes": frozenset(f"{board or 'po'}/{no}" for board, no in found),
    }  # fmt: skip


def discourse(said: Payload, thread: str, post: Any) -> dict[str, Any]:
    place = post.places[-1]
    found = {f"{topic}/{n}" for n, topic in re.findall(r'data-post="(\d+)" data-topic="(\d+)"', said.get("cooked", ""))}
    if said.get("reply_to_post_number"):
        found.add(f"{place.topic_id}/{said['reply_to_post_number']}")
    return {
        "name": f"{place.topic_id}/{place.number}", "author": str(said["user_id"]), "opens": place.number == 1,
        "edited": said.get("version", 1) > 1, "quotes": frozenset(found),
    }  # fmt: skip


def lemmy(said: Payload, thread: str, post: Any) -> dict[str, Any]:
    record = said.get("comment") or said["post"]
    parents = record["path"].split(".")[1:-1] if "path" in record else None
    quotes = [] if parents is None else [f"c{parents[-1]}" if parents else f"p{thread}"]
    return {
        "author": str(said["creator"]["id"]), "thread": f"{thread}", "opens": parents is None,
        "edited": bool(record.get("updated")), "quotes": frozenset(quotes),
    }  # fmt: skip


def discord(said: Payload, thread: str, post: Any) -> dict[str, Any]:
    answers = said.get("message_reference", {}).get("message_id") if said["type"] in (19, 21) else None
    return {
        "author": said["author"]["id"], "opens": str(said["id"]) == thread or said["type"] == 21,
        "edited": said["edited_timestamp"] is not None, "quotes": frozenset([answers] if answers else []),
        "domains": tuple(url.split("/")[2].removeprefix("www.") for url in dict.fromkeys(URL.findall(said["content"]))),
    }  # fmt: skip


def mods_de(said: Payload, thread: str, post: Any) -> dict[str, Any]:
    depth, found = 0, set()
    for end, quoted in re.findall(r"\[(/?)quote(?:=\d+,(\d+),[^\]]*)?\]", said["message"]["content"]):
        if not end and depth == 0 and quoted:
            found.add(quoted)
        depth += -1 if end else 1
    return {
        "author": said["user"]["id"], "opens": False, "edited": int(said["message"]["edited"]["count"]) > 0,
        "quotes": frozenset(found),
    }  # fmt: skip


READ: Mapping[str, Callable[[Payload, str, Any], dict[str, Any]]] = {
    "fourchan": fourchan, "discourse": discourse, "lemmy": lemmy, "discord": discord, "mods_de": mods_de,
}  # fmt: skip


def differences(
    world: World, home: Path, at: datetime, found: Mapping[str, Mapping[str, Expected]], zone: ZoneInfo
) -> list[str]:
    """What the marts say otherwise than the world of the posts that were `found`, one line each."""
    lines = []
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        for key, rows in found.items():
            known = [fact for fact in facts(world, key, at) if fact.row in rows]
            deleted = {row for row, expected in rows.items() if expected.deleted}
            if key.startswith("mods_de"):  # whose first post opens a thread
                firsts: dict[str, Fact] = {}
                for fact in facts(world, key, at):
                    firsts[fact.thread] = min(firsts.get(fact.thread, fact), fact, key=lambda f: int(f.row))
                openers = {fact.row for fact in firsts.values()}
            else:
                openers = {fact.row for fact in known if fact.opens}
            for question, (query, wanted) in questions(known, deleted, openers, zone).items():
                said = Counter(connection.execute(query, {"key": key}).fetchall())
                if said != Counter(wanted):
                    only, lost = list(said - Counter(wanted))[:3], list(Counter(wanted) - said)[:3]
                    lines.append(f"{key}: {question}: {only} instead of {lost}")
    return lines


def questions(
    known: list[Fact], deleted: set[str], openers: set[str], zone: ZoneInfo
) -> dict[str, tuple[str, list[tuple[Any, ...]]]]:
    """A query of a mart and its answer, by name."""
    by_name = {fact.name: fact for fact in known}
    local = {fact.row: fact.created.astimezone(zone) for fact in known}
    pairs = [(fact, by_name[name]) for fact in known for name in fact.quotes if name in by_name]
    edges = Counter((a.author, b.author) for a, b in pairs if a.author and b.author)
    hours, people, threads, domains, weekday_hours = [Counter[Any]() for _ in range(5)]
    days: dict[Any, set[str]] = {}
    for fact in known:
        at = local[fact.row]
        hours[at.replace(minute=0, second=0, microsecond=0).astimezone(UTC)] += 1
        weekday_hours[at.isoweekday(), at.hour] += 1
        threads[fact.thread] += 1
        domains.update(fact.domains)
        if fact.author:
            people[fact.author] += 1
            days.setdefault(at.date(), set()).add(fact.author)
    quoted = Counter(b.author for _, b in pairs if b.author)
    quoting = Counter(a.author for a, _ in pairs if a.author)
    participants: dict[str, set[str | None]] = {}
    spans: dict[str, list[datetime]] = {}
    for fact in known:
        participants.setdefault(fact.thread, set()).add(fact.author)
        spans.setdefault(fact.thread, []).append(fact.created)
    totals = (
        len(known), sum(fact.edited for fact in known), len(deleted), sum(fact.row in openers for fact in known),
        sum(fact.author is None for fact in known), len(people),
    )  # fmt: skip
    asked = {
        "hours": ("select hour, posts from marts.activity_by_hour where community = $key", list(hours.items())),
        "weekdays": (
            "select weekday, hour_of_day, posts from marts.activity_by_weekday_hour where community = $key",
            [(*key, posts) for key, posts in weekday_hours.items()],
        ),
        "active people": (
            "select day, authors, len(author_ids) from marts.activity_by_day where community = $key and authors > 0",
            [(day, len(some), len(some)) for day, some in days.items()],
        ),
        "totals": (
            "select posts, edited_posts, deletions, threads, anonymous_posts, authors from marts.communities"
            " where community = $key",
            [totals],
        ),
        "posters": (
            "select author_id, posts, times_quoted, times_quoting from marts.posters_by_year where community = $key",
            [(who, people[who], quoted[who], quoting[who]) for who in people.keys() | quoted.keys()],
        ),
        "graph": (
            "select author_id, quoted_author_id, quotes, round(intensity, 6) from marts.quote_graph"
            " where community = $key",
            [(*pair, count, round(count / max(edges.values()), 6)) for pair, count in edges.items()],
        ),
        "threads": (
            "select thread_id, posts, participants, last_post_at - first_post_at from marts.thread_lives"
            " where community = $key and posts > 0",
            [
                (thread, count, len(participants[thread] - {None}), max(spans[thread]) - min(spans[thread]))
                for thread, count in threads.items()
            ],
        ),
    }
    if domains:
        query = "select domain, sum(links)::bigint from marts.domains where community = $key group by 1"
        asked["domains"] = (query, list(domains.items()))
    return asked
