"""The ops of an `.mnn` file, read from the file itself, and the op types that the converter declares."""

from __future__ import annotations

import mmap
import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mnncompat.errors import ModelError
from mnncompat.mnn import schema
from mnncompat.mnn.flatbuffer import INT8, INT32, INT64, UINT8, Flatbuffer, FlatbufferError, Table
from mnncompat.mnn.outcome import MnnGraph, MnnInput, MnnOp, Weights
from mnncompat.mnn.process import working_directory
from mnncompat.mnn.request import perform
from mnncompat.results.failures import Failure, FailureKind, Stage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mnncompat.mnn.options import Limits

_Content = TypeVar("_Content")
_LISTED = re.compile(r"^Dump ONNX support Ops$(.*)^Total:", re.MULTILINE | re.DOTALL)
_CONVERT = "convert the model again, or fetch the file again if it was downloaded"
_FLOAT32, _NC4HW4 = 1, 2


class _Net:
    """Fields of the schema's root table."""

    EXTRA_INFO, OPS, OUTPUTS, TENSORS, SUBGRAPHS = 2, 3, 4, 7, 10


class _Subgraph:
    NAME, TENSORS, OPS = 0, 3, 4


class _Op:
    INPUTS, KIND, MAIN, NAME, OUTPUTS, TYPE = 0, 1, 2, 3, 4, 5


class _Input:
    DIMS, DTYPE, LAYOUT = 0, 1, 2


class _Encoding:
    """Fields of IDSTQuan, which says how weights are encoded. `aMax` holds their bits, whatever its name says."""

    TYPE, BITS = 2, 7


_HALF, _MOST_BITS = 3, 8
"""Type of float16; bits of the finest integers."""
_VERSION = 2
"""Field of ExtraInfo."""
_OWN_TYPE = 0
"""Field of Extra and Plugin."""


class _Weights(NamedTuple):
    """Fields of parameters that hold weights.

    Attributes:
        arrays: Vectors of numbers -> bytes of an element.
        encoded: Tables that hold them encoded.
        external: Vector of positions in a file of their own.
    """

    arrays: dict[int, int]
    encoded: tuple[int, ...] = ()
    external: int | None = None


_HOLDERS = {
    "Blob": _Weights({3: 1, 4: 1, 5: 4, 6: 8, 7: 4, 8: 4}, external=9),
    "Convolution2D": _Weights({1: 4}, (3, 4), external=6),
    "Convolution3D": _Weights({1: 4}, external=3),
    "InnerProduct": _Weights({3: 4}, (7,)),
}
_CUSTOM = frozenset({"Extra", "Plugin"})


def read_graph(model: Path) -> MnnGraph:
    """Read the ops of a converted model; its weights are not read.

    Args:
        model: The `.mnn` file.

    Raises:
        ModelError: It cannot be read, is no `.mnn` file, or is damaged.
    """
    return _read(model, _graph)


def read_values(model: Path) -> frozenset[str]:
    """Names of the values that a converted model computes outside of subgraphs; several times faster than `read_graph`.

    Args:
        model: The `.mnn` file.

    Raises:
        ModelError: It cannot be read, is no `.mnn` file, or is damaged.
    """
    return _read(model, _values)


def _read(model: Path, read: Callable[[Flatbuffer], _Content]) -> _Content:
    """Read something from a file."""
    try:
        if not model.is_file():
            raise ModelError(f"{model} is no file", hint="give the path of an .mnn file")
        with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return read(Flatbuffer(content))
    except FlatbufferError as error:
        raise ModelError(f"{model} is no .mnn file, or is damaged: {error}", hint=_CONVERT) from error
    except ValueError as error:
        raise ModelError(f"{model} is empty", hint=_CONVERT) from error
    except OSError as error:
        raise ModelError(f"{model} cannot be read: {error.strerror or error}", hint="check the permissions") from error


def _net(buffer: Flatbuffer) -> Table:
    net = buffer.root()
    if not net.has(_Net.OPS):
        raise FlatbufferError("there is no list of ops")
    return net


def _values(buffer: Flatbuffer) -> frozenset[str]:
    net = _net(buffer)
    names = net.texts(_Net.TENSORS)
    computed = {index for op in net.tables(_Net.OPS) for index in op.numbers(_Op.OUTPUTS)}
    return frozenset(names[index] for index in computed if 0 <= index < len(names))


def _graph(buffer: Flatbuffer) -> MnnGraph:
    net = _net(buffer)
    info = net.table(_Net.EXTRA_INFO)
    version = "" if info is None else info.text(_VERSION)
    names = net.texts(_Net.TENSORS)
    main = list(net.tables(_Net.OPS))
    ops = [_op(table, names, "", version) for table in main]
    for body in net.tables(_Net.SUBGRAPHS):
        name, names = body.text(_Subgraph.NAME), body.texts(_Subgraph.TENSORS)
        ops += (_op(table, names, name, version) for table in body.tables(_Subgraph.OPS))
    inputs = (_input(table, op) for table, op in zip(main, ops, strict=False) if op.type == "Input")
    return MnnGraph(ops=tuple(ops), outputs=net.texts(_Net.OUTPUTS), version=version, inputs=tuple(inputs))


def _op(table: Table, names: tuple[str, ...], body: str, version: str) -> MnnOp:
    outputs = table.numbers(_Op.OUTPUTS)
    kind = table.number(_Op.KIND, UINT8)
    parameter = schema.PARAMETERS.get(kind, f"OpParameter {kind}") if kind else ""
    main = table.table(_Op.MAIN) if parameter in _CUSTOM or parameter in _HOLDERS else None
    weights, external = (Weights.NONE, False) if main is None else _stored(main, parameter)
    return MnnOp(
        type=schema.op_type(table.number(_Op.TYPE, INT32), version),
        name=table.text(_Op.NAME),
        inputs=table.numbers(_Op.INPUTS),
        outputs=outputs,
        values=tuple(names[index] for index in outputs if 0 <= index < len(names)),
        body=body,
        parameter=parameter,
        custom="" if main is None or parameter not in _CUSTOM else main.text(_OWN_TYPE),
        weights=weights,
        external=external,
        bits=_bits(main, parameter) if main is not None and weights is Weights.ENCODED else 0,
    )


def _stored(main: Table, parameter: str) -> tuple[Weights, bool]:
    """How parameters hold their weights, and whether in a file of their own."""
    holder = _HOLDERS.get(parameter, _Weights({}))
    external = holder.external is not None and main.count(holder.external, INT64.size) > 0
    if any(main.has(field) for field in holder.encoded):
        return Weights.ENCODED, external
    held = external or any(main.count(field, width) for field, width in holder.arrays.items())
    return (Weights.PLAIN if held else Weights.NONE), external


def _bits(main: Table, parameter: str) -> int:
    """Bits of encoded weights."""
    encoding = main.table(_HOLDERS[parameter].encoded[0])
    if encoding is None:  # for integer arithmetic
        return _MOST_BITS
    if encoding.number(_Encoding.TYPE, INT32) == _HALF:
        return 2 * _MOST_BITS
    bits = encoding.number(_Encoding.BITS, INT32)
    return bits if 0 < bits <= _MOST_BITS else 0


def _input(table: Table, op: MnnOp) -> MnnInput:
    """An op of type Input, with the schema's defaults where it says nothing."""
    main = table.table(_Op.MAIN)
    dtype = _FLOAT32 if main is None else main.number(_Input.DTYPE, INT32, _FLOAT32)
    layout = _NC4HW4 if main is None else main.number(_Input.LAYOUT, INT8, _NC4HW4)
    return MnnInput(
        name=op.name,
        shape=() if main is None else main.numbers(_Input.DIMS),
        dtype=schema.DTYPES.get(dtype, f"DataType {dtype}"),
        layout=schema.LAYOUTS.get(layout, f"MNN_DATA_FORMAT {layout}"),
    )


def count_ops(model: Path) -> dict[str, int]:
    """Count the ops of a converted model by their type.

    Args:
        model: The `.mnn` file.

    Returns:
        MNN op type -> number of ops, the most frequent first, ties by name. `Input` and `Const` are ops like any other;
        their sum is the number that `MnnGraph.ops` has.

    Raises:
        ModelError: It cannot be read, is no `.mnn` file, or is damaged.
    """
    counts = Counter(op.type for op in read_graph(model).ops)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def declared_ops(*, limits: Limits) -> tuple[str, ...] | Failure:
    """ONNX op types that the installed converter declares, sorted. Declared does not mean supported.

    Args:
        limits: What the child process may use.

    Returns:
        The names, or how listing failed.

    Raises:
        RunnerError: MNN is not installed.
    """
    with working_directory() as directory:
        answer = perform("declare", {"framework": "ONNX"}, directory=directory, limits=limits)
    if isinstance(answer, Failure):
        return answer
    listed = _LISTED.search(answer.output)
    if listed is None:
        message = "MNN's converter did not list its ops"
        return Failure(kind=FailureKind.ERROR, stage=Stage.LIST, message=message, words=answer.words)
    return tuple(sorted(listed[1].split()))
