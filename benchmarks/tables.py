"""How results are printed: one table a benchmark; numbers, ratios, targets, and whether they are met."""

from collections.abc import Sequence
from typing import NamedTuple


class Line(NamedTuple):
    """One measured thing; `target` and `met` are empty where nothing was promised."""

    what: str
    measured: str
    target: str = ""
    met: str = ""
    detail: str = ""


def show(title: str, about: str, lines: Sequence[Line]) -> None:
    """Print a table."""
    rows = [Line("", "measured", "target", "", ""), *lines]
    widths = [max(len(row[i]) for row in rows) for i in range(len(Line._fields))]
    print(f"\n{title}\n{about}\n")
    for row in rows:
        cells = [
            cell.rjust(width) if i in (1, 2) else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  " + "  ".join(cells).rstrip(), flush=True)
