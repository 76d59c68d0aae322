"""The tutorial's network through every exporter and opset: converted, proven, and no larger than the one by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "mnist"))

from mnncompat import convert, fix

BY_HAND = 10
"""MNN ops of the convolution head that the tutorial's author wrote; `test_by_hand` holds it to that."""

EXPORTS = [
    *(("torchscript", opset) for opset in range(9, 21)),
    *(("dynamo", opset) for opset in range(16, 21)),  # torch cannot go below 16 for this network
]


def exported(folder: Path, head: str, exporter: str, opset: int, *, dynamic: bool) -> Path:
    import torch
    from export import export
    from network import DigitNetwork, FullyConnectedHead, with_convolution_head

    torch.manual_seed(0)
    network = DigitNetwork(FullyConnectedHead()).eval()
    network = with_convolution_head(network).eval() if head == "conv" else network
    out = folder / f"{head}.onnx"
    export(network, out, exporter=exporter, opset=opset, dynamic_batch=dynamic)
    return out


@pytest.mark.filterwarnings("ignore")  # the exporters' own
@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize(("exporter", "opset"), EXPORTS)
def test_every_export(exporter: str, opset: int, dynamic: bool, tmp_path: Path) -> None:  # noqa: FBT001
    model = exported(tmp_path, "fc", exporter, opset, dynamic=dynamic)
    operators = [node.op_type for node in fix(model, head="spatial").model.proto.graph.node]
    assert operators.count("Conv") == 4
    assert {"MatMul", "Gemm", "Reshape", "Shape"}.isdisjoint(operators)
    result = convert(model, None, head="spatial")
    assert result.verdict == "converted", result.parity
    assert sum(result.ops.values()) <= BY_HAND


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
def test_the_form_for_a_release_of_today(exporter: str, tmp_path: Path) -> None:
    """1x1 convolutions, into which MNN takes the normalisation; dynamo has folded it: nothing to gain is left."""
    model = exported(tmp_path, "fc", exporter, 17, dynamic=True)
    operators = [node.op_type for node in fix(model).model.proto.graph.node]
    layers = operators.count("Gemm") + operators.count("MatMul")
    assert (operators.count("Conv"), layers) == {"torchscript": (4, 0), "dynamo": (2, 2)}[exporter]
    assert convert(model, None).verdict == "converted"


@pytest.mark.filterwarnings("ignore")
def test_by_hand(tmp_path: Path) -> None:
    result = convert(exported(tmp_path, "conv", "torchscript", 13, dynamic=True), None)
    assert sum(result.ops.values()) == BY_HAND
