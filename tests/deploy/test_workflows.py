"""GitHub's workflows, by linters: nothing here can run them."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestration.settings import PROJECT
from sandbox.terraform import VENV

FILES = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
TEXTS = {file.name: file.read_text() for file in FILES}


@pytest.mark.skipif(not VENV.exists(), reason=f"make {VENV.name}/ready sets up the checkers")
@pytest.mark.parametrize(
    "command",
    [
        ["actionlint", *FILES],
        ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", *FILES],
        ["checkov", "-d", ".github", "--framework", "github_actions", "--quiet", "--compact", "--skip-download"],
    ],
    ids=lambda command: command[0],
)
def test_a_linter_finds_nothing(command: list[str | Path]) -> None:
    done = subprocess.run([VENV / "bin" / command[0], *command[1:]], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_action_has_a_version_and_no_key_is_a_file() -> None:
    uses = [name for text in TEXTS.values() for name in re.findall(r"uses: (\S+)", text)]
    assert len(uses) > 5
    for name in uses:
        assert name.startswith("./.github/") or re.search(r"@v\d+\.\d+\.\d+$", name), name
    assert not any("credentials_json" in text or "secrets." in text for text in TEXTS.values())


def test_what_workflows_ask_for_is_what_terraform_says() -> None:
    asked = {name for text in TEXTS.values() for name in re.findall(r"vars\.(GCP_\w+)", text)}
    told = set(re.findall(r"^ +(GCP_\w+) +=", (PROJECT / "terraform" / "outputs.tf").read_text(), re.M))
    assert asked == told


def test_tests_come_before_a_deployment_which_comes_from_main_alone() -> None:
    deploy: dict[Any, Any] = yaml.safe_load(TEXTS["deploy.yml"])
    assert deploy[True] == {"push": {"branches": ["main"]}}  # YAML takes `on` for a truth
    assert deploy["jobs"]["deploy"]["needs"] == "test"
    assert ".ci/run" in TEXTS["test.yml"]


def test_the_start_of_an_image_names_what_terraform_makes(tmp_path: Path) -> None:
    """With a gcloud that only writes down what it is asked."""
    told = tmp_path / "told"
    fake = tmp_path / "gcloud"
    fake.write_text(f'#!/bin/sh\necho "$@" >> {told}\n')
    fake.chmod(0o755)
    env = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "PROJECT": "p",
        "REGION": "r",
        "ZONE": "z",
        "DASHBOARD": "threadlake-dashboard",
    }
    subprocess.run([PROJECT / "deploy" / "start-image", "r/threadlake:1"], env=env, check=True)
    lines = told.read_text().splitlines()
    assert [line.split(" --")[0] for line in lines] == [
        "compute instances add-metadata threadlake",
        "compute instances stop threadlake",
        "compute instances start threadlake",
        "run jobs update threadlake-warehouse",
        "run services update threadlake-dashboard",
    ]
    made = "".join(file.read_text() for file in (PROJECT / "terraform").glob("*.tf"))
    for name in ("threadlake", "threadlake-warehouse", "threadlake-dashboard"):
        assert re.search(rf' name += "{name}"', made), name
