"""A part of the torch corpus on every run: layers that were wrong as they were exported, and some that were not."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace

import pytest
from measure_torch import TORCHSCRIPT, Job, case_of
from torch_corpus import CORPUS

from mnncompat.probe.measurement import Outcome
from mnncompat.probe.prober import Prober
from mnncompat.probe.repair import Fixing, fixing
from mnncompat.target import Target

OPSET = 17
ENTRIES = {entry.name: entry for entry in CORPUS}
FIXED = ("norm", "pad-reflect", "hardshrink")
"""Not right as exported."""
RIGHT = ("conv2d", "squeeze-excite", "layer-norm", "lstm", "pixel-shuffle", "detector-head")


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as prober:
        yield prober


def test_the_corpus_is_what_it_is_said_to_be() -> None:
    assert len(ENTRIES) == len(CORPUS) >= 120


@pytest.mark.parametrize("name", [*FIXED, *RIGHT])
def test_module_is_right_after_fix(name: str, prober: Prober) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        case = case_of(ENTRIES[name], Job(name, TORCHSCRIPT, OPSET))
    fixed: Fixing = fixing(case, Target("3.6.1"))
    assert not fixed.problem
    model = case.model if fixed.model is None else fixed.model
    measured = prober.measure(replace(case, model=model))
    assert measured.outcome is Outcome.OK, f"{measured.code} {measured.detail}"
