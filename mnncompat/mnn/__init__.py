"""Access to MNN, which runs in a child process only: many models make it crash, hang or use all memory.

    convert(model.onnx, out.mnn)  -> Converted | Failure
    run(out.mnn, feeds)           -> Ran | Failure
    trace(out.mnn, feeds, wanted) -> Traced | Failure: tensors inside the model
    interface(out.mnn)            -> MnnInterface | Failure
    declared_ops()                -> op types | Failure

    read_graph(out.mnn)           -> MnnGraph: from the file, without MNN
    read_values(out.mnn)          -> names of the values that the main graph computes
    count_ops(out.mnn)            -> {op type: count}

    with ForkServer() as server:  -> `convert` and `run` with `performer=server.perform`: milliseconds for each child

Importing this package imports neither MNN nor numpy, and its modules only when a name of theirs is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnncompat.mnn.converter import convert
    from mnncompat.mnn.fork_client import ForkServer, ServedEnvironment
    from mnncompat.mnn.graph import count_ops, declared_ops, read_graph, read_values
    from mnncompat.mnn.options import ConvertOptions, Limits
    from mnncompat.mnn.outcome import (
        Converted,
        Held,
        MnnGraph,
        MnnInput,
        MnnInterface,
        MnnOp,
        Ran,
        SessionRan,
        Traced,
        Weights,
    )
    from mnncompat.mnn.session import interface, run, trace
    from mnncompat.results.failures import Failure, FailureKind, Stage

__all__ = [
    "ConvertOptions",
    "Converted",
    "Failure",
    "FailureKind",
    "ForkServer",
    "Held",
    "Limits",
    "MnnGraph",
    "MnnInput",
    "MnnInterface",
    "MnnOp",
    "Ran",
    "ServedEnvironment",
    "SessionRan",
    "Stage",
    "Traced",
    "Weights",
    "convert",
    "count_ops",
    "declared_ops",
    "interface",
    "read_graph",
    "read_values",
    "run",
    "trace",
]

_PLACES = {
    "mnncompat.mnn.converter": ("convert",),
    "mnncompat.mnn.fork_client": ("ForkServer", "ServedEnvironment"),
    "mnncompat.mnn.graph": ("count_ops", "declared_ops", "read_graph", "read_values"),
    "mnncompat.mnn.options": ("ConvertOptions", "Limits"),
    "mnncompat.mnn.outcome": (
        "Converted",
        "Held",
        "MnnGraph",
        "MnnInput",
        "MnnInterface",
        "MnnOp",
        "Ran",
        "SessionRan",
        "Traced",
        "Weights",
    ),
    "mnncompat.mnn.session": ("interface", "run", "trace"),
    "mnncompat.results.failures": ("Failure", "FailureKind", "Stage"),
}
"""Where each name is. The child process imports modules of this package, and few of them."""


def __getattr__(name: str) -> Any:
    for module, names in _PLACES.items():
        if name in names:
            found = globals()[name] = getattr(import_module(module), name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
