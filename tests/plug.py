"""Pulls its own plug: `python tests/plug.py N SECONDS HOME -- MODULE ARGUMENTS` runs a module and SIGKILLs itself,
SECONDS after its N-th touch of a file below HOME. With N = 0 it lives, and prints how often it touched one.

What is counted are the interpreter's audit events, so the code under test knows nothing of it. SECONDS lets the kill
fall into work that Python does not see, such as a statement of DuckDB.
"""

import os
import runpy
import signal
import sys
import threading
from typing import Any

TOUCHES = {"open", "os.link", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "sqlite3.connect"}


def main() -> None:
    number, seconds, home = int(sys.argv[1]), float(sys.argv[2]), os.path.realpath(sys.argv[3])
    module = sys.argv[5]
    sys.argv = sys.argv[5:]
    touched = 0

    def pull() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal touched
        if event not in TOUCHES or not arguments or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        if os.path.abspath(os.fsdecode(arguments[0])).startswith(home):  # noqa: PTH100 - no new audit events here
            touched += 1
            if touched == number:
                pull() if not seconds else threading.Timer(seconds, pull).start()

    sys.addaudithook(watch)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        if not number:
            print(f"touched {touched}", flush=True)


if __name__ == "__main__":
    main()
