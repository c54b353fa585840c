"""What Dagster loads: the system as the environment describes it."""

from orchestration.definitions import build_defs
from orchestration.settings import Settings

defs = build_defs(Settings.from_env())
