"""Settings: each bad value is a sentence that names its variable, and exit code 2."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from extractors.discourse_past import key_variable
from orchestration.cli import main
from orchestration.settings import BigQueryPlace, Settings, SettingsError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("START", "yesterday"),
        ("EXTRACT_CRON", "every hour"),
        ("VIA", "localhost:80"),
        ("WEBHOOK", "slack"),
        ("ARCHIVES", '["po"]'),
        ("KEEP_RUNS_DAYS", "-1"),
        ("TIMEZONE", "Mars/Olympus"),
        ("TIMEZONE", "Europe"),
        ("SCHEDULES", "maybe"),
        ("CLOCK", "/no/such/file"),
    ],
)
def test_a_bad_value_is_a_sentence(name: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"THREADLAKE_{name} .*must be"):
        Settings.from_env({f"THREADLAKE_{name}": value, "THREADLAKE_HOME": str(tmp_path)})


def test_the_clock_goes_on_from_what_its_file_says(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    file.write_text("2026-11-01T12:00:00+00:00")
    os.utime(file, (time.time() - 90, time.time() - 90))
    now = Settings.from_env({"THREADLAKE_CLOCK": str(file), "THREADLAKE_HOME": str(tmp_path)}).now()
    assert abs((now - datetime(2026, 11, 1, 12, 1, 30, tzinfo=UTC)).total_seconds()) < 5


def test_keys_by_host() -> None:
    settings = Settings.from_env({"DISCOURSE_KEY_META_EXAMPLE_ORG": "k" * 20, "DISCOURSE_KEY_B_ORG": "me:" + "s" * 20})
    assert settings.secrets(["meta.example.org", "b.org", "c.org"]) == {
        "meta.example.org": {"User-Api-Key": "k" * 20},
        "b.org": {"Api-Key": "s" * 20, "Api-Username": "me"},
    }


def test_no_other_host_gets_a_key() -> None:
    alike = ["my.forum.com", "my-forum.com", "my--forum.com", "my.forum-com", "my-forum-com", "forum.com"]
    variables = {host: key_variable(host) for host in alike}
    assert variables["my-forum.com"] == "DISCOURSE_KEY_MY__FORUM_COM" and len(set(variables.values())) == len(alike)
    odd = [
        "my_forum.com",
        "my..forum.com",
        "my.-forum.com",
        "my-.forum.com",
        "my.forum.com:8080",
        "my.forum.com\n",
        "ﬀ.com",
    ]
    for host, variable in variables.items():
        assert Settings.from_env({str(variable): "k" * 20}).secrets([*alike, *odd]) == {
            host: {"User-Api-Key": "k" * 20}
        }


@pytest.mark.parametrize(
    "arguments",
    [
        ["crawl", "--since", "soon"],
        ["crawl", "--since", "2026-11-01T05", "--until", "2026-11-01T04"],
        ["crawl", "--since", "2026-11-01T05", "--platform", "myspace"],
        ["track", "https://myspace.example/tom"],
        ["untrack", "fourchan:po"],
        ["up", "--communities", "/no/such.toml"],
    ],
)
def test_bad_input_ends_with_2_and_a_sentence(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THREADLAKE_HOME", str(tmp_path))
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("threadlake: ") and said.strip().endswith((".", "discourse:delvingbitcoin.org"))


def test_a_lake_that_cannot_be_read_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lake").write_text("a file")
    monkeypatch.setenv("THREADLAKE_HOME", str(tmp_path))
    assert main(["status"]) == 1
    assert "it is a file, not a folder" in capsys.readouterr().err


def test_only_a_bot_has_a_discord_token() -> None:
    settings = Settings.from_env({"DISCORD_TOKEN": "not-a-real-token"})
    assert settings.secrets(["discord.com"]) == {"discord.com": {"Authorization": "Bot not-a-real-token"}}
    assert "not-a-real-token" not in repr(settings) and not Settings.from_env({}).secrets(["discord.com"])
    with pytest.raises(SettingsError, match=r"DISCORD_TOKEN must be a bot's.*a user's token is refused"):
        Settings.from_env({"DISCORD_TOKEN": "mfa.a-users-own"})


def test_a_warehouse_is_a_file_or_in_bigquery(tmp_path: Path) -> None:
    home = {"THREADLAKE_HOME": str(tmp_path)}
    assert Settings.from_env(home).warehouse == tmp_path / "warehouse.duckdb"
    key = "projects/p/locations/eu/keyRings/r/cryptoKeys/k"
    told = {"WAREHOUSE": "bigquery://my-project/EU", "BIGQUERY_KEY": key, "BIGQUERY_MOST_GB": "5"}
    place = Settings.from_env(home | {f"THREADLAKE_{name}": value for name, value in told.items()}).warehouse
    assert str(place) == "bigquery://my-project/EU"
    assert place == BigQueryPlace("my-project", "EU", key, 5 << 30)
    for name, value in {
        "WAREHOUSE": "bigquery://my-project",
        "BIGQUERY_KEY": "mine",
        "BIGQUERY_MOST_GB": "all",
    }.items():
        wrong = {"WAREHOUSE": "bigquery://my-project/EU", name: value}
        with pytest.raises(SettingsError, match=f"THREADLAKE_{name}"):
            Settings.from_env(home | {f"THREADLAKE_{variable}": text for variable, text in wrong.items()})
