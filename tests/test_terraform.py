"""`terraform/` against the provider's real schema, by the real Terraform and checkov, without Google.

What only the provider's own code or Google refuses, such as a region that does not exist, is not seen here.
"""

import configparser
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from orchestration import terraform_tables
from sandbox.google_schema import SCHEMA, SOURCE, used_types
from sandbox.terraform import TERRAFORM, VENV, mirror, provider_version

pytestmark = [
    pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is in no package registry: install it"),
    pytest.mark.skipif(not VENV.exists(), reason=f"make {VENV.name}/ready sets up the checkers"),
]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One in which Terraform finds the provider's schema, and nothing outside."""
    return mirror(tmp_path_factory.mktemp("terraform"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """A copy of `terraform/`, initialised, that keeps its state in a file."""
    copy = tmp_path_factory.mktemp("root")
    for file in TERRAFORM.iterdir():
        if file.is_file() and not file.name.startswith("."):
            shutil.copy(file, copy)
    versions = copy / "versions.tf"
    versions.write_text(re.sub(r'  backend "gcs" \{.*?\n  \}\n', "", versions.read_text(), flags=re.S))
    terraform(copy, environment, "init", "-input=false")
    return copy


def terraform(root: Path, environment: dict[str, str], *arguments: str, code: int = 0) -> str:
    """What it says, without the frames of its messages."""
    done = subprocess.run(
        ["terraform", f"-chdir={root}", *arguments, "-no-color"], env=environment, capture_output=True, text=True
    )
    said = " ".join(re.sub(r"^[│╷╵]", "", done.stdout + done.stderr, flags=re.M).split())
    assert done.returncode == code, said
    return said


def test_terraform_finds_nothing_wrong(root: Path, environment: dict[str, str]) -> None:
    terraform(root, environment, "fmt", "-check")
    terraform(root, environment, "validate")


def test_terraforms_own_tests_pass(root: Path, environment: dict[str, str]) -> None:
    assert "0 failed" in terraform(root, environment, "test")


@pytest.mark.parametrize("size", ["small", "large"])
def test_each_example_can_be_planned(root: Path, environment: dict[str, str], size: str) -> None:
    said = terraform(root, environment, "plan", "-input=false", "-lock=false", f"-var-file={size}.tfvars")
    assert re.search(r"Plan: \d\d+ to add, 0 to change, 0 to destroy", said)
    assert "threadlake-lake" in said or "threadlake-large-lake" in said


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        ("lake.tf", "uniform_bucket_level_access", "uniform_bucket_level_acess", "Unsupported argument"),
        ("lake.tf", "location                    = local.location", "", "Missing required argument"),
        ("warehouse.tf", 'type  = "HOUR"', 'type  = ["HOUR"]', "string required"),
        ("warehouse.tf", "  time_partitioning {", "  time_partition {", "Unsupported block type"),
        ("machine.tf", "google_compute_disk.data.id", "google_compute_disk.data.idd", "Unsupported attribute"),
        ("secrets.tf", '"google_secret_manager_secret" "main"', '"google_secret" "main"', "Invalid resource type"),
        ("versions.tf", "  region                = var.region", "  regionn = var.region", "Unsupported argument"),
    ],
)
def test_what_the_provider_does_not_know_is_refused(
    root: Path, environment: dict[str, str], file: str, old: str, new: str, complaint: str
) -> None:
    place = root / file
    text = place.read_text()
    assert text.count(old) >= 1
    place.write_text(text.replace(old, new, 1))
    try:
        assert complaint in terraform(root, environment, "validate", code=1)
    finally:
        place.write_text(text)


def test_checkov_finds_only_what_a_comment_explains(root: Path) -> None:
    explained = set()
    for file in root.glob("*.tf"):
        text = file.read_text()
        for block in re.findall(r'^resource "(\w+)" "(\w+)" \{\n(.*?)^\}', text, re.M | re.S):
            explained |= {(check, f"{block[0]}.{block[1]}") for check in re.findall(r"skip=(\w+): .{20}", block[2])}
        place = root.parent / "without-comments" / file.name
        place.parent.mkdir(exist_ok=True)
        place.write_text(re.sub(r".*checkov:skip.*\n", "", text))
    command = [VENV / "bin" / "checkov", "-d", place.parent, "--framework", "terraform", "--quiet", "--compact"]
    done = subprocess.run([*command, "--skip-download", "-o", "json"], capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert found["summary"]["passed"] > 30
    failed = {(check["check_id"], check["resource"]) for check in found["results"]["failed_checks"]}
    assert {(check, resource.partition("[")[0]) for check, resource in failed} == explained


def test_every_variable_is_described_typed_and_checked() -> None:
    text = (TERRAFORM / "variables.tf").read_text()
    variables = dict(re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', text, re.M | re.S))
    assert len(variables) > 20
    free = {"dashboard", "state_bucket"}  # yes or no; a bucket that somebody else made
    for name, body in variables.items():
        assert re.search(r"^  description = ", body, re.M) and re.search(r"^  type        = ", body, re.M), name
        assert name in free or "validation {" in body, name


def test_what_holds_data_is_protected() -> None:
    stateful = {
        "google_storage_bucket", "google_bigquery_dataset", "google_bigquery_table", "google_compute_disk",
        "google_secret_manager_secret",
    }  # fmt: skip
    found = set()
    for file in TERRAFORM.glob("*.tf"):
        for kind, body in re.findall(r'^resource "(\w+)" "\w+" \{\n(.*?)^\}', file.read_text(), re.M | re.S):
            if kind in stateful:
                found.add(kind)
                assert "prevent_destroy = true" in body, kind
    assert found == stateful


def test_the_schema_holds_what_is_used_and_no_more() -> None:
    schemas = json.loads(SCHEMA.read_text())["provider_schemas"][SOURCE]
    assert used_types() == {
        "resource": set(schemas["resource_schemas"]),
        "data": set(schemas["data_source_schemas"]),
    }, "make terraform-schema makes it anew"
    version = re.search(r'version = "~> (\d+\.\d+)"', (TERRAFORM / "versions.tf").read_text())
    assert version and provider_version().startswith(f"{version[1]}.")


def test_the_raw_tables_are_what_the_platforms_declare() -> None:
    committed = terraform_tables.FILE.read_text()
    assert committed == terraform_tables.text(), "python -m orchestration.terraform_tables makes it anew"
    tables = json.loads(committed)
    # by hand, so that the maker is checked too
    columns = {column["name"]: column for column in tables["fourchan_posts"]["schema"]}
    assert columns["hour"] == {"name": "hour", "type": "TIMESTAMP", "mode": "NULLABLE"}
    assert columns["quotes"]["mode"] == "REPEATED" and columns["quotes"]["type"] == "STRING"
    assert columns["gone"]["type"] == "BOOLEAN"
    waited = [column for column in tables["observations"]["schema"] if column["name"] == "waited"]
    assert waited == [{"name": "waited", "type": "FLOAT", "mode": "NULLABLE"}]


def test_the_machines_first_words_can_be_read(tmp_path: Path) -> None:
    """cloud-init's file, as Terraform renders it: YAML whose scripts are bash, and whose units start our containers."""
    shutil.copy(TERRAFORM / "cloud-init.yaml.tftpl", tmp_path)
    values = '{project="p", registry="r", secrets=["A", "B"], settings={C="d"}}'
    call = f'jsonencode(templatefile("cloud-init.yaml.tftpl", {values}))'
    done = subprocess.run(
        ["terraform", "console"], input=call, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    rendered = yaml.safe_load(json.loads(json.loads(done.stdout)))
    files = {Path(file["path"]).name: file["content"] for file in rendered["write_files"]}
    assert files["settings"].splitlines() == ["C=d", "POSTGRES_HOST=threadlake-postgres"]
    subprocess.run(["bash", "-n"], input=files["prepare"], text=True, check=True)
    assert "orchestration.secret_manager p A B >" in files["prepare"]
    started = rendered["runcmd"][-1].split()[3:]
    assert {f"{name}.service" for name in started} | {"threadlake-prepare.service"} == files.keys() - {
        "settings",
        "prepare",
    }
    for name in started:
        unit = configparser.ConfigParser(strict=False, interpolation=None)
        unit.read_string(re.sub(r"\\\n\s*", " ", files[f"{name}.service"]))
        command = shlex.split(unit["Service"]["ExecStart"])
        assert command[:4] == ["/usr/bin/docker", "run", "--rm", "--name"] and command[4] == name
        assert set(unit["Unit"]["Requires"].split()) <= files.keys()
