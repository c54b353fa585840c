"""Arrow tables waiting for their commit: in memory while they are few, in an unnamed file beyond that."""

import io
import os
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import pyarrow as pa

GROUP = 8 * 2**20
"""Bytes of Arrow data that make one Parquet row group."""
MOST = 24 * 2**20
"""Bytes of Arrow data that all spools of a crawl keep in memory together."""


class Spool:
    """Tables in piles; those of a pile have one schema, and are read back in order.

    One file holds what all piles spill, since a window may have many hours. A killed process leaves nothing behind.
    `most`: bytes of Arrow data that it keeps in memory.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most = folder, most
        self._held: defaultdict[Hashable, list[pa.Table]] = defaultdict(list)
        self._sizes: defaultdict[Hashable, int] = defaultdict(int)
        self._spilled: defaultdict[Hashable, list[int]] = defaultdict(list)  # where in the file
        self._file: IO[bytes] | None = None

    def __contains__(self, pile: Hashable) -> bool:
        return pile in self._held or pile in self._spilled

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return sum(self._sizes.values())

    def add(self, pile: Hashable, table: pa.Table) -> None:
        self._held[pile].append(table)
        self._sizes[pile] += table.nbytes
        if self.held >= self._most:
            for some in list(self._held):
                self._spill(some)

    def _spill(self, pile: Hashable) -> None:
        del self._sizes[pile]
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed by close()
        begin = self._file.seek(0, 2)
        tables = self._held.pop(pile)
        with pa.ipc.new_stream(self._file, tables[0].schema) as writer:
            for table in tables:
                writer.write_table(table)
        self._file.flush()
        self._spilled[pile].append(begin)

    def take(self, pile: Hashable) -> Iterator[pa.Table]:
        """What a pile held, in tables of about `GROUP` bytes; none where nothing was added. It holds nothing more, and
        another thread may read the tables while other piles grow.
        """
        self._sizes.pop(pile, None)
        return _grouped(self._tables(self._spilled.pop(pile, ()), self._held.pop(pile, ())))

    def _tables(self, spilled: Sequence[int], held: Sequence[pa.Table]) -> Iterator[pa.Table]:
        for begin in spilled:
            assert self._file is not None
            with pa.ipc.open_stream(_From(self._file, begin)) as reader:
                for batch in reader:
                    yield pa.Table.from_batches([batch])
        yield from held

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._held.clear()


class _From(io.RawIOBase):
    """A file from some place on, read without moving it: somebody else may be writing at its end."""

    def __init__(self, file: IO[bytes], at: int) -> None:
        self._descriptor, self._at = file.fileno(), at

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = os.pread(self._descriptor, size, self._at)
        self._at += len(data)
        return data


def _grouped(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    group: list[pa.Table] = []
    size = 0
    for table in tables:
        group.append(table)
        size += table.nbytes
        if size >= GROUP:
            yield pa.concat_tables(group)
            group, size = [], 0
    if group:
        yield pa.concat_tables(group)
