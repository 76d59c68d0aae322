"""One request to the worker: written to its own directory, carried out in a child process, judged by its files.

In the directory: `request.json` (task, arguments, limits), `stage` (where the child is), `result.json` (written last
and renamed into place), and the files that the task itself reads or writes.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, Protocol

from mnncompat.errors import RunnerError
from mnncompat.files.allowance import bounds_of_children
from mnncompat.mnn.converter_log import relevant_lines
from mnncompat.mnn.process import Ending, Exit, run_child
from mnncompat.results.failures import Failure, FailureKind, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mnncompat.mnn.options import Limits

_BOOTSTRAP = """
import importlib.util, json, sys
package, program, first, last = json.loads(sys.argv[1])
sys.path[:] = [*first, *(each for each in sys.path if each not in first)]
sys.path += [each for each in last if each not in sys.path]
spec = importlib.util.spec_from_file_location(
    "mnncompat", package + "/__init__.py", submodule_search_locations=[package]
)
sys.modules["mnncompat"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["mnncompat"])
main = importlib.import_module("mnncompat.mnn." + program).main
main()
"""
_PACKAGE = Path(__file__).resolve().parents[1]
_NEEDED = ("numpy", "MNN", "_tools", "_mnncengine")
_PASSED_ON = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "DYLD_FALLBACK_LIBRARY_PATH",
)
_OUT_OF_MEMORY = ("bad_alloc", "MemoryError", "Cannot allocate memory", "Alloc memory error", "out of memory")
_NEAR = 0.9
_CITED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer of the worker.

    Attributes:
        values: The task's result.
        output: Everything that was printed.
        words: What was printed, without the lines that MNN prints for every model.
        seconds: Wall time of the child.
    """

    values: dict[str, Any]
    output: str
    words: str
    seconds: float


class Performer(Protocol):
    """Carries out a request: `perform` in a process that it starts, `ForkServer.perform` in a fork of one that runs."""

    def __call__(
        self, task: str, arguments: Mapping[str, Any], /, *, directory: Path, limits: Limits
    ) -> Answer | Failure:
        """The worker's answer, or how it failed."""


def perform(
    task: str,
    arguments: Mapping[str, Any],
    *,
    directory: Path,
    limits: Limits,
    command: Sequence[str] | None = None,
) -> Answer | Failure:
    """Carry out one request in a child process.

    Args:
        task: Name of one of the worker's tasks.
        arguments: Its arguments, as JSON.
        directory: An empty directory for this request, or one that holds the files that the task reads.
        limits: What the child may use.
        command: Starts the child; by default the worker. Tests give another one.

    Returns:
        The worker's answer, or how it failed.

    Raises:
        RunnerError: MNN is not installed or cannot be imported, or no process can be started.
    """
    seconds, memory = bounds_of_children(limits.seconds, limits.memory_bytes)
    limits = replace(limits, seconds=seconds, memory_bytes=memory)
    if command is None:
        command = python_command("worker")
    request = {"task": task, "arguments": dict(arguments), "limits": asdict(limits), "parent": os.getpid()}
    (directory / "request.json").write_text(json.dumps(request), encoding="utf-8")
    try:
        child = run_child(command, directory=directory, environment=environment(directory), limits=limits)
    except OSError as error:
        raise RunnerError(
            f"the process that runs MNN cannot be started: {error.strerror or error}",
            hint="check the Python installation and the number of processes and files that may be open",
        ) from error
    return judged(child, directory, limits)


def python_command(program: str, *, python: Path | None = None) -> list[str]:
    """The command that starts one of this package's programs in isolated Python.

    Args:
        program: `worker` or `server`, the module that has its `main`.
        python: The interpreter of an environment that has numpy and MNN; this one when None.

    Raises:
        RunnerError: This interpreter is meant and MNN is not installed.
    """
    places: dict[str, None] = {}
    if python is None:
        if not _places("MNN"):
            raise RunnerError("MNN is not installed", hint="install it with: pip install MNN")
        places = dict.fromkeys(place for name in _NEEDED for place in _places(name))
    stated = [each for each in places if each in _python_path()]
    found = json.dumps([str(_PACKAGE), program, stated, list(places)])
    return [str(python or sys.executable), "-I", "-B", "-X", "utf8", "-c", _BOOTSTRAP, found]


def _places(name: str) -> list[str]:
    """Folders in which the parent finds a module. The child is isolated from the user's paths, and searches these last.

    Those that `PYTHONPATH` names come first there as well: whoever sets it means the MNN in them. The working directory
    never does: it may be somebody's repository. Of mnncompat itself the child loads the very package that the parent
    runs, which may be a checkout that is not installed.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        return []
    origin = Path(spec.origin).resolve()
    return [str(origin.parent.parent if spec.submodule_search_locations else origin.parent)]


def _python_path() -> list[str]:
    """The folders that the user's environment puts before those of the interpreter."""
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [str(Path(each).resolve()) for each in named if Path(each).is_absolute()]


def environment(directory: Path) -> dict[str, str]:
    """The child's whole environment: the user's variables that locate programs; one thread, to be repeatable."""
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return kept | threads | {"HOME": str(directory), "TMPDIR": str(directory), "TZ": "UTC"}


def judged(child: Exit, directory: Path, limits: Limits) -> Answer | Failure:
    """The result of a request, from how its child ended and the files in its directory.

    Raises:
        RunnerError: MNN cannot be imported there.
    """
    stage, words, values = _stage(directory), relevant_lines(child.output), _values(directory)
    if values is not None and "unavailable" in values:
        raise RunnerError(f"MNN cannot be imported: {values['unavailable']}", hint="reinstall it: pip install -U MNN")
    if values is not None and "failure" in values:  # after a failure, what happens at exit does not matter
        return _told(values, words)
    found = _killed(child, limits) or _died(child, limits)
    if found is not None:
        kind, message = found
        return Failure(kind=kind, stage=stage, message=f"{message} {_WHERE[stage]}", words=words)
    if values is None:
        message = f"the process ended without a result {_WHERE[stage]}"
        return Failure(kind=FailureKind.CRASH, stage=stage, message=message, words=words)
    return Answer(values=values, output=child.output, words=words, seconds=child.seconds)


def _told(values: dict[str, Any], words: str) -> Failure:
    """A failure that the worker reported."""
    cited = f": {shorten('; '.join(words.splitlines()), _CITED)}" if words else ""
    return Failure(
        kind=FailureKind(values["failure"]),
        stage=Stage(values["stage"]),
        message=values["message"] + cited,
        words=words,
    )


_WHERE = {
    Stage.START: "before MNN was used",
    Stage.CONVERT: "while converting",
    Stage.LIST: "while listing the operators",
    Stage.LOAD: "while loading the converted model",
    Stage.RUN: "while running the converted model",
    Stage.INNER: "while computing tensors inside the converted model",
    Stage.SESSION: "while running the converted model in a Session",
    Stage.EXIT: "at exit, after the result was written",
}


def _killed(child: Exit, limits: Limits) -> tuple[FailureKind, str] | None:
    if child.ending is Ending.TIMEOUT:
        return FailureKind.HANG, f"no end after {limits.seconds:g} s"
    if child.ending is Ending.FLOOD:
        return FailureKind.FLOOD, f"more than {limits.output_bytes} bytes printed"
    return None


def _died(child: Exit, limits: Limits) -> tuple[FailureKind, str] | None:
    if child.status == 0:
        return None
    if _ran_out_of_memory(child, limits):
        return FailureKind.MEMORY, f"more than {limits.memory_bytes} bytes of memory needed"
    if child.status > 0:
        return FailureKind.CRASH, f"the process ended with status {child.status}"
    if -child.status == signal.SIGXCPU:
        return FailureKind.HANG, "the limit of processor time was passed"
    return FailureKind.CRASH, _signal_name(-child.status)


def _ran_out_of_memory(child: Exit, limits: Limits) -> bool:
    """A limit makes an allocation fail: that is an exception, or a null pointer that is then used near the limit."""
    if -child.status == signal.SIGKILL:  # not ours: the ending would say so
        return True
    said = any(sign in child.output for sign in _OUT_OF_MEMORY)
    return said or child.peak_bytes >= _NEAR * limits.memory_bytes


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _stage(directory: Path) -> Stage:
    try:
        return Stage((directory / "stage").read_text(encoding="utf-8").split()[-1])
    except (OSError, ValueError, IndexError):
        return Stage.START


def _values(directory: Path) -> dict[str, Any] | None:
    try:
        values = json.loads((directory / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None
