"""Files that people exported elsewhere, into the lake: by `threadlake import`, and by schedule from one folder, or
bucket."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import dagster as dg

from extractors.discord import Discord
from extractors.imports import ENDINGS, Imported, fetched, find, imported
from extractors.store import Bucket, Place
from orchestration.pipeline import Pipeline
from orchestration.resources import open_bucket

SKEW = 300.0
"""Seconds by which Google's clock may differ from this machine's."""


def import_exports(pipeline: Pipeline, place: Place) -> tuple[list[datetime], int]:
    """Import what is not in the lake yet, and print what became of each file. Returns the hours that have something new
    now, and how many files have a problem. Raises ValueError without files."""
    hours, problems = set(), 0
    for one in _imported(pipeline, place):
        if one.commit:
            hours.add(one.commit.hour)
        if one.commit or not one.problem:
            print(_said(one))
        if one.problem:
            problems += 1
            print(f"threadlake: {one.problem}", file=sys.stderr)
    return sorted(hours), problems


def import_job(pipeline: Pipeline, place: Place) -> dg.JobDefinition:
    """`import_exports`: what is new in the folder or bucket, into the lake."""

    @dg.op
    def import_files(context: dg.OpExecutionContext) -> None:
        began = time.time() - 0.1  # the times of files are a little coarse
        for one in _imported(pipeline, place, _since(pipeline)):
            if one.commit:
                context.log.info(_said(one))
            if one.problem:
                context.log.error(one.problem)
        mark = _mark(pipeline)
        mark.touch()
        os.utime(mark, (began, began))

    @dg.job(executor_def=dg.in_process_executor, description=f"Import the exports that are new in {place}.")
    def import_exports() -> None:
        import_files()

    return import_exports


def has_news(pipeline: Pipeline, place: Place) -> bool:
    """Whether anything there came or changed since the last import by schedule began. No file is read."""
    since = _since(pipeline)
    if isinstance(place, Bucket):
        return any(name.endswith(ENDINGS) for name in open_bucket(place, pipeline.scratch).newer(since - SKEW))
    # a file that is moved keeps the time of its last change, but not that of its inode
    return any(path.stat().st_ctime >= since for path in place.rglob("*"))


def _mark(pipeline: Pipeline) -> Path:
    return pipeline.scratch / "imported"


def _since(pipeline: Pipeline) -> float:
    mark = _mark(pipeline)
    return mark.stat().st_mtime if mark.exists() else 0.0


def _imported(pipeline: Pipeline, place: Place, since: float = 0.0) -> Iterator[Imported]:
    platform = pipeline.platform(Discord.name)
    assert isinstance(platform, Discord)
    return imported(_files(pipeline, place, since), pipeline.lake, platform, pipeline.scratch)


def _files(pipeline: Pipeline, place: Place, since: float) -> Iterable[Path]:
    """All files of a folder; of a bucket, where to look at one means to fetch it, those that are new."""
    if isinstance(place, Path):
        return find(place)
    bucket = open_bucket(place, pipeline.scratch)
    names = [name for name in bucket.newer(since - SKEW) if name.endswith(ENDINGS)]
    if not names and not since:
        raise ValueError(f"{place} holds no export: put DiscordChatExporter's .json or .json.gz files there.")
    return fetched(bucket, names)


def _said(one: Imported) -> str:
    if one.commit is None:
        return f"{one.file.name}: imported before"
    return f"{one.file.name}: {one.messages} messages of {', '.join(one.commit.communities)}"
