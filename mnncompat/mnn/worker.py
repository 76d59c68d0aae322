"""The child's program. It, `mnncompat.mnn.interpreter` and `mnncompat.mnn.variables` alone import MNN.

Started by `mnncompat.mnn.request`. A task is a function of its arguments and a working directory, which is also the
current directory. It records each stage that it enters, and returns the content of `result.json`. Tasks do not depend
on how they are started.

Never imports `MNN.tools`: importing it runs pip, fetches credentials and posts telemetry. The converter is the
extension module `_tools`, the runtime is `MNN.nn` and `MNN.expr` (the Module API).
"""

from __future__ import annotations

import contextlib
import gc
import json
import time
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnncompat.mnn.arrays import read_arrays, write_arrays
from mnncompat.mnn.confinement import confine, see_only
from mnncompat.mnn.interpreter import op_seconds, process_images, run_session
from mnncompat.mnn.records import enter, grown_since, publish, resident
from mnncompat.mnn.timed_rounds import timed_rounds
from mnncompat.mnn.variables import TaskError, as_held, as_held_by_name, describe, entry_of, read_array, to_variable
from mnncompat.results.failure_kinds import FailureKind, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    Task = Callable[[dict[str, Any]], dict[str, Any]]

CONVERTED = "converted.mnn"
"""Name of the file that `convert` writes in the working directory."""
FEEDS = "feeds"
OUTPUTS = "outputs"
INNER = "inner"
SESSION = "session"
HIGH = "high"


def convert(arguments: dict[str, Any]) -> dict[str, Any]:
    """Convert `model` (a path) with the further `argv`, into `CONVERTED`. Returns how many bytes were written."""
    enter(Stage.CONVERT)
    _converter("-f", "ONNX", "--modelFile", arguments["model"], "--MNNModel", CONVERTED, *arguments["argv"])
    return {"bytes": _size(CONVERTED)}


def declare(arguments: dict[str, Any]) -> dict[str, Any]:
    """Print the op types that the converter declares for a `framework`. They are in what was printed."""
    enter(Stage.LIST)
    _converter("-f", arguments["framework"], "--OP")
    return {}


def inspect(arguments: dict[str, Any]) -> dict[str, Any]:
    """Describe inputs and outputs of `model` (a path)."""
    enter(Stage.LOAD)
    module = load(arguments["model"], [], [])
    info = module.get_info()
    inputs = zip(info["inputNames"], info["inputs"], strict=True)
    return {
        "inputs": [(name, *describe(entry)) for name, entry in inputs],
        "outputs": info["outputNames"],
        "version": info["version"],
    }


def run(arguments: dict[str, Any]) -> dict[str, Any]:
    """Run `model` (a path) on `FEEDS`, into `OUTPUTS`; returns the processor time of each draw.

    That is of this thread, on which MNN runs: the clock of a process with a limit moves in steps of 4 ms (Linux).
    `inputs` and `outputs` are names. Both files hold the arrays of one draw after the other, in the order of the names.
    Tensors named in `inner` are computed of the first draw afterwards, into `INNER`; the draws of the numbers `session`
    are run in MNN's Session API after that, into `SESSION`.
    """
    enter(Stage.LOAD)
    inputs, outputs, inner = arguments["inputs"], arguments["outputs"], arguments["inner"]
    options = _options(arguments)
    module = load(arguments["model"], inputs, outputs, **options)
    entries = module.get_info()["inputs"]
    results: list[np.ndarray] = []
    stored = read_arrays(Path(FEEDS))
    feeds = [stored[at * len(inputs) : (at + 1) * len(inputs)] for at in range(arguments["feeds"])]
    times = [time.thread_time()]
    enter(Stage.RUN)
    for arrays in feeds:
        results += forward(module, entries, inputs, arrays, outputs)
        times.append(time.thread_time())
    write_arrays(Path(OUTPUTS), results)
    again = [as_held_by_name(feeds[draw], entries, inputs) for draw in arguments["session"]]
    del entries
    if inner:
        enter(Stage.INNER)
        del module
        gc.collect()  # two would take twice the memory
        module = load(arguments["model"], inputs, inner, **options)
        found = forward(module, module.get_info()["inputs"], inputs, feeds[0], inner)
        write_arrays(Path(INNER), found)
    told = {"seconds": [after - before for before, after in pairwise(times)]}
    if not again:
        return told
    enter(Stage.SESSION)
    del module
    gc.collect()
    session, found = run_session(arguments["model"], again, outputs, **options)
    write_arrays(Path(SESSION), found)
    return told | {"session": session}


def trace(arguments: dict[str, Any]) -> dict[str, Any]:
    """Run `model` (a path) once, cut out between the tensors in `inputs` and those in `outputs`, into `OUTPUTS`.

    Both may be any tensors of the main graph. `held` says how MNN holds those that are no inputs of the model: name ->
    (layout, dtype). Returns the same of every output, None if it cannot be read, and by how much the process grew.
    """
    before = resident("VmRSS")
    enter(Stage.LOAD)
    inputs, outputs = arguments["inputs"], arguments["outputs"]
    module = load(arguments["model"], inputs, outputs, **_options(arguments))
    known = {name: entry_of(*held) for name, held in arguments["held"].items()}
    entries = [known.get(name, entry) for name, entry in zip(inputs, module.get_info()["inputs"], strict=True)]
    arrays = read_arrays(Path(FEEDS))
    enter(Stage.RUN)
    found: list[np.ndarray] = []
    described: list[list[str] | None] = []
    for variable, name in zip(_forward(module, entries, inputs, arrays, outputs), outputs, strict=True):
        try:
            found.append(read_array(variable, name))
            described.append(list(describe(variable)[:0:-1]))
        except TaskError:
            described.append(None)
    write_arrays(Path(OUTPUTS), found)
    return {"held": described, "grown": grown_since(before)}


def run_in_turn(arguments: dict[str, Any]) -> dict[str, Any]:
    """Run `models` (paths) in turn on `FEEDS`, on a number of `threads`. Returns the seconds of each in every round."""
    enter(Stage.LOAD)
    inputs, outputs = arguments["inputs"], arguments["outputs"]
    modules = [load(path, inputs, outputs, threads=arguments["threads"]) for path in arguments["models"]]
    arrays = read_arrays(Path(FEEDS))
    enter(Stage.RUN)
    runs = [partial(forward, each, each.get_info()["inputs"], inputs, arrays, outputs) for each in modules]
    return {"seconds": timed_rounds(runs, arguments["rounds"])}


def time_ops(arguments: dict[str, Any]) -> dict[str, Any]:
    """Run `model` (a path) `runs` times in a Session at `shapes`. Returns the seconds of each op, in their order."""
    enter(Stage.RUN)
    return {"ops": op_seconds(arguments["model"], arguments["shapes"], arguments["runs"])}


CONVERTING = frozenset({"convert", "declare"})
"""The tasks that load the converter; the others load the runtime."""


def prepare(arguments: dict[str, Any]) -> dict[str, Any]:
    """Prepare the images in `FEEDS` as `wanted`, into `OUTPUTS`."""
    enter(Stage.RUN)
    write_arrays(Path(OUTPUTS), process_images(read_arrays(Path(FEEDS)), arguments["wanted"]))
    return {}


_TASKS = (convert, declare, inspect, prepare, run, trace, run_in_turn, time_ops)
TASKS: dict[str, Task] = {each.__name__: each for each in _TASKS}


def _converter(*arguments: str) -> None:
    import _tools

    _tools.mnnconvert(["MNNConvert", *arguments, "--bizCode", "MNN"])


def _size(name: str) -> int:
    try:
        return Path(name).stat().st_size
    except OSError:
        return 0


def _options(arguments: dict[str, Any]) -> dict[str, Any]:
    """`threads` and `precision`, where a device is asked for them."""
    return {name: arguments[name] for name in ("threads", "precision") if name in arguments}


def load(path: str, inputs: list[str], outputs: list[str], *, threads: int = 1, precision: str = HIGH) -> Any:
    """Load on the CPU.

    Args:
        path: The file.
        inputs: Names.
        outputs: Names.
        threads: Number of threads.
        precision: `high`, `normal` or `low`: on x86 all give the same bits; on ARM high keeps float16 out.

    Raises:
        TaskError: MNN cannot load it.
    """
    from MNN import nn

    try:
        module = nn.load_module_from_file(path, inputs, outputs, **_settings(threads, precision))
    except SystemError as error:  # pymnn returns a result with an exception set
        raise TaskError(FailureKind.ERROR, "MNN cannot load the converted model") from error
    if module is None:
        raise TaskError(FailureKind.ERROR, "MNN returned no module for the converted model")
    return module


def _settings(threads: int, precision: str) -> dict[str, Any]:
    """How a module runs. `thread_num` is not heeded (3.6.1): it runs on four threads, which wait in a loop."""
    from MNN import expr, nn

    modes = {HIGH: expr.PrecisionMode.High, "normal": expr.PrecisionMode.Normal, "low": expr.PrecisionMode.Low}
    mode = modes[precision]  # MNN takes any word
    if hasattr(nn, "create_runtime_manager"):
        runtime = {"backend": "CPU", "numThread": threads, "precision": precision}
        return {"runtime_manager": nn.create_runtime_manager((runtime,))}
    return {"precision_mode": mode, "thread_num": threads}  # releases that have none


def forward(
    module: Any, entries: list[Any], inputs: list[str], arrays: list[np.ndarray], outputs: list[str]
) -> list[np.ndarray]:
    """Run a module once.

    Args:
        module: What `load` returned.
        entries: Its inputs, as MNN describes them.
        inputs: Their names.
        arrays: Their values, in the order of `inputs`.
        outputs: Names of the outputs.

    Returns:
        The outputs, copied.

    Raises:
        TaskError: A value does not fit, or MNN cannot run the model.
    """
    found = _forward(module, entries, inputs, arrays, outputs)
    return [read_array(variable, name) for variable, name in zip(found, outputs, strict=True)]


def _forward(
    module: Any, entries: list[Any], inputs: list[str], arrays: list[np.ndarray], outputs: list[str]
) -> list[Any]:
    """The output variables of one run."""
    held = [as_held(array, entry, name) for array, entry, name in zip(arrays, entries, inputs, strict=True)]
    variables = [to_variable(array, entry) for array, entry in zip(held, entries, strict=True)]
    try:
        found = module.forward(variables)
    except SystemError as error:
        raise TaskError(FailureKind.ERROR, "MNN cannot run the converted model") from error
    if not found:
        raise TaskError(FailureKind.ERROR, "MNN returned an empty list of outputs")
    if len(found) != len(outputs):
        raise TaskError(FailureKind.ERROR, f"MNN returned {len(found)} outputs of {len(outputs)}")
    return list(found)


def perform(task: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Carry out a task in the current directory; failures become a result."""
    try:
        return TASKS[task](arguments)
    except TaskError as error:
        return _failure(error.kind, error.message)
    except ImportError as error:
        return {"unavailable": str(error)}
    except MemoryError:
        return _failure(FailureKind.MEMORY, "the memory limit was reached")
    except Exception as error:  # noqa: BLE001 - whatever MNN raises is a finding about the model
        return _failure(FailureKind.ERROR, f"{type(error).__name__}: {error}")


def rehearse() -> None:
    """Do in the current directory what a task does besides MNN's part: read and write arrays, tell stage and result."""
    import numpy as np

    enter(Stage.START)
    for dtype in ("float32", "int64"):
        write_arrays(Path(FEEDS), [np.zeros((1, 2), dtype), np.zeros(0, dtype)])
        held = [np.require(each, np.float32, ["C", "A"]) for each in read_arrays(Path(FEEDS))]
        with np.errstate(over="ignore", invalid="ignore"):
            publish({"same": [bool(np.array_equal(each, each.copy())) for each in held]})


def perform_confined(task: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Carry out a task in a process that ends afterwards: it sees no file but those that the task is about."""
    with contextlib.suppress(ImportError):  # `perform` says what is missing
        preload(task)
    model = arguments.get("model")
    mentioned = [] if model is None else [model, f"{model}.weight"]
    see_only([*mentioned, *arguments.get("readable", ())])
    return perform(task, arguments)


def _failure(kind: FailureKind, message: str) -> dict[str, Any]:
    *_, stage = Path("stage").read_text(encoding="utf-8").split()
    return {"failure": kind.value, "message": message, "stage": stage}


def preload(task: str) -> None:
    """Import only what a task imports, for a server that forks. Starts no thread.

    The converter and the runtime are two builds of MNN, and programs load one or the other: so do the servers.

    Raises:
        ImportError: MNN or numpy is missing or broken.
    """
    if task in CONVERTING:
        import _tools

        del _tools
    else:
        import numpy as np
        from MNN import expr, nn

        del np, expr, nn


def main() -> None:
    """Carry out the request of the current directory, and end as Python does, so that a crash at exit is seen."""
    request = json.loads(Path("request.json").read_text(encoding="utf-8"))
    confine(request["limits"], parent=request["parent"])
    enter(Stage.START)
    result = perform_confined(request["task"], request["arguments"])
    enter(Stage.EXIT)
    publish(result)
    gc.collect()
