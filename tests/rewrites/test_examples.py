"""Every example of every rewrite is rewritten correctly and as stated, unchanged, or refused, as it expects."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import onnx
import pytest
from evaluation import LIMITS, evaluated, feeds_of
from rewriting import TARGET, findings, rewritten
from structure import structure

from mnncompat import mnn
from mnncompat.fixing.selection import choose_rewrites
from mnncompat.fixing.transaction import fix_model
from mnncompat.graph.model_file import from_proto
from mnncompat.parity import DRAWS, Tolerance, compare_models, compare_recorded, quantized, verify
from mnncompat.probe.case import Case
from mnncompat.probe.measurement import Outcome
from mnncompat.probe.prober import Prober
from mnncompat.rewrites.core.base import Example, Rewrite
from mnncompat.rewrites.core.expected import Refused, Rewritten
from mnncompat.rewrites.index import all_rewrites
from mnncompat.support.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MNN = Tolerance(rtol=1e-4, atol=1e-6)
MNN_FLOAT16 = Tolerance(rtol=5e-3, atol=1e-5)
EVERY = [(rewrite, example) for rewrite in all_rewrites() for example in rewrite.examples()]
REWRITTEN = [(rewrite, example) for rewrite, example in EVERY if isinstance(example.expected, Rewritten)]
LOOK_ALIKES = [(rewrite, example) for rewrite, example in EVERY if not isinstance(example.expected, Rewritten)]


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as prober:
        yield prober


def name_of(value: object) -> str:
    return value.name if isinstance(value, (Rewrite, Example)) else str(value)


SHOWN_ELSEWHERE = {"scores-without-map"}
"""Its output changes its type, so both models cannot be compared as they are: `test_zip_maps.py` compares contents."""


@pytest.mark.parametrize("rewrite", all_rewrites(), ids=name_of)
def test_rewrite_has_examples_and_look_alikes(rewrite: Rewrite) -> None:
    examples = rewrite.examples()
    are_rewritten = [isinstance(example.expected, Rewritten) for example in examples]
    assert any(are_rewritten) is not (rewrite.name in SHOWN_ELSEWHERE)
    assert not all(are_rewritten)
    assert len({example.name for example in examples}) == len(examples)


@pytest.mark.parametrize(("rewrite", "example"), REWRITTEN, ids=name_of)
def test_example_is_rewritten_and_right(rewrite: Rewrite, example: Example, tmp_path: Path, prober: Prober) -> None:
    model = example.build()
    target = Target(example.mnn, precision=example.precision)
    _assert_found(rewrite, model, target)
    result = rewritten(rewrite, model, target)
    _assert_becomes(example, result)
    tolerance = quantized(8) if rewrite.approximate else None
    compared = compare_recorded if rewrite.adds_inputs else partial(compare_models, tolerance=tolerance)
    under_onnxruntime = compared(model, result)
    assert under_onnxruntime.passed, under_onnxruntime
    if rewrite.is_remedy and not (rewrite.adds_inputs or rewrite.needs_device) and target.version == TARGET.version:
        _assert_remedied(rewrite, model, prober, target)
    else:
        _assert_right_under_mnn(model, result, tmp_path)


@pytest.mark.parametrize(("rewrite", "example"), LOOK_ALIKES, ids=name_of)
def test_look_alike_is_left_with_its_reason(rewrite: Rewrite, example: Example) -> None:
    model = example.build()
    onnx.checker.check_model(model, full_check=True)
    target = Target(example.mnn, precision=example.precision)
    matches, refusals = findings(rewrite, model, target)
    assert not matches
    if isinstance(example.expected, Refused):
        assert [refusal.rewrite for refusal in refusals] == [rewrite.name]
        assert example.expected.reason in refusals[0].reason
    else:
        assert not refusals
    before = model.SerializeToString(deterministic=True)
    assert rewritten(rewrite, model, target).SerializeToString(deterministic=True) == before


def _assert_found(rewrite: Rewrite, model: onnx.ModelProto, target: Target) -> None:
    onnx.checker.check_model(from_proto(model).proto, full_check=True)  # with its nodes sorted
    matches, refusals = findings(rewrite, model, target)
    assert matches
    assert not refusals
    assert all(match.rewrite == rewrite.name and match.notes for match in matches)


def _assert_becomes(example: Example, result: onnx.ModelProto) -> None:
    assert isinstance(example.expected, Rewritten)
    actual, stated = structure(result), example.expected.becomes
    assert stated, f'state the structure of the result behind the text of "{example.name}": becomes="{actual}",'
    assert actual == stated, f'if this is better than what "{example.name}" states, write becomes="{actual}",'


def _assert_remedied(rewrite: Rewrite, model: onnx.ModelProto, prober: Prober, target: Target) -> None:
    """With what the other remedies make of the result: MNN computes what the original computes, twice."""
    fixed = fix_model(from_proto(model), target=target, rewrites=choose_rewrites(unsafe=rewrite.approximate))
    assert not fixed.rolled_back
    assert rewrite.approximate == (fixed.approximated is not None)
    assert rewrite.name in {each.rewrite for each in fixed.applied}
    proto = fixed.model.proto
    model = model if fixed.approximated is None else fixed.approximated.proto
    draws = feeds_of(model)  # all of them are compared under ONNX Runtime; MNN gets three, of different batches
    for number, feeds in enumerate(draws[:: 2 if len(draws) <= len(DRAWS) else len(DRAWS) + 2]):
        (expected,) = evaluated(model, [feeds])
        case = Case(
            id=f"example:{number}", op="", model=proto.SerializeToString(), feeds=feeds, expected=expected, atol=1e-6
        )
        measured = prober.measure(case)
        assert measured.outcome is Outcome.OK, f"{measured.code} {measured.detail}"


def _assert_right_under_mnn(model: onnx.ModelProto, result: onnx.ModelProto, folder: Path) -> None:
    onnx.save(result, folder / "model.onnx")
    converted = mnn.convert(folder / "model.onnx", folder / "model.mnn", options=mnn.ConvertOptions(), limits=LIMITS)
    assert isinstance(converted, mnn.Converted), converted
    half = any(value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16 for value in model.graph.output)
    report = verify(model, folder / "model.mnn", tolerance=MNN_FLOAT16 if half else MNN, limits=LIMITS)
    assert report.passed, report
