"""What all tests share: hypothesis without deadlines, since a shared machine's speed proves nothing; and an environment
of their own, since the profile of dbt and the settings are read from it.
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("threadlake", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("threadlake")


@pytest.fixture(autouse=True, scope="module")
def environment() -> Iterator[None]:
    """No module's homes and warehouses are another's."""
    os.environ.pop("THREADLAKE_WAREHOUSE", None)  # what session fixtures set, before this one began
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
