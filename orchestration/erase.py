"""`threadlake erase`: an author or a post out of lake, warehouse, published copies and search index, for good.

First a tombstone is written, so that nothing comes back meanwhile; then what is to be done, so that a kill leaves it to
the next call; then it is done; then everything is read once more to see whether it is. The last step forgets what was
to be done.
"""

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime

from extractors import erasure
from extractors.erasure import ERASING, TEXT, Erased, Traces
from extractors.locks import HISTORY, READING, alone
from extractors.platform import Platform, Record, dumps
from extractors.records import digest
from extractors.store import Bucket
from orchestration.dbt import DbtError, explain, failed
from orchestration.duckdb_erasure import showing
from orchestration.pipeline import Pipeline
from orchestration.publish import current
from orchestration.settings import BigQueryPlace

log = logging.getLogger(__name__)
IDS = "(?:quoted_)?author_id|creator_id|user_id|owner_id|trip"
SHORTEST = 3
"""Letters: shorter names stand in too many words."""
AT_ONCE = 500  # expressions of one scan of a table


@dataclass(frozen=True)
class Erasure:
    """What was found and erased, and where anything is left, in words."""

    what: str
    posts: int
    others: int
    commits: int
    left: Sequence[str]

    def __str__(self) -> str:
        if not (self.posts or self.others or self.commits):
            done = f"{self.what}: nothing of it was there; should it come, it stays out."
        else:
            done = (
                f"{self.what}: {self.posts} posts erased, and what {self.others} rows of others showed of them; "
                f"{self.commits} commits of the lake written anew."
            )
        if self.left:
            seen = "Still there: " + "; ".join(self.left) + "."
        else:
            seen = "A scan of lake, warehouse, published copies and search index finds nothing of it."
        return f"{done}\n{seen}"


def parse(pipeline: Pipeline, text: str, what: str) -> tuple[Platform, str, str]:
    """Platform, instance and id of `PLATFORM:INSTANCE:ID`. Raises ValueError in a sentence."""
    name, _, rest = text.partition(":")
    port = re.match(r"[^:/]+:\d+(?=[:/])", rest)  # of an instance
    at = rest.find(":", port.end() if port else 0)
    instance, id = (rest[:at], rest[at + 1 :]) if at > 0 else (rest, "")
    if not (name and instance and id):
        raise ValueError(
            f"{what} must be PLATFORM:INSTANCE:ID, such as discourse:forum.example:42 or fourchan:4chan.org:po/570368, "
            f"not {text!r}: the columns of clean.all_posts have all three."
        )
    return pipeline.platform(name), instance, id


def erase(pipeline: Pipeline, authors: Sequence[str] = (), posts: Sequence[str] = ()) -> list[Erasure]:
    """Erase authors with all that is theirs, or single posts. Doing it again finishes what a kill left half done. Waits
    for the runs that read their platforms. Raises ValueError for what names none."""
    asked = [(text, "author", "--author") for text in authors] + [(text, "post", "--post") for text in posts]
    if not asked:
        raise ValueError("Say whom or what: --author PLATFORM:INSTANCE:ID, --post PLATFORM:INSTANCE:ID, or several.")
    named = [(*parse(pipeline, text, option), kind) for text, kind, option in asked]
    work = [from_lake(pipeline, platform, instance, id, kind) for platform, instance, id, kind in named]
    _from_warehouse(pipeline, work)
    done = []
    for one in work:
        left = list(scan(pipeline, one))
        pipeline.lake.store.delete(one.pending)  # whatever is left: it has names, and this was all that can be done
        traces = one.traces
        others = len(traces.touched_posts - traces.posts) + len(traces.touched_threads)
        found = len(traces.posts) if traces.hours else 0
        done.append(Erasure(one.what, found, others, one.commits, left))
    return done


@dataclass(frozen=True)
class Work:
    """What one erasure is about: its tombstones, its traces, where they are kept until it is finished, and how many
    commits were written anew."""

    what: str
    platform: Platform
    those: Erased
    traces: Traces
    pending: str
    commits: int


def from_lake(pipeline: Pipeline, platform: Platform, instance: str, id: str, kind: str) -> Work:
    """Out of the lake: the tombstone, the traces, and the rows."""
    store, lake, author = pipeline.lake.store, pipeline.lake, kind == "author"
    traces = Traces(instance, id if author else None, set() if author else {id})
    those = erasure.hasher(store, platform.name)
    traces.hashes.add(name := those.hash("author" if author else "post", instance, id))
    pending = f"{ERASING}/{platform.name}/{name}.json"
    with suppress(FileNotFoundError):
        traces.add(store.read(pending))
    erasure.bury(store, platform.name, name, traces.hashes)
    with _nobody_reading(pipeline, platform), pipeline.rewriting(platform):
        lake.finish_rewrites(platform.name)
        erasure.own_rows(lake, platform, those, traces)
        erasure.bury(store, platform.name, name, traces.hashes)
        those = erasure.hasher(store, platform.name)
        erasure.touched(lake, platform, those, traces)
        store.replace(pending, traces.dumps())
        commits = _rewrite(pipeline, platform, those, instance)
    return Work(f"{kind.capitalize()} {id} of {instance}", platform, those, traces, pending, commits)


def _nobody_reading(pipeline: Pipeline, platform: Platform) -> ExitStack:
    """Held while rows are written anew: whoever began to write before the tombstone was there has ended by then."""
    from extractors.crawl import PATIENCE

    keys = {one.key for one in pipeline.lake.tracked(platform.name)}
    with ExitStack() as stack:
        for what in (HISTORY, READING):
            for key in sorted(keys):
                stack.enter_context(alone(what, key, pipeline.lake.store, pipeline.scratch, PATIENCE))
        return stack.pop_all()


def _rewrite(pipeline: Pipeline, platform: Platform, those: Erased, instance: str) -> int:
    """Every commit that has anything of them, and every state."""
    lake, commits = pipeline.lake, 0
    for commit in lake.commits(platform.name):
        commits += lake.rewrite(commit, those.without) is not None
    for name, state in lake.remembered(platform.name):
        if (fresh := those.forgotten(state, instance)) != state:
            lake.store.replace(name, dumps(fresh))
    return commits


def _from_warehouse(pipeline: Pipeline, work: Sequence[Work]) -> None:
    """Out of the clean tables, and back from the lake what is to stay; then the marts, the copies, the index."""
    rows = sum(pipeline.warehouse.forget(one.platform.name, one.traces) for one in work)
    platforms = list({one.platform.name: one.platform for one in work}.values())
    hours = sorted({datetime.fromisoformat(hour) for one in work for hour in one.traces.hours})
    if not (rows or hours) or not pipeline.warehouse.has("clean", "observations"):
        return
    pipeline.dbt.prepare()
    for some in pipeline.warehouse.portions(hours) or [[]]:
        if some:
            pipeline.load(some, platforms)
        nodes = pipeline.dbt.build(some, pipeline.settings.now())
        if broken := failed(nodes):
            raise DbtError(explain(broken))
    pipeline.publish(anew=True)


# -- the proof -----------------------------------------------------------------------------------------------------


def scan(pipeline: Pipeline, work: Work) -> Iterator[str]:
    """Where anything is left, in words: each place that shows the author's id, a name, or a text."""
    platform, those, traces = work.platform, work.those, work.traces
    named = re.compile("|".join(_named(traces, r"\w")) or "(?!)")
    rows = words = 0
    for commit in pipeline.lake.commits(platform.name):
        for entity, table in pipeline.lake.tables(commit):
            rows += len(erasure.sifted(those, entity, table)[1])
            words += sum(_says(row, named, traces) for row in table.to_pylist() if row["instance"] == traces.instance)
        if named.search(commit.dumps().decode()):
            yield f"the commit {commit.name}"
    if rows:
        yield f"{rows} rows of the lake"
    if words:
        yield f"{words} rows of the lake whose own words have the name or the text"
    for name, state in pipeline.lake.remembered(platform.name):
        if those.forgotten(state, traces.instance) != state or named.search(str(state)):
            yield f"the state {name}"
    sought = patterns(traces)
    for some in (sought[start : start + AT_ONCE] for start in range(0, len(sought), AT_ONCE)):
        for relation, number in pipeline.warehouse.showing(platform.name, traces.instance, some).items():
            yield f"{number} rows of {relation}"
        for relation, number in _published(pipeline, platform, traces, some).items():
            yield f"{number} rows of {relation} as published"
    if number := indexed(pipeline, platform, traces):
        yield f"{number} documents of the search index"


def _published(pipeline: Pipeline, platform: Platform, traces: Traces, some: Sequence[str]) -> Mapping[str, int]:
    path = current(pipeline.settings.published)
    if path is None or isinstance(pipeline.settings.warehouse, BigQueryPlace):
        return {}
    import duckdb

    with duckdb.connect(path, read_only=True) as connection:
        return showing(connection, platform.name, traces.instance, some)


def patterns(traces: Traces) -> list[str]:
    """What a row of a warehouse shows that has something of them: regular expressions of RE2 over its JSON."""
    found = _named(traces, r"\pL\pN_")
    found += [rf'post_id"\s*:\s*"{re.escape(post)}"' for post in sorted(traces.posts)]
    if traces.author is not None:
        id = re.escape(traces.author)
        found.append(rf'(?:{IDS})\\*"\s*:\s*\\*"?{id}\\*"?[,}}\]]')
        found.append(rf'author_ids"\s*:\s*\[[^\]]*"{id}"')
    return found


def _named(traces: Traces, letters: str) -> list[str]:
    """A regular expression for each name that stands alone; `letters`: what words are made of, in its dialect."""
    names = [re.escape(name) for name in sorted(traces.names) if len(name) >= SHORTEST]
    return [f"(?:^|[^{letters}]){name}(?:$|[^{letters}])" for name in names]


def _says(row: Record, named: re.Pattern[str], traces: Traces) -> bool:
    text = row["text"]
    if isinstance(text, str) and len(text) >= TEXT and digest(text.encode()) in traces.texts:
        return True
    return any(named.search(value) for value in (text, row["payload"]) if value)


def indexed(pipeline: Pipeline, platform: Platform, traces: Traces) -> int:
    """How many documents of the search index are by the author, or are the posts."""
    import tantivy

    from orchestration.search_index import place_of, schema

    place = place_of(pipeline.settings.search_index)
    if place is None:
        return 0
    searcher = tantivy.Index.open(str(place)).searcher()

    def of(name: str, value: str) -> "tantivy.Query":
        return tantivy.Query.term_query(schema(), name, value)

    posts = [of("found", json.dumps([platform.name, traces.instance, post])) for post in traces.posts]
    told = [(of("kind", "post"), one) for one in posts]  # a thread may have the same id
    if traces.author is not None:
        told.append((of("platform", platform.name), of("author", traces.author)))
    both = tantivy.Occur.Must
    queries = [tantivy.Query.boolean_query([(both, one), (both, other)]) for one, other in told]
    return sum(len(searcher.search(query, 1).hits) for query in queries)


def held(pipeline: Pipeline) -> Iterator[str]:
    """What else holds for a time what was erased, in sentences."""
    if isinstance(pipeline.settings.lake, Bucket):
        yield (
            f"{pipeline.settings.lake} keeps what was deleted as long as its soft delete is set: 7 days where nobody "
            "changed it (`gcloud storage buckets describe --format='value(soft_delete_policy)'`)."
        )
    if isinstance(pipeline.settings.warehouse, BigQueryPlace):
        yield (
            "BigQuery shows it by time travel for 7 days where no dataset says otherwise, and its fail-safe keeps it 7 "
            "days more."
        )
    else:
        yield (
            "Freed blocks of the warehouse's file keep it until they are written again; snapshots and copies that you "
            "made of disks keep it too."
        )
