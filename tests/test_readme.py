"""The README's commands run as they stand there, and its tables name what there is."""

import gzip
import re
import shlex
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from orchestration.cli import main
from orchestration.settings import Settings
from sandbox.recorded import RecordedDiscourse
from sandbox.server import Sandbox
from sandbox.world import World

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", README, re.S) for line in block.strip().splitlines()]
NOW = datetime(2026, 11, 18, 2, 30, tzinfo=UTC)


def test_each_make_target_exists_and_ci_runs_the_two_that_do_everything() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.M))
    assert {"demo", "test", "up", "bench"} <= named <= targets
    assert {"make demo", "make test"} <= set((ROOT / ".ci" / "run").read_text().splitlines())
    run = set((ROOT / ".ci" / "run").read_text().splitlines())
    assert [line for line in COMMANDS if not line.startswith(("make ", "threadlake ")) and line not in run] == []


def test_what_a_month_costs_is_printed_as_it_stands_there(capsys: pytest.CaptureFixture[str]) -> None:
    line, shown = re.findall(r"```sh\n(threadlake cost .*)\n```\n\n```text\n(.*?)\n```", README, re.S)[0]
    assert main(shlex.split(line)[1:]) == 0
    assert capsys.readouterr().out.strip() == shown


def test_the_runbook_names_what_there_is() -> None:
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    for path in re.findall(r"`((?:terraform|deploy|tests|docs)/[\w./-]+)`", runbook):
        assert (ROOT / path).exists() or path.endswith("terraform.tfvars"), path
    variables = (ROOT / "terraform" / "variables.tf").read_text()
    for name in ("lake_bucket", "lake_delete_after_days", "lake_undelete_days", "cloud_run_cpu", "github_repository"):
        assert name in runbook and f'variable "{name}"' in variables
    for verb in re.findall(r"threadlake ([a-z]+(?:-[a-z]+)?)[ `\"]", runbook):
        assert verb in (ROOT / "orchestration" / "cli.py").read_text(), verb
    for unit in set(re.findall(r"threadlake-(?:code|postgres|prepare)", runbook)):
        assert unit.removeprefix("threadlake-") in (ROOT / "terraform" / "cloud-init.yaml.tftpl").read_text()


@pytest.mark.timeout(600)
def test_each_threadlake_command_runs(tmp_path: Path, parsed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(parsed, tmp_path / "home" / "dbt")
    world = World(seed=2, start=NOW - timedelta(days=3), hours=100, scale=0.2)
    posts = tmp_path / "posts.ndjson.gz"
    with gzip.open(posts, "wb") as file:
        file.writelines(orjson.dumps(post) + b"\n" for post in world.forum("old.example", NOW).posts)
    forum = RecordedDiscourse([posts], host="delvingbitcoin.org")
    with Sandbox(world, now=NOW, sites=[forum], clock_file=tmp_path / "clock") as sandbox:
        for name, value in {
            "HOME": tmp_path / "home", "VIA": sandbox.url, "CLOCK": tmp_path / "clock", "PACE": 3000,
            "START": f"{NOW - timedelta(hours=6):%Y-%m-%dT%H}",
        }.items():  # fmt: skip
            monkeypatch.setenv(f"THREADLAKE_{name}", str(value))
        for line in COMMANDS:
            if line.startswith("threadlake "):
                assert main(shlex.split(line)[1:]) == 0, line


def test_each_setting_is_in_the_table() -> None:
    table = README.partition("### Settings")[2].partition("###")[0]
    named = re.findall(r"`([A-Z_]+(?:<HOST>)?)`", " ".join(re.findall(r"^\| (.+?) \|", table, re.M)))
    source = (ROOT / "orchestration" / "settings.py").read_text()
    read = set(re.findall(r"""(?<!\.)(?:get|self)(?:\.\w+)?\("([A-Z_]+)\"""", source)) - {
        "SCHEDULES"
    }  # which `up` sets itself
    profiles = (ROOT / "dbt_project" / "profiles.yml").read_text()
    told = set(re.findall(r'"(THREADLAKE_BIGQUERY_\w+)":', (ROOT / "orchestration" / "bigquery.py").read_text()))
    expected = {f"THREADLAKE_{name}" for name in read} | set(re.findall(r"env_var\('(\w+)'", profiles)) - told
    assert sorted(named) == sorted(expected | {"DISCORD_TOKEN", "DISCOURSE_KEY_<HOST>"})
    assert Settings.from_env({}).extract_cron in README


def test_each_package_is_explained() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [re.split(r"[<>=]", name)[0] for name in project["dependencies"]]
    table = README.partition("### Why each dependency")[2].partition("## ")[0]
    assert [name for name in named if name not in table] == []
