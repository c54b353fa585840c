"""What the environment decides: places, times, and secrets, read once and checked. No other module reads it."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from extractors.discord_api import headers as discord_headers
from extractors.discourse_past import KEY_PREFIX, key_variable
from extractors.pace import Pace
from extractors.store import Bucket, Place

PREFIX = "THREADLAKE_"
PROJECT = Path(__file__).resolve().parent.parent
DEFAULT_DAYS = 3  # how far back the partitions begin where nobody says


class SettingsError(ValueError):
    """A setting that makes no sense; the sentence names the variable and what is allowed."""


@dataclass(frozen=True)
class BigQueryPlace:
    """A warehouse in BigQuery: whose, where, and what limits it. `key` is a customer-managed one of Cloud KMS, by its
    resource name; `most_bytes` is what one statement may be billed for."""

    project: str
    location: str
    key: str | None = None
    most_bytes: int = 1 << 40

    def __str__(self) -> str:
        return f"bigquery://{self.project}/{self.location}"


@dataclass(frozen=True)
class Settings:
    """Paths are absolute. What may be secret is left out of the repr, and so of logs and tracebacks."""

    home: Path
    lake: Place
    warehouse: Path | BigQueryPlace
    dbt_project: Path
    start: datetime
    extract_cron: str = "25 * * * *"
    load_cron: str = "35 * * * *"
    poll_cron: str = "*/10 * * * *"
    schedules_on: bool = False
    via: str | None = None
    pace: Pace | None = None
    clock_file: Path | None = None
    contact: str = "an unnamed operator"
    keep_runs_days: int = 30
    dashboard_host: str = "127.0.0.1"
    dashboard_port: int = 3001
    dashboard_rate: int = 20
    dashboard_token: str | None = field(default=None, repr=False)
    time_zone: str = "UTC"
    pseudonyms_key: str | None = field(default=None, repr=False)
    allow_hosts: frozenset[str] = frozenset()
    archives: Mapping[str, str] = field(default_factory=dict)
    exports: Place | None = None
    cloud_run_job: str | None = None
    webhook: str | None = field(default=None, repr=False)
    discourse_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    discord_token: str | None = field(default=None, repr=False)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> "Settings":
        """Read the environment. Raises SettingsError."""
        env = {name: value.strip() for name, value in (os.environ if env is None else env).items()}
        get = _Reader(env)
        home = get.path("HOME", Path(".data"))
        if get("PACE") and not get("VIA"):
            raise SettingsError(f"{PREFIX}PACE is only for a sandbox, so {PREFIX}VIA must name one.")
        if get("PSEUDONYMS_KEY") and get("WAREHOUSE").startswith("bigquery:"):
            raise SettingsError(
                f"{PREFIX}PSEUDONYMS_KEY is for DuckDB, whose readers get copies: those of BigQuery read the tables "
                "themselves, with their names. Take it away, or keep the warehouse in a file."
            )
        clock_file = get.path("CLOCK", Path("none")) if env.get(f"{PREFIX}CLOCK") else None
        return cls(
            home=home,
            lake=get.place("LAKE", home / "lake"),
            warehouse=get.warehouse("WAREHOUSE", home / "warehouse.duckdb"),
            dbt_project=get.path("DBT", PROJECT / "dbt_project"),
            start=get.hour("START") or _remembered_start(home, clock_file),
            extract_cron=get.cron("EXTRACT_CRON", cls.extract_cron),
            load_cron=get.cron("LOAD_CRON", cls.load_cron),
            poll_cron=get.cron("POLL_CRON", cls.poll_cron),
            schedules_on=get.switch("SCHEDULES"),
            via=get.url("VIA"),
            pace=get.pace("PACE"),
            clock_file=clock_file,
            contact=get("CONTACT") or cls.contact,
            keep_runs_days=get.number("KEEP_RUNS_DAYS", cls.keep_runs_days),
            dashboard_host=get("DASHBOARD_HOST") or cls.dashboard_host,
            dashboard_port=get.number("DASHBOARD_PORT", cls.dashboard_port),
            dashboard_rate=get.number("DASHBOARD_RATE", cls.dashboard_rate),
            dashboard_token=get("DASHBOARD_TOKEN") or None,
            time_zone=get.time_zone("TIMEZONE", cls.time_zone),
            pseudonyms_key=get.key("PSEUDONYMS_KEY"),
            allow_hosts=frozenset(re.split(r"[\s,]+", get("ALLOW_HOSTS").lower())) - {""},
            archives=get.mapping("ARCHIVES"),
            exports=get.place("EXPORTS", home) if get("EXPORTS") else None,
            cloud_run_job=get.job("CLOUD_RUN_JOB"),
            webhook=get.url("WEBHOOK"),
            discourse_keys={name: value for name, value in env.items() if name.startswith(KEY_PREFIX) and value},
            discord_token=_bot_token(env.get("DISCORD_TOKEN", "")),
        )

    @property
    def user_agent(self) -> str:
        return f"threadlake/0.1 ({self.contact})"

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"

    @property
    def dbt_target(self) -> Path:
        return self.home / "dbt"

    @property
    def published(self) -> Path:
        """Where what readers see is put, in files that nobody writes any more."""
        return self.home / "published"

    @property
    def search_index(self) -> Path:
        """Where the index is that search on this machine asks."""
        return self.home / "search"

    @property
    def dashboard_token_file(self) -> Path:
        """The token is here where the environment has none."""
        return self.home / "dashboard-token"

    @property
    def locks(self) -> Path:
        return self.home / "locks"

    def now(self) -> datetime:
        """The time by the clock that is set, else the system's."""
        return read_clock(self.clock_file)

    def secrets(self, hosts: Iterable[str]) -> dict[str, dict[str, str]]:
        """The headers that log in to each of these hosts that has a key in the environment."""
        found = {}
        for host in set(hosts):
            value = self.discourse_keys.get(key_variable(host) or "", "")
            user, colon, key = value.partition(":")
            if colon:
                found[host] = {"Api-Key": key, "Api-Username": user}
            elif value:
                found[host] = {"User-Api-Key": value}
            elif host == "discord.com" and self.discord_token:
                found[host] = discord_headers(self.discord_token)
        return found


def read_clock(file: Path | None) -> datetime:
    """The moment that stands in the file, plus the time since it was written; without a file the system's time."""
    if file is None:
        return datetime.now(UTC)
    try:
        text, written = file.read_text().strip(), file.stat().st_mtime
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("no zone")
    except (OSError, ValueError) as problem:
        raise SettingsError(
            f"{PREFIX}CLOCK names {file}, which must be a file that holds an ISO time with a zone, "
            f"such as 2026-11-22T13:00:00+00:00 ({problem})."
        ) from None
    return moment.astimezone(UTC) + (datetime.now(UTC) - datetime.fromtimestamp(written, UTC))


class _Reader:
    """The environment's values, each checked; every complaint names its variable."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def __call__(self, name: str) -> str:
        return self._env.get(PREFIX + name, "")

    def path(self, name: str, default: Path) -> Path:
        return (Path(self(name)).expanduser() if self(name) else default).resolve()

    def place(self, name: str, default: Path) -> Place:
        """A folder, or gs://bucket/prefix."""
        try:
            return Bucket.parse(self(name)) if self(name).startswith("gs://") else self.path(name, default)
        except ValueError as problem:
            raise SettingsError(f"{PREFIX}{name}: {problem}") from None

    def warehouse(self, name: str, default: Path) -> Path | BigQueryPlace:
        value = self(name)
        if not value.startswith("bigquery:"):
            return self.path(name, default)
        place = re.fullmatch(r"bigquery://([a-z][a-z0-9.:-]+)/([A-Za-z][A-Za-z0-9-]+)/?", value)
        if not place:
            raise SettingsError(
                f"{PREFIX}{name} must be a file or bigquery://PROJECT/LOCATION, such as bigquery://my-project/EU, "
                f"not {value!r}."
            )
        key = self("BIGQUERY_KEY") or None
        if key and not re.fullmatch("projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+", key):
            raise SettingsError(
                f"{PREFIX}BIGQUERY_KEY must be the resource name of a key of Cloud KMS, "
                f"projects/…/locations/…/keyRings/…/cryptoKeys/…, not {key!r}."
            )
        gigabytes = self.number("BIGQUERY_MOST_GB", BigQueryPlace.most_bytes >> 30)
        return BigQueryPlace(place[1], place[2], key, gigabytes << 30)

    def url(self, name: str) -> str | None:
        value = self(name)
        if value and not re.match(r"https?://[^/\s]+", value):
            raise SettingsError(f"{PREFIX}{name} must be a URL that begins with http:// or https://.")
        return value.rstrip("/") or None

    def job(self, name: str) -> str | None:
        value = self(name)
        if value and not re.fullmatch("projects/[^/]+/locations/[^/]+/jobs/[^/]+", value):
            raise SettingsError(f"{PREFIX}{name} must be named projects/…/locations/…/jobs/…, not {value!r}.")
        return value or None

    def number(self, name: str, default: int) -> int:
        value = self(name)
        if value and (not value.isdecimal() or int(value) < 1):
            raise SettingsError(f"{PREFIX}{name} must be a whole number from 1, not {value!r}.")
        return int(value) if value else default

    def key(self, name: str) -> str | None:
        value = self(name)
        if value and len(value) < 16:  # it is not said in the complaint, for it is a secret
            raise SettingsError(f"{PREFIX}{name} must be a secret of 16 characters at least.")
        return value or None

    def time_zone(self, name: str, default: str) -> str:
        value = self(name) or default
        try:
            return ZoneInfo(value).key
        except (ValueError, OSError, ZoneInfoNotFoundError):  # OSError: it is a folder of them, such as Europe
            raise SettingsError(f"{PREFIX}{name} must be a time zone such as Europe/Berlin, not {value!r}.") from None

    def pace(self, name: str) -> Pace | None:
        """Requests a second, such as 500."""
        return Pace(self.number(name, 1), 1.0, in_flight=2) if self(name) else None

    def switch(self, name: str) -> bool:
        value = self(name).lower()
        if value not in ("", "0", "1", "on", "off", "true", "false"):
            raise SettingsError(f"{PREFIX}{name} must be on or off, not {value!r}.")
        return value in ("1", "on", "true")

    def hour(self, name: str) -> datetime | None:
        value = self(name)
        return parse_hour(value, f"{PREFIX}{name}") if value else None

    def cron(self, name: str, default: str) -> str:
        value = self(name) or default
        from dagster._utils.schedules import is_valid_cron_string

        if value and not is_valid_cron_string(value):
            raise SettingsError(f"{PREFIX}{name} must be a cron line such as '25 * * * *', not {value!r}.")
        return value

    def mapping(self, name: str) -> dict[str, str]:
        try:
            value = json.loads(self(name) or "{}")
            if isinstance(value, dict) and all(isinstance(part, str) for pair in value.items() for part in pair):
                return value
        except ValueError:
            pass
        raise SettingsError(
            f"{PREFIX}{name} must be a JSON object of boards and their archives' URLs, "
            'such as {"po": "https://archive.example"}.'
        )


def parse_hour(text: str, what: str) -> datetime:
    """An ISO time, UTC where it names no zone, cut to its hour. `what` is what the complaint calls it."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{what} must be an ISO date or time such as 2026-11-22T13, not {text!r}.") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.replace(minute=0, second=0, microsecond=0)


def _bot_token(value: str) -> str | None:
    try:
        return value if value and discord_headers(value) else None
    except ValueError as problem:
        raise SettingsError(f"DISCORD_TOKEN must be a bot's. {problem}") from None


def _remembered_start(home: Path, clock_file: Path | None) -> datetime:
    """The first partition must not move from one start to the next: `threadlake up` writes it down."""
    file = home / "start"
    if file.exists():
        return parse_hour(file.read_text().strip(), str(file))
    midnight = read_clock(clock_file).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=DEFAULT_DAYS)
