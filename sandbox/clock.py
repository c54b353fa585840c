"""The sandbox's clock: it stands still until it is set, and can be read by other processes from a file."""

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path


class Clock:
    """A settable time. With `file`, that file always holds the time in ISO format, replaced atomically."""

    def __init__(self, now: datetime, file: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._file = file
        self.set(now)

    @property
    def now(self) -> datetime:
        return self._now

    def set(self, now: datetime) -> None:
        if now.tzinfo is None:
            raise ValueError(f"the clock needs a time with a zone, not {now.isoformat()}")
        with self._lock:
            self._write(now.astimezone(UTC))

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._write(self._now + timedelta(seconds=seconds))

    def _write(self, now: datetime) -> None:
        if self._file is not None:
            scratch = self._file.with_name(f"{self._file.name}.{os.getpid()}.tmp")
            scratch.write_text(now.isoformat())
            scratch.replace(self._file)
        self._now = now
