"""What a server was asked, and whether Google's analyser would have let it pass."""

import re
from collections.abc import Sequence
from contextlib import suppress

from google.api_core.exceptions import NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from sandbox.bigquery import PROJECT, BigQueryServer, complaints

TEMPORARY = {"whole_posts": "clean.posts", "whole_threads": "clean.threads", "whole_versions": "clean.post_versions"}
FRESH = re.compile(r"`(\w+)`\.`((\w+)__dbt_tmp\d+)`")
STAGED = re.compile(r"raw\.(loading_(\w+)_[0-9a-f]{12})\b")


def connect(server: BigQueryServer) -> bigquery.Client:
    """The real client, without a login."""
    return bigquery.Client(PROJECT, AnonymousCredentials(), client_options={"api_endpoint": server.url})


def scripts(client: bigquery.Client) -> list[str]:
    """All SQL that jobs were begun with, in their order; what only asks of the catalogue left out."""
    jobs = [job for job in client.list_jobs(all_users=True) if job.job_type == "query" and not job.parent_job_id]
    asked = [job.query for job in sorted(jobs, key=lambda job: job.created)]
    return [sql for sql in asked if "INFORMATION_SCHEMA" not in sql]


def catalogue(client: bigquery.Client, asked: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """All tables and views there are, and those that came and went."""
    found: dict[str, list[tuple[str, str]]] = {}
    for dataset in ("raw", "staging", "clean", "marts"):
        with suppress(NotFound):
            for item in client.list_tables(dataset):
                fields = client.get_table(item).schema
                found[f"{dataset}.{item.table_id}"] = [
                    (field.name, f"ARRAY<{field.field_type}>" if field.mode == "REPEATED" else field.field_type)
                    for field in fields
                ]
    for name, table in {match for sql in asked for match in STAGED.findall(sql)}:
        hour = "TIMESTAMP" if table == "observations" else "STRING"
        found[f"raw.{name}"] = [(column, hour if column == "hour" else kind) for column, kind in found[f"raw.{table}"]]
    for dataset, name, table in {match for sql in asked for match in FRESH.findall(sql)}:
        found[f"{dataset}.{name}"] = found[f"{dataset}.{table}"]
    known = {f"{PROJECT}.{name}": columns for name, columns in found.items()}
    for name, table in TEMPORARY.items():
        if table in found:
            known[name] = found[table]
    for name in ("posts", "threads"):
        known[f"stray_{name}"] = [(column, "STRING") for column in ("platform", "instance", f"{name[:-1]}_id")]
    return known


def refused(client: bigquery.Client) -> list[tuple[str, str]]:
    """Each statement that Google's analyser refuses, and why."""
    asked = scripts(client)
    assert asked
    return [(statement, why) for _, statement, why in complaints(catalogue(client, asked), asked)]
