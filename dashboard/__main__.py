"""`python -m dashboard`: what `threadlake dashboard` does; for whoever starts it as a process."""

import sys

from orchestration.cli import main

if __name__ == "__main__":
    sys.exit(main(["dashboard", *sys.argv[1:]]))
