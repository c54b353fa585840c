"""What people type into the search box: words, "phrases", AND OR NOT, + and -, brackets, `prefix*`, `fuzzy~` and
`fuzzy~2`.

Words between which nothing stands must all be there. Nothing typed is an error: what is not closed ends where the
text does.
"""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestration.search_index import LANGUAGES, schema, words

if TYPE_CHECKING:
    import tantivy

TOKEN = re.compile(r'[()]|[+-](?=\S)|"[^"]*"?|[^\s()"]+')
MOST_TOKENS = 60
FARTHEST = 2  # edits that a fuzzy word may be away


@dataclass
class Asked:
    """A query as the index understands it, and what of it is marked in the texts that are found."""

    query: "tantivy.Query"
    stems: set[str] = field(default_factory=set)
    prefixes: set[str] = field(default_factory=set)
    fuzzy: list[tuple[str, int]] = field(default_factory=list)


def parse(text: str) -> Asked | None:
    """None where there is no word in it."""
    import tantivy

    parser = _Parser(TOKEN.findall(text)[:MOST_TOKENS])
    query = parser.either()
    if query is None:
        return None
    return Asked(
        tantivy.Query.boolean_query([(tantivy.Occur.Must, query)]), parser.stems, parser.prefixes, parser.fuzzy
    )


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens, self._at, self._negated = tokens, 0, False
        self.stems: set[str] = set()
        self.prefixes: set[str] = set()
        self.fuzzy: list[tuple[str, int]] = []

    def either(self) -> "tantivy.Query | None":
        """Parts with OR between them."""
        import tantivy

        parts = [self._all()]
        while self._peek() == "OR":
            self._at += 1
            parts.append(self._all())
        there = [part for part in parts if part is not None]
        if len(there) < 2:
            return there[0] if there else None
        return tantivy.Query.boolean_query([(tantivy.Occur.Should, part) for part in there])

    def _all(self) -> "tantivy.Query | None":
        """Parts with AND between them, or nothing."""
        import tantivy

        parts: list[tuple[tantivy.Occur, tantivy.Query]] = []
        while (token := self._peek()) not in (None, "OR", ")"):
            unwanted = False
            while token in ("AND", "NOT", "+", "-"):
                unwanted ^= token in ("NOT", "-")
                self._at += 1
                token = self._peek()
            if token in (None, "OR", ")"):
                break
            before, self._negated = self._negated, self._negated ^ unwanted
            part = self._one()
            self._negated = before
            if part is not None:
                parts.append((tantivy.Occur.MustNot if unwanted else tantivy.Occur.Must, part))
        if parts and all(occur == tantivy.Occur.MustNot for occur, _ in parts):
            parts.append((tantivy.Occur.Must, tantivy.Query.all_query()))
        return tantivy.Query.boolean_query(parts) if parts else None

    def _one(self) -> "tantivy.Query | None":
        token = self._tokens[self._at]
        self._at += 1
        if token == "(":
            inner = self.either()
            if self._peek() == ")":
                self._at += 1
            return inner
        if not token.startswith('"'):
            if found := re.fullmatch(r"(.+?)~([12]?)", token):
                return self._fuzzy(found[1], int(found[2] or 1))
            if token.endswith("*"):
                return self._prefix(token.rstrip("*"))
        return self._phrase(token)

    def _phrase(self, text: str) -> "tantivy.Query | None":
        """One word or several in their order, by their stems in any of the languages."""
        import tantivy

        ways = {tuple(words(text, language)) for language in LANGUAGES} - {()}
        if not self._negated:
            self.stems.update(stem for way in ways for stem in way)
        queries = [
            tantivy.Query.phrase_query(schema(), "stems", list(way))
            if len(way) > 1
            else tantivy.Query.term_query(schema(), "stems", way[0])
            for way in sorted(ways)
        ]
        if len(queries) < 2:
            return queries[0] if queries else None
        return tantivy.Query.disjunction_max_query(queries)

    def _prefix(self, text: str) -> "tantivy.Query | None":
        import tantivy

        *before, last = words(text) or [""]
        if not last:
            return None
        if not self._negated:
            self.prefixes.add(last)
        if before:
            return tantivy.Query.phrase_prefix_query(schema(), "words", [*before, last])
        return tantivy.Query.regex_query(schema(), "words", f"{re.escape(last)}.*")

    def _fuzzy(self, text: str, distance: int) -> "tantivy.Query | None":
        import tantivy

        found = words(text)
        if len(found) != 1:
            return self._phrase(text)
        if not self._negated:
            self.fuzzy.append((found[0], distance))
        return tantivy.Query.fuzzy_term_query(schema(), "words", found[0], min(distance, FARTHEST))

    def _peek(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None
