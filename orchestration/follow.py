"""Who is followed, from a pasted URL, a key, or `communities.toml`."""

import tomllib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from extractors.lake import Follow, Lake
from extractors.platform import Platform
from extractors.platforms import recognise
from orchestration.settings import SettingsError


def follow(lake: Lake, platforms: Sequence[Platform], url: str, since: datetime) -> Follow:
    """Follow what a URL or key names. Raises ValueError with what is accepted."""
    return lake.follow(recognise(list(platforms), url), since)


def follow_file(lake: Lake, platforms: Sequence[Platform], file: Path, since: datetime) -> list[Follow]:
    """Follow every community of a file. Raises SettingsError with the line at fault."""
    try:
        listed = tomllib.loads(file.read_text())["communities"]
    except FileNotFoundError:
        raise SettingsError(f"There is no file {file}.") from None
    except (tomllib.TOMLDecodeError, KeyError) as problem:
        raise SettingsError(f'{file} must hold one list, communities = ["https://…"]: {problem}.') from None
    try:
        return [follow(lake, platforms, url, since) for url in listed]
    except ValueError as problem:
        raise SettingsError(f"{file}: {problem}.") from None
