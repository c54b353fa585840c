"""`threadlake up` serves the pages beside Dagster, from before the first run on, and ends them with everything else."""

import pytest
import requests

from tests.orchestration.conftest import System, free_port


def test_up_serves_the_pages_too(system: System) -> None:
    port = free_port()
    system.up("--no-schedules", "--dashboard-port", str(port))
    url = f"http://127.0.0.1:{port}"
    empty = requests.get(url, timeout=30)
    assert empty.status_code == 503 and "Nothing was transformed yet" in empty.text
    assert "discourse:meta.example" in requests.get(f"{url}/communities", timeout=30).text
    assert (system.home / "dashboard-token").stat().st_mode & 0o777 == 0o600
    assert system.down() == 0
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)
