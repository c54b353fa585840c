"""Google Cloud Storage on loopback: of its JSON API what `google-cloud-storage` uses of simple objects, strictly.

Buckets, lists (prefix, offsets, pages), reads (ranges, checksums), metadata, multipart and resumable uploads,
deletions; every precondition is kept. What is not spoken here is answered with 501, parameters too, so that nothing
that a client means is silently left out. Whoever sets STORAGE_EMULATOR_HOST to the `address` gets this instead of
Google, without credentials. Where the objects lie as files stands in gcs_objects.py: <root>/<bucket>/<name>.

`python -m sandbox.gcs FOLDER --bucket NAME` runs one by itself. Faults are those of faults.py; `untouched` says whether
one strikes before or after the work is done. It does not prove what Google alone decides: permissions, quotas, speed.
"""

import argparse
import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import orjson

from sandbox.gcs_objects import Buckets, Conditions, Object, Refused
from sandbox.server import Sandbox
from sandbox.site import TEXT, Request, Response, Site, json_response

HOST = "storage.googleapis.com"
GRAIN = 256 * 1024
"""Chunks of a resumable upload, but the last, are a multiple of it."""
PAGE = 1000
PLAIN = {"prettyPrint", "projection", "fields", "alt"}
"""Parameters that change how an answer looks, not what is done."""
CONDITIONS = {
    "ifGenerationMatch": "generation",
    "ifGenerationNotMatch": "not_generation",
    "ifMetagenerationMatch": "metageneration",
    "ifMetagenerationNotMatch": "not_metageneration",
}
LISTS = {"prefix", "startOffset", "endOffset", "maxResults", "pageToken"}


@dataclass
class _Upload:
    """A resumable upload: what came so far, and what became of it."""

    bucket: str
    resource: Mapping[str, Any]
    conditions: Conditions
    data: bytearray = field(default_factory=bytearray)
    done: Object | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class GcsSite(Site):
    """The storage of one folder. `keeps`: bytes of each chunk of a resumable upload that are kept at the most, as
    Google may keep fewer than were sent."""

    hosts = (HOST,)

    def __init__(self, root: Path, buckets: Sequence[str] = ()) -> None:
        self.buckets = Buckets(root)
        self.keeps: int | None = None
        self._uploads: dict[str, _Upload] = {}
        for bucket in buckets:
            if not (root / bucket).exists():
                self.buckets.create(bucket)

    def forget_uploads(self) -> None:
        """Those that are not finished are lost, as Google's are after a week, or sooner."""
        self._uploads.clear()

    def answer(self, request: Request, now: datetime) -> Response:
        try:
            for method, path, known, answer in self._routes():
                if request.method == method and (found := path.fullmatch(request.path)):
                    if strange := request.query.keys() - PLAIN - known:
                        raise Refused(501, "notImplemented", f"This server knows no {', '.join(sorted(strange))}.")
                    return answer(request, **found.groupdict())
            raise Refused(501, "notImplemented", f"This server knows no {request.method} {request.path}.")
        except Refused as refusal:
            return _refusal(refusal, request)

    def _routes(self) -> Iterator[tuple[str, re.Pattern[str], set[str], Callable[..., Response]]]:
        bucket, name = r"/b/(?P<bucket>[^/]+)", "/o/(?P<name>.+)"
        given = set(CONDITIONS)
        for method, path, known, answer in (
            ("POST", "/storage/v1/b", {"project"}, self._create),
            ("GET", f"/storage/v1{bucket}", set(), self._about),
            ("GET", f"/storage/v1{bucket}/o", LISTS, self._list),
            ("GET", f"(?:/download)?/storage/v1{bucket}{name}", {"generation", *given}, self._get),
            ("PATCH", f"/storage/v1{bucket}{name}", {"generation", *given}, self._patch),
            ("DELETE", f"/storage/v1{bucket}{name}", {"generation", *given}, self._delete),
            ("POST", f"/upload/storage/v1{bucket}/o", {"uploadType", "name", *given}, self._upload),
            ("PUT", f"/upload/storage/v1{bucket}/o", {"uploadType", "upload_id"}, self._go_on),
            ("DELETE", f"/upload/storage/v1{bucket}/o", {"uploadType", "upload_id"}, self._cancel),
        ):
            yield method, re.compile(path, re.DOTALL), known, answer

    # -- buckets -----------------------------------------------------------------------------------------------

    def _create(self, request: Request) -> Response:
        bucket = orjson.loads(request.body)["name"]
        return json_response(_bucket(bucket, self.buckets.create(bucket)))

    def _about(self, request: Request, bucket: str) -> Response:
        return json_response(_bucket(bucket, self.buckets.created(bucket)))

    def _list(self, request: Request, bucket: str) -> Response:
        prefix, start, end, token = (
            request.argument(name) or "" for name in ("prefix", "startOffset", "endOffset", "pageToken")
        )
        names = [
            name
            for name in self.buckets.names(bucket)
            if name.startswith(prefix) and name >= start and name > token and (not end or name < end)
        ]
        most = min(_number(request, "maxResults") or PAGE, PAGE)
        found = [one for name in names[:most] if (one := self.buckets.find(bucket, name))]
        document: dict[str, Any] = {"kind": "storage#objects"}
        if found:
            document["items"] = [_resource(one, request) for one in found]
        if len(names) > most:
            document["nextPageToken"] = names[most - 1]
        return _selected(document, request)

    # -- objects -----------------------------------------------------------------------------------------------

    def _get(self, request: Request, bucket: str, name: str) -> Response:
        found, data = self.buckets.get(bucket, name, _number(request, "generation"), _conditions(request))
        if request.argument("alt") != "media":
            return _selected(_resource(found, request), request)
        headers = {
            "X-Goog-Generation": str(found.generation),
            "X-Goog-Metageneration": str(found.metageneration),
            "X-Goog-Hash": f"crc32c={found.crc32c},md5={found.md5}",
            "X-Goog-Stored-Content-Length": str(found.size),
            "X-Goog-Stored-Content-Encoding": "identity",
            "X-Goog-Storage-Class": "STANDARD",
        }
        ranged = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if not ranged:
            return Response(200, data, found.content_type, headers)
        first, last = int(ranged[1]), min(int(ranged[2] or found.size), found.size - 1)
        if first > last:
            raise Refused(416, "requestedRangeNotSatisfiable", "The requested range cannot be satisfied.")
        headers["Content-Range"] = f"bytes {first}-{last}/{found.size}"
        return Response(206, data[first : last + 1], found.content_type, headers)

    def _patch(self, request: Request, bucket: str, name: str) -> Response:
        changed = self.buckets.patch(
            bucket, name, _number(request, "generation"), orjson.loads(request.body), _conditions(request)
        )
        return _selected(_resource(changed, request), request)

    def _delete(self, request: Request, bucket: str, name: str) -> Response:
        self.buckets.delete(bucket, name, _number(request, "generation"), _conditions(request))
        return Response(204)

    # -- uploads -----------------------------------------------------------------------------------------------

    def _upload(self, request: Request, bucket: str) -> Response:
        kind = request.argument("uploadType")
        if kind == "multipart":
            resource, data = _parts(request)
        elif kind == "media":
            resource, data = {"contentType": request.headers.get("content-type")}, request.body
        elif kind == "resumable":
            resource, data = orjson.loads(request.body or b"{}"), b""
            resource = {"contentType": request.headers.get("x-upload-content-type")} | resource
        else:
            raise Refused(501, "notImplemented", f"This server knows no uploadType {kind}.")
        resource["name"] = request.argument("name") or resource.get("name")
        if not resource["name"]:
            raise Refused(400, "required", "Required parameter: name")
        conditions = _conditions(request)
        if kind != "resumable":
            return self._put(request, bucket, data, resource, conditions)
        conditions.check(self.buckets.find(bucket, resource["name"]))  # and once more when all of it is here
        number = uuid4().hex
        self._uploads[number] = _Upload(bucket, resource, conditions)
        target = f"{_address(request)}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={number}"
        return Response(200, headers={"Location": target, "X-GUploader-UploadID": number})

    def _put(
        self, request: Request, bucket: str, data: bytes, resource: Mapping[str, Any], conditions: Conditions
    ) -> Response:
        done = self.buckets.put(bucket, resource["name"], data, resource, conditions)
        return _selected(_resource(done, request), request)

    def _go_on(self, request: Request, bucket: str) -> Response:
        """One more chunk, or (`bytes */…`) only the question how much is here."""
        upload = self._uploads.get(request.argument("upload_id") or "")
        if upload is None or upload.bucket != bucket:
            raise Refused(404, "notFound", "No such upload: it was never begun, or is forgotten.")
        with upload.lock:
            if upload.done:
                return json_response(_resource(upload.done, request))
            said = request.headers.get("content-range", f"bytes 0-{len(request.body) - 1}/{len(request.body)}")
            ranged = re.fullmatch(r"bytes (?:(\d+)-(-?\d+)|\*)/(\d+|\*)", said)
            if not ranged:
                raise Refused(400, "invalid", f"Invalid Content-Range: {said}")
            whole = None if ranged[3] == "*" else int(ranged[3])
            if ranged[1] is not None and request.body:
                self._keep(upload, int(ranged[1]), int(ranged[2]), whole, request.body)
            if whole is None or len(upload.data) < whole:
                here = len(upload.data)
                return Response(308, headers={"Range": f"bytes=0-{here - 1}"} if here else {})
            upload.done = self.buckets.put(
                upload.bucket, upload.resource["name"], bytes(upload.data), upload.resource, upload.conditions
            )
            return json_response(_resource(upload.done, request))

    def _keep(self, upload: _Upload, first: int, last: int, whole: int | None, body: bytes) -> None:
        """What comes a second time is left out; what would leave a gap is refused."""
        if last - first + 1 != len(body) or (whole is not None and last >= whole):
            raise Refused(400, "invalid", f"Content-Range says {first}-{last}/{whole}, but {len(body)} bytes came.")
        if whole is None and len(body) % GRAIN:
            raise Refused(400, "invalid", f"A chunk that is not the last must be a multiple of {GRAIN} bytes.")
        if first > len(upload.data):
            raise Refused(503, "backendError", f"Only {len(upload.data)} bytes are here, but byte {first} came.")
        new = body[len(upload.data) - first :]
        upload.data += new if self.keeps is None else new[: self.keeps]

    def _cancel(self, request: Request, bucket: str) -> Response:
        self._uploads.pop(request.argument("upload_id") or "", None)
        return Response(499)


# -- answers -------------------------------------------------------------------------------------------------------


def _refusal(refusal: Refused, request: Request) -> Response:
    if request.argument("alt") == "media":
        return Response(refusal.status, str(refusal).encode(), TEXT)
    told = {"message": str(refusal), "domain": "global", "reason": refusal.reason}
    error = {"code": refusal.status, "message": str(refusal), "errors": [told]}
    return json_response({"error": error}, refusal.status)


def _address(request: Request) -> str:
    return f"http://{request.headers['host']}/{HOST}"


def _bucket(bucket: str, created: float) -> dict[str, Any]:
    times = {"timeCreated": _iso(created), "updated": _iso(created)}
    about = {"kind": "storage#bucket", "id": bucket, "name": bucket, "location": "EU", "metageneration": "1"}
    return about | times | {"storageClass": "STANDARD"}


def _resource(found: Object, request: Request) -> dict[str, Any]:
    address, path = _address(request), f"storage/v1/b/{found.bucket}/o/{quote(found.name, safe='')}"
    resource: dict[str, Any] = {
        "kind": "storage#object",
        "id": f"{found.bucket}/{found.name}/{found.generation}",
        "selfLink": f"{address}/{path}",
        "mediaLink": f"{address}/download/{path}?generation={found.generation}&alt=media",
        "name": found.name,
        "bucket": found.bucket,
        "generation": str(found.generation),
        "metageneration": str(found.metageneration),
        "contentType": found.content_type,
        "storageClass": "STANDARD",
        "size": str(found.size),
        "md5Hash": found.md5,
        "crc32c": found.crc32c,
        "etag": f"{found.generation}/{found.metageneration}",
        "timeCreated": _iso(found.created),
        "updated": _iso(found.updated),
    }
    return resource | ({"metadata": found.metadata} if found.metadata else {})


def _iso(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"


def _selected(document: dict[str, Any], request: Request) -> Response:
    """Only the `fields` that were asked for, as `items(name,size),nextPageToken` names them."""
    fields = request.argument("fields")
    if not fields:
        return json_response(document)
    kept: dict[str, Any] = {}
    for name, inner in re.findall(r"([\w*]+)(?:\(([^()]*)\))?", fields):
        if name in document and inner:
            kept[name] = [{key: one[key] for key in inner.split(",") if key in one} for one in document[name]]
        elif name in document:
            kept[name] = document[name]
    return json_response(kept)


# -- requests ------------------------------------------------------------------------------------------------------


def _number(request: Request, name: str) -> int | None:
    value = request.argument(name)
    if value is not None and not value.isdecimal():
        raise Refused(400, "invalid", f"Invalid value for {name}: {value}")
    return None if value is None else int(value)


def _conditions(request: Request) -> Conditions:
    return Conditions(**{ours: _number(request, theirs) for theirs, ours in CONDITIONS.items()})


def _parts(request: Request) -> tuple[dict[str, Any], bytes]:
    """The two parts of a multipart upload: what is said of the object, and its bytes."""
    boundary = re.search(r'boundary="?([^";]+)"?', request.headers.get("content-type", ""))
    mark = b"--" + (boundary[1].encode() if boundary else b"")
    head, found, rest = request.body.partition(b"\r\n" + mark + b"\r\n")
    kind, _, data = rest.partition(b"\r\n\r\n")
    said = head.partition(b"\r\n\r\n")[2]
    if not (boundary and found and head.startswith(mark) and rest.endswith(b"\r\n" + mark + b"--")):
        raise Refused(400, "invalid", "The body is no multipart/related of metadata and content.")
    content_type = re.search(rb"content-type: *([^\r\n]+)", kind, re.IGNORECASE)
    resource = {"contentType": content_type[1].decode() if content_type else None} | orjson.loads(said)
    return resource, data.removesuffix(b"\r\n" + mark + b"--")


# -- by itself -----------------------------------------------------------------------------------------------------


def address(sandbox: Sandbox) -> str:
    """What STORAGE_EMULATOR_HOST is to be set to."""
    return f"{sandbox.url}/{HOST}"


@contextmanager
def served(root: Path, *buckets: str, port: int = 0) -> Iterator[Sandbox]:
    """A server of nothing but a folder's storage; its buckets are made if they are not there."""
    with Sandbox(now=datetime.now(UTC), sites=[GcsSite(root, buckets)], port=port) as sandbox:
        yield sandbox


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.gcs", description="Google Cloud Storage on loopback.")
    parser.add_argument("folder", type=Path, help="where the objects lie: FOLDER/BUCKET/NAME")
    parser.add_argument("--bucket", action="append", default=[], help="one that is made if it is not there")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (0)")
    options = parser.parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with served(options.folder, *options.bucket, port=options.port) as sandbox:
        print(f"STORAGE_EMULATOR_HOST={address(sandbox)}", flush=True)
        ended.wait()


if __name__ == "__main__":
    main()
