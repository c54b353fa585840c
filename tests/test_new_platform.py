"""What a platform needs to be whole, so that whoever adds one is told what is left to do."""

import re
from pathlib import Path

import pytest
import yaml

from extractors.platform import Platform
from extractors.platforms import PLATFORMS
from extractors.records import entities
from sandbox.world import COMMUNITIES
from tests.extractors.test_platform_contract import CASES

ROOT = Path(__file__).parents[1]
STAGING = ROOT / "dbt_project" / "models" / "staging"
PROJECT = yaml.safe_load((ROOT / "dbt_project" / "dbt_project.yml").read_text())


def lacks(name: str) -> list[str]:
    """What is missing of a platform, each in a few words."""
    missing = []

    def need(there: object, what: str) -> None:
        if not there:
            missing.append(what)

    module = ROOT / "extractors" / f"{name}.py"
    need(module.exists(), f"the module extractors/{name}.py")
    made = next((platform for platform in PLATFORMS if platform.name == name), None)
    need(made, "a line in PLATFORMS of extractors/platforms.py")
    need(made is None or not made.__abstractmethods__, "a method of the contract in extractors/platform.py")
    need(name in CASES, "a case in tests/extractors/test_platform_contract.py")
    worlds = sum(platform == name for platform, _ in COMMUNITIES)
    need(worlds >= 2, f"two communities of sandbox/{name}_world.py in sandbox/world.py, there are {worlds}")
    need(re.search(rf"sandbox\.{name}\b", (ROOT / "sandbox" / "sites.py").read_text()), "its site in sandbox/sites.py")
    need((ROOT / "tests" / "extractors" / f"test_{name}.py").exists(), f"tests/extractors/test_{name}.py")
    need(list((ROOT / "tests" / "sandbox").glob(f"test_{name}*.py")), f"tests/sandbox/test_{name}_site.py")
    described = {model["name"]: model for model in yaml.safe_load((STAGING / "_staging.yml").read_text())["models"]}
    sources = {
        table["name"] for table in yaml.safe_load((STAGING / "_sources.yml").read_text())["sources"][0]["tables"]
    }
    for entity in entities(made()) if made else ("threads", "posts"):
        model = f"stg_{name}_{entity}"
        need((STAGING / f"{model}.sql").exists(), f"dbt_project/models/staging/{model}.sql")
        need(model in described, f"{model} in _staging.yml")
        need(f"{name}_{entity}" in sources, f"{name}_{entity} in _sources.yml")
        if entity != "authors" and model in described:
            theirs = [column["name"] for column in described[f"stg_discourse_{entity}"]["columns"]]
            mine = [column["name"] for column in described[model]["columns"]]
            need(mine == theirs, f"the columns of {model} that all platforms have: {sorted({*theirs} ^ {*mine})}")
    need(name in PROJECT["vars"]["platforms"], "its name in the variable platforms of dbt_project.yml")
    profiles = made is not None and len(made.authors) > 0
    listed = name in PROJECT["vars"]["platforms_with_profiles"]
    need(
        profiles == listed, "its name in platforms_with_profiles of dbt_project.yml, if it yields authors and only then"
    )
    need(f"`{name}`" in (ROOT / "README.md").read_text(), "its name in the README's table of platforms")
    return missing


def modules() -> list[str]:
    """The platforms that somebody has begun."""
    return sorted(
        file.stem
        for file in (ROOT / "extractors").glob("*.py")
        if re.search(r"^class \w+\(Platform\)", file.read_text(), re.MULTILINE)
    )


@pytest.mark.parametrize("name", sorted({*modules(), *(platform.name for platform in PLATFORMS)}))
def test_a_platform_is_whole(name: str) -> None:
    assert lacks(name) == [], f"{name} lacks these: see README, Add a platform"


def test_whoever_begins_one_is_told_everything() -> None:
    missing = lacks("myspace")
    for step in (
        "extractors/myspace.py", "PLATFORMS", "contract", "world", "sites.py", "tests/extractors", "tests/sandbox",
        "stg_myspace_posts.sql", "_staging.yml", "_sources.yml", "dbt_project.yml", "README",
    ):  # fmt: skip
        assert any(step in one for one in missing), step


def test_the_contract_cannot_be_left_half_done() -> None:
    half = type("Half", (Platform,), {"name": "half"})
    with pytest.raises(TypeError, match=r"about.*community.*content.*crawl.*history.*parse.*url.*words"):
        half()
