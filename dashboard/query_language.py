"""What people type into the search box: words, "phrases", AND OR NOT, + and -, brackets, `prefix*`, `fuzzy~` and
`fuzzy~2`.

Words between which nothing stands must all be there. Nothing typed is an error: what is not closed ends where the
text does. What the parts become is for whoever searches: `Terms`.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from orchestration.search_index import LANGUAGES, schema, words

if TYPE_CHECKING:
    import tantivy

TOKEN = re.compile(r'[()]|[+-](?=\S)|"[^"]*"?|[^\s()"]+')
MOST_TOKENS = 60
FARTHEST = 2  # edits that a fuzzy word may be away
Q = TypeVar("Q")


@dataclass
class Asked(Generic[Q]):
    """A query as whoever searches understands it, and what of it is marked in the texts that are found."""

    query: Q
    stems: set[str] = field(default_factory=set)
    prefixes: set[str] = field(default_factory=set)
    fuzzy: list[tuple[str, int]] = field(default_factory=list)


class Terms(ABC, Generic[Q]):
    """Makes conditions; None for what has no word in it. `wanted`: it is to be there."""

    @abstractmethod
    def all(self, parts: Sequence[tuple[bool, Q]]) -> Q:
        """Each of the parts is there, or (False) is not."""

    @abstractmethod
    def either(self, parts: Sequence[Q]) -> Q:
        """One of them is there, or several."""

    @abstractmethod
    def phrase(self, text: str, wanted: bool) -> Q | None:
        """A word, or several in their order."""

    @abstractmethod
    def prefix(self, text: str, wanted: bool) -> Q | None:
        """A word that begins so."""

    @abstractmethod
    def fuzzy(self, text: str, distance: int, wanted: bool) -> Q | None:
        """A word that differs by so many letters at most."""


def parse(text: str, terms: Terms[Q]) -> Asked[Q] | None:
    """None where there is no word in it."""
    parser = _Parser(TOKEN.findall(text)[:MOST_TOKENS], terms)
    query = parser.either()
    if query is None:
        return None
    return Asked(terms.all([(True, query)]), parser.stems, parser.prefixes, parser.fuzzy)


class _Parser(Generic[Q]):
    def __init__(self, tokens: list[str], terms: Terms[Q]) -> None:
        self._tokens, self._at, self._wanted, self._terms = tokens, 0, True, terms
        self.stems: set[str] = set()
        self.prefixes: set[str] = set()
        self.fuzzy: list[tuple[str, int]] = []

    def either(self) -> Q | None:
        """Parts with OR between them."""
        parts = [self._all()]
        while self._peek() == "OR":
            self._at += 1
            parts.append(self._all())
        there = [part for part in parts if part is not None]
        if len(there) < 2:
            return there[0] if there else None
        return self._terms.either(there)

    def _all(self) -> Q | None:
        """Parts with AND between them, or nothing."""
        parts: list[tuple[bool, Q]] = []
        while (token := self._peek()) not in (None, "OR", ")"):
            unwanted = False
            while token in ("AND", "NOT", "+", "-"):
                unwanted ^= token in ("NOT", "-")
                self._at += 1
                token = self._peek()
            if token in (None, "OR", ")"):
                break
            before, self._wanted = self._wanted, self._wanted ^ unwanted
            part = self._one()
            self._wanted = before
            if part is not None:
                parts.append((not unwanted, part))
        return self._terms.all(parts) if parts else None

    def _one(self) -> Q | None:
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

    def _phrase(self, text: str) -> Q | None:
        if self._wanted:
            self.stems.update(stem for language in LANGUAGES for stem in words(text, language))
        return self._terms.phrase(text, self._wanted)

    def _prefix(self, text: str) -> Q | None:
        found = words(text)
        if self._wanted and found:
            self.prefixes.add(found[-1])
        return self._terms.prefix(text, self._wanted) if found else None

    def _fuzzy(self, text: str, distance: int) -> Q | None:
        found = words(text)
        if len(found) != 1:
            return self._phrase(text)
        if self._wanted:
            self.fuzzy.append((found[0], distance))
        return self._terms.fuzzy(text, min(distance, FARTHEST), self._wanted)

    def _peek(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None


class InIndex(Terms["tantivy.Query"]):
    """What the index of this machine is asked: words by their stems in any of the languages, without accents."""

    def all(self, parts: Sequence[tuple[bool, "tantivy.Query"]]) -> "tantivy.Query":
        import tantivy

        made = [(tantivy.Occur.Must if there else tantivy.Occur.MustNot, part) for there, part in parts]
        if not any(there for there, _ in parts):
            made.append((tantivy.Occur.Must, tantivy.Query.all_query()))
        return tantivy.Query.boolean_query(made)

    def either(self, parts: Sequence["tantivy.Query"]) -> "tantivy.Query":
        import tantivy

        return tantivy.Query.boolean_query([(tantivy.Occur.Should, part) for part in parts])

    def phrase(self, text: str, wanted: bool) -> "tantivy.Query | None":
        import tantivy

        ways = {tuple(words(text, language)) for language in LANGUAGES} - {()}
        queries = [
            tantivy.Query.phrase_query(schema(), "stems", list(way))
            if len(way) > 1
            else tantivy.Query.term_query(schema(), "stems", way[0])
            for way in sorted(ways)
        ]
        if len(queries) < 2:
            return queries[0] if queries else None
        return tantivy.Query.disjunction_max_query(queries)

    def prefix(self, text: str, wanted: bool) -> "tantivy.Query | None":
        import tantivy

        *before, last = words(text)
        if before:
            return tantivy.Query.phrase_prefix_query(schema(), "words", [*before, last])
        return tantivy.Query.regex_query(schema(), "words", f"{re.escape(last)}.*")

    def fuzzy(self, text: str, distance: int, wanted: bool) -> "tantivy.Query | None":
        import tantivy

        return tantivy.Query.fuzzy_term_query(schema(), "words", words(text)[0], distance)
