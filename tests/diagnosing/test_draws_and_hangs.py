"""Faults that only some draws show, nodes that never end, and errors that only what follows magnifies."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from branching import with_loop
from models import model_of
from onnx import helper
from test_diagnose import OPTIONS, convert, names

from mnncompat.cli import main
from mnncompat.diagnosing.diagnose import diagnose
from mnncompat.diagnosing.repro import read_repro
from mnncompat.graph.model_file import from_proto
from mnncompat.mnn import Limits, read_graph
from mnncompat.mnn.flatbuffer import Flatbuffer
from mnncompat.mnn.graph import _Net, _Op
from mnncompat.results.diagnosis import DiagnosisVerdict

INTEGERS = 5
"""Field of the parameters of a constant that holds int32."""


def faults_of_two_draws() -> onnx.ModelProto:
    """Mod of floats is wrong where its operand is negative: here for inputs beyond 3.5, and for zeros."""
    nodes = [
        helper.make_node("Sub", ["x", "bound"], ["over"], name="over"),
        helper.make_node("Relu", ["over"], ["far"], name="far"),
        helper.make_node("Neg", ["far"], ["low"], name="low"),
        helper.make_node("Mod", ["low", "divisor"], ["y"], name="of_large", fmod=1),
        helper.make_node("Abs", ["x"], ["size"], name="size"),
        helper.make_node("Mul", ["size", "steep"], ["steeper"], name="steeper"),
        helper.make_node("Add", ["steeper", "minus"], ["well"], name="well"),
        helper.make_node("Min", ["well", "zero"], ["pit"], name="pit"),
        helper.make_node("Mod", ["pit", "divisor"], ["z"], name="of_zeros", fmod=1),
    ]
    weights = {"bound": 3.5, "divisor": 0.3, "steep": 1e4, "minus": -1, "zero": 0}
    held = {name: np.array(value, np.float32) for name, value in weights.items()}
    return model_of(nodes, {"x": [2, 3, 4]}, {"y": [2, 3, 4], "z": [2, 3, 4]}, held)


def test_culprits_are_those_of_all_failing_draws() -> None:
    found = diagnose(from_proto(faults_of_two_draws()), None, OPTIONS)
    culprits = {each.nodes[0].node: each for each in found.culprits}
    assert set(culprits) == {"of_large", "of_zeros"}
    assert culprits["of_large"].outputs == ("y",)
    assert culprits["of_zeros"].outputs == ("z",)
    assert set(culprits["of_large"].draws).isdisjoint(culprits["of_zeros"].draws)


def endless(model: onnx.ModelProto, folder: Path) -> Path:
    """The file of the model with a loop, which counts to 2**30."""
    file = convert(model, folder)
    content = bytearray(file.read_bytes())
    buffer = Flatbuffer(bytes(content))
    for table, op in zip(buffer.root().tables(_Net.OPS), read_graph(file).ops, strict=False):
        main_table = table.table(_Op.MAIN) if op.values == ("count",) else None
        if main_table is not None:
            first, count = buffer.vector(buffer.target(main_table._place(INTEGERS)), 4)
            assert count == 1
            struct.pack_into("<i", content, first, 2**30)
    out = folder / "endless.mnn"
    out.write_bytes(content)
    return out


def test_the_node_that_never_ends_is_named(tmp_path: Path) -> None:
    model = from_proto(with_loop())
    file = endless(model.proto, tmp_path)
    right = diagnose(model, tmp_path / "model.mnn", OPTIONS)
    assert right.verdict is DiagnosisVerdict.AGREES
    patience = max(4.0, right.seconds)  # what is not endless is no hang, however busy the machine is
    found = diagnose(model, file, replace(OPTIONS, limits=Limits(seconds=patience)))
    assert found.verdict is DiagnosisVerdict.CULPRIT
    assert names(found) == ["loop"]
    assert found.culprits[0].status == "hang"
    assert found.culprits[0].stage == "run"


def cancelled_gelu() -> onnx.ModelProto:
    """GELU less ReLU: what is left is small, so that the error of MNN's GELU is large there."""
    nodes = [
        helper.make_node("Div", ["x", "root"], ["e"], name="divided"),
        helper.make_node("Erf", ["e"], ["g"], name="erf"),
        helper.make_node("Add", ["g", "one"], ["i"], name="added"),
        helper.make_node("Mul", ["x", "i"], ["j"], name="product"),
        helper.make_node("Mul", ["j", "half"], ["k"], name="halved"),
        helper.make_node("Relu", ["x"], ["r"], name="positive"),
        helper.make_node("Mul", ["r", "scale"], ["s"], name="scaled"),
        helper.make_node("Sub", ["k", "s"], ["y"], name="rest"),
    ]
    weights = {"root": np.sqrt(2), "one": 1, "half": 0.5, "scale": 1}
    held = {name: np.array(value, np.float32) for name, value in weights.items()}
    return model_of(nodes, {"x": [4, 8, 16]}, {"y": [4, 8, 16]}, held)


def test_an_error_within_its_tolerance_is_to_blame_where_what_follows_magnifies_it(tmp_path: Path) -> None:
    model = from_proto(cancelled_gelu())
    feeds = [{"x": np.linspace(-20, 40, 512, dtype=np.float32).reshape(4, 8, 16)}]
    from mnncompat.parity import real_data

    drawing = replace(OPTIONS.drawing, data=real_data(feeds, only=True))
    found = diagnose(model, None, replace(OPTIONS, drawing=drawing, repro=tmp_path / "repro"))
    assert "erf" in names(found)
    assert "magnifies" in found.culprits[0].isolated
    assert "--exact-gelu" in [each.option for each in found.culprits[0].attempts if each.helps]
    assert "Erf" in [node.op_type for node in read_repro(tmp_path / "repro").part.model.graph.node]


def test_a_time_that_is_too_short_for_it_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(with_loop(), tmp_path / "m.onnx")
    assert main(["diagnose", str(tmp_path / "m.onnx"), "--timeout", "0"]) == 2
    assert "--timeout" in capsys.readouterr().err


def test_hostile_names_are_escaped_in_the_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from xml.etree import ElementTree as ET

    model = faults_of_two_draws()
    model.graph.node[3].name = '<script>alert(1)</script>&"\x1b[31m'
    onnx.save(model, tmp_path / "m.onnx")
    assert main(["diagnose", str(tmp_path / "m.onnx"), "-q", "--svg", str(tmp_path / "e.svg")]) == 1
    assert "\x1b" not in capsys.readouterr().out
    picture = (tmp_path / "e.svg").read_text()
    assert "<script" not in picture
    assert "alert(1)" in "".join(ET.fromstring(picture).itertext())  # noqa: S314 - our own picture


LOOP = """<ir_version: 8, opset_import: ["" : 17]> g (int64 trips, float[4] x) => (float[4] y, float[k,4] z)
  <bool t = {1}, float one = {1}> {
  y, z = Loop (trips, t, x) <body: graph = b (int64 i, bool c0, float[4] s0) => (bool c1, float[4] s1, float[4] sc)
    { c1 = Identity (c0) s1 = Add (s0, one) sc = Mul (s1, one) }> }"""
NOISE = """<ir_version: 8, opset_import: ["" : 17]> g (float[1,16] x) => (float[1,16] y) {
  n = RandomNormalLike (x) a = Add (x, n) y = Tanh (a) }"""


def test_the_draw_on_which_the_process_dies_is_looked_at() -> None:
    """The first draw is right: the loop runs there."""
    found = diagnose(from_proto(onnx.parser.parse_model(LOOP)), None, OPTIONS)
    assert found.failure is not None
    assert [each.op_type for each in found.culprits[0].nodes] == ["Loop"]
    assert found.shapes["trips"] == ()


def test_outputs_that_cannot_be_compared_do_not_agree() -> None:
    found = diagnose(from_proto(onnx.parser.parse_model(NOISE)), None, OPTIONS)
    assert found.verdict is DiagnosisVerdict.UNEXPLAINED
    assert any("no two runs agree" in each for each in found.notes)
