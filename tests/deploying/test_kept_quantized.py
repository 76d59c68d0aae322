"""Quantised weights that stay the same integers in the converted file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, helper, numpy_helper

import mnncompat
from mnncompat.cli import main
from mnncompat.errors import ModelError
from mnncompat.mnn import read_graph
from mnncompat.mnn.kept_integers import KeptIntegers, store

MICROSOFT = "com.microsoft"


def quantized_model(bits: int, size: int, rows: int, *, zeros: bool, element: type = np.float32) -> ModelProto:
    """A product with quantised weights, whose integers do not reach the ends of their range, and one of floats."""
    rng = np.random.default_rng(bits * size + rows)
    columns, blocks, per_byte = 24, -(-rows // size), 8 // bits
    few = rng.integers(1, max((1 << bits) - 1, 2), (columns, blocks, size))
    shifted = [few[..., place::per_byte] << (bits * place) for place in range(per_byte)]
    packed = np.sum(shifted, axis=0).astype(np.uint8)
    arrays = {
        "w": packed,
        "s": rng.uniform(0.01, 0.1, (columns, blocks)).astype(element),
        "f": rng.normal(0, 0.3, (columns, 40)).astype(element),
        "b": rng.normal(0, 1, (columns,)).astype(element),
    }
    if zeros:
        arrays["z"] = rng.integers(0, 256, (columns, -(-blocks * bits // 8))).astype(np.uint8)
    operands = ["x", "w", "s", *(["z"] if zeros else [])]
    nodes = [
        helper.make_node("MatMulNBits", operands, ["p"], "quantised", domain=MICROSOFT,
                         K=rows, N=columns, bits=bits, block_size=size),
        helper.make_node("Add", ["p", "b"], ["a"]),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("MatMul", ["r", "f"], ["y"], "full"),
    ]  # fmt: skip
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(element))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, ["B", "T", rows])],
        [helper.make_tensor_value_info("y", kind, ["B", "T", 40])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=9)


@pytest.mark.parametrize(
    ("bits", "size", "scheme", "element"),
    [(2, 16, "zeros", np.float32), (4, 32, "", np.float32), (8, 32, "zeros", np.float32), (4, 64, "zeros", np.float16)],
)
def test_the_integers_stay(bits: int, size: int, scheme: str, element: type, tmp_path: Path) -> None:
    model = quantized_model(bits, size, 128, zeros=bool(scheme), element=element)
    result = mnncompat.convert(model, tmp_path / "k.mnn", keep_quantized=True)
    assert result.verdict == "converted"
    kept = result.kept_quantized
    assert kept is not None
    assert (kept.products, kept.kept, kept.bits, kept.left) == (1, 1, (bits,), ())
    assert result.became_floats is None
    held = {op.bits for op in read_graph(tmp_path / "k.mnn").ops if op.type == "Convolution"}
    assert held == {0, bits}, "the product of floats is not rounded"
    assert result.parity is not None
    least = 110 if element == np.float32 else 60
    assert min(each.worst.snr_db for each in result.parity.outputs if each.worst is not None) > least


def test_what_cannot_stay_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    onnx.save(quantized_model(4, 32, 70, zeros=False), "m.onnx")
    assert main(["convert", "m.onnx", "--keep-quantized", "-q"]) == 0
    told = capsys.readouterr().out
    assert "0 of 1 node keep their quantised weights; floats: quantised (70 rows are no whole number of blocks" in told
    assert main(["convert", "m.onnx", "--keep-quantized", "-q", "--output-format", "json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["kept_quantized"]["left"][0]["node"] == "quantised"
    assert main(["convert", "m.onnx", "-q", "--output-format", "json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["kept_quantized"] is None


@pytest.mark.parametrize("other", [["--weight-bits", "4"], ["--external-weights"]])
def test_options_that_exclude_it(other: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(quantized_model(4, 32, 64, zeros=False), tmp_path / "m.onnx")
    assert main(["convert", str(tmp_path / "m.onnx"), "--keep-quantized", *other]) == 2
    assert "exclude each other" in capsys.readouterr().err


def test_integers_are_stored_only_where_the_converter_made_room(tmp_path: Path) -> None:
    result = mnncompat.convert(quantized_model(4, 32, 64, zeros=False), tmp_path / "floats.mnn")
    assert result.verdict == "converted"
    ops = [op.name for op in read_graph(tmp_path / "floats.mnn").ops if op.type == "Convolution"]
    before = (tmp_path / "floats.mnn").read_bytes()
    nothing = KeptIntegers(ops[0], 4, 32, np.zeros((24, 64), np.uint8), *[np.zeros((24, 2), np.float32)] * 2)
    for kept in (nothing, nothing._replace(op="no such op")):
        with pytest.raises(ModelError, match="did not write the weights"):
            store(tmp_path / "floats.mnn", [kept])
    assert (tmp_path / "floats.mnn").read_bytes() == before
