"""What Dagster loads in tests: the system over the fake platforms."""

from orchestration.definitions import build_defs
from orchestration.settings import Settings
from tests.orchestration.fake import fake_pipeline

settings = Settings.from_env()
defs = build_defs(settings, fake_pipeline(settings))
