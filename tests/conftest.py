"""What all tests share: hypothesis without deadlines, since a shared machine's speed proves nothing."""

from hypothesis import HealthCheck, settings

settings.register_profile("threadlake", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("threadlake")
