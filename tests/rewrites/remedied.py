"""Properties of a fixed model whose nodes MNN computes wrongly: equal under ONNX Runtime, and right in MNN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from evaluation import evaluated, feeds_of
from onnx import ModelProto, TensorProto, helper, numpy_helper
from rewriting import TARGET

from mnncompat.checking.checker import check_model
from mnncompat.fixing.transaction import fix_model
from mnncompat.graph.model_file import from_proto
from mnncompat.parity import real_data
from mnncompat.probe.case import Case
from mnncompat.probe.measurement import Outcome
from mnncompat.results.diagnostics import Severity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mnncompat.probe.prober import Prober
    from mnncompat.support.target import Target

Arrays = dict[str, "NDArray[Any]"]


def one_node(
    op: str,
    inputs: Mapping[str, NDArray[Any] | None],
    *,
    opset: int,
    constants: Sequence[str] = (),
    outputs: Sequence[int] = (TensorProto.FLOAT,),
    **attributes: Any,
) -> tuple[ModelProto, Arrays]:
    """A model of one node, and what to feed it.

    Args:
        op: Op type.
        inputs: Operands by name, in order; None leaves one out.
        opset: Of ONNX's own domain.
        constants: Operands that are initializers.
        outputs: Element types of the outputs; 0 leaves one out.
        **attributes: Of the node; those that are None are not stated.
    """
    names = ["" if value is None else name for name, value in inputs.items()]
    given = {name: value for name, value in inputs.items() if value is not None}
    fed = {name: value for name, value in given.items() if name not in constants}
    results = [f"out{position}" if dtype else "" for position, dtype in enumerate(outputs)]
    stated = {name: value for name, value in attributes.items() if value is not None}
    graph = helper.make_graph(
        [helper.make_node(op, names, results, **stated)],
        "one_node",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for name, value in fed.items()
        ],
        [
            helper.make_tensor_value_info(name, dtype, None)
            for name, dtype in zip(results, outputs, strict=True)
            if dtype
        ],
        [numpy_helper.from_array(given[name], name) for name in constants],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), fed


def assert_remedied(
    model: ModelProto, prober: Prober, feeds: Arrays | None = None, *, target: Target = TARGET
) -> frozenset[str]:
    """Fix a model; it must be equal under ONNX Runtime, without errors by the table, and right in MNN.

    Args:
        model: The model; it need not have a hazard.
        prober: Measures MNN.
        feeds: What to measure with; the first draw by default.
        target: What it is fixed for; whatever that is, the installed MNN must be right.

    Returns:
        Names of the rewrites that applied.
    """
    fixed = fix_model(from_proto(model), target=target, inputs=real_data(feeds, only=True) if feeds else None)
    assert not fixed.rolled_back
    proto = fixed.model.proto
    left = check_model(fixed.model, mnn_version=target.version).at_least(Severity.ERROR)
    assert not left, left
    fed = feeds_of(model)[0] if feeds is None else feeds
    (expected,) = evaluated(model, [fed])
    case = Case(id="remedied", op="", model=proto.SerializeToString(), feeds=fed, expected=expected, atol=1e-5)
    measured = prober.measure(case)
    assert measured.outcome is Outcome.OK, f"{measured.code} {measured.detail}"
    return frozenset(each.rewrite for each in fixed.applied)


def random(shape: Sequence[int], dtype: Any = np.float32, seed: int = 0) -> NDArray[Any]:
    """Numbers that are drawn from a fixed seed: normal, or integers of the whole width of a byte."""
    draws = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return draws.normal(0, 2, shape).astype(kind)
    if kind.kind == "b":
        return draws.integers(0, 2, shape).astype(kind)
    limits = np.iinfo(kind)
    return draws.integers(max(limits.min, -128), min(limits.max, 255), shape, endpoint=True).astype(kind)
