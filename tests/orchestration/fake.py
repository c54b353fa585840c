"""Two platforms without a network: every community has three posts in every hour. `broken` fails, `slow` takes its
time, `quiet` has nothing."""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Literal

import pyarrow as pa

from extractors.erasure import Those
from extractors.errors import NotFound, Unavailable
from extractors.http import Http
from extractors.platform import About, Community, Entity, Page, Parsed, Platform, Record, Source, State, Window, Words
from orchestration.pipeline import Pipeline
from orchestration.settings import Settings


class Fake(Platform):
    """`https://<name>.example/<community>`."""

    threads: ClassVar[pa.Schema] = pa.schema([("title", pa.string())])
    posts: ClassVar[pa.Schema] = pa.schema([("body", pa.string()), ("likes", pa.int64())])
    memory: ClassVar[Literal["hour", "community"]] = "hour"
    revisits: ClassVar[tuple[timedelta, ...]] = ()
    writer: ClassVar[tuple[str, ...]] = ()

    def community(self, url: str) -> Community | None:
        prefix = f"https://{self.name}.example/"
        if url.startswith(prefix):
            return Community(f"{self.name}:{url.removeprefix(prefix)}", f"{self.name}.example")
        return Community(url, f"{self.name}.example") if url.startswith(f"{self.name}:") else None

    def url(self, community: Community) -> str:
        return f"https://{self.name}.example/{community.name}"

    def crawl(
        self, community: Community, window: Window, http: Http, states: Mapping[datetime, State], *, refresh: bool
    ) -> Iterator[Page]:
        for hour in window.hours:
            if community.name == "broken":
                raise Unavailable(self.url(community), came="503 with an empty body")
            if community.name.startswith("slow"):
                time.sleep(0.3)
            number = int(hour.timestamp()) // 3600
            records = (
                []
                if community.name == "quiet"
                else [
                    {
                        "id": number * 10 + i,
                        "at": (hour + timedelta(minutes=i)).isoformat(),
                        "body": f"post {i}",
                        "likes": i,
                    }
                    for i in range(3)
                ]
            )
            moment = http._clock()
            posts = [self.row("posts", community, record, moment) for record in records]
            threads = [self.row("threads", community, records[0], moment)] if records else []
            yield Page(threads, posts, reached=hour, state={"hour": f"{hour}"})

    def about(self, community: Community, http: Http) -> About:
        if community.name == "missing":
            raise NotFound(self.url(community), community.key, came="404 with an empty body")
        return About(community, f"All of {community.name}", 3)

    def history(self, community: Community, since: datetime, http: Http, cursor: State | None) -> Iterator[Page]:
        """Three days, a page each."""
        for day in range((cursor or {"day": 0})["day"], 3):
            if community.name == "broken":
                raise Unavailable(self.url(community), came="503 with an empty body")
            at = http._clock() - timedelta(days=30 + day)
            record = {"id": 10 + day, "at": at.isoformat(), "body": f"old post {day}", "likes": 0}
            posts = [self.row("posts", community, record, http._clock())]
            yield Page(posts=posts, state={"day": day + 1}, progress=(day + 1, 3))

    def parse(self, entity: Entity, community: Community, record: Record, source: Source) -> Parsed:
        post = str(record["id"]) if entity == "posts" else None
        fields = (
            {"title": record["body"]} if entity == "threads" else {"body": record["body"], "likes": record["likes"]}
        )
        return Parsed(str(record["id"] // 10), post, datetime.fromisoformat(record["at"]), fields)

    def redact(self, entity: Entity, record: Record, those: Those, opened: bool) -> Record:
        return record

    def words(self, entity: Entity, community: Community, fields: Sequence[Record]) -> list[Words]:
        return [Words(record.get("body"), [], []) for record in fields]

    def content(self, entity: Entity, fields: Record) -> object:
        return fields.get("body")


class FakeFourchan(Fake):
    name: ClassVar[str] = "fourchan"


class FakeDiscourse(Fake):
    name: ClassVar[str] = "discourse"


def fake_pipeline(settings: Settings) -> Pipeline:
    """The system's pipeline over the two fakes."""
    return Pipeline(settings, (FakeFourchan(), FakeDiscourse()))
