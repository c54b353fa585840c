"""The search index of one machine: what words stand in which post or thread, kept beside what is published.

It holds no text, only where to find it. It follows the publications partition by partition, by the same
fingerprints: those that differ from what was indexed are taken out and put in again. Doing it again changes nothing,
so a kill costs only time.
"""

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from orchestration.publish import current

if TYPE_CHECKING:
    import duckdb
    import tantivy

VERSION = "2"  # of the schema and the analyzers: another one is built anew
LANGUAGES = ("english", "german")
GERMAN = ("mods_de",)
"""Platforms whose words are German; the others' are taken for English."""
LONGEST_WORD = 60
HEAP = 96_000_000
BATCH = 5_000
KINDS = {"post": ("clean.all_posts", "post_id"), "thread": ("clean.all_threads", "thread_id")}


@dataclass(frozen=True)
class Indexed:
    """What an update did."""

    documents: int
    partitions: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.documents} posts and threads of {self.partitions} partitions indexed in {self.seconds:.1f} s"


@cache
def schema() -> "tantivy.Schema":
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_text_field("found", stored=True, tokenizer_name="raw", index_option="basic")  # platform, instance, id
    builder.add_text_field("part", stored=True, tokenizer_name="raw", index_option="basic")  # kind, hour
    for name in ("kind", "platform", "community", "author"):
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    builder.add_integer_field("created", indexed=True, fast=True)
    builder.add_boolean_field("deleted", indexed=True)
    builder.add_boolean_field("edited", indexed=True)
    builder.add_text_field("words", tokenizer_name="whitespace")
    builder.add_text_field("stems", tokenizer_name="whitespace")
    return builder.build()


@cache
def analyzer(language: str | None) -> "tantivy.TextAnalyzer":
    """Small letters without accents, cut at what is no letter or digit; their stems, in a language."""
    import tantivy

    made = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for one in (tantivy.Filter.remove_long(LONGEST_WORD), tantivy.Filter.lowercase(), tantivy.Filter.ascii_fold()):
        made = made.filter(one)
    return (made.filter(tantivy.Filter.stemmer(language)) if language else made).build()


def words(text: str, language: str | None = None) -> list[str]:
    found: list[str] = analyzer(language).analyze(text)
    return found


def update(published: Path, folder: Path, rebuild: bool = False) -> Indexed:
    """Make the index say what the publication says; with `rebuild` from nothing."""
    import duckdb
    import tantivy

    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "indexing.lock", thread_local=False):
        source = current(published)
        if source is None:
            return Indexed(0, 0, 0.0)
        place, known = _place(folder, rebuild)
        documents = partitions = 0
        with duckdb.connect(source, read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            index = tantivy.Index(schema(), path=str(place))
            writer = index.writer(HEAP, 1)
            wanted = _partitions(connection)
            for kind in KINDS:
                changed = {
                    part for part in wanted[kind].keys() | known.get(kind, {}).keys()
                    if wanted[kind].get(part) != known.get(kind, {}).get(part)
                }  # fmt: skip
                for part in changed & known.get(kind, {}).keys():
                    writer.delete_documents_by_term("part", f"{kind} {part}")
                for document in _documents(connection, kind, changed & wanted[kind].keys()):
                    writer.add_document(document)
                    documents += 1
                partitions += len(changed)
            writer.commit()
            writer.wait_merging_threads()
        _remember(folder, place, wanted)
    return Indexed(documents, partitions, time.monotonic() - began)


def place_of(folder: Path) -> Path | None:
    """Where the index is that is whole; None before the first one."""
    try:
        return folder / str(json.loads((folder / "current").read_text())["place"])
    except (FileNotFoundError, ValueError):
        return None


def _place(folder: Path, rebuild: bool) -> tuple[Path, Mapping[str, Mapping[str, Any]]]:
    """The folder to write in, and what is indexed there: an empty one where everything is to be made anew."""
    try:
        state = json.loads((folder / "current").read_text())
        if not rebuild and state["version"] == VERSION and (folder / state["place"]).exists():
            return folder / state["place"], state["partitions"]
    except (FileNotFoundError, ValueError, KeyError):
        pass
    place = folder / f"{time.time_ns():x}"
    place.mkdir()
    return place, {}


def _remember(folder: Path, place: Path, partitions: Mapping[str, Mapping[str, Any]]) -> None:
    fresh = folder / "current.tmp"
    fresh.write_text(json.dumps({"version": VERSION, "place": place.name, "partitions": partitions}))
    fresh.replace(folder / "current")
    for other in folder.iterdir():
        if other.is_dir() and other != place:
            shutil.rmtree(other, ignore_errors=True)


def _partitions(connection: "duckdb.DuckDBPyConnection") -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for kind, (relation, _) in KINDS.items():
        rows = connection.execute(
            "select part, row_count, cast(fingerprint as varchar) from published.partitions where relation = $relation",
            {"relation": relation},
        ).fetchall()
        found[kind] = {part: [count, fingerprint] for part, count, fingerprint in rows}
    return found


def _documents(connection: "duckdb.DuckDBPyConnection", kind: str, parts: set[str]) -> Iterator["tantivy.Document"]:
    import tantivy

    relation, key = KINDS[kind]
    if not parts:
        return
    edited = "edited_at is not null" if kind == "post" else "false"
    rows = connection.execute(
        f"""
        select cast(created_hour as varchar) as part, platform, instance, {key}, community, author_id, title,
            {"text" if kind == "post" else "null"}, epoch(created_at), deleted_at is not null, {edited}
        from {relation} where created_hour in (select cast(unnest($parts) as timestamptz))
        """,
        {"parts": sorted(parts)},
    )
    while batch := rows.fetchmany(BATCH):
        for part, platform, instance, row_id, community, author, title, text, created, deleted, was_edited in batch:
            said = " ".join(filter(None, (title, text)))
            language = LANGUAGES[platform in GERMAN]
            yield tantivy.Document(
                found=json.dumps([platform, instance, row_id]), part=f"{kind} {part}", kind=kind, platform=platform,
                community=community, author=author or "", created=int(created), deleted=deleted, edited=was_edited,
                words=" ".join(words(said)), stems=" ".join(words(said, language)),
            )  # fmt: skip
