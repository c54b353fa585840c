"""Runs the benchmarks and prints a table of each. What is promised stands in the column "target"; nothing fails."""

import argparse
from collections.abc import Callable

from benchmarks import crawl


def merge(quick: bool) -> None:
    """What an hour's transform costs at 1 million rows and at 50 million."""
    from benchmarks import merge as measured  # imports dbt and DuckDB, which the others do without

    measured.main(["--rows", "0.1", "1", "--hours", "1"] if quick else [])


def hour(quick: bool) -> None:
    """From the launch of an hour's run by a real Dagster daemon to its end: nothing new, and busy."""
    from benchmarks import hour as measured  # likewise

    measured.run(quick)


def publish(quick: bool) -> None:
    """What readers' file costs beside 10 million posts: the first, an hour's news, nothing new."""
    from benchmarks import publish as measured  # likewise

    measured.run(quick)


def readers(quick: bool) -> None:
    """What readers wait for beside 10 million posts: pages, answers, searching, and 50 people at once."""
    from benchmarks import readers as measured  # likewise

    measured.run(quick)


BENCHMARKS: dict[str, Callable[[bool], None]] = {
    "crawl": crawl.speed,
    "latency": crawl.latency,
    "memory": crawl.memory,
    "merge": merge,
    "hour": hour,
    "publish": publish,
    "readers": readers,
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures side by side with what people would use instead, all in one run on this machine.",
        epilog="\n".join(f"  {name:8} {(what.__doc__ or '').splitlines()[0]}" for name, what in BENCHMARKS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("only", nargs="*", metavar="BENCHMARK", help=f"some of {', '.join(BENCHMARKS)} (all)")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, once: to see that it works")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.only if name not in BENCHMARKS]
    if unknown:
        parser.error(f"{unknown[0]!r} is none of {', '.join(BENCHMARKS)}")
    for name in options.only or BENCHMARKS:
        BENCHMARKS[name](options.quick)


if __name__ == "__main__":
    main()
