"""The program: `python -m mnncompat`, and the command `mnncompat`."""

import signal
from typing import NoReturn

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the first imports: an end without a traceback


def run() -> NoReturn:
    """Run the command line, and end the process."""
    from mnncompat.cli import run as run_command_line

    run_command_line()


if __name__ == "__main__":
    run()
