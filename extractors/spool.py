"""Arrow tables waiting for their commit: in memory while they are few, in an unnamed file beyond that."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import pyarrow as pa

GROUP = 8 * 2**20
"""Bytes of Arrow data that go into one Parquet row group, and that one spool keeps in memory."""


class Spool:
    """Tables of one schema, added in order, read back in row groups. A killed process leaves nothing behind."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: list[pa.Table] = []
        self._size = 0
        self._file: IO[bytes] | None = None
        self._writer: pa.RecordBatchStreamWriter | None = None

    def add(self, table: pa.Table) -> None:
        self._held.append(table)
        self._size += table.nbytes
        if self._size >= GROUP:
            self._spill()

    def _spill(self) -> None:
        group = pa.concat_tables(self._held).combine_chunks()
        if self._file is None or self._writer is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed by close()
            self._writer = pa.ipc.new_stream(self._file, group.schema)
        self._writer.write_table(group)
        self._held, self._size = [], 0

    def __iter__(self) -> Iterator[pa.Table]:
        """The row groups, each one a table."""
        if self._file is not None and self._writer is not None:
            self._writer.close()
            self._file.seek(0)
            for batch in pa.ipc.open_stream(self._file):
                yield pa.Table.from_batches([batch])
        if self._held:
            yield pa.concat_tables(self._held).combine_chunks()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._held = []
