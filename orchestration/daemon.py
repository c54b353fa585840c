"""Dagster's daemon, which looks for new backfills every 5 s: 30, as by itself, are long for whoever asked for one."""

from dagster._daemon import controller
from dagster._daemon.cli import main

if __name__ == "__main__":
    controller.DEFAULT_DAEMON_INTERVAL_SECONDS = 5  # no setting has it
    main()
