"""What the marts must hold, in plain Python from posts, threads and observations as the clean tables have them.

Rows are dictionaries with times in microseconds since 1970, as `Warehouse.rows` gives them.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

Row = dict[str, Any]
SECOND = 1_000_000
HOUR = 3600 * SECOND
COMMUNITY = ("platform", "instance", "community")
WORD = re.compile(r"[^\W\d_][^\W_]*(?:['’-][^\W_]+)*")
SUMS = ("posts", "edited_posts", "edits", "deletions", "threads", "texts", "text_length")


@dataclass(frozen=True)
class Oracle:
    """`settings` are the variables of the dbt project."""

    posts: Sequence[Row]
    threads: Sequence[Row]
    observations: Sequence[Row]
    zone: ZoneInfo
    now: datetime
    settings: Mapping[str, Any]

    def local(self, micros: int) -> datetime:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)).astimezone(self.zone)

    def day(self, micros: int) -> date:
        return self.local(micros).date()

    def hour(self, micros: int) -> int:
        at = self.local(micros)
        return micros - ((at.minute * 60 + at.second) * SECOND + at.microsecond)

    def in_groups(
        self, rows: Iterable[Row], *names: str, **made: Callable[[Row], Any]
    ) -> dict[tuple[Any, ...], list[Row]]:
        groups = defaultdict(list)
        for row in rows:
            groups[(*(row[name] for name in names), *(make(row) for make in made.values()))].append(row)
        return groups

    # -- activity and posters ----------------------------------------------------------------------------------

    def sums(self, rows: Sequence[Row]) -> Row:
        edits = [max(row["version_count"] - 1, row["edited_at"] is not None, 0) for row in rows]
        texts = [row["text"] for row in rows if row["text"] is not None]
        return {
            "posts": len(rows),
            "edited_posts": sum(row["edited_at"] is not None for row in rows),
            "edits": sum(edits),
            "deletions": sum(row["deleted_at"] is not None for row in rows),
            "threads": sum(row["is_opening"] is True for row in rows),
            "texts": len(texts),
            "text_length": sum(map(len, texts)),
        }

    def activity(self, rows: Sequence[Row]) -> Row:
        ids = sorted({row["author_id"] for row in rows} - {None})
        return self.sums(rows) | {
            "author_ids": ids,
            "authors": len(ids),
            "anonymous_posts": sum(row["author_id"] is None for row in rows),
            **self.span(rows),
        }

    def span(self, rows: Sequence[Row]) -> Row:
        times = [row["created_at"] for row in rows]
        return {"first_post_at": min(times, default=None), "last_post_at": max(times, default=None)}

    def _activity(self, names: tuple[str, ...], made: Mapping[str, Callable[[Row], Any]]) -> Iterator[Row]:
        for key, rows in self.in_groups(self.posts, *COMMUNITY, **made).items():
            yield dict(zip((*COMMUNITY, *names), key, strict=True)) | self.activity(rows)

    def activity_by_hour(self) -> Iterator[Row]:
        for row in self._activity(("hour",), {"hour": lambda row: self.hour(row["created_at"])}):
            at = self.local(row["hour"])
            yield row | {"hour_of_day": at.hour, "weekday": at.isoweekday(), "year": at.year, "day": at.date()}

    def activity_by_day(self) -> Iterator[Row]:
        for row in self._activity(("day",), {"day": lambda row: self.day(row["created_at"])}):
            yield row | {"weekday": row["day"].isoweekday(), "year": row["day"].year}

    def activity_by_weekday_hour(self) -> Iterator[Row]:
        made: dict[str, Callable[[Row], Any]] = {
            "year": lambda row: self.local(row["created_at"]).year,
            "weekday": lambda row: self.local(row["created_at"]).isoweekday(),
            "hour_of_day": lambda row: self.local(row["created_at"]).hour,
        }
        for row in self._activity(tuple(made), made):
            yield {name: value for name, value in row.items() if not name.endswith("_at") and name != "author_ids"}

    def activity_by_year(self) -> Iterator[Row]:
        days = Counter((*(row[name] for name in COMMUNITY), row["year"]) for row in self.activity_by_day())
        for row in self._activity(("year",), {"year": lambda row: self.local(row["created_at"]).year}):
            del row["author_ids"]
            yield row | {"active_days": days[(*(row[name] for name in COMMUNITY), row["year"])]}

    def known(self) -> list[Row]:
        return [row for row in self.posts if row["author_id"] is not None]

    def posters_by_day(self) -> Iterator[Row]:
        groups = self.in_groups(self.known(), *COMMUNITY, "author_id", day=lambda row: self.day(row["created_at"]))
        for key, rows in groups.items():
            found = dict(zip((*COMMUNITY, "author_id", "day"), key, strict=True))
            yield found | self.sums(rows) | self.span(rows) | {"year": found["day"].year}

    def posters_by_year(self) -> list[Row]:
        return [{**row, "year": year} for (*_, year), row in self._posters(lambda at: at.year).items()]

    def posters(self) -> Iterator[Row]:
        for row in self._posters(lambda at: 0).values():
            yield row | {"mean_length": row["text_length"] / row["texts"] if row["texts"] else None}

    def _posters(self, part: Callable[[datetime], int]) -> dict[tuple[Any, ...], Row]:
        def year(row: Row) -> int:
            return part(self.local(row["created_at"]))

        quotes = [row for row in self.quotes() if row["quoted_post_id"] is not None]
        quoting = Counter((*(row[n] for n in COMMUNITY), row["author_id"], year(row)) for row in quotes)
        quoted = Counter((*(row[n] for n in COMMUNITY), row["quoted_author_id"], year(row)) for row in quotes)
        groups = self.in_groups(self.known(), *COMMUNITY, "author_id", year=year)
        found = {}
        for key in {key for key in (*groups, *quoting, *quoted) if key[3] is not None}:
            rows = groups.get(key, [])
            found[key] = dict(zip((*COMMUNITY, "author_id"), key, strict=False)) | self.sums(rows) | self.span(rows) | {
                "times_quoting": quoting[key],
                "times_quoted": quoted[key],
                "active_days": len({self.day(row["created_at"]) for row in rows}),
            }  # fmt: skip
        return found

    def poster_development(self) -> Iterator[Row]:
        names = (*SUMS, "times_quoting", "times_quoted", "active_days")
        for key, rows in self.in_groups(self.posters_by_year(), *COMMUNITY, "author_id").items():
            if sum(row["posts"] for row in rows) < self.settings["minimal_posts"]:
                continue
            by_year = {row["year"]: row for row in rows}
            for year in range(min(by_year), max(by_year) + 1):
                row = by_year.get(year, dict.fromkeys(names, 0))
                mean = row["text_length"] / row["texts"] if row["texts"] else None
                found = dict(zip((*COMMUNITY, "author_id"), key, strict=True)) | {name: row[name] for name in names}
                yield found | {"year": year, "mean_length": mean}

    # -- quotes and links --------------------------------------------------------------------------------------

    def quotes(self) -> Iterator[Row]:
        by_name = {}
        for post in self.posts:
            name = post["url"].split("/t/")[1] if post["platform"] == "discourse" and post["url"] else post["post_id"]
            by_name[post["platform"], post["instance"], name] = post
        for post in self.posts:
            for name in post["quotes"] or []:
                quoted = by_name.get((post["platform"], post["instance"], name), {})
                columns = (*COMMUNITY, "thread_id", "post_id", "author_id", "created_at")
                yield {column: post[column] for column in columns} | {
                    "quoted": name,
                    "quoted_community": quoted.get("community"),
                    "quoted_post_id": quoted.get("post_id"),
                    "quoted_author_id": quoted.get("author_id"),
                    "quoted_at": quoted.get("created_at"),
                    "day": self.day(post["created_at"]),
                    "year": self.day(post["created_at"]).year,
                }

    def quote_graph(self) -> Iterator[Row]:
        edges = [row for row in self.quotes() if row["author_id"] is not None and row["quoted_author_id"] is not None]
        for key, some in self.in_groups(edges, *COMMUNITY, "year").items():
            pairs = self.in_groups(some, "author_id", "quoted_author_id")
            strongest = max(map(len, pairs.values()))
            for pair, rows in pairs.items():
                if len(rows) >= self.settings["minimal_quotes"]:
                    names = (*COMMUNITY, "year", "author_id", "quoted_author_id")
                    times = [row["created_at"] for row in rows]
                    yield dict(zip(names, (*key, *pair), strict=True)) | {
                        "quotes": len(rows), "intensity": len(rows) / strongest,
                        "first_at": min(times), "last_at": max(times),
                    }  # fmt: skip

    def posted_links(self) -> Iterator[Row]:
        for post in self.posts:
            for url in post["links"] or []:
                host = (urlsplit(url.lower()).netloc.rpartition("@")[2]).partition(":")[0].removeprefix("www.")
                if host:
                    columns = (*COMMUNITY, "thread_id", "post_id", "author_id", "created_at")
                    day = self.day(post["created_at"])
                    found = {column: post[column] for column in columns} | {"day": day, "year": day.year}
                    yield found | {"url": url, "domain": host, "kind": self.kind(url.lower(), host)}

    def kind(self, url: str, host: str) -> str:
        ending = urlsplit(url).path.rpartition(".")[2]
        if ending in self.settings["image_endings"]:
            return "image"
        video = ending in self.settings["video_endings"] or host in self.settings["video_domains"]
        return "video" if video else "link"

    def _links(self, *names: str) -> Iterator[tuple[Row, list[Row], Row]]:
        for key, rows in self.in_groups(self.posted_links(), *COMMUNITY, "year", *names).items():
            times = [row["created_at"] for row in rows]
            span = {"first_posted_at": min(times), "last_posted_at": max(times)}
            yield dict(zip((*COMMUNITY, "year", *names), key, strict=True)), rows, span

    def links(self) -> Iterator[Row]:
        for found, rows, span in self._links("url", "domain", "kind"):
            yield found | span | {"posts": len(rows), "authors": len({row["author_id"] for row in rows} - {None})}

    def domains(self) -> Iterator[Row]:
        for found, rows, span in self._links("domain", "kind"):
            authors = {row["author_id"] for row in rows} - {None}
            told = {"links": len(rows), "urls": len({row["url"] for row in rows}), "authors": len(authors)}
            yield found | span | told

    def domain_posters(self) -> Iterator[Row]:
        for found, rows, _ in self._links("author_id", "domain", "kind"):
            if found["author_id"] is not None and len(rows) >= self.settings["minimal_links"]:
                yield found | {"links": len(rows)}

    # -- threads, changes, trends ------------------------------------------------------------------------------

    def thread_days(self) -> Iterator[Row]:
        made = {"day": lambda row: self.day(row["created_at"])}
        for key, rows in self.in_groups(self.posts, *COMMUNITY, "thread_id", **made).items():
            found = dict(zip((*COMMUNITY, "thread_id", "day"), key, strict=True))
            yield found | self._thread(rows) | {
                "author_ids": sorted({row["author_id"] for row in rows} - {None}), "year": found["day"].year
            }  # fmt: skip

    def _thread(self, rows: Sequence[Row]) -> Row:
        replies = [row["created_at"] for row in rows if row["is_opening"] is not True]
        return self.span(rows) | {
            "posts": len(rows),
            "replies": len(replies),
            "deletions": sum(row["deleted_at"] is not None for row in rows),
            "first_reply_at": min(replies, default=None),
        }

    def thread_lives(self) -> Iterator[Row]:
        names = ("platform", "instance", "thread_id")
        groups = self.in_groups(self.posts, *names)
        threads = {tuple(row[name] for name in names): row for row in self.threads}
        for key in groups.keys() | threads.keys():
            rows, thread = groups.get(key, []), threads.get(key, {})
            told = self._thread(rows)
            created = thread.get("created_at", told["first_post_at"])
            last = told["last_post_at"] or created
            over = bool(thread.get("is_closed") or thread.get("is_archived") or thread.get("deleted_at"))
            first_reply = told["first_reply_at"]
            yield dict(zip(names, key, strict=True)) | told | {
                "community": thread.get("community") or max(row["community"] for row in rows),
                "author_id": thread.get("author_id"), "title": thread.get("title"), "url": thread.get("url"),
                "is_over": over, "participants": len({row["author_id"] for row in rows} - {None}),
                "lifetime_seconds": max(0, (last - created) // SECOND),
                "seconds_to_first_reply": None if first_reply is None else max(0, (first_reply - created) // SECOND),
                "hour_of_death": self.local(last).hour if over else None,
                "year": self.local(created).year, "created_at": created, "last_post_at": last,
                "first_day": min((self.day(row["created_at"]) for row in rows), default=None),
                "last_day": max((self.day(row["created_at"]) for row in rows), default=None),
                "died_at": last if over else None, "deleted_at": thread.get("deleted_at"),
            }  # fmt: skip

    def changes(self) -> Iterator[Row]:
        bounds = [0, *self.settings["delays"]]
        for kind, column in (("edit", "edited_at"), ("deletion", "deleted_at")):
            rows = [
                row | {"day": self.day(row["created_at"]), "delay": max(0, (row[column] - row["created_at"]) // SECOND)}
                for row in self.posts
                if row[column] is not None
            ]
            made = {"delay_from": lambda row: max(bound for bound in bounds if bound <= row["delay"])}
            for key, some in self.in_groups(rows, *COMMUNITY, "day", **made).items():
                found = dict(zip((*COMMUNITY, "day", "delay_from"), key, strict=True))
                yield found | {
                    "kind": kind, "posts": len(some), "delay_sum": sum(row["delay"] for row in some),
                    "year": found["day"].year,
                }  # fmt: skip

    def changes_by_year(self) -> Iterator[Row]:
        years = {(*(row[n] for n in COMMUNITY), row["year"]): row["posts"] for row in self.activity_by_year()}
        for key, rows in self.in_groups(self.changes(), *COMMUNITY, "year", "kind").items():
            changed = sum(row["posts"] for row in rows)
            for delay, some in self.in_groups(rows, "delay_from").items():
                posts = sum(row["posts"] for row in some)
                yield dict(zip((*COMMUNITY, "year", "kind", "delay_from"), (*key, *delay), strict=True)) | {
                    "posts": posts, "delay_sum": sum(row["delay_sum"] for row in some), "of_posts": years[key[:4]],
                    "share_of_posts": posts / years[key[:4]], "share_of_changes": posts / changed,
                }  # fmt: skip

    def age(self, day: date) -> int:
        return (self.now.astimezone(self.zone).date() - day).days

    def words_by_hour(self) -> Iterator[Row]:
        stop, shortest, longest = (self.settings[name] for name in ("stop_words", "shortest_word", "longest_word"))
        counts: Counter[tuple[Any, ...]] = Counter()
        for post in self.posts:
            day = self.day(post["created_at"])
            if self.age(day) <= 13:
                text = re.sub(r"[a-zA-Z][a-zA-Z0-9+.-]*://\S+", " ", post["text"] or "").lower()
                for word in set(WORD.findall(text)) - set(stop.split()):
                    if shortest <= len(word) <= longest:
                        hour = post["created_at"] // HOUR * HOUR
                        counts[(*(post[name] for name in COMMUNITY), word, day, hour)] += 1
        for key, posts in counts.items():
            yield dict(zip((*COMMUNITY, "word", "day", "hour"), key, strict=True)) | {"posts": posts}

    def trending_words(self) -> Iterator[Row]:
        yield from self._trending(self.words_by_hour(), "word")

    def trending_threads(self) -> Iterator[Row]:
        lives = {tuple(row[n] for n in ("platform", "instance", "thread_id")): row for row in self.thread_lives()}
        for row in self._trending(self.thread_days(), "thread_id"):
            life = lives[tuple(row[name] for name in ("platform", "instance", "thread_id"))]
            yield row | {"title": life["title"], "url": life["url"]}

    def _trending(self, rows: Iterable[Row], name: str) -> Iterator[Row]:
        def weeks(rows: Iterable[Row]) -> tuple[int, int]:
            rows = list(rows)
            now = sum(row["posts"] for row in rows if 0 <= self.age(row["day"]) <= 6)
            return now, sum(row["posts"] for row in rows if 7 <= self.age(row["day"]) <= 13)

        totals = {key: weeks(some) for key, some in self.in_groups(self.activity_by_day(), *COMMUNITY).items()}
        for key, some in self.in_groups(rows, *COMMUNITY).items():
            found = []
            for (value,), same in self.in_groups(some, name).items():
                posts, before = weeks(same)
                if posts >= self.settings["trending_posts"]:
                    all_posts, all_before = totals[key]
                    growth = (posts / all_posts) / ((before + 0.5) / (all_before + 1 if all_before else all_posts))
                    score = round(posts * math.log(growth), 6)
                    if score > 0:
                        found.append((-score, -posts, value, before))
            for rank, (score, posts, value, before) in enumerate(sorted(found)[: self.settings["trending"]], 1):
                yield dict(zip(COMMUNITY, key, strict=True)) | {
                    name: value, "trend_rank": rank, "posts": -posts, "posts_before": before, "score": -score,
                    "as_of": self.now.astimezone(self.zone).date(),
                }  # fmt: skip

    # -- communities and how they were observed ----------------------------------------------------------------

    def observed_hours(self) -> Iterator[Row]:
        readings = [row for row in self.observations if row["source"] == "api"]
        for key, rows in self.in_groups(readings, *COMMUNITY, "hour").items():
            whole = [r["observed_at"] for r in rows if r["complete"] and r["observed_at"] >= r["hour"] + HOUR]
            errors = [(row["observed_at"], row["run_id"], row["error"]) for row in rows if row["error"] is not None]
            yield dict(zip((*COMMUNITY, "hour"), key, strict=True)) | {
                "state": "complete" if whole else "failed" if errors else "incomplete",
                "error": max(errors)[2] if errors else None,
                "readings": len(rows), "failures": len(errors),
                **{name: sum(row[name] or 0 for row in rows) for name in ("posts", "gone", "parse_errors", "requests")},
                "first_complete_at": min(whole, default=None),
                "last_observed_at": max(row["observed_at"] for row in rows),
            }  # fmt: skip

    def coverage(self) -> Iterator[Row]:
        names = ("state", "error", "readings", "failures", "posts", "first_complete_at", "last_observed_at")
        for key, rows in self.in_groups(self.observed_hours(), *COMMUNITY).items():
            by_hour = {row["hour"]: row for row in rows}
            for hour in range(min(by_hour), max(by_hour) + 1, HOUR):
                none = dict.fromkeys(names) | {"state": "missing", "readings": 0, "failures": 0, "posts": 0}
                row = by_hour.get(hour, none)
                told = {name: row[name] for name in names} | {"hour": hour, "day": self.day(hour)}
                yield dict(zip(COMMUNITY, key, strict=True)) | told

    def communities(self) -> Iterator[Row]:
        groups = self.in_groups(self.posts, *COMMUNITY)
        observed = self.in_groups(self.observed_hours(), *COMMUNITY)
        for key in groups.keys() | observed.keys():
            hours = observed.get(key, [])
            last = max(hours, key=lambda row: row["hour"], default={"state": None, "error": None})
            whole = [row["hour"] for row in hours if row["state"] == "complete"]
            told = self.activity(groups.get(key, []))
            del told["author_ids"]
            yield dict(zip(COMMUNITY, key, strict=True)) | told | {
                "state": last["state"], "error": last["error"],
                "hours_complete": len(whole), "hours_not_complete": len(hours) - len(whole),
                "last_observed_at": max((row["last_observed_at"] for row in hours), default=None),
                "last_complete_hour": max(whole, default=None),
            }  # fmt: skip


MARTS = (
    "activity_by_hour", "activity_by_day", "activity_by_weekday_hour", "activity_by_year", "communities",
    "posters_by_day", "posters_by_year", "posters", "poster_development", "quotes", "quote_graph", "posted_links",
    "links", "domains", "domain_posters", "thread_days", "thread_lives", "changes", "changes_by_year", "words_by_hour",
    "trending_words", "trending_threads", "observed_hours", "coverage",
)  # fmt: skip
"""Those that people ask."""
NOT_COMPUTED = {"key_number", "quoted_number", "author_name", "is_bot"}
