"""What the clean tables must hold, computed from all observations at once, in plain Python."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from hashlib import md5
from typing import Any

Row = Mapping[str, Any]
HOUR = 3_600_000_000  # microseconds


def _valid(rows: Iterable[Row], key: str) -> list[Row]:
    return [r for r in rows if r["parse_error"] is None and r[key] is not None and r["created_at"] is not None]


def _rank(row: Row) -> int:
    return int(row["source"] == "api")


def _tie(row: Row) -> str:
    parts = ("payload", "community", "thread_id", "source", "title", "text")
    return md5("|".join(row[part] or "" for part in parts).encode()).hexdigest()


def _edited(row: Row) -> int:
    return row.get("platform_edited_at") or 0


def _order(row: Row) -> tuple[Any, ...]:
    order = (_edited(row), _rank(row), row["observed_at"], row["run_id"].encode(), row["content_hash"] or "", _tie(row))
    return (*order, row["created_at"])


def _counting(live: list[Row]) -> list[Row]:
    """The platform's own rows of a post, and those of others that carry a later edit than all of these."""
    shown = max((_edited(row) for row in live if _rank(row)), default=-1)
    return [row for row in live if _rank(row) or _edited(row) > shown]


def _grouped(rows: Iterable[Row], *names: str) -> dict[tuple[Any, ...], list[Row]]:
    groups = defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in names)].append(row)
    return groups


def _state(rows: list[Row]) -> dict[str, Any]:
    """The winner of one key's observations, and when it was seen and seen gone."""
    live = [row for row in rows if not row["gone"]]
    gone = [row["observed_at"] for row in rows if row["gone"]]
    winner = max(live or rows, key=_order)
    gone_at = max(gone, default=None)
    deleted = gone_at is not None and (not live or gone_at > winner["observed_at"])
    return dict(winner) | {
        "first_seen_at": min((row["observed_at"] for row in live), default=None),
        "last_seen_at": max((row["observed_at"] for row in live), default=None),
        "gone_at": gone_at,
        "deleted_at": gone_at if deleted else None,
    }


def versions(rows: Iterable[Row]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """`post_versions` by instance, post, content and source."""
    found = {}
    for (instance, post), group in _grouped(_valid(rows, "post_id"), "instance", "post_id").items():
        best = _counting([row for row in group if not row["gone"]])
        for content, rank in {(row["content_hash"], _rank(row)) for row in best}:
            same = [row for row in best if (row["content_hash"], _rank(row)) == (content, rank)]
            last = max(same, key=_order)
            if not rank:  # of theirs an earlier edit may not have counted
                same = [row for row in same if _edited(row) == _edited(last)]
            names = ("title", "text", "payload", "run_id", "thread_id", "platform_edited_at", "observed_at")
            found[instance, post, content, last["source"]] = {
                **{name: last[name] for name in names},
                "created_at": max(best, key=_order)["created_at"],
                "first_seen_at": min(row["observed_at"] for row in same),
                "last_seen_at": max(row["observed_at"] for row in same),
            }
    return found


def posts(rows: Iterable[Row]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """`all_posts` by instance and post."""
    rows = list(rows)
    firsts: dict[tuple[Any, ...], dict[str, int]] = defaultdict(dict)
    for (instance, post, content, _), version in versions(rows).items():
        firsts[instance, post][content] = version["first_seen_at"]
    found = {}
    for key, group in _grouped(_valid(rows, "post_id"), "instance", "post_id").items():
        state = _state(group)
        state["version_count"] = len(firsts[key])
        state["edited_at"] = state["platform_edited_at"]
        if state["edited_at"] is None and len(firsts[key]) > 1:
            state["edited_at"] = max(firsts[key].values())
        found[key] = state
    return found


def threads(rows: Iterable[Row]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """`all_threads` by instance and thread."""
    return {key: _state(group) for key, group in _grouped(_valid(rows, "thread_id"), "instance", "thread_id").items()}


def snapshots(rows: Iterable[Row]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """`thread_snapshots` by instance, thread and hour."""
    live = [row | {"hour": row["observed_at"] // HOUR * HOUR} for row in _valid(rows, "thread_id") if not row["gone"]]
    return {
        key: max(
            group, key=lambda row: (_rank(row), row["observed_at"], row["run_id"], row["source"], row["reply_count"])
        )
        for key, group in _grouped(live, "instance", "thread_id", "hour").items()
    }
