"""Search in BigQuery: words by `SEARCH()`, which asks the search indexes that dbt makes with the clean tables.

It knows words as they are written and not their stems, and no ranking: what has them most often comes first. Prefixes
and fuzzy words it does not know at all; they are looked for in every text.
"""

import re
from collections.abc import Sequence
from typing import Any

from dashboard.query_language import Terms, parse
from dashboard.reader import Row
from dashboard.search import Question, Searcher, marker, pieces, said_in

DELIMITERS = r"\s\[\]<>(){}|!;,'\"*&?+/:=@.\-$%\\_~^`"
"""Where BigQuery's analyzer of logs cuts a text, and what means something in a query for it."""
BETWEEN, EDGE, WORD = f"[{DELIMITERS}]+", f"(?:^|[{DELIMITERS}])", f"[^{DELIMITERS}]+"


class InSql(Terms[str]):
    """Conditions on a row; `values` are those of their `$names`. `counted`: patterns of what is to be there."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.values: dict[str, Any] = {}
        self.counted: list[str] = []
        self._columns = f"({', '.join(columns)})" if len(columns) > 1 else columns[0]
        said = " || ' ' || ".join(f"coalesce({column}, '')" for column in columns)
        self.said = f"lower({said})"

    def all(self, parts: Sequence[tuple[bool, str]]) -> str:
        return f"({' and '.join(part if there else f'not {part}' for there, part in parts)})"

    def either(self, parts: Sequence[str]) -> str:
        return f"({' or '.join(parts)})"

    def phrase(self, text: str, wanted: bool) -> str | None:
        found = tokens(text)
        if not found:
            return None
        found_by = f"search({self._columns}, {self._value(' '.join(found))})"
        pattern = f"{EDGE}{BETWEEN.join(map(re.escape, found))}(?:[{DELIMITERS}]|$)"
        if wanted:
            self.counted.append(pattern)
        return found_by if len(found) == 1 else f"({found_by} and {self._matches(pattern)})"

    def prefix(self, text: str, wanted: bool) -> str | None:
        found = tokens(text)
        if not found:
            return None
        pattern = f"{EDGE}{BETWEEN.join(map(re.escape, found))}"
        if wanted:
            self.counted.append(pattern)
        return self._matches(pattern)

    def fuzzy(self, text: str, distance: int, wanted: bool) -> str | None:
        found = tokens(text)
        if len(found) != 1:
            return self.phrase(text, wanted)
        each, word = f"regexp_extract_all({self.said}, {self._value(WORD)})", self._value(found[0])
        return f"exists (select 1 from unnest({each}) as word where edit_distance(word, {word}) <= {distance})"

    def rank(self) -> str:
        """How often what is to be there stands in a text."""
        if not self.counted:
            return ""
        return f"array_length(regexp_extract_all({self.said}, {self._value('|'.join(self.counted))}))"

    def _matches(self, pattern: str) -> str:
        return f"regexp_contains({self.said}, {self._value(pattern)})"

    def _value(self, value: str) -> str:
        name = f"word_{len(self.values)}"
        self.values[name] = value
        return f"${name}"


class BigQuerySearcher(Searcher):
    def _by_words(self, question: Question) -> tuple[list[Row], int]:
        terms = InSql(("title", "text") if question.values["kind"] == "post" else ("title",))
        asked = parse(question.text, terms)
        if asked is None:
            return [], 0
        rank = terms.rank()
        rows, total = self._asked(question, asked.query, terms.values, rank)
        return [{**row, "pieces": pieces(said_in(row), marker(asked))} for row in rows], total


def tokens(text: str) -> list[str]:
    """As BigQuery cuts them, in small letters."""
    return re.findall(WORD, text.lower())
