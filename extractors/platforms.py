"""The platforms there are. To add one: its module, a line here, its pair of staging models, its sandbox, its tests."""

from extractors.discord import Discord
from extractors.discourse import Discourse
from extractors.fourchan import Fourchan
from extractors.platform import Community, Platform

PLATFORMS: tuple[type[Platform], ...] = (Fourchan, Discourse, Discord)


def recognise(platforms: list[Platform], url: str) -> Community:
    """The community that a pasted URL or key names. Raises ValueError with what is accepted."""
    for platform in platforms:
        community = platform.community(url.strip())
        if community is not None:
            return community
    known = ", ".join(platform.name for platform in platforms)
    raise ValueError(
        f"{url!r} names no community of {known}: paste its URL, such as https://boards.4chan.org/po/ or"
        " https://delvingbitcoin.org/, or its key, such as fourchan:po or discourse:delvingbitcoin.org"
    )
