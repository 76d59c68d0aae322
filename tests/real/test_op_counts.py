"""Ops of converted models against the nodes that they come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from trained import MODELS

from mnncompat import mnn
from mnncompat.mnn import ConvertOptions, Limits
from mnncompat.results.failures import Failure

LAYERS = {"Conv", "ConvTranspose", "MatMul"}
AS_OPS = {"Convolution", "ConvolutionDepthwise", "Deconvolution", "MatMul"}


def nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            yield from nodes(attribute.g)


@pytest.mark.parametrize(
    ("name", "layers", "conditions"),
    [("ocr-detection", 64, 0), ("ocr-recognition", 51, 0), ("ocr-direction", 54, 0), ("vad", 12, 25)],
)
def test_layers_and_conditions_are_those_of_the_model(
    name: str, layers: int, conditions: int, wheels: Path, tmp_path: Path
) -> None:
    path, target = wheels / MODELS[name].path, tmp_path / "model.mnn"
    types = Counter(node.op_type for node in nodes(onnx.load(path).graph))
    assert (sum(types[each] for each in LAYERS), types["If"]) == (layers, conditions)
    assert not isinstance(mnn.convert(path, target, options=ConvertOptions(), limits=Limits()), Failure)
    counts = mnn.count_ops(target)
    assert (sum(counts.get(each, 0) for each in AS_OPS), counts.get("If", 0)) == (layers, conditions)
    graph = mnn.read_graph(target)
    assert sum(counts.values()) == len(graph.ops)
    assert all(len(op.values) == len(op.outputs) for op in graph.ops), "every value has a name"
    assert (len({op.body for op in graph.ops}) > 1) == bool(conditions)
