"""The invented world: which communities there are, and the questions tests and servers ask about them.

How a platform's communities come about stands in its own `*_world.py`; this module only lists them.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial

from sandbox import discord_world, discourse_world, fourchan_world, lemmy_world, mods_de_world
from sandbox.discord_guild import Guild
from sandbox.discourse_forum import Forum, ForumSnapshot
from sandbox.fourchan_board import Board, BoardSnapshot
from sandbox.history import Community, PostTruth
from sandbox.lemmy_community import LemmyCommunity
from sandbox.mods_de_board import Board as ModsDeBoard

Recipe = Callable[[int, float, int, float], Community]  # of seed, start (unix s), hours, scale

COMMUNITIES: Mapping[tuple[str, str], Recipe] = {
    **{("fourchan", name): partial(fourchan_world.invent, spec) for name, spec in fourchan_world.BOARDS.items()},
    **{("discourse", host): partial(discourse_world.invent, spec) for host, spec in discourse_world.FORUMS.items()},
    **{("discord", name): partial(discord_world.invent, only) for name, only in discord_world.COMMUNITIES.items()},
    **{("lemmy", name): partial(lemmy_world.invent, spec) for name, spec in lemmy_world.COMMUNITIES.items()},
    **{("mods_de", name): partial(mods_de_world.invent, spec) for name, spec in mods_de_world.BOARDS.items()},
}


@dataclass(frozen=True, kw_only=True)
class World:
    """All communities of one seed, each invented when it is first asked for.

    People post from `start` (aware) for `hours` hours; what moderators do may come later. `scale` multiplies how much
    is posted. A world is a pure function of its fields; the first hours of a longer world are those of a shorter one.
    """

    start: datetime
    hours: int
    seed: int = 1
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.start.tzinfo is None:
            raise ValueError("a world starts at a time with a zone")
        if self.start.timestamp() % 1:
            raise ValueError("a world starts at a whole second")

    @cached_property
    def _invented(self) -> dict[tuple[str, str], Community]:
        return {}

    @cached_property
    def _lock(self) -> threading.Lock:
        return threading.Lock()

    def community(self, platform: str, name: str) -> Community:
        key = (platform, name)
        if key not in COMMUNITIES:
            raise KeyError(f"no community {name!r} on {platform!r}; there are {sorted(COMMUNITIES)}")
        with self._lock:
            if key not in self._invented:
                self._invented[key] = COMMUNITIES[key](self.seed, self.start.timestamp(), self.hours, self.scale)
            return self._invented[key]

    def fourchan_board(self, name: str) -> Board:
        board = self.community("fourchan", name)
        assert isinstance(board, Board)
        return board

    def discourse_forum(self, host: str) -> Forum:
        forum = self.community("discourse", host)
        assert isinstance(forum, Forum)
        return forum

    def lemmy_community(self, name: str) -> LemmyCommunity:
        community = self.community("lemmy", name)
        assert isinstance(community, LemmyCommunity)
        return community

    def mods_de_board(self, name: str) -> ModsDeBoard:
        board = self.community("mods_de", name)
        assert isinstance(board, ModsDeBoard)
        return board

    def discord_guild(self, name: str) -> Guild:
        guild = self.community("discord", name)
        assert isinstance(guild, Guild)
        return guild

    def board(self, board: str, at: datetime) -> BoardSnapshot:
        """What a 4chan board shows at a moment."""
        return self.fourchan_board(board).snapshot(at.timestamp())

    def forum(self, host: str, at: datetime) -> ForumSnapshot:
        """What a Discourse forum shows at a moment."""
        return self.discourse_forum(host).snapshot(at.timestamp())

    def truth(self, platform: str, community: str, at: datetime) -> list[PostTruth]:
        """Every post that was ever visible before `at`, those that vanished included."""
        return self.community(platform, community).truth(at.timestamp())
