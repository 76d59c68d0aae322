"""Inputs are chosen for small models of every kind: without options, within seconds, as the graph says."""

from __future__ import annotations

import time
from pathlib import Path

import ids_and_masks
import numbers_and_states
import numpy as np
import onnx
import pytest
import sizes
from small_model import Small

import mnncompat
from mnncompat.parity.input_planner import InputPlanner
from mnncompat.parity.reference import Reference, run_reference
from mnncompat.parity.runners import OnnxRunner
from mnncompat.parity.signature import input_signature
from mnncompat.results.failures import Failure

KINDS: dict[str, dict[str, Small]] = {
    "ids": ids_and_masks.IDS_BY_TABLE,
    "mask": ids_and_masks.MASKS,
    "length": ids_and_masks.LENGTHS,
    "count": ids_and_masks.COUNTS,
    "timestep": numbers_and_states.TIMESTEPS,
    "pixels": numbers_and_states.PIXEL_IMAGES,
    "state": numbers_and_states.STATES,
    "probability": numbers_and_states.PROBABILITIES,
    "threshold": numbers_and_states.THRESHOLDS,
    "random": numbers_and_states.RANDOM,
    "baked": sizes.BAKED,
    "multiple": sizes.MULTIPLES,
    "past": sizes.PAST,
}
MODELS = {f"{kind}-{name}": small for kind, models in KINDS.items() for name, small in models.items()}
SECONDS = 10.0
CONVERTED = (
    *("ids-clip-below-table", "ids-offsets-of-columns", "mask-additive", "mask-where-infinity", "length-below-range"),
    *("timestep-both", "pixels-means", "state-lstm", "state-cache", "probability-guarded-cross-entropy"),
    *("threshold-clip", "baked-reshape-square", "multiple-three-levels", "past-additive"),
)
"""Some of those that MNN computes right; `make seeds` compares nearly all of the others with many seeds."""


def planned(model: onnx.ModelProto, seed: int = 0) -> tuple[InputPlanner, Reference]:
    planner = InputPlanner(model, input_signature(model), {}, {}, seed=seed, memory=1 << 30)
    return planner, run_reference(planner, OnnxRunner(model))


def test_there_are_ten_of_each_kind() -> None:
    assert {kind for kind, models in KINDS.items() if len(models) < 10} == set()


@pytest.mark.parametrize("name", MODELS)
def test_inputs_are_chosen(name: str) -> None:
    small = MODELS[name]
    model = small.model()
    onnx.checker.check_model(model)
    begin = time.perf_counter()
    _, found = planned(model)
    assert time.perf_counter() - begin < SECONDS
    assert not isinstance(found.outputs, Failure), found.outputs.message
    assert found.plan is not None
    assert small.holds(found.plan.sizes), found.plan.sizes
    for each, (kind, low, high) in small.inputs.items():
        domain = found.plan.domains[each]
        assert domain.kind.value == kind, each
        assert [domain.low, domain.high] == pytest.approx([low, high]), each
        assert domain.reasons or kind in ("numbers", "integers")
    for outputs in found.outputs:
        assert all(np.isfinite(array).all() for array in outputs.values() if array.dtype.kind == "f")
    assert not [note for note in found.notes if "left out" in note]


@pytest.mark.parametrize("name", sizes.PAST)
def test_an_empty_past_is_a_variation(name: str) -> None:
    _, found = planned(sizes.PAST[name].model())
    assert any(0 in shape for feed in found.feeds for shape in feed.shapes.values())
    assert any(feed.name.endswith("empty past") for feed in found.feeds)


@pytest.mark.parametrize("name", ids_and_masks.COUNTS)
def test_no_trips_are_among_the_counts(name: str) -> None:
    _, found = planned(ids_and_masks.COUNTS[name].model())
    counts = [each for each, bounds in ids_and_masks.COUNTS[name].inputs.items() if bounds[0] == "count"]
    for each in counts:
        assert 0 in {int(feed.arrays[each].reshape(-1)[0]) for feed in found.feeds}


@pytest.mark.parametrize("name", CONVERTED)
def test_what_mnn_computes_right_is_published(name: str, tmp_path: Path) -> None:
    onnx.save(MODELS[name].model(), tmp_path / "model.onnx")
    result = mnncompat.convert(tmp_path / "model.onnx", tmp_path / "model.mnn")
    assert result.verdict == "converted", result.parity
    assert (tmp_path / "model.mnn").exists()
