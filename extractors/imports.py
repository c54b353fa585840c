"""Files that people export elsewhere and drop into a folder: each becomes one observation of its community.

It is committed under the hour in which it was exported, by a run named after its content, so that a file that is
imported twice is there already.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from hashlib import file_digest
from itertools import islice
from pathlib import Path
from uuid import uuid4

from extractors.discord import Discord
from extractors.discord_export import Export, NoExport
from extractors.lake import Commit, Lake, Receipt
from extractors.platform import Entity, floor_hour
from extractors.records import Columns
from extractors.spool import MOST, Spool
from extractors.store import Store

ENDINGS = (".json", ".json.gz")
SPOOLED: tuple[Entity, ...] = ("threads", "posts")
ROWS = 500  # converted at once
RUN = "import-"
"""How the ids of these runs begin."""


@dataclass(frozen=True)
class Imported:
    """What became of one file. `commit` is None where it was imported before or is no export; `problem` says what is
    wrong with it, in a sentence."""

    file: Path
    commit: Commit | None = None
    messages: int = 0
    problem: str = ""


def find(path: Path) -> list[Path]:
    """The files of a folder, or the one. Raises ValueError if there is none."""
    found = [path] if path.is_file() else [file for file in sorted(path.rglob("*")) if file.name.endswith(ENDINGS)]
    if not found:
        raise ValueError(f"{path} holds no export: drop DiscordChatExporter's .json or .json.gz files into it.")
    return found


def fetched(store: Store, names: Iterable[str]) -> Iterator[Path]:
    """Copies of the exports among these objects, each until the next is asked for."""
    for name in names:
        with suppress(FileNotFoundError):  # deleted since it was listed
            if name.endswith(ENDINGS):
                with store.local([name]) as (file,):
                    moment = store.modified(name)
                    os.utime(file, (moment, moment))
                    yield file


def imported(files: Iterable[Path], lake: Lake, platform: Discord, scratch: Path) -> Iterator[Imported]:
    """Import what is not in the lake yet; a file that is no export is told and left."""
    scratch.mkdir(parents=True, exist_ok=True)
    commits = "\n".join(lake.store.list(f"{platform.name}/commits/"))
    for file in files:
        try:
            with file.open("rb") as content:
                run_id = f"{RUN}{file_digest(content, 'sha256').hexdigest()[:16]}"
            if run_id in commits:
                yield Imported(file)
            else:
                # with a mark of its own, since one that was killed may have left files of that name
                yield _import(Export(file), f"{run_id}-{uuid4().hex[:6]}", lake, platform, scratch)
        except (NoExport, OSError) as problem:
            yield Imported(file, problem=str(problem))


def _import(export: Export, run_id: str, lake: Lake, platform: Discord, scratch: Path) -> Imported:
    community, spool, errors = export.community, Spool(scratch, MOST), 0
    threads, posts = (Columns(platform, entity, community, run_id) for entity in SPOOLED)
    threads.add([platform.row("threads", community, export.head, export.observed_at, "export")])
    try:
        messages = export.messages()
        while some := list(islice(messages, ROWS)):
            rows = [platform.row("posts", community, record, export.observed_at, "export") for record in some]
            errors += sum(map(bool, posts.add([row._replace(thread_id=export.channel) for row in rows])))
            spool.add("posts", posts.take())
        spool.add("threads", threads.take())
        hour = floor_hour(export.observed_at.astimezone(UTC))
        observation = lake.observe(platform.name, hour, export.observed_at, run_id)
        for entity in SPOOLED:
            observation.write(entity, spool.take(entity))
        receipt = Receipt(
            community.instance, complete=not export.warning, error=export.warning or None,
            threads=1, posts=export.count, parse_errors=errors, source="export",
        )  # fmt: skip
        return Imported(export.path, observation.commit({community.key: receipt}), export.count, export.warning)
    finally:
        spool.close()
