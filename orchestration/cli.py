"""`threadlake`: every verb of the system without its UI. Bad input is a sentence and exit code 2."""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from extractors.errors import CrawlError
from extractors.platform import HOUR, Window
from extractors.store import Bucket, Place, StoreError
from orchestration.dbt import DbtError
from orchestration.pipeline import Pipeline
from orchestration.settings import PROJECT, Settings, SettingsError, parse_hour
from orchestration.warehouse import Loaded, QueryError, WarehouseError

FAILED, BAD_INPUT = 1, 2
RESTORED_AT_ONCE = 720  # hours: a month, so that one that is killed goes on with the next


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING, format="%(levelname)s %(message)s")
    try:
        return int(options.run(Pipeline.of(Settings.from_env()), options) or 0)
    except (SettingsError, ValueError) as problem:
        print(f"threadlake: {problem}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0
    except (StoreError, WarehouseError, DbtError, CrawlError, OSError) as problem:
        print(f"threadlake: {problem}", file=sys.stderr)
        return FAILED
    except RuntimeError as problem:
        print(f"threadlake: {problem}", file=sys.stderr)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="threadlake",
        description="A community data lake: crawl communities into Parquet, load them, and build clean tables.",
        epilog="Places and times are environment variables, THREADLAKE_HOME (.data) first of all; see the README.",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="say what is being done")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[Pipeline, argparse.Namespace], int | None], text: str
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        added.set_defaults(run=run)
        return added

    def hours(added: argparse.ArgumentParser) -> None:
        added.add_argument("--since", required=True, metavar="TIME", help="the first hour, such as 2026-11-22T13 (UTC)")
        added.add_argument(
            "--until", metavar="TIME", help="the hour after the last one; default: now, the open hour too"
        )

    up = command("up", _up, "run Dagster and the dashboard: UI, daemon, schedules and pages, until Ctrl-C")
    up.add_argument("--port", type=int, default=3000, help="of the UI on this machine (3000)")
    up.add_argument("--communities", type=Path, default=PROJECT / "communities.toml", help="whom to track")
    up.add_argument("--dashboard-port", type=int, help="of the pages (THREADLAKE_DASHBOARD_PORT, 3001)")
    up.add_argument("--no-dashboard", action="store_true", help="start without the pages")
    up.add_argument("--no-schedules", action="store_true", help="start with the schedules off")
    up.add_argument("--code", default="orchestration.code_location", help=argparse.SUPPRESS)

    dashboard = command("dashboard", _dashboard, "serve the pages and their JSON API, until Ctrl-C; `up` does it too")
    dashboard.add_argument("--port", type=int, help="to listen on (THREADLAKE_DASHBOARD_PORT, 3001)")
    dashboard.add_argument("--host", help="the address to listen on (THREADLAKE_DASHBOARD_HOST, 127.0.0.1)")

    for name, run, text in (
        ("crawl", _crawl, "read hours of one platform, or all, into the lake"),
        ("run", _run, "crawl, load and transform these hours"),
    ):
        added = command(name, run, text)
        hours(added)
        added.add_argument("--platform", metavar="NAME", help="only this one")
        added.add_argument("--refresh", action="store_true", help="read everything anew, changed or not, due or not")
    for name, run, text in (
        ("load", _load, "replace hours of the raw tables from the lake"),
        ("transform", _transform, "build the dbt models of these hours"),
    ):
        hours(command(name, run, text))
    command("catch-up", _catch_up, "crawl, load and transform all that is missing, as the schedules would")

    restore = command(
        "restore", _restore, "load and transform what the lake has and the warehouse lacks; asks no platform"
    )
    restore.add_argument(
        "--since", metavar="TIME", help="only hours from then on, where older rows are deleted from the lake"
    )

    query = command("query", _query, "ask the warehouse; waits while a run has it")
    query.add_argument("sql", help='such as "select community, count(*) from clean.all_posts group by all"')
    track = command("track", _track, "ask a platform about a community, and track it from now on")
    track.add_argument("community", help="its URL, as from the browser, or its key")
    track.add_argument("--since", default="", metavar="7d|DATE", help="how much of its past; default: all of it")
    track.add_argument("--every", default="", metavar="10m..1d", help="how often it is read; default: hourly")
    untrack = command("untrack", _untrack, "track a community no more; what was fetched stays")
    untrack.add_argument("key")
    untrack.add_argument("--purge", action="store_true", help="delete all that was fetched of it, everywhere")
    erase = command("erase", _erase, "delete authors or posts everywhere and for good, and look whether they are gone")
    for option, text in (("--author", "with all posts, names and mentions"), ("--post", "with what quotes it")):
        erase.add_argument(option, action="append", default=[], metavar="PLATFORM:INSTANCE:ID", help=text)
    command("communities", _communities, "show who is tracked, and how they do")
    history = command("history", _history, "go on with the past of a community, or read it again if it is finished")
    history.add_argument("key")
    exports = command("import", _import, "read DiscordChatExporter's JSON files into lake and warehouse, each once")
    exports.add_argument("place", type=_place, help="a file, a folder with exports at any depth, or gs://bucket/prefix")
    command("status", _status, "show what is in lake and warehouse")
    command("docs", _docs, "write a page with every table, its columns and where they come from")
    command("recover", _recover, "put right what a crash of everything left; `up` does it by itself")
    index = command("index", _index, "let the search index follow what is published; each transform does it")
    index.add_argument("--rebuild", action="store_true", help="make it anew, from nothing")
    command("sweep", _sweep, "delete what is in the lake's folders and no commit names")
    cost = command("cost", _cost, "estimate what a month on Google Cloud costs, by line")
    cost.add_argument("--communities", type=int, default=20, help="who is tracked (20)")
    cost.add_argument("--posts-a-day", type=int, default=20_000, metavar="N", help="of all of them together (20000)")
    cost.add_argument("--months", type=int, default=12, metavar="N", help="how old the data is by then (12)")
    cost.add_argument("--lake-days", type=int, metavar="N", help="rows are deleted from the lake after that; never")
    cost.add_argument("--place", default="europe-west1", help="region, or EU or US (europe-west1)")
    cost.add_argument("--processors", type=int, default=2, metavar="N", help="of the machine, an e2-standard (2)")
    cost.add_argument("--disk-gb", type=int, default=30, metavar="N", help="of its data's disk (30)")
    cost.add_argument("--snapshots", type=int, default=14, metavar="N", help="daily ones that are kept (14)")
    cost.add_argument(
        "--cloud-run-hours", type=float, default=0, metavar="N", help="of runs sent to Cloud Run a month (0)"
    )
    cost.add_argument("--dashboard-hours", type=float, default=0, metavar="N", help="the web application answers (0)")
    cost.add_argument("--json", action="store_true", help="for programs")
    command("reparse", _reparse, "parse quarantined records in the lake again, with today's code")
    return parser


def _place(text: str) -> Place:
    return Bucket.parse(text) if text.startswith("gs://") else Path(text)


def _window(pipeline: Pipeline, options: argparse.Namespace) -> Window:
    now = pipeline.settings.now().replace(minute=0, second=0, microsecond=0)
    since = parse_hour(options.since, "--since")
    until = parse_hour(options.until, "--until") if options.until else now + HOUR
    if since >= until:
        raise ValueError(f"--since {since:%Y-%m-%dT%H} must be before --until {until:%Y-%m-%dT%H}.")
    return Window(since, until)


def _crawl(pipeline: Pipeline, options: argparse.Namespace) -> int:
    hours = _window(pipeline, options).hours
    platforms = [pipeline.platform(options.platform)] if options.platform else list(pipeline.platforms)
    failures: dict[str, str] = {}
    for platform in platforms:
        asked = pipeline.asked(platform, hours, options.refresh)
        rows = commits = 0
        run_id = _run_id()
        for commit in pipeline.crawl(platform, asked, run_id, options.refresh):
            rows, commits = rows + commit.rows, commits + 1
            failures |= {key: r.error for key, r in commit.communities.items() if r.error}
        print(f"{platform.name}: {commits} hours read, {rows} rows")
    for error in failures.values():
        print(f"threadlake: {error}", file=sys.stderr)
    return FAILED if failures else 0


def _run_id() -> str:
    return f"cli-{datetime.now(UTC):%H%M%S}"


def _load(pipeline: Pipeline, options: argparse.Namespace) -> int:
    _say_loaded(pipeline.load(_window(pipeline, options).hours))
    return 0


def _say_loaded(loaded: Loaded) -> None:
    for table in sorted(loaded.rows):
        print(f"raw.{table}: {loaded.total(table)} rows")


def _transform(pipeline: Pipeline, options: argparse.Namespace) -> int:
    return _build(pipeline, _window(pipeline, options).hours)


def _build(pipeline: Pipeline, hours: Sequence[datetime]) -> int:
    from orchestration.dbt import explain, failed

    pipeline.dbt.prepare()
    nodes = pipeline.dbt.build(hours, pipeline.settings.now())
    if broken := failed(nodes):
        raise DbtError(explain(broken))
    print(f"dbt: {len(nodes)} models and tests for {len(hours)} hours")
    pipeline.publish()
    return 0


def _run(pipeline: Pipeline, options: argparse.Namespace) -> int:
    code = _crawl(pipeline, options)  # what failed is said; what did not is loaded
    hours = sorted(_window(pipeline, options).hours)
    for some in pipeline.warehouse.portions(hours):
        _say_loaded(pipeline.load(some))
        _build(pipeline, some)
    return code


def _catch_up(pipeline: Pipeline, options: argparse.Namespace) -> int:
    for platform in pipeline.platforms:
        asked = pipeline.asked(platform, pipeline.wanted(platform), refresh=False)
        rows = sum(commit.rows for commit in pipeline.crawl(platform, asked, _run_id(), False))
        print(f"{platform.name}: {len(asked)} hours wanted, {rows} rows")
    hours = pipeline.unmerged(None)
    if not hours:
        print("The lake has nothing that the clean tables lack.")
        return 0
    return _merge(pipeline, hours)


def _merge(pipeline: Pipeline, hours: Sequence[datetime]) -> int:
    """Load and transform, as many hours at once as the warehouse takes."""
    for some in pipeline.warehouse.portions(hours):
        pipeline.load(some)
        _build(pipeline, some)
    return 0


def _restore(pipeline: Pipeline, options: argparse.Namespace) -> int:
    hours = pipeline.unmerged(parse_hour(options.since, "--since") if options.since else None)
    for i in range(0, len(hours), RESTORED_AT_ONCE):
        some = hours[i : i + RESTORED_AT_ONCE]
        print(f"{some[0]:%Y-%m-%dT%H} to {some[-1]:%Y-%m-%dT%H}: {len(some)} of {len(hours)} hours", flush=True)
        pipeline.load(some)
        _build(pipeline, some)
    if not hours:
        print("The lake has nothing that the clean tables lack.")
    return 0


def _import(pipeline: Pipeline, options: argparse.Namespace) -> int:
    from orchestration.imports import import_exports

    hours, problems = import_exports(pipeline, options.place)
    _merge(pipeline, hours)
    return FAILED if problems else 0


def _query(pipeline: Pipeline, options: argparse.Namespace) -> None:
    from orchestration.show import table

    try:
        found = pipeline.warehouse.query(options.sql)
    except QueryError as problem:
        raise ValueError(str(problem)) from None
    print(table(found.columns, found.rows))


def _track(pipeline: Pipeline, options: argparse.Namespace) -> None:
    from extractors.history import progress
    from orchestration.communities import span, track, unfinished

    tracked, about = track(pipeline, options.community, options.since, options.every)
    posts = "" if about.posts is None else f", {about.posts} posts"
    print(f"{tracked.key} is tracked: {about.title}{posts}; read every {span(tracked.every)}.")
    if unfinished(pipeline, tracked, progress(pipeline.lake, tracked.community)):
        print(f"Its past is read by the schedules of `threadlake up`, or now by `threadlake history {tracked.key}`.")


def _untrack(pipeline: Pipeline, options: argparse.Namespace) -> None:
    from orchestration.communities import untrack

    purged = untrack(pipeline, options.key, options.purge)
    print(f"{options.key} is tracked no more" + (f"; {purged}." if options.purge else "."))


def _erase(pipeline: Pipeline, options: argparse.Namespace) -> int:
    from orchestration.erase import erase, held

    done = erase(pipeline, options.author, options.post)
    print("\n".join([*map(str, done), *held(pipeline)]))
    return FAILED if any(one.left for one in done) else 0


def _communities(pipeline: Pipeline, options: argparse.Namespace) -> None:
    from orchestration.communities import communities

    print(communities(pipeline))


def _history(pipeline: Pipeline, options: argparse.Namespace) -> int:
    known = {one.key: one for one in pipeline.lake.tracked()}
    if options.key not in known:
        raise ValueError(f"{options.key} is not tracked; `threadlake communities` shows who is.")
    error = None
    for _, progress in pipeline.history(known[options.key], _run_id()):
        print(f"{options.key}: {progress}", flush=True)
        error = progress.error
    if error:
        print(f"threadlake: {error}", file=sys.stderr)
    return FAILED if error else 0


def _status(pipeline: Pipeline, options: argparse.Namespace) -> None:
    from orchestration.show import status

    print(status(pipeline))


def _docs(pipeline: Pipeline, options: argparse.Namespace) -> None:
    pipeline.dbt.prepare()
    print(pipeline.dbt.docs())


def _up(pipeline: Pipeline, options: argparse.Namespace) -> None:
    from orchestration.communities import track_file
    from orchestration.supervisor import Supervisor

    track_file(pipeline, options.communities)
    pipeline.dbt.prepare()
    dashboard = None if options.no_dashboard else options.dashboard_port or pipeline.settings.dashboard_port
    Supervisor(pipeline.settings, options.port, options.code, not options.no_schedules, dashboard).run()


def _dashboard(pipeline: Pipeline, options: argparse.Namespace) -> None:
    from dashboard.app import serve  # the one place that knows of it: it is a command as the others are

    settings = pipeline.settings
    port, host = options.port or settings.dashboard_port, options.host or settings.dashboard_host
    serve(pipeline.with_settings(dashboard_port=port, dashboard_host=host))


def _index(pipeline: Pipeline, options: argparse.Namespace) -> None:
    print(pipeline.index(options.rebuild))


def _recover(pipeline: Pipeline, options: argparse.Namespace) -> None:
    from orchestration.instance import open_instance
    from orchestration.recover import only_one, recover

    with only_one(pipeline.settings.home), open_instance(pipeline.settings) as instance:
        print(recover(pipeline.settings, instance))


def _sweep(pipeline: Pipeline, options: argparse.Namespace) -> None:
    from orchestration.upkeep import sweep

    for platform in pipeline.platforms:
        print(f"{platform.name}: {sweep(pipeline, platform)} leftovers swept")


def _reparse(pipeline: Pipeline, options: argparse.Namespace) -> None:
    from orchestration.upkeep import reparse

    for platform in pipeline.platforms:
        for commit in reparse(pipeline, platform):
            left = sum(receipt.parse_errors for receipt in commit.communities.values())
            print(f"{platform.name}, hour {commit.hour:%Y-%m-%dT%H}: parsed again, {left} records left")


def _cost(pipeline: Pipeline, options: argparse.Namespace) -> None:
    import json

    from orchestration.cost import Setup, as_json, as_text, bill

    setup = Setup(**{name: getattr(options, name) for name in Setup.__dataclass_fields__})
    found = bill(setup)
    print(json.dumps(as_json(found), indent=2) if options.json else as_text(found))


if __name__ == "__main__":
    sys.exit(main())
