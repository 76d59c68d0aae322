"""A few nodes of a graph, evaluated by ONNX's reference evaluator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper


def evaluate(
    nodes: Iterable[NodeProto], stored: Mapping[str, TensorProto], opset: int, name: str
) -> NDArray[Any] | None:
    """Compute one value; neither ONNX Runtime nor MNN is needed.

    Args:
        nodes: All nodes that lead to it, of ONNX's own domain, in the graph's order.
        stored: What they read, and no node among them computes: name -> value.
        opset: Of ONNX's own operators.
        name: The value.

    Returns:
        None if the evaluator fails.
    """
    if name in stored:
        return numpy_helper.to_array(stored[name])
    from onnx.reference import ReferenceEvaluator

    graph = GraphProto(name="evaluated", node=nodes, initializer=stored.values())
    graph.output.append(onnx.ValueInfoProto(name=name))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    try:
        with np.errstate(all="ignore"):
            (result,) = ReferenceEvaluator(model).run([name], {})
    except Exception:  # noqa: BLE001 - operators are numpy code, and may raise anything
        return None
    return np.asarray(result)
