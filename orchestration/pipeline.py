"""The verbs, without Dagster: read what is asked into the lake, or the past; load it, transform it.

Assets and the command line both call these; what they add is only where the outcome is shown.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extractors.history import Progress
from extractors.lake import Commit, Lake, Tracked
from extractors.locks import HISTORY, READING, REWRITING, alone, turn
from extractors.plan import groups, polled, wanted
from extractors.platform import HOUR, Community, Platform, floor_hour
from extractors.platforms import PLATFORMS
from orchestration.dbt import Dbt, DbtError, explain, failed
from orchestration.duckdb_file import DuckDBFile
from orchestration.publish import Publication, publish
from orchestration.resources import open_store
from orchestration.settings import Settings
from orchestration.warehouse import Loaded, Warehouse, warehouse_of

if TYPE_CHECKING:
    from extractors.http import Http
    from orchestration.search_index import Indexed

log = logging.getLogger(__name__)


def make_platforms(settings: Settings) -> tuple[Platform, ...]:
    """Every platform, with what the settings say of it."""
    pace = {"pace": settings.pace} if settings.pace else {}
    options: dict[str, dict[str, Any]] = {
        "fourchan": {"archives": settings.archives},
        "discourse": {"keyed": lambda instance: bool(settings.secrets([instance.partition("/")[0]]))},
    }
    return tuple(platform(**options.get(platform.name, {}), **pace) for platform in PLATFORMS)


@dataclass(frozen=True)
class Purged:
    """What was deleted of a community: how many commits of the lake had it, how many rows of the warehouse."""

    commits: int = 0
    rows: int = 0

    def __str__(self) -> str:
        if not (self.commits or self.rows):
            return "nothing of it was there"
        return f"{self.commits} commits and {self.rows} rows purged of it"


@dataclass(frozen=True)
class Pipeline:
    """Everything that runs need, made when it is first used."""

    settings: Settings
    platforms: tuple[Platform, ...]

    @classmethod
    def of(cls, settings: Settings) -> "Pipeline":
        return cls(settings, make_platforms(settings))

    @cached_property
    def lake(self) -> Lake:
        return Lake(open_store(self.settings.lake, self.scratch))

    @cached_property
    def warehouse(self) -> Warehouse:
        return warehouse_of(self.settings)

    @cached_property
    def dbt(self) -> Dbt:
        return Dbt(self.settings, self.warehouse)

    def platform(self, name: str) -> Platform:
        """Raises ValueError with the names there are."""
        for platform in self.platforms:
            if platform.name == name:
                return platform
        raise ValueError(f"There is no platform {name!r}: choose {' or '.join(p.name for p in self.platforms)}.")

    def asked(self, platform: Platform, hours: Iterable[datetime], refresh: bool) -> dict[datetime, list[Community]]:
        """Whom to read for each of these hours: all who are tracked, or (not `refresh`) those who want it.

        An hour still open is wanted by those who are read more often than hourly; one that has not begun is left out.
        """
        now = self.settings.now()
        hours = sorted({hour for hour in hours if hour <= now}, reverse=True)
        everybody = [tracked.community for tracked in self.lake.tracked(platform.name)]
        if refresh or not hours:
            return {hour: everybody for hour in hours if everybody}
        due = wanted(self.lake, platform, now, min(hours))
        if hours[0] + HOUR > now:
            due[hours[0]] = polled(self.lake, platform, now)
        return {hour: who for hour in hours if (who := due.get(hour))}

    def crawl(
        self, platform: Platform, asked: dict[datetime, list[Community]], run_id: str, refresh: bool
    ) -> Iterator[Commit]:
        """Read what is asked into the lake, in as few crawls as it takes; yield each hour's commit as it is made."""
        from extractors.crawl import crawl

        with self.http({community.host for some in asked.values() for community in some}) as http:
            for window, communities in groups(asked):
                yield from crawl(
                    platform, communities, window, lake=self.lake, http=http, run_id=run_id,
                    clock=self.settings.now, scratch=self.scratch, refresh=refresh, only_tracked=True,
                )  # fmt: skip

    def history(self, tracked: Tracked, run_id: str) -> Iterator[tuple[Commit, Progress]]:
        """Go on with the past of a community for ten minutes at most; yield each chunk's commit as it is made."""
        from extractors.history import history

        platform, community = self.platform(tracked.community.platform), tracked.community
        with self.http({community.host}) as http:
            yield from history(
                platform, community, tracked.since, lake=self.lake, http=http, run_id=run_id,
                clock=self.settings.now, scratch=self.scratch, only_tracked=True,
            )  # fmt: skip

    @contextmanager
    def http(self, hosts: Iterable[str], attempts: int = 6) -> "Iterator[Http]":
        """A client that has the keys of these hosts."""
        from extractors.http import Http

        http = Http(
            locks=self.settings.locks / "hosts",
            user_agent=self.settings.user_agent,
            via=self.settings.via,
            secrets=self.settings.secrets(hosts),
            clock=self.settings.now,
            attempts=attempts,
            allow=self.settings.allow_hosts,
            machines=lambda host: turn(host, self.lake.store, self.scratch),
        )
        try:
            yield http
        finally:
            http.close()

    @property
    def scratch(self) -> Path:
        """A folder of this machine, for locks and what does not fit into memory."""
        folder = self.settings.home / "scratch"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def load(self, hours: Iterable[datetime], platforms: Sequence[Platform] | None = None) -> Loaded:
        """Replace these partitions of the raw tables from the lake."""
        chosen = self.platforms if platforms is None else platforms
        return self.warehouse.load(self.lake, chosen, hours, self.settings.now())

    def publish(self, anew: bool = False) -> Publication | None:
        """Let readers see, and find, what the warehouse holds now; those of a warehouse that many may open see it
        anyway. `anew`: nothing of what was published before is left in files."""
        if not isinstance(self.warehouse, DuckDBFile):
            return None
        settings = self.settings
        published = publish(self.warehouse, settings.published, settings.now(), settings.pseudonyms_key, anew)
        log.info("%s", self.index(rebuild=published.anew))
        return published

    def index(self, rebuild: bool = False) -> "Indexed":
        """Let the search index follow what is published; with `rebuild` make it anew."""
        from orchestration.search_index import update

        return update(self.settings.published, self.settings.search_index, rebuild)

    def wanted(self, platform: Platform, everything: bool = True) -> list[datetime]:
        """The closed hours that are to be read now, newest first; of all time, or the last days and a gap before."""
        return list(wanted(self.lake, platform, self.settings.now(), self.settings.start, everything))

    def rewriting(self, platform: Platform) -> AbstractContextManager[None]:
        """Held by whoever rewrites the commits of a platform: two at once could give one commit two successors."""
        return alone(REWRITING, platform.name, self.lake.store, self.scratch)

    def purge(self, key: str) -> "Purged":
        """Take a community out of lake, states and warehouse. Doing it again finishes what a kill left half done.
        Waits for the runs that read it; whoever waits for it to end then finds it untracked."""
        from extractors.crawl import PATIENCE

        platform = self.platform(key.partition(":")[0])
        past, present = (alone(what, key, self.lake.store, self.scratch, PATIENCE) for what in (HISTORY, READING))
        with past, present, self.rewriting(platform):
            gone = {old.name: new.name if new else None for old, new in self.lake.purge(platform.name, key)}
        rows, authors = self.warehouse.purge(key, gone)
        if authors:
            self.dbt.prepare()
            nodes = self.dbt.build((), self.settings.now(), ["authors"], variables={"whole": True})
            if broken := failed(nodes):
                raise DbtError(explain(broken))
        if rows:
            self.publish()
        return Purged(len(gone), rows)

    def polled(self, platform: Platform) -> list[Community]:
        """Who wants the hour read that is still open."""
        return polled(self.lake, platform, self.settings.now())

    def unmerged(self, since: datetime | None, patience: float | None = None) -> list[datetime]:
        """The hours with something that the clean tables do not have yet."""
        return self.warehouse.unmerged(self.lake, self.platforms, since, patience)

    def closed_hour(self) -> datetime:
        """The latest hour that has ended."""
        return floor_hour(self.settings.now()) - HOUR

    def with_settings(self, **changes: object) -> "Pipeline":
        return replace(self, settings=replace(self.settings, **changes))  # type: ignore[arg-type]
