"""Search: finds posts and threads by their words or by an exact piece of text, and cuts the pieces that are shown.

Words are found by the index on this machine, `IndexSearcher`, or where the warehouse has one of its own, in
`bigquery_search.py`.
"""

import json
import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dashboard import query_language, text
from dashboard.reader import Reader, Row
from dashboard.views import Filter, read_number
from orchestration.search_index import LANGUAGES, place_of, schema, words

if TYPE_CHECKING:
    import tantivy

PAGE, DEEPEST = 20, 10_000
"""Results a page, and how many can be paged through."""
AROUND = 110  # characters before and after what is marked
FRAGMENTS = 3
SORTS = ("relevance", "newest", "oldest")
FILTERS = (
    Filter("kind", "", "choice", "Posts or threads", ("post", "thread"), default="post"),
    Filter("sort", "", "choice", "Order", SORTS, default="relevance"),
    Filter("exact", "", "switch", "Exactly these characters"),
    Filter("platform", "platform = $platform", label="Platform"),
    Filter("community", "community = $community", label="Community"),
    Filter("author", "author_id = $author", label="Author's id"),
    Filter("since", "created_at >= $since and created_hour >= $since - interval 1 hour", "time", "From"),
    Filter("until", "created_at < $until and created_hour <= $until", "time", "Until"),
    Filter("deleted", "(deleted_at is not null) = $deleted", "switch", "Deleted"),
    Filter("edited", "(edited_at is not null) = $edited", "switch", "Edited"),
)


@dataclass(frozen=True)
class Question:
    """What is looked for; `values` are those of the filters."""

    text: str
    values: Mapping[str, Any]
    texts: Mapping[str, str]
    offset: int = 0
    limit: int = PAGE


@dataclass(frozen=True)
class Results:
    """Rows of posts or threads, each with its `pieces`: texts, and whether each is marked; how many there are in
    all."""

    rows: list[Row]
    total: int
    seconds: float


def read(parameters: Mapping[str, str]) -> Question:
    """Raises BadParameter."""
    values, texts = {}, {}
    for one in FILTERS:
        if given := parameters.get(one.name) or one.default:
            values[one.name], texts[one.name] = one.read(given), given
    page = read_number("page", parameters.get("page") or "1", 1, DEEPEST // PAGE)
    query = Filter("q", "").read(parameters.get("q", "")[:400]).strip() if parameters.get("q") else ""
    return Question(query, values, texts, (page - 1) * PAGE)


class Searcher(ABC):
    """Finds words in a way of its own, exact texts in the warehouse; rows are always as they are there now."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def search(self, question: Question) -> Results:
        """A page of what is found."""
        began = time.monotonic()
        rows, total = self._exactly(question) if question.values.get("exact") else self._by_words(question)
        return Results(rows, total, time.monotonic() - began)

    @abstractmethod
    def _by_words(self, question: Question) -> tuple[list[Row], int]:
        """With their pieces, and how many there are."""

    def _exactly(self, question: Question) -> tuple[list[Row], int]:
        """Whatever the characters are; the newest first, as relevance makes no sense here."""
        if not question.text:
            return [], 0
        what = relation_of(question.values["kind"])[2]
        rows, total = self._asked(question, f"strpos(lower({what}), lower($q)) > 0", {"q": question.text})
        pattern = re.compile(re.escape(question.text), re.IGNORECASE)
        return [{**row, "pieces": pieces(said_in(row), pattern.finditer)} for row in rows], total

    def _asked(
        self, question: Question, condition: str, told: Mapping[str, Any], rank: str = ""
    ) -> tuple[list[Row], int]:
        """What meets the condition and the filters: a page by `rank`, if that is asked for, else by time, and how many
        there are."""
        kind = question.values["kind"]
        relation, key, _ = relation_of(kind)
        conditions = [
            one.condition for one in FILTERS
            if one.condition and one.name in question.values and not (kind == "thread" and one.name == "edited")
        ]  # fmt: skip
        where = " and ".join([condition, *conditions])
        values = {**question.values, **told}
        total = self._reader.query(f"select count(*) as total from {relation} where {where}", values)[0]["total"]
        sort = question.texts["sort"]
        first = f"{rank} desc, " if rank and sort == "relevance" else ""
        rows = self._reader.query(
            f"select {_columns(kind)} from {relation} where {where} "
            f"order by {first}created_at {'' if sort == 'oldest' else 'desc'}, platform, instance, {key} "
            f"limit {question.limit} offset {question.offset}",
            values,
        )
        return rows, int(total)


class IndexSearcher(Searcher):
    """By the index of this machine."""

    def __init__(self, folder: Path, reader: Reader) -> None:
        super().__init__(reader)
        self._folder = folder
        self._lock = threading.Lock()
        self._opened: tuple[Path, tantivy.Index, int] | None = None

    def _by_words(self, question: Question) -> tuple[list[Row], int]:
        import tantivy

        asked, index = query_language.parse(question.text, query_language.InIndex()), self._index()
        if asked is None or index is None:
            return [], 0
        must = [(tantivy.Occur.Must, asked.query)]
        must += [
            (tantivy.Occur.Must, tantivy.Query.const_score_query(one, 0.0)) for one in _conditions(question.values)
        ]
        order = question.texts["sort"]
        told: dict[str, Any] = {"limit": question.limit, "offset": question.offset}
        if order != "relevance":
            told |= {
                "order_by_field": "created",
                "order": tantivy.Order.Desc if order == "newest" else tantivy.Order.Asc,
            }
        searcher = index.searcher()
        found = searcher.search(tantivy.Query.boolean_query(must), **told)
        documents = [searcher.doc(address) for _, address in found.hits]
        rows = self._rows(question.values["kind"], [(one["found"][0], one["part"][0]) for one in documents])
        return [{**row, "pieces": pieces(said_in(row), marker(asked))} for row in rows], int(found.count or 0)  # type: ignore[attr-defined]

    def _rows(self, kind: str, found: Sequence[tuple[str, str]]) -> list[Row]:
        """What the index found, in its order; what is not there any more is left out."""
        if not found:
            return []
        keys = [tuple(json.loads(key)) for key, _ in found]
        hours = {datetime.fromisoformat(part.removeprefix(f"{kind} ")) for _, part in found}
        relation, key, _ = relation_of(kind)
        among = self._reader.dialect.among
        rows = self._reader.query(  # the hours say where to look
            f"select {_columns(kind)} from {relation} where {among('created_hour', 'hours')} and {among(key, 'ids')}",
            {"ids": [one[2] for one in keys], "hours": sorted(hours)},
        )
        by_key: dict[tuple[str, ...], Row] = {(row["platform"], row["instance"], row[key]): row for row in rows}
        return [by_key[one] for one in keys if one in by_key]

    def _index(self) -> "tantivy.Index | None":
        """Opened anew when it was rebuilt, reloaded when it went on; where it is, is read only then, since what says
        it also says what is indexed, which is long."""
        import tantivy

        try:
            changed = (self._folder / "current").stat().st_mtime_ns
        except FileNotFoundError:
            return None
        with self._lock:
            if self._opened is None or self._opened[2] != changed:
                place = place_of(self._folder)
                if place is None:
                    return None
                if self._opened is None or self._opened[0] != place:
                    self._opened = (place, tantivy.Index.open(str(place)), changed)
                else:
                    self._opened[1].reload()
                    self._opened = (place, self._opened[1], changed)
            return self._opened[1]


def _conditions(values: Mapping[str, Any]) -> list["tantivy.Query"]:
    import tantivy

    made = [
        tantivy.Query.term_query(schema(), name, values[name])
        for name in ("kind", "platform", "community", "author", "deleted", "edited")
        if name in values
    ]
    if "since" in values or "until" in values:
        low, high = values.get("since"), values.get("until")
        made.append(tantivy.Query.range_query(
            schema(), "created", tantivy.FieldType.Integer, _epoch(low, 1970), _epoch(high, 2201), include_upper=False
        ))  # fmt: skip
    return made


def _epoch(moment: datetime | None, year: int) -> int:
    return int((moment or datetime(year, 1, 1, tzinfo=UTC)).timestamp())


def relation_of(kind: str) -> tuple[str, str, str]:
    """Where posts or threads are, what names one of them, and what is looked through."""
    return ("clean.all_posts", "post_id", "text") if kind == "post" else ("clean.all_threads", "thread_id", "title")


def _columns(kind: str) -> str:
    shared = "platform, instance, community, thread_id, author_id, author_name, url, created_at, deleted_at"
    return (
        f"{shared}, post_id, title, text, edited_at, score"
        if kind == "post"
        else f"{shared}, title, title as text, reply_count"
    )


def said_in(row: Row) -> str:
    """A post's title stands before its words, if it has one; a thread has its title only."""
    return " · ".join(filter(None, dict.fromkeys((row["title"], row["text"]))))


def marker(asked: query_language.Asked[Any]) -> Any:
    """A function that finds in a text what the query meant."""

    def wanted(word: str) -> bool:
        stems = {stem for language in LANGUAGES for stem in words(word, language)}
        plain = (words(word) or [""])[0]
        return (
            bool(stems & asked.stems)
            or any(plain.startswith(prefix) for prefix in asked.prefixes)
            or any(_distance(plain, one, most) <= most for one, most in asked.fuzzy)
        )

    return lambda said: (found for found in re.finditer(r"[^\W_]+", said) if wanted(found[0]))


def _distance(a: str, b: str, most: int) -> int:
    """Letters that differ, one more or one less each; more than `most` is not counted out."""
    if abs(len(a) - len(b)) > most:
        return most + 1
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        above, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (letter != other))
    return row[-1]


def pieces(said: str, marks: Any) -> list[tuple[str, bool]]:
    """A text cut to what stands around its first marks."""
    spans: list[tuple[int, int]] = []
    for found in marks(said[:20_000]):
        spans.append(found.span())
        if len(spans) == 30:
            break
    windows: list[list[int]] = []
    for start, end in spans or [(0, 0)]:
        if windows and start - AROUND <= windows[-1][1]:
            windows[-1][1] = end + AROUND
        elif len(windows) < FRAGMENTS:
            windows.append([max(0, start - AROUND), end + AROUND])
    made: list[tuple[str, bool]] = []
    for first, last in windows:
        if first > 0:
            made.append((" … ", False))
        at = first
        for start, end in (one for one in spans if first <= one[0] < last):
            end = min(end, start + 200)
            made += [(said[at:start], False), (said[start:end], True)]
            at = end
        made.append((said[at : max(last, at)], False))
    if windows[-1][1] < len(said):
        made.append((" …", False))
    return [(text.visible(piece), marked) for piece, marked in made if piece]
