"""The three verbs, without Dagster: read what is asked into the lake, load it, transform it.

Assets and the command line both call these; what they add is only where the outcome is shown.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from extractors.discourse import Discourse
from extractors.fourchan import Fourchan
from extractors.lake import Commit, Lake
from extractors.plan import groups, wanted
from extractors.platform import HOUR, Community, Platform, floor_hour
from extractors.store import Folder
from orchestration.dbt import Dbt
from orchestration.raw import Loaded
from orchestration.settings import Settings
from orchestration.warehouse import Warehouse


def make_platforms(settings: Settings) -> tuple[Platform, ...]:
    """Every platform, with what the settings say of it."""
    pace = {"pace": settings.pace} if settings.pace else {}
    return (
        Fourchan(archives=settings.archives, **pace),
        Discourse(keyed=lambda host: bool(settings.secrets([host])), **pace),
    )


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
        return Lake(Folder(self.settings.lake))

    @cached_property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.settings.warehouse)

    @cached_property
    def dbt(self) -> Dbt:
        return Dbt(self.settings)

    def platform(self, name: str) -> Platform:
        """Raises ValueError with the names there are."""
        for platform in self.platforms:
            if platform.name == name:
                return platform
        raise ValueError(f"There is no platform {name!r}: choose {' or '.join(p.name for p in self.platforms)}.")

    def asked(self, platform: Platform, hours: Iterable[datetime], refresh: bool) -> dict[datetime, list[Community]]:
        """Whom to read for each of these hours: all who are followed, or (not `refresh`) those who want it.

        An hour still open is always wanted; one that has not begun is left out.
        """
        now = self.settings.now()
        hours = sorted({hour for hour in hours if hour <= now}, reverse=True)
        everybody = [follow.community for follow in self.lake.follows(platform.name)]
        if refresh or not hours:
            return {hour: everybody for hour in hours if everybody}
        due = wanted(self.lake, platform, now, min(hours))
        return {hour: who for hour in hours if (who := everybody if hour + HOUR > now else due.get(hour, []))}

    def crawl(
        self, platform: Platform, asked: dict[datetime, list[Community]], run_id: str, refresh: bool
    ) -> Iterator[Commit]:
        """Read what is asked into the lake, in as few crawls as it takes; yield each hour's commit as it is made."""
        from extractors.crawl import crawl
        from extractors.http import Http

        hosts = {community.instance for some in asked.values() for community in some}
        http = Http(
            locks=self.settings.locks / "hosts",
            user_agent=self.settings.user_agent,
            via=self.settings.via,
            secrets=self.settings.secrets(hosts),
            clock=self.settings.now,
        )
        scratch = self.settings.home / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        try:
            for window, communities in groups(asked):
                yield from crawl(
                    platform, communities, window, lake=self.lake, http=http, run_id=run_id,
                    clock=self.settings.now, scratch=scratch, refresh=refresh,
                )  # fmt: skip
        finally:
            http.close()

    def load(self, hours: Iterable[datetime], platforms: Sequence[Platform] | None = None) -> Loaded:
        """Replace these partitions of the raw tables from the lake."""
        chosen = self.platforms if platforms is None else platforms
        return self.warehouse.load(self.lake, chosen, hours, self.settings.now())

    def wanted(self, platform: Platform) -> list[datetime]:
        """The closed hours that are to be read now, newest first."""
        return list(wanted(self.lake, platform, self.settings.now(), self.settings.start))

    def unmerged(self, since: datetime | None, patience: float | None = None) -> list[datetime]:
        """The hours with something that the clean tables do not have yet."""
        return self.warehouse.unmerged(self.lake, self.platforms, since, patience)

    def closed_hour(self) -> datetime:
        """The latest hour that has ended."""
        return floor_hour(self.settings.now()) - HOUR

    def with_settings(self, **changes: object) -> "Pipeline":
        return replace(self, settings=replace(self.settings, **changes))  # type: ignore[arg-type]
