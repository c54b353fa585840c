"""Clients of Google Cloud, as Dagster's resources hand them out: for its runs and for the command line alike.

Credentials are the application's default ones; with STORAGE_EMULATOR_HOST set there are none.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from extractors.store import Bucket, Folder, Place, Store

if TYPE_CHECKING:
    from dagster_gcp import GCSResource

    from extractors.gcs import Gcs
    from orchestration.settings import Settings

COPIES = "copies"
"""The folder in the scratch folder for copies of objects."""


def google_storage() -> "GCSResource":
    from dagster_gcp import GCSResource  # 1.3 s, which a lake in a folder need not pay

    return GCSResource()  # without a project: a bucket's name is enough


def resources(settings: "Settings") -> dict[str, "GCSResource"]:
    """What the UI shows of them: those that the settings' places need."""
    buckets = isinstance(settings.lake, Bucket) or isinstance(settings.exports, Bucket)
    return {"gcs": google_storage()} if buckets else {}


def open_store(place: Place, scratch: Path) -> Store:
    """The store in a folder or a bucket. `scratch`: a folder of this machine. Raises StoreError."""
    return Folder(place) if isinstance(place, Path) else open_bucket(place, scratch)


def open_bucket(bucket: Bucket, scratch: Path) -> "Gcs":
    from extractors.gcs import Gcs, explained

    with explained(bucket):
        client = google_storage().get_client()
    return Gcs(client, bucket, scratch / COPIES)
