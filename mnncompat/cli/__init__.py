"""The command line: the only place that prints and exits.

Each command is a function in a module of its own; expensive imports are inside it. Every error ends here as one line, a
hint and exit status 2.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from mnncompat.cli.failures import words
from mnncompat.cli.printing import be_quiet, require_stdout, say_error, say_lines
from mnncompat.errors import MnncompatError, UsageError
from mnncompat.files.inputs import watch_inputs
from mnncompat.files.signals import ENDING
from mnncompat.graph.atomic_files import forget_outputs, outputs_written, written_by_workers

if TYPE_CHECKING:
    from sys import UnraisableHookArgs


class Interrupted(BaseException):
    """Ctrl-C, SIGTERM or SIGHUP. It is no KeyboardInterrupt, for which typer would choose another exit status."""


class Ended(Exception):  # noqa: N818 - no error
    """A command has done its work, and the program ends with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


# Signals received: an exception that is raised while an extension module is imported becomes an ImportError.
_SIGNALS: list[int] = []
_WORDS: list[str] = []
"""The command line that is worked on."""

EXIT_OK, EXIT_ERROR = 0, 2
_AGAIN_SECONDS = 0.02
_BUG = "this is a bug in mnncompat: set MNNCOMPAT_TRACEBACK=1, run again and report what it prints"


def run() -> NoReturn:
    """Entry point of the program: `main`, without garbage collection during imports and without interpreter shutdown.

    Together they take a quarter of the time of a check. Imports make no garbage, and at the end the operating system
    frees the memory at once.
    """
    from mnncompat.cli.descriptors import take_over
    from mnncompat.cli.onnx_on_demand import import_onnx_on_demand
    from mnncompat.cli.supervisor import supervised
    from mnncompat.files.scratch import remove_stale, temporary_folder

    gc.disable()
    take_over()
    sys.unraisablehook = _unraisable
    remove_stale(temporary_folder())
    import_onnx_on_demand()
    os._exit(supervised(main))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after the program's name; those of the process if None.

    Returns:
        Exit status: 0 clean, 1 findings, failed parity or failed conversion, 2 the tool could not do its work.
    """
    _SIGNALS.clear()
    forget_outputs()
    watch_inputs(active=True)
    be_quiet(quiet=False)
    _WORDS[:] = sys.argv[1:] if arguments is None else arguments
    try:
        _handle_signals()
        status = _run(list(_WORDS))
        if sys.stdout is not None:
            sys.stdout.flush()
    except MnncompatError as error:
        return _fail(error.message, error.hint) if not _SIGNALS else _interruption()
    except Ended as ended:
        return ended.status
    except BrokenPipeError:
        # The reader closed the pipe (`| head`): that is no error, and Python must not print one at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_ERROR
    except (Interrupted, KeyboardInterrupt):
        return _interruption()
    except Exception as error:  # noqa: BLE001 - the last resort: a user never sees a traceback
        return _unexpected(error) if not _SIGNALS else _interruption()
    finally:
        if (pages := sys.modules.get("mnncompat.cli.html_page")) is not None:
            pages.forget_graphs()
        watch_inputs(active=False)
    return int(status or EXIT_OK)


def command_line() -> str:
    """The command line that is worked on, as a shell takes it."""
    import shlex

    return shlex.join(["mnncompat", *_WORDS])


def _run(words: list[str]) -> int | None:
    """Run the command that the words name; typer reads them if they are not plain."""
    from mnncompat.cli.commands import COMMANDS, command_named
    from mnncompat.cli.config import choose_file, defaults

    words = choose_file(words)
    _require_named_output(words)
    configured = defaults(words)
    if words and words[0] in COMMANDS:
        from mnncompat.cli.plain_words import plain_call

        call = plain_call(command_named(words[0]), words[1:], configured.get(words[0], {}))
        if call is not None:
            call()
            return EXIT_OK
    from mnncompat.cli.app import application

    if not {"-h", "--help"}.isdisjoint(words):
        require_stdout("the help")
    status: int | None = application(words)(words, prog_name="mnncompat", standalone_mode=False, default_map=configured)
    return status


def _require_named_output(words: Sequence[str]) -> None:
    """An empty output would be taken for the working directory."""
    if "--output=" in words or any(
        word in ("-o", "--output") and not name for word, name in itertools.pairwise([*words, "."])
    ):
        raise UsageError("-o names nothing", hint="name a file, or a folder that exists")


def interrupted() -> bool:
    """Whether a signal came that ends the program, even if its exception was turned into another one."""
    return bool(_SIGNALS)


def _handle_signals() -> None:
    """Let signals that end a program raise `Interrupted`; what the caller ignores stays ignored, as with nohup."""
    with contextlib.suppress(ValueError):  # only the main thread may set handlers
        for each in ENDING:
            if signal.getsignal(each) is not signal.SIG_IGN:
                signal.signal(each, _interrupted)


def _unraisable(unraisable: UnraisableHookArgs) -> None:
    """An exception where none can be raised, as in a callback of an import: what ends the program is raised again."""
    if isinstance(unraisable.exc_value, Interrupted):
        _raise_later()
    elif os.environ.get("MNNCOMPAT_TRACEBACK"):
        sys.__unraisablehook__(unraisable)


def _interruption() -> int:
    written = ", ".join(str(path) for path in outputs_written())
    if written_by_workers():  # they said what they wrote
        return _fail("interrupted", "what is said to be written is complete; run the command again")
    told = f"written before that, and complete: {written}" if written else "nothing was written"
    return _fail("interrupted", f"{told}; run the command again")


def _unexpected(error: Exception) -> int:
    describe = getattr(error, "format_message", None)  # typer's own usage errors
    if describe is not None:
        context = getattr(error, "ctx", None)
        command = getattr(context, "command_path", None) or "mnncompat"
        if context is not None and not describe():
            say_lines(context.get_help())
            return EXIT_ERROR
        return _fail(describe().rstrip("."), _dashed() or f"see `{command} --help`")
    message, hint = words(error, bug=_BUG)
    if hint == _BUG and os.environ.get("MNNCOMPAT_TRACEBACK"):
        import traceback

        say_lines("".join(traceback.format_exception(error)))
        return EXIT_ERROR
    return _fail(message, hint)


def _dashed() -> str:
    """The hint for a file whose name looks like an option; empty if there is none."""
    from pathlib import Path

    words = _WORDS[: _WORDS.index("--")] if "--" in _WORDS else _WORDS
    named = next((word for word in words if word.startswith("-") and Path(word).suffix and os.path.lexists(word)), None)
    return f"if {named} is a file, write it after `--`, or as ./{named}" if named else ""


def _fail(message: str, hint: str) -> int:
    say_error(message, hint)
    return EXIT_ERROR


def _interrupted(number: int, frame: FrameType | None) -> None:
    """Raise `Interrupted`, but not in an import: extension modules may not survive an exception while they load."""
    _SIGNALS.append(number)
    if _is_importing(frame):
        _raise_later()
        return
    raise Interrupted


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _raise_later() -> None:
    signal.signal(signal.SIGALRM, _interrupted)
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)
