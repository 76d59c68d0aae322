"""What makes MNN's file larger than the model is told, in its numbers, and fails a check only if that is asked for."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from mnncompat import check, mnn
from mnncompat.cli import main
from mnncompat.mnn import ConvertOptions, Limits
from mnncompat.results.diagnostics import Category

RELEASE = "3.6.1"
SIDE = 96
BYTES = SIDE * SIDE * 4
"""Of the weight."""


def model(body: str, weight: type[np.floating] = np.float32, ids: str = "") -> onnx.ModelProto:
    """A model with the weight `w`, between the input `x` and the output `y`."""
    text = f'<ir_version: 8, opset_import: ["": 17]> g (float[2,{SIDE}] x{ids}) => (float[2,{SIDE}] y) {{ {body} }}'
    proto = parser.parse_model(text)
    values: np.ndarray = (np.random.default_rng(0).standard_normal((SIDE, SIDE)) * 20).astype(weight)
    proto.graph.initializer.append(numpy_helper.from_array(values, "w"))
    return proto


def products(count: int) -> str:
    names = ["x", *(f"h{number}" for number in range(1, count)), "y"]
    return " ".join(f"{after} = MatMul({before}, w)" for before, after in itertools.pairwise(names))


TIED = "t = Transpose<perm=[1,0]>(w) e = Gather(w, i) s = Add(x, e) y = MatMul(s, t)"
HALF = "f = Cast<to=1>(w) y = MatMul(x, f)"


@pytest.mark.parametrize(
    ("proto", "code", "copies"),
    [
        (model(products(1)), "", 1),
        (model(products(2)), "MNN051", 2),
        (model(products(4)), "MNN051", 4),
        (model(products(5)), "", 1),
        (model(TIED, ids=", int64[2] i"), "MNN051", 2),
        (model(HALF, np.float16), "MNN052", 1),
    ],
    ids=["one", "two", "four", "five", "tied", "half"],
)
def test_a_file_is_as_large_as_is_said(proto: onnx.ModelProto, code: str, copies: int, tmp_path: Path) -> None:
    found = [each for each in check(proto, mnn=RELEASE).diagnostics if each.category is Category.SIZE]
    assert [each.code for each in found] == ([code] if code else [])
    if code == "MNN051":
        assert f"holds it {copies} times, {(copies - 1) * BYTES / 1e3:.1f} kB more" in found[0].message
    source, file = tmp_path / "model.onnx", tmp_path / "model.mnn"
    onnx.save(proto, source)
    assert isinstance(mnn.convert(source, file, options=ConvertOptions(), limits=Limits()), mnn.Converted)
    assert copies * BYTES <= file.stat().st_size < copies * BYTES + BYTES // 2


def test_a_constant_that_is_written_out() -> None:
    shape = "float[1,8,32,32]"
    text = f'<ir_version: 8, opset_import: ["": 17]> g ({shape} x) => ({shape} y) {{{{ {{}} y = Add(x, c) }}}}'
    stated = "k = Constant<value=float {1.5}>() s = Constant<value=int64[4] {1, 8, 32, 32}>() c = Expand(k, s)"
    (found,) = check(parser.parse_model(text.format(stated)), mnn=RELEASE).diagnostics
    assert (found.code, found.category, found.location.op_type) == ("MNN053", Category.SIZE, "Expand")
    assert "32.7 kB more" in found.message
    taken = stated.replace("s = Constant<value=int64[4] {1, 8, 32, 32}>()", "s = Shape(x)")
    open_size = text.format(taken).replace(shape, "float[1,8,N,32]")
    assert not check(parser.parse_model(open_size), mnn=RELEASE).diagnostics


def test_a_large_constant_is_no_reason_to_store_it(tmp_path: Path) -> None:
    """MNN computes it right: stored in the ONNX file it would only make that larger as well."""
    text = """<ir_version: 8, opset_import: ["": 17]> g (float[1,8,32,32] x) => (float[1,8,32,32] y) {
      s = Constant<value=int64[4] {1, 8, 32, 32}>() c = ConstantOfShape<value = float[1] {1.5}>(s) y = Add(x, c) }"""
    path = tmp_path / "model.onnx"
    onnx.save(parser.parse_model(text), path)
    assert any(each.code == "MNN053" for each in check(path, mnn=RELEASE).diagnostics)
    assert main(["fix", str(path), "-o", str(tmp_path / "fixed.onnx")]) == 0
    assert (tmp_path / "fixed.onnx").read_bytes() == path.read_bytes()


def test_what_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(model(products(2)), path)
    assert main(["check", str(path), "--mnn", RELEASE]) == 0
    told = capsys.readouterr().out
    assert "size warning[MNN051] weight-kept-twice" in told
    assert "MNN 3.6.1 computes it right, from a larger file" in told
    assert main(["check", str(path), "--mnn", RELEASE, "--fail-on", "performance"]) == 1
    assert main(["check", str(path), "--mnn", RELEASE, "--select", "weight-kept-twice"]) == 1
    assert main(["check", str(path), "--mnn", RELEASE, "--ignore", "MNN051", "--fail-on", "performance"]) == 0
    assert main(["fix", str(path), "-o", str(tmp_path / "fixed.onnx")]) == 0
    capsys.readouterr()
    assert main(["rule", "MNN051"]) == 0
    assert "category: size" in capsys.readouterr().out
