"""Indices are judged by the scores that they were chosen from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper, parser

from mnncompat import mnn
from mnncompat.fixing.transaction import fix_model
from mnncompat.graph.model_file import from_proto
from mnncompat.parity import FLOAT32, load_data, verify
from mnncompat.parity.metrics import compare
from mnncompat.parity.scores import Choice, excuse_ties, scores_of
from mnncompat.results.parity_report import ParityReport
from mnncompat.support.head_form import HeadForm
from mnncompat.support.target import Target

LEAST = Choice(scores="s", axis=0, is_ranking=False)
HEAD = '<ir_version: 8, opset_import: ["": 17]>'
SEGMENTATION = """g (float[1,3,12,12] x) => (int64[1,12,12] classes, int64[1,3] best) <int64[1] k = {3}> {
    a = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w, b) r = Relu(a)
    s = Conv<kernel_shape=[1,1]>(r, v, c) classes = ArgMax<axis=1, keepdims=0>(s)
    p = GlobalAveragePool(r) f = Flatten(p) l = MatMul(f, m) value, best = TopK(l, k) }"""
SHAPES = {"w": (16, 3, 3, 3), "b": (16,), "v": (5, 16, 1, 1), "c": (5,), "m": (16, 10)}


def segmentation() -> ModelProto:
    return weighted(SEGMENTATION, *SHAPES)


def weighted(graph: str, *names: str) -> ModelProto:
    model = parser.parse_model(f"{HEAD} {graph}")
    draws = np.random.default_rng(0)
    for name in names:
        values = draws.standard_normal(SHAPES[name]).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    return model


def changed(name: str, row: int, factor: float) -> ModelProto:
    model = segmentation()
    weight = next(each for each in model.graph.initializer if each.name == name)
    values = numpy_helper.to_array(weight).copy()
    values[row] *= factor
    weight.CopyFrom(numpy_helper.from_array(values, name))
    return model


def verified(original: ModelProto, subject: ModelProto, folder: Path, save_data: Path | None = None) -> ParityReport:
    onnx.save(original, folder / "model.onnx")
    onnx.save(subject, folder / "subject.onnx")
    done = mnn.convert(
        folder / "subject.onnx", folder / "model.mnn", options=mnn.ConvertOptions(), limits=mnn.Limits(seconds=60)
    )
    assert isinstance(done, mnn.Converted)
    return verify(folder / "model.onnx", done.path, save_data=save_data)


def test_the_scores_of_indices_are_compared(tmp_path: Path) -> None:
    report = verified(segmentation(), segmentation(), tmp_path, save_data=tmp_path / "data")
    assert report.passed, report.problems
    assert [each.name for each in report.outputs] == ["classes", "best", "scores of classes", "scores of best"]
    assert load_data(tmp_path / "data").judge() == replace(report, speed=None, session=None)


@pytest.mark.parametrize(("weight", "row", "words"), [("v", 2, "scores of classes"), ("m", 3, "scores of best")])
def test_one_percent_in_one_class_shows_in_the_scores_alone(weight: str, row: int, words: str, tmp_path: Path) -> None:
    report = verified(segmentation(), changed(weight, row, 1.01), tmp_path)
    assert not report.passed
    assert {each.name for each in report.outputs if not each.passed} >= {words}


def test_a_file_without_the_tensor_says_so(tmp_path: Path) -> None:
    renamed = segmentation()
    for node in renamed.graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = {"s": "other"}.get(name, name)
    report = verified(segmentation(), renamed, tmp_path)
    assert report.passed
    assert [each.name for each in report.outputs] == ["classes", "best", "scores of best"]
    assert any("scores of classes: not compared, the file has no tensor 's'" in note for note in report.notes)


CLASSIFIER = """g (float[b,3,12,12] x) => (int64[b,1] y) {
    a = Conv<kernel_shape=[3,3]>(x, w, b) r = Relu(a) p = GlobalAveragePool(r) f = Flatten(p)
    s = MatMul(f, m) y = ArgMax<axis=1>(s) }"""


@pytest.mark.parametrize(("factor", "failed"), [(1.0, set()), (1.05, {"scores of y"})])
def test_scores_of_a_rewritten_head_are_compared(factor: float, failed: set[str], tmp_path: Path) -> None:
    original, subject = (weighted(CLASSIFIER, "w", "b", "m") for _ in range(2))
    values = numpy_helper.to_array(subject.graph.initializer[2]).copy()
    values[:, 3] *= factor
    subject.graph.initializer[2].CopyFrom(numpy_helper.from_array(values, "m"))
    fixed = fix_model(from_proto(subject), target=Target(head=HeadForm.FLAT))
    assert [each.rewrite for each in fixed.applied] == ["fully-connected-to-convolution"]
    report = verified(original, fixed.model.proto, tmp_path)
    assert [each.name for each in report.outputs] == ["y", "scores of y"]
    assert {each.name for each in report.outputs if not each.passed} == failed
    assert report.power is not None
    assert report.power.is_enough


@pytest.mark.parametrize(
    ("nodes", "output", "scores", "choice"),
    [
        ("s = Sigmoid(x) y = ArgMax<axis=1>(s)", "int64[4,1] y", ["s"], Choice(scores="s", axis=1, is_ranking=False)),
        ("s = Abs(x) a = ArgMin(s) y = Cast<to=6>(a)", "int32[1,9] y", ["s"], LEAST),
        ("s = Sigmoid(x) y = Greater(s, x)", "bool[4,9] y", ["s"], None),
        ("s = Sigmoid(x) y = Shape(s)", "int64[2] y", [], None),
        ("y = ArgMax<axis=1>(x)", "int64[4,1] y", [], None),
        ("y = Sigmoid(x)", "float[4,9] y", [], None),
    ],
)  # fmt: skip
def test_what_scores_are(nodes: str, output: str, scores: list[str], choice: Choice | None) -> None:
    found = scores_of(parser.parse_model(f"{HEAD} g (float[4,9] x) => ({output}) {{ {nodes} }}"))
    assert list(found.labels) == scores
    assert found.choices.get("y") == choice


@pytest.mark.parametrize(
    ("indices", "is_ranking", "passed"),
    [
        ([[1], [0]], False, True),
        ([[2], [0]], False, True),
        ([[0], [0]], False, False),
        ([[2], [3]], False, False),
        ([[1], [3]], False, False),
        ([[1], [9]], False, False),
        ([[2, 1], [0, 3]], True, True),
        ([[2, 2], [0, 3]], True, False),
        ([[1, 0], [0, 3]], True, False),
    ],
)
def test_indices_may_differ_between_ties(indices: list[list[int]], is_ranking: bool, passed: bool) -> None:  # noqa: FBT001 - a table
    scores = np.array([[1, 5, 5.001, 2], [9, 7, 3, 9]], np.float32)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, : len(indices[0])]
    actual = np.array(indices, np.int32)
    choice = Choice(scores="s", axis=-1, is_ranking=is_ranking)
    comparison = compare(expected, actual, FLOAT32)
    found = excuse_ties(comparison, expected, actual, choice, (scores, FLOAT32))
    assert found.passed == passed
    assert found.outliers == (np.count_nonzero(expected != actual) if passed else 0)
