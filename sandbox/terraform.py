"""Terraform without its registry: a mirror with `google_provider.py` in it, and the configuration that names it.

python -m sandbox.terraform     initialises terraform/, so that `terraform -chdir=terraform validate` works
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from orchestration.settings import PROJECT
from sandbox.google_schema import SCHEMA, SOURCE, TERRAFORM

VENV = PROJECT / ".venv-terraform"


def provider_version() -> str:
    """Which version's schema is served."""
    return str(json.loads(SCHEMA.read_text())["provider_version"])


def mirror(folder: Path) -> dict[str, str]:
    """Make a mirror in this folder; return the environment in which Terraform finds it and nothing else."""
    version = provider_version()
    place = folder / "mirror" / SOURCE / version / "linux_amd64" / f"terraform-provider-google_v{version}_x5"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(
        f'#!/bin/sh\nexec "{VENV / "bin" / "python"}" "{Path(__file__).with_name("google_provider.py")}"\n'
    )
    place.chmod(0o755)
    config = folder / "terraform.rc"
    config.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{folder / "mirror"}"\n  }}\n}}\n')
    return os.environ | {"TF_CLI_CONFIG_FILE": str(config), "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}


def forget(root: Path) -> None:
    """Take away what an earlier init left: the sums of this provider are not those of the real one."""
    shutil.rmtree(root / ".terraform", ignore_errors=True)
    (root / ".terraform.lock.hcl").unlink(missing_ok=True)


def main() -> int:
    """Returns Terraform's exit code."""
    if shutil.which("terraform") is None:
        print("terraform is not installed here: nothing in terraform/ can be checked.", file=sys.stderr)
        return 1
    forget(TERRAFORM)
    environment = mirror(PROJECT / ".data" / "terraform")
    command = ["terraform", f"-chdir={TERRAFORM}", "init", "-backend=false", "-input=false"]
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
