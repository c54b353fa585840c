"""Where bytes are kept: named objects, created whole or not at all. In a folder, or (gcs.py) in a bucket.

What belongs here is what every store can do; what the names mean belongs in lake.py.
"""

import errno
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from extractors.lease import Turn

TEMPORARY = ".tmp-"
LAST = "\U0010ffff"
"""Behind every name."""
BUCKET_URL = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(?:/(.*))?")


@dataclass(frozen=True)
class Bucket:
    """A place in Google Cloud Storage, `gs://name/prefix`; what is kept there bears names behind `prefix/`."""

    name: str
    prefix: str = ""

    @classmethod
    def parse(cls, url: str) -> "Bucket":
        """Raises ValueError."""
        found = BUCKET_URL.fullmatch(url)
        if not found:
            raise ValueError(f"{url!r} is no bucket: write gs://bucket or gs://bucket/prefix.")
        return cls(found[1], re.sub("/+", "/", found[2] or "").strip("/"))

    def __str__(self) -> str:
        return f"gs://{self.name}/{self.prefix}".rstrip("/")


Place = Path | Bucket


class StoreError(Exception):
    """The store cannot be read or written; the message says which and what to do."""


class Exists(StoreError):
    """Somebody created that object first."""


class Store(ABC):
    """Objects by name, with `/` between the parts of a name. Only `replace` changes one."""

    @abstractmethod
    def location(self, name: str) -> str:
        """Where a reader such as DuckDB finds the object."""

    @abstractmethod
    def list(self, prefix: str, start: str = "", end: str = LAST) -> Iterator[str]:
        """Names that begin with `prefix`, ascending, `prefix + start <= name < prefix + end`."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Raises FileNotFoundError."""

    def read_all(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        """Each of these, in their order; None for what is not there."""
        for name in names:
            try:
                yield name, self.read(name)
            except FileNotFoundError:
                yield name, None

    @abstractmethod
    def local(self, names: Sequence[str]) -> AbstractContextManager[Sequence[Path]]:
        """Files of this machine that hold these objects, for readers that know nothing else; copies go again when the
        block ends. A path ends as its object's name does. Raises FileNotFoundError, perhaps only when one is opened."""

    @abstractmethod
    def create(self, name: str, data: bytes) -> None:
        """All of it or nothing, durable on return. Raises Exists."""

    @abstractmethod
    def replace(self, name: str, data: bytes) -> None:
        """The object is this from now on, whether it was there or not; who reads meanwhile gets the old or the new."""

    @abstractmethod
    def writer(self, name: str) -> AbstractContextManager[BinaryIO]:
        """A file that becomes the object when the block ends well, and nothing when it does not."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Also when it is not there."""

    @abstractmethod
    def modified(self, name: str) -> float:
        """When it was created, in Unix seconds. Raises FileNotFoundError."""

    @abstractmethod
    def lease(self, name: str, owner: str, patience: float) -> AbstractContextManager[None]:
        """Held inside by this machine alone, the `owner`, of all that share the store. Raises TimeoutError."""

    @abstractmethod
    def leased(self, folder: str, owner: str) -> Collection[str]:
        """The names of the leases there that other machines than `owner` hold."""

    @abstractmethod
    def turn(self, name: str, owner: str) -> "Turn | None":
        """What waits for this machine's turn, the `owner`'s, among all that share the store; None where none do."""

    @abstractmethod
    def sweep_halves(self, folder: str, older_than: float) -> Iterator[str]:
        """Delete halves of objects that a crash left there before then, at any depth; their names."""


class Folder(Store):
    """A store in a folder. An object is written under a temporary name, synced, then linked to its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        with self._explained():
            root.mkdir(parents=True, exist_ok=True)
            if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "no permission to read and write it", str(root))

    def location(self, name: str) -> str:
        return str(self.root / name)

    def list(self, prefix: str, start: str = "", end: str = LAST) -> Iterator[str]:
        # Walks only the folders that the range can be in: an hour's look must not cost the whole history.
        low, high = prefix + start, prefix + end
        with self._explained():
            yield from self._walk(prefix.rpartition("/")[0], prefix, low, high)

    def _walk(self, folder: str, prefix: str, low: str, high: str) -> Iterator[str]:
        try:
            entries = {entry.name: entry.is_dir() for entry in os.scandir(self.root / folder)}
        except FileNotFoundError:
            return
        # a folder sorts as its objects do, with the slash behind its name
        for name in sorted(f"{name}/" if is_dir else name for name, is_dir in entries.items()):
            path = f"{folder}/{name}" if folder else name
            if name.startswith(TEMPORARY) or path >= high:
                continue
            if name.endswith("/"):
                if (path >= low or low.startswith(path)) and (path.startswith(prefix) or prefix.startswith(path)):
                    yield from self._walk(path[:-1], prefix, low, high)
            elif path.startswith(prefix) and path >= low:
                yield path

    def read(self, name: str) -> bytes:
        with self._explained():
            return (self.root / name).read_bytes()

    @contextmanager
    def local(self, names: Sequence[str]) -> Iterator[Sequence[Path]]:
        yield [self.root / name for name in names]

    def create(self, name: str, data: bytes) -> None:
        with self.writer(name) as file:
            file.write(data)

    def replace(self, name: str, data: bytes) -> None:
        with self._written(name, os.replace) as file:
            file.write(data)

    @contextmanager
    def writer(self, name: str) -> Iterator[BinaryIO]:
        # a link fails where the name is taken, as a rename would not
        with self._written(name, os.link) as file:
            yield file

    @contextmanager
    def _written(self, name: str, publish: Callable[[str, Path], None]) -> Iterator[BinaryIO]:
        """A temporary file, that `publish` gives its name when it is whole and synced."""
        path = self.root / name
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=path.parent, prefix=TEMPORARY, delete=False) as file:
                try:
                    yield cast(BinaryIO, file)
                    file.flush()
                    os.fsync(file.fileno())
                    os.fchmod(file.fileno(), 0o644)
                    publish(file.name, path)
                except FileExistsError as problem:
                    raise Exists(
                        f"{path} is there already: another run wrote it first; nothing was changed"
                    ) from problem
                finally:
                    Path(file.name).unlink(missing_ok=True)
            _sync(path.parent)

    def delete(self, name: str) -> None:
        with self._explained():
            (self.root / name).unlink(missing_ok=True)

    def modified(self, name: str) -> float:
        return (self.root / name).stat().st_mtime

    def lease(self, name: str, owner: str, patience: float) -> AbstractContextManager[None]:
        return nullcontext()  # a folder is one machine's, whose locks are files

    def leased(self, folder: str, owner: str) -> Collection[str]:
        return ()

    def turn(self, name: str, owner: str) -> "Turn | None":
        return None

    def sweep_halves(self, folder: str, older_than: float) -> Iterator[str]:
        for path in (self.root / folder).rglob(f"{TEMPORARY}*"):
            if path.stat().st_mtime < older_than:
                path.unlink(missing_ok=True)
                yield str(path.relative_to(self.root))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as problem:
            advice = {
                errno.ENOSPC: "its disk is full: free some space; what is committed is safe, the next run reads on",
                errno.EDQUOT: "its quota is used up: free some space; what is committed is safe",
                errno.EACCES: "this user has no permission there: change the owner or choose another folder",
                errno.EROFS: "it is mounted read-only: mount it writable or choose another folder",
                errno.ENOTDIR: "something in its path is a file, not a folder: choose another folder",
                errno.EEXIST: "it is a file, not a folder: choose another folder",
            }.get(problem.errno or 0, problem.strerror or str(problem))
            raise StoreError(f"The lake at {self.root} cannot be used: {advice}.") from problem


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
