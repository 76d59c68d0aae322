"""The conformance tests that the onnx wheel ships, as cases."""

from __future__ import annotations

import math
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import numpy_helper

from mnncompat.graph.operator_traits import RANDOM, RESHAPES
from mnncompat.probe.case import Case, is_representable
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_ARRANGING = RESHAPES | {"Constant", "Identity", "Transpose"}
# Their data divide by a fractional length of the result; in the text of Resize, `length_resized` is that of the resized
# tensor, and only `output_width` can be fractional. ONNX Runtime, PyTorch and MNN follow the text.
_AGAINST_THE_TEXT = frozenset(
    {"test_resize_downsample_scales_linear_align_corners", "test_resize_downsample_scales_cubic_align_corners"}
)
_FOLDERS = {"pytorch-converted": "converted", "pytorch-operator": "operator", "simple": "simple"}


def node_cases() -> Iterator[Case]:
    """Every node test of the installed onnx as it is: all operands are graph inputs."""
    for name, op, model, (inputs, outputs), tolerances in _node_tests():
        yield _case(f"node:{name}", op, model, inputs, outputs, tolerances)


def node_const_cases() -> Iterator[Case]:
    """The node tests of two operands and more, with all of them but the first as initializers."""
    for name, op, model, (inputs, outputs), tolerances in _node_tests():
        constant = _with_constants(model, inputs)
        if constant is not None:
            yield _case(f"node-const:{name}", op, constant, inputs[:1], outputs, tolerances)


def converted_cases() -> Iterator[Case]:
    """Layers exported from old releases of PyTorch: opset 6 and 9, weights as initializers."""
    yield from _shipped("pytorch-converted")


def operator_cases() -> Iterator[Case]:
    """Single PyTorch operators, exported."""
    yield from _shipped("pytorch-operator")


def simple_cases() -> Iterator[Case]:
    """Small graphs: sequences, expanded functions, gradients."""
    yield from _shipped("simple")


CORPORA: dict[str, Callable[[], Iterator[Case]]] = {
    "node": node_cases,
    "node-const": node_const_cases,
    "converted": converted_cases,
    "operator": operator_cases,
    "simple": simple_cases,
}
"""Name -> its cases, in a fixed order."""

_Values = tuple["Sequence[Any]", "Sequence[Any]"]


@cache
def _node_tests() -> list[tuple[str, str, onnx.ModelProto, _Values, tuple[float, float]]]:
    """Name, op under test, model, inputs and outputs, tolerances of each. Building them takes seconds.

    The test of a function's expansion is named after the test of the function.
    """
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        state = np.random.get_state()  # noqa: NPY002 - the tests seed the global generator
        tests: list[Any] = load_model_tests(kind="node")
        np.random.set_state(state)  # noqa: NPY002
    ops = {test.name: test.model.graph.node[-1].op_type for test in tests}
    return [
        (
            test.name,
            ops.get(test.name.partition("_expanded")[0], ops[test.name]),
            test.model,
            _data(test),
            # Random results have no single right value: only type and shape are compared.
            (test.rtol, math.inf if RANDOM & {node.op_type for node in test.model.graph.node} else test.atol),
        )
        for test in tests
    ]


def _data(test: Any) -> _Values:
    """Inputs and outputs of a node test; what ONNX Runtime computes, where the test contradicts the operator's text."""
    inputs, outputs = _arrays(*test.data_sets[0])
    if test.name not in _AGAINST_THE_TEXT:
        return inputs, outputs
    from mnncompat.parity.runners import OnnxRuntimeRunner

    names = [each.name for each in test.model.graph.input]
    found = OnnxRuntimeRunner(test.model).run([dict(zip(names, inputs, strict=True))])
    return inputs, outputs if isinstance(found, Failure) else list(found[0].values())


def _arrays(inputs: Sequence[Any], outputs: Sequence[Any]) -> _Values:
    """Some tests hold their data as protocol messages."""
    return [_array(value) for value in inputs], [_array(value) for value in outputs]


def _array(value: Any) -> Any:
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def _case(
    identity: str,
    op: str,
    model: onnx.ModelProto,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    tolerances: tuple[float, float],
) -> Case:
    given = {each.name for each in model.graph.initializer}
    fed = [each.name for each in model.graph.input if each.name not in given or len(inputs) == len(model.graph.input)]
    representable = all(is_representable(value) for value in (*inputs, *outputs))
    return Case(
        id=identity,
        op=op,
        model=model.SerializeToString(deterministic=True),
        feeds={name: np.asarray(value) for name, value in zip(fed, inputs, strict=False)} if representable else {},
        expected={each.name: np.asarray(value) for each, value in zip(model.graph.output, outputs, strict=True)}
        if representable
        else None,
        rtol=tolerances[0],
        atol=tolerances[1],
    )


def _with_constants(model: onnx.ModelProto, inputs: Sequence[Any]) -> onnx.ModelProto | None:
    """The model with all graph inputs but the first as initializers; None where there are none, or one is no tensor."""
    if len(inputs) < 2 or not all(isinstance(value, np.ndarray | np.generic) for value in inputs):  # noqa: PLR2004
        return None
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    names = [each.name for each in changed.graph.input]
    del changed.graph.input[1:]
    for name, value in zip(names[1:], inputs[1:], strict=True):
        changed.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return changed


def _shipped(kind: str) -> Iterator[Case]:
    from onnx.backend.test.loader import load_model_tests

    tests: list[Any] = load_model_tests(kind=kind)
    for test in sorted(tests, key=lambda each: each.name):
        folder = Path(test.model_dir)
        model = onnx.load(folder / "model.onnx")
        data = folder / "test_data_set_0"
        inputs = [_stored(data / f"input_{n}.pb", each) for n, each in enumerate(_fed(model, data))]
        outputs = [_stored(data / f"output_{n}.pb", each) for n, each in enumerate(model.graph.output)]
        op = _tested_op(model)
        yield _case(f"{_FOLDERS[kind]}:{test.name}", op, model, inputs, outputs, (test.rtol, test.atol))


def _tested_op(model: onnx.ModelProto) -> str:
    """The first op that does more than arrange its input."""
    ops = [node.op_type for node in model.graph.node]
    return next((op for op in ops if op not in _ARRANGING), ops[-1])


def _fed(model: onnx.ModelProto, data: Path) -> Sequence[onnx.ValueInfoProto]:
    """The inputs that the data set has files for: the first ones."""
    return model.graph.input[: len(list(data.glob("input_*.pb")))]


def _stored(path: Path, info: onnx.ValueInfoProto) -> Any:
    """An array, or None for anything but a tensor."""
    if not info.type.HasField("tensor_type"):
        return None
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return numpy_helper.to_array(tensor)
