"""`threadlake import`: files that people exported elsewhere, into the lake; what became of each is printed."""

import sys
from datetime import datetime
from pathlib import Path

from extractors.discord import Discord
from extractors.imports import imported
from orchestration.pipeline import Pipeline


def import_exports(pipeline: Pipeline, path: Path) -> tuple[list[datetime], int]:
    """The hours that have something new now, and how many files have a problem. Raises ValueError without files."""
    platform = pipeline.platform(Discord.name)
    assert isinstance(platform, Discord)
    hours, problems = set(), 0
    for one in imported(path, pipeline.lake, platform, pipeline.scratch):
        if one.commit:
            hours.add(one.commit.hour)
            print(f"{one.file.name}: {one.messages} messages of {', '.join(one.commit.communities)}")
        elif not one.problem:
            print(f"{one.file.name}: imported before")
        if one.problem:
            problems += 1
            print(f"threadlake: {one.problem}", file=sys.stderr)
    return sorted(hours), problems
