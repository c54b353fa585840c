"""The platforms there are. To add one, see the README; `tests/test_new_platform.py` says what is still missing."""

import re
from collections.abc import Sequence

from extractors.discord import Discord
from extractors.discourse import Discourse
from extractors.fourchan import Fourchan
from extractors.lemmy import Lemmy
from extractors.mods_de import ModsDe
from extractors.platform import Community, Platform

NO_SCHEME = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?/", re.IGNORECASE)
PLATFORMS: tuple[type[Platform], ...] = (Fourchan, Lemmy, Discourse, Discord, ModsDe)


def recognise(platforms: Sequence[Platform], url: str) -> Community:
    """The community that a pasted URL or key names. Raises ValueError with what is accepted."""
    return candidates(platforms, url)[0]


def candidates(platforms: Sequence[Platform], url: str) -> list[Community]:
    """All that a URL may name: some platforms' sites have any host, so only asking tells. Raises ValueError."""
    address = url.strip()
    if NO_SCHEME.match(address):
        address = f"https://{address}"
    found = [community for platform in platforms if (community := platform.community(address)) is not None]
    # a forum in a folder of a host may be behind any URL: only where it is nobody else's
    if found:
        return [community for community in found if community.host == community.instance or community == found[0]]
    known = ", ".join(platform.name for platform in platforms)
    raise ValueError(
        f"{url!r} names no community of {known}: paste its URL, such as https://boards.4chan.org/po/,"
        " https://lemmy.world/c/technology, https://discord.com/channels/41771983423143937/127121515262115840,"
        " https://forum.mods.de/bb/board.php?BID=14 or https://delvingbitcoin.org/, or its key, such as fourchan:po or"
        " discourse:delvingbitcoin.org"
    )
