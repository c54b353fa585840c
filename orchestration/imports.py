"""Files that people exported elsewhere, into the lake: by `threadlake import`, and by schedule from one folder."""

import os
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import dagster as dg

from extractors.discord import Discord
from extractors.imports import Imported, imported
from orchestration.pipeline import Pipeline


def import_exports(pipeline: Pipeline, path: Path) -> tuple[list[datetime], int]:
    """Import what is not in the lake yet, and print what became of each file. Returns the hours that have something new
    now, and how many files have a problem. Raises ValueError without files."""
    hours, problems = set(), 0
    for one in _imported(pipeline, path):
        if one.commit:
            hours.add(one.commit.hour)
        if one.commit or not one.problem:
            print(_said(one))
        if one.problem:
            problems += 1
            print(f"threadlake: {one.problem}", file=sys.stderr)
    return sorted(hours), problems


def import_job(pipeline: Pipeline, folder: Path) -> dg.JobDefinition:
    """`import_exports`: what is new in the folder, into the lake."""

    @dg.op
    def import_files(context: dg.OpExecutionContext) -> None:
        began = time.time() - 0.1  # the times of files are a little coarse
        for one in _imported(pipeline, folder):
            if one.commit:
                context.log.info(_said(one))
            if one.problem:
                context.log.error(one.problem)
        mark = _mark(pipeline)
        mark.touch()
        os.utime(mark, (began, began))

    @dg.job(executor_def=dg.in_process_executor, description=f"Import the exports that are new in {folder}.")
    def import_exports() -> None:
        import_files()

    return import_exports


def has_news(pipeline: Pipeline, folder: Path) -> bool:
    """Whether anything in the folder came or changed since the last import by schedule began. No file is read."""
    mark = _mark(pipeline)
    since = mark.stat().st_mtime if mark.exists() else 0.0
    # a file that is moved keeps the time of its last change, but not that of its inode
    return any(path.stat().st_ctime >= since for path in folder.rglob("*"))


def _mark(pipeline: Pipeline) -> Path:
    return pipeline.scratch / "imported"


def _imported(pipeline: Pipeline, path: Path) -> Iterator[Imported]:
    platform = pipeline.platform(Discord.name)
    assert isinstance(platform, Discord)
    return imported(path, pipeline.lake, platform, pipeline.scratch)


def _said(one: Imported) -> str:
    if one.commit is None:
        return f"{one.file.name}: imported before"
    return f"{one.file.name}: {one.messages} messages of {', '.join(one.commit.communities)}"
