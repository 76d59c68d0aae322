"""Planted faults are caught: a part of `make mutation` with fixed seeds."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import parser
from plants import plants
from subjects import SUBJECTS
from suite import CAUGHT, CRASHED, MISSED, REFUSED, SILENT, UNMOVED, Tried, table, tried

MADE = ("saturating", "millionths", "segmentation", "ranking", "cancelling", "pyramid", "language-model")


@pytest.mark.parametrize("name", MADE)
def test_planted_faults_are_caught(name: str) -> None:
    rows = tried(name, count=8)
    assert not [row for row in rows if row.outcome == MISSED], table(rows)
    assert len([row for row in rows if row.outcome in (CAUGHT, CRASHED, REFUSED)]) >= 5, table(rows)


def test_the_suite_has_what_it_claims() -> None:
    assert len(SUBJECTS) >= 12
    assert sum(each.plants for each in SUBJECTS.values()) >= 200


def test_a_plant_changes_one_node_of_a_copy() -> None:
    model = SUBJECTS["pyramid"].build()
    before = model.SerializeToString()
    found = plants(model, 60, 0)
    assert model.SerializeToString() == before
    assert {each.kind for each in found} >= {"row", "channel", "permuted", "sign", "bias", "clip", "pad", "attribute"}
    for each in found:
        pairs = zip(model.graph.node, each.model.graph.node, strict=True)
        assert sum(one.SerializeToString() != two.SerializeToString() for one, two in pairs) == 1


def test_a_pad_moves_to_the_other_border() -> None:
    text = '<ir_version: 8, opset_import: ["": 17]> g (float[1,1,4,4] x) => (float[1,1,4,4] y)'
    model = parser.parse_model(f"{text} {{ y = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(x) }}")
    (plant,) = plants(model, 5, 0)
    pads = list(plant.model.graph.node[0].attribute[1].ints)
    assert sorted(pads) == [0, 1, 1, 2]
    assert plant.kind == "pad"
    assert plant.node == "MaxPool 'y'"


def test_the_table_counts() -> None:
    rows = [Tried("a", "row", "Conv 'c'", CAUGHT, 3.0), Tried("a", "bias", "Conv 'c'", MISSED, np.inf)]
    rows += [Tried("b", "row", "Gemm 'g'", SILENT, 2.0), Tried("b", "row", "Gemm 'g'", UNMOVED, 0.0)]
    found = table(rows).splitlines()
    assert found[0].split() == ["a", "row", "Conv", "'c'", "3", "caught"]
    assert "    1  MISSED" in found
