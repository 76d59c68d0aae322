"""Faults inside of If and Loop are found inside, in the body of the very file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from branching import with_if, with_loop
from models import array, model_of
from onnx import helper
from planting import plant, sites
from test_diagnose import OPTIONS, convert

from mnncompat.diagnosing.diagnose import diagnose
from mnncompat.diagnosing.repro import read_repro
from mnncompat.graph.model_file import from_proto
from mnncompat.mnn import read_graph
from mnncompat.mnn.bodies import bodies_of, write_body
from mnncompat.results.diagnosis import DiagnosisVerdict


@pytest.mark.parametrize(
    ("make", "value", "paths"),
    [
        (with_if, "tc", {"choice.then_branch/inner_conv"}),
        (with_loop, "next", {"loop.body/inner_shift"}),
    ],
)
def test_a_fault_in_a_body_is_found_inside(
    make: Callable[[], onnx.ModelProto], value: str, paths: set[str], tmp_path: Path
) -> None:
    proto = make()
    file, wrong = convert(proto, tmp_path), tmp_path / "wrong.mnn"
    site = next(each for each in sites(file) if each.body and value in each.values and each.what != "operation")
    assert plant(file, site, wrong, np.random.default_rng(3))
    found = diagnose(from_proto(proto), wrong, OPTIONS)
    assert found.verdict is DiagnosisVerdict.CULPRIT
    assert {each.path for each in found.culprits[0].nodes} == paths


def test_a_body_is_a_file_of_its_own(tmp_path: Path) -> None:
    file, out = convert(with_if(), tmp_path), tmp_path / "body.mnn"
    bodies = bodies_of(file, "chosen")
    assert bodies == ("then", "else")
    assert write_body(file, "then", out)
    whole, body = read_graph(file), read_graph(out)
    assert [op.values for op in body.ops if not op.body] == [op.values for op in whole.ops if op.body == "then"]
    assert body.version == whole.version
    assert not write_body(file, "another", out)
    assert bodies_of(file, "r1") is None


def steps_of_an_open_number() -> onnx.ModelProto:
    """An LSTM as the exporter of a voice detector writes it: the number of steps is open, and states are given."""
    nodes = [
        helper.make_node("Unsqueeze", ["x", "axis"], ["steps"], name="unsqueezed"),
        helper.make_node("LSTM", ["steps", "w", "r", "", "", "h", "c"], ["y", "hn", "cn"], name="lstm", hidden_size=3),
        helper.make_node("Squeeze", ["y", "axis"], ["flat"], name="squeezed"),
        helper.make_node("Relu", ["flat"], ["z"], name="positive"),
    ]
    given: dict[str, Sequence[int | str]] = {"x": ["s", 4], "h": [1, 1, 3], "c": [1, 1, 3]}
    held = {"w": array(1, 12, 4), "r": array(1, 12, 3), "axis": np.array([1], np.int64)}
    return model_of(nodes, given, {"hn": [1, 1, 3], "z": ["s", 1, 3]}, held, opset=17)


def test_what_is_wrong_only_among_its_neighbours_is_shown_with_them(tmp_path: Path) -> None:
    found = diagnose(from_proto(steps_of_an_open_number()), None, replace(OPTIONS, repro=tmp_path / "repro"))
    first = found.culprits[0]
    assert [each.node for each in first.nodes] == ["lstm"]
    assert not first.in_file
    assert "MNN651" in [each.code for each in first.findings]
    assert "LSTM" in [node.op_type for node in read_repro(tmp_path / "repro").part.model.graph.node]
