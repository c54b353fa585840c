"""Alerts reach a real server, and say no secrets."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import dagster as dg
import pytest

from extractors.lake import Tracked
from orchestration.alerts import alert_sensors, post
from orchestration.definitions import build_defs
from orchestration.settings import Settings
from tests.orchestration.conftest import env_of
from tests.orchestration.fake import fake_pipeline


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[str]]]:
    texts: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            texts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", texts
    server.shutdown()


def test_a_failed_run_is_told(webhook: tuple[str, list[str]], settings: Settings, instance: dg.DagsterInstance) -> None:
    url, texts = webhook
    secret = "0123456789abcdef"
    told = Settings.from_env(env_of(settings.home, WEBHOOK=url) | {"DISCOURSE_KEY_META_EXAMPLE": f"reader:{secret}"})
    assert secret not in repr(told) and url not in repr(told)

    @dg.op
    def step() -> None:
        raise ValueError(f"https://meta.example/latest.json?api_key={secret}: expected JSON")

    @dg.job
    def ingest() -> None:
        step()

    result = ingest.execute_in_process(instance=instance, raise_on_error=False)
    failure = next(event for event in result.all_events if event.is_run_failure)
    [sensor, _] = alert_sensors(told)
    context = dg.build_run_status_sensor_context(
        sensor_name=sensor.name, dagster_event=failure, dagster_instance=instance, dagster_run=result.dagster_run
    ).for_run_failure()
    sensor(context)
    assert len(texts) == 1
    assert "of ingest failed" in texts[0] and "expected JSON" in texts[0] and secret not in texts[0]


def test_a_community_that_fails_is_told(
    webhook: tuple[str, list[str]], settings: Settings, instance: dg.DagsterInstance
) -> None:
    url, texts = webhook
    told = Settings.from_env(env_of(settings.home, WEBHOOK=url))
    pipeline = fake_pipeline(told)
    broken = pipeline.platforms[0].community("fourchan:broken")
    assert broken is not None
    pipeline.lake.track(Tracked(broken.key, broken.instance, told.start, told.now()))
    job = build_defs(told, pipeline).resolve_job_def("ingest_fourchan")
    result = job.execute_in_process(instance=instance, partition_key="2026-11-01-00:00")
    success = next(event for event in result.all_events if event.event_type_value == "PIPELINE_SUCCESS")
    [_, sensor] = alert_sensors(told)
    sensor(
        dg.build_run_status_sensor_context(
            sensor_name=sensor.name, dagster_event=success, dagster_instance=instance, dagster_run=result.dagster_run
        )
    )
    assert len(texts) == 1 and "fourchan:broken" in texts[0] and "503" in texts[0]


def test_no_secret_is_told(webhook: tuple[str, list[str]], settings: Settings) -> None:
    url, texts = webhook
    secrets = {
        "DISCORD_TOKEN": "not-a-real-token",
        "DISCOURSE_KEY_A_ORG": "k" * 20,
        "DISCOURSE_KEY_B_ORG": "me:" + "s" * 20,
    }
    told = Settings.from_env(env_of(settings.home, WEBHOOK=url) | secrets)
    assert post(told, f"{' '.join(secrets.values())} {'s' * 20} {url}: expected JSON")
    assert "expected JSON" in texts[0]
    assert not any(secret in texts[0] for secret in ["not-a-real-token", "k" * 20, "s" * 20, url])


def test_a_webhook_that_is_gone_fails_nothing(settings: Settings) -> None:
    gone = Settings.from_env(env_of(settings.home, WEBHOOK="http://127.0.0.1:9/hook"))
    assert post(gone, "text") is False
