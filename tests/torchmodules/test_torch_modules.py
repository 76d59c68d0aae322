"""A part of the torch corpus on every run: layers that are wrong as they are exported, and some that are not."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace

import pytest
from measure_torch import TORCHSCRIPT, Job, case_of, is_faithful
from torch_corpus import CORPUS

from mnncompat.probe.before_after import FixAttempt, attempt
from mnncompat.probe.case import Case
from mnncompat.probe.measurement import Outcome
from mnncompat.probe.prober import Prober
from mnncompat.support.target import Target

OPSET = 17
ENTRIES = {entry.name: entry for entry in CORPUS}
FIXED = (
    "conv1d",
    "max-pool3d",
    "upsample-bicubic",
    "softshrink",
    "einsum-diagonal",
    "flip",
    "scatter-add",
    "experts",
)
"""Refused, crashing or wrong as exported."""
RIGHT = ("conv2d", "layer-norm", "lstm", "window-attention", "distribution-head", "grouped-attention", "log-mel")


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as prober:
        yield prober


def exported(name: str, opset: int = OPSET) -> Case:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        return case_of(ENTRIES[name], Job(name, TORCHSCRIPT, opset))


def test_the_corpus_is_what_it_is_said_to_be() -> None:
    assert len(ENTRIES) == len(CORPUS) >= 120


def test_what_the_exporter_gets_wrong_is_told_apart() -> None:
    """It exports a division that rounds down as one that rounds towards zero."""
    assert not is_faithful(exported("floor-divide"))
    assert is_faithful(exported("div-broadcast"))


@pytest.mark.parametrize("name", [*FIXED, *RIGHT])
def test_module_is_right_after_fix(name: str, prober: Prober) -> None:
    case = exported(name)
    assert (prober.measure(case).outcome is Outcome.OK) is (name in RIGHT)
    fixed: FixAttempt = attempt(case, Target("3.6.1"))
    assert not fixed.problem
    model = case.model if fixed.model is None else fixed.model
    measured = prober.measure(replace(case, model=model))
    assert measured.outcome is Outcome.OK, f"{measured.code} {measured.detail}"
