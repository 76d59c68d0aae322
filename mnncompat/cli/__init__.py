"""The command line: the only place that prints and exits.

Each command is a function in a module of its own; expensive imports are inside it. Every error ends here as one line, a
hint and exit status 2.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from mnncompat.errors import MnncompatError
from mnncompat.graph.atomic_files import forget_outputs, outputs_written


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM. It is no KeyboardInterrupt, because typer would choose another exit status for that."""


# Signals received: an exception that is raised while an extension module is imported becomes an ImportError.
_SIGNALS: list[int] = []

EXIT_OK, EXIT_ERROR = 0, 2


def run() -> NoReturn:
    """Entry point of the program: `main`, without garbage collection during imports and without interpreter shutdown.

    Together they take a quarter of the time of a check. Imports make no garbage, and at the end the operating system
    frees the memory at once.
    """
    gc.disable()
    status = main()
    sys.stderr.flush()
    os._exit(status)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after the program's name; those of the process if None.

    Returns:
        Exit status: 0 clean, 1 findings, failed parity or failed conversion, 2 the tool could not do its work.
    """
    from mnncompat.cli.app import application
    from mnncompat.cli.config import defaults

    _SIGNALS.clear()
    forget_outputs()
    with contextlib.suppress(ValueError):  # only the main thread may set handlers
        signal.signal(signal.SIGINT, _interrupted)
        signal.signal(signal.SIGTERM, _interrupted)
    try:
        words = list(sys.argv[1:] if arguments is None else arguments)
        app = application(words)
        status = app(words, prog_name="mnncompat", standalone_mode=False, default_map=defaults(words))
        sys.stdout.flush()
    except MnncompatError as error:
        return _fail(error.message, error.hint) if not _SIGNALS else _interruption()
    except BrokenPipeError:
        # The reader closed the pipe (`| head`): that is no error, and Python must not print one at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_ERROR
    except (Interrupted, KeyboardInterrupt):
        return _interruption()
    except Exception as error:  # noqa: BLE001 - the last resort: a user never sees a traceback
        return _unexpected(error) if not _SIGNALS else _interruption()
    return int(status or EXIT_OK)


def _interruption() -> int:
    written = ", ".join(str(path) for path in outputs_written())
    told = f"written before that, and complete: {written}" if written else "nothing was written"
    return _fail("interrupted", f"{told}; run the command again")


def _unexpected(error: Exception) -> int:
    describe = getattr(error, "format_message", None)  # typer's own usage errors
    if describe is not None:
        context = getattr(error, "ctx", None)
        command = getattr(context, "command_path", None) or "mnncompat"
        if context is not None and not describe():
            sys.stderr.write(f"{context.get_help()}\n")
            return EXIT_ERROR
        return _fail(describe().rstrip("."), f"see `{command} --help`")
    if isinstance(error, MemoryError):
        return _fail("not enough memory", "close other programs, or try a machine with more memory")
    if os.environ.get("MNNCOMPAT_TRACEBACK"):
        raise error
    hint = "this is a bug in mnncompat: set MNNCOMPAT_TRACEBACK=1, run again and report what it prints"
    return _fail(f"internal error: {type(error).__name__}: {error}", hint)


def _fail(message: str, hint: str) -> int:
    line = " ".join(message.split())
    sys.stderr.write(f"error: {line}\nhint: {hint}\n")
    return EXIT_ERROR


def _interrupted(number: int, _frame: FrameType | None) -> None:
    _SIGNALS.append(number)
    raise Interrupted
