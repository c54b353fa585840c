"""The sites that come with a world: what is listed here is served."""

from sandbox.discord import Discord
from sandbox.discourse import Discourse
from sandbox.foolfuuka import FoolFuuka
from sandbox.fourchan import Fourchan
from sandbox.lemmy import Lemmy
from sandbox.mods_de import ModsDe
from sandbox.site import Site
from sandbox.world import World


def world_sites(world: World | None) -> tuple[Site, ...]:
    return (
        (Fourchan(world), FoolFuuka(world), Discourse(world), Discord(world), Lemmy(world), ModsDe(world))
        if world
        else ()
    )
