"""The command line: ``spextral``, or ``python -m spextral``."""

import signal
import sys

from ._spextral import main


def run() -> None:
    """Carries out the words of this process, and ends it with their exit code."""
    # Python's handler would only take a note of Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main(["spextral", *sys.argv[1:]]))


if __name__ == "__main__":
    run()
