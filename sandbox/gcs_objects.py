"""Buckets and their objects as plain files, with generations, checksums and preconditions. How they are asked for over
HTTP belongs in gcs.py.

    <root>/<bucket>/<name>                 an object's bytes: any other program may read gs://<bucket>/<name> there
    <root>/.objects/<bucket>/<name>.json   what is known of it: generation, checksums, times, metadata

Files forbid what Google allows: an object whose name goes on behind another's (`a` and `a/b`), a name that ends with a
slash or has `.` or `..` or nothing between two, and parts of more than 255 bytes. Such names are refused.
"""

import base64
import hashlib
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import google_crc32c
import orjson

KNOWN = ".objects"
BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
UNMET = "At least one of the pre-conditions you specified did not hold."


class Refused(Exception):
    """What Google answers instead: a status, its reason in one word, and a sentence."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


@dataclass(frozen=True)
class Object:
    """An object as it is now, without its bytes. `generation` is another with every write, `metageneration` with every
    change of what is known of it."""

    bucket: str
    name: str
    generation: int
    size: int
    crc32c: str
    md5: str
    content_type: str
    metadata: dict[str, str]
    created: float
    updated: float
    metageneration: int = 1


@dataclass(frozen=True)
class Conditions:
    """What must hold, or the request changes nothing. Generation 0 is that of an object that is not there."""

    generation: int | None = None
    not_generation: int | None = None
    metageneration: int | None = None
    not_metageneration: int | None = None

    def check(self, found: Object | None, reading: bool = False) -> None:
        """Raises Refused: with 304 if it is read and is what the asker has."""
        generation, metageneration = (found.generation, found.metageneration) if found else (0, 0)
        if self.generation not in (None, generation) or self.metageneration not in (None, metageneration):
            raise Refused(412, "conditionNotMet", UNMET)
        if self.not_generation == generation or self.not_metageneration == metageneration:
            raise Refused(304 if reading else 412, "conditionNotMet", UNMET)


@dataclass
class _Bucket:
    created: float
    objects: dict[str, Object] = field(default_factory=dict)


class Buckets:
    """All buckets below a folder; whatever is done to an object, is done whole, one after another."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.RLock()
        self._buckets: dict[str, _Bucket] = {}
        self._last = 0
        root.mkdir(parents=True, exist_ok=True)
        for folder in sorted(path for path in root.iterdir() if path.is_dir() and path.name != KNOWN):
            self._buckets[folder.name] = _Bucket(folder.stat().st_mtime)
        for file in (root / KNOWN).rglob("*.json"):
            known = Object(**orjson.loads(file.read_bytes()))
            self._buckets[known.bucket].objects[known.name] = known
            self._last = max(self._last, known.generation)

    def create(self, bucket: str) -> float:
        """Returns when. Raises Refused if it is there."""
        if not BUCKET.fullmatch(bucket):
            raise Refused(400, "invalid", f"Invalid bucket name: '{bucket}'")
        with self._lock:
            if bucket in self._buckets:
                raise Refused(409, "conflict", "Your previous request to create the named bucket succeeded.")
            (self.root / bucket).mkdir(exist_ok=True)
            self._buckets[bucket] = _Bucket(time.time())
            return self._buckets[bucket].created

    def created(self, bucket: str) -> float:
        return self._bucket(bucket).created

    def names(self, bucket: str) -> list[str]:
        """Ascending."""
        with self._lock:
            return sorted(self._bucket(bucket).objects)

    def find(self, bucket: str, name: str) -> Object | None:
        with self._lock:
            return self._bucket(bucket).objects.get(name)

    def get(self, bucket: str, name: str, generation: int | None, conditions: Conditions) -> tuple[Object, bytes]:
        """An object and its bytes, of one generation. Raises Refused."""
        with self._lock:
            found = self._there(bucket, name, generation)
            conditions.check(found, reading=True)
            return found, self._path(bucket, name).read_bytes()

    def put(self, bucket: str, name: str, data: bytes, resource: Mapping[str, Any], conditions: Conditions) -> Object:
        """Create or replace an object. `resource`: what the asker says of it, checksums among it. Raises Refused."""
        crc = base64.b64encode(google_crc32c.value(data).to_bytes(4)).decode()
        md5 = base64.b64encode(hashlib.md5(data).digest()).decode()
        for said, kind, mine in ((resource.get("crc32c"), "CRC32C", crc), (resource.get("md5Hash"), "MD5 hash", md5)):
            if said not in (None, mine):
                text = f'Provided {kind} "{said}" doesn\'t match calculated {kind} "{mine}".'
                raise Refused(400, "invalid", text)
        path = self._path(bucket, name)
        with self._lock:
            there = self._bucket(bucket).objects
            conditions.check(there.get(name))
            self._last = max(self._last + 1, time.time_ns() // 1000)
            now = self._last / 1e6
            kind = resource.get("contentType") or "application/octet-stream"
            new = Object(
                bucket, name, self._last, len(data), crc, md5, kind, dict(resource.get("metadata") or {}), now, now
            )
            self._write(path, data)
            self._know(new)
            return new

    def patch(
        self, bucket: str, name: str, generation: int | None, resource: Mapping[str, Any], conditions: Conditions
    ) -> Object:
        """Change what is known of an object; a metadata key with null goes. Raises Refused."""
        with self._lock:
            found = self._there(bucket, name, generation)
            conditions.check(found)
            metadata = found.metadata | (resource.get("metadata") or {})
            changed = replace(
                found,
                metadata={key: value for key, value in metadata.items() if value is not None},
                content_type=resource.get("contentType", found.content_type),
                metageneration=found.metageneration + 1,
                updated=time.time(),
            )
            self._know(changed)
            return changed

    def delete(self, bucket: str, name: str, generation: int | None, conditions: Conditions) -> None:
        """Raises Refused, also when it is not there."""
        with self._lock:
            found = self._there(bucket, name, generation)
            conditions.check(found)
            del self._bucket(bucket).objects[name]
            self._known(found).unlink()
            path = self._path(bucket, name)
            path.unlink()
            for folder in path.relative_to(self.root / bucket).parents:  # Google knows no empty folders
                if folder == Path() or any((self.root / bucket / folder).iterdir()):
                    break
                (self.root / bucket / folder).rmdir()

    def _bucket(self, bucket: str) -> _Bucket:
        found = self._buckets.get(bucket)
        if found is None:
            raise Refused(404, "notFound", "The specified bucket does not exist.")
        return found

    def _there(self, bucket: str, name: str, generation: int | None) -> Object:
        found = self._bucket(bucket).objects.get(name)
        if found is None or generation not in (None, found.generation):
            raise Refused(404, "notFound", f"No such object: {bucket}/{name}")
        return found

    def _path(self, bucket: str, name: str) -> Path:
        self._bucket(bucket)
        parts = name.split("/")
        if any(part in ("", ".", "..") or "\0" in part or len(part.encode()) > 250 for part in parts):
            raise Refused(400, "invalid", f"This server keeps objects as files, and no file can be named {name!r}.")
        return self.root.joinpath(bucket, *parts)

    def _known(self, known: Object) -> Path:
        return self.root / KNOWN / known.bucket / f"{known.name}.json"

    def _know(self, known: Object) -> None:
        self._write(self._known(known), orjson.dumps(asdict(known)))
        self._bucket(known.bucket).objects[known.name] = known

    def _write(self, path: Path, data: bytes) -> None:
        """Whoever reads the file finds the old or the new."""
        half = self.root / KNOWN / f".half-{uuid4().hex}"
        half.parent.mkdir(exist_ok=True)
        try:
            half.write_bytes(data)
            _made(lambda: path.parent.mkdir(parents=True, exist_ok=True), path)
            _made(lambda: half.replace(path), path)
        finally:
            half.unlink(missing_ok=True)


def _made(make: Callable[[], object], path: Path) -> None:
    try:
        make()
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        text = f"This server keeps objects as files, and {path} cannot be a file and a folder."
        raise Refused(400, "invalid", text) from None
