"""The program: `python -m mnncompat`, and the command `mnncompat`."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from mnncompat.errors import MnncompatError

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the first imports: an end without a traceback


def _told(error: MnncompatError) -> int:
    """Tell an error without the command line, which cannot be imported there; the exit status."""
    sys.stderr.write(f"error: {error.message}\nhint: {error.hint}\n")
    return 2


def run() -> NoReturn:
    """Run the command line, and end the process."""
    from mnncompat.errors import MnncompatError, require_supported_system

    try:
        require_supported_system()
    except MnncompatError as error:
        raise SystemExit(_told(error)) from None
    from mnncompat.cli import run as run_command_line

    run_command_line()


if __name__ == "__main__":
    run()
