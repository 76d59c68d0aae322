"""Rewrites for half precision: what a device judges, and what is left without one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import onnx
import pytest
from onnx import parser

from mnncompat.checking.checker import check_model
from mnncompat.cli.device_options import FixedFor
from mnncompat.diagnosing.half_precision.simulated_trial import simulated
from mnncompat.errors import UsageError
from mnncompat.fixing.device_trial import signal_to_noise
from mnncompat.fixing.half_precision import judged
from mnncompat.fixing.transaction import fix_model
from mnncompat.graph.model_file import from_proto
from mnncompat.inference.model_view import view_model
from mnncompat.report import OutputFormat, render
from mnncompat.results.diagnostics import Location
from mnncompat.results.outcomes import AppliedFix
from mnncompat.rewrites.index import all_rewrites
from mnncompat.support.target import Target

if TYPE_CHECKING:
    from mnncompat.graph.model_file import Model
    from mnncompat.rewrites.core.base import Rewrite

LOW = Target("3.6.1", arch="aarch64", precision="low")
KNOWN = {each.name: each for each in all_rewrites()}
NORM, SOFTPLUS, PADDED = (KNOWN[name] for name in ("squares-scaled", "softplus-by-atanh", "kernels-padded"))


class Done(NamedTuple):
    applied: tuple[AppliedFix, ...]


class Scripted:
    """A device on which each set of rewrites has a known ratio, or does not run."""

    decides, where = True, "scripted"

    def __init__(self, ratios: dict[str, float | str]) -> None:
        self.ratios = ratios

    def measure(self, model: Model) -> dict[tuple[str, str], float] | str:
        found = self.ratios[str(model)]
        return found if isinstance(found, str) else {("normal", "y"): found, ("zeros", "y"): math.inf}


def attempt(rewrites: tuple[Rewrite, ...]) -> Done:
    where = Location(model="m", graph=(), index=0, node="n", op_type="Div", outputs=("y",))
    return Done(tuple(AppliedFix(code=each.code, rewrite=each.name, location=where, message="") for each in rewrites))


def names(done: Done) -> str:
    return " ".join(each.rewrite for each in done.applied)


@pytest.mark.parametrize(
    ("ratios", "kept"),
    [
        ({"": 10, "squares-scaled softplus-by-atanh": 50, "all": 49}, "squares-scaled softplus-by-atanh"),
        ({"": 10, "squares-scaled softplus-by-atanh": 50, "all": 55}, "all"),
        ({"": 59, "squares-scaled softplus-by-atanh": 55, "all": 55}, "squares-scaled softplus-by-atanh"),
        ({"": 70, "squares-scaled softplus-by-atanh": 65, "all": 90}, "squares-scaled softplus-by-atanh"),
        (
            {
                "": 50,
                "squares-scaled softplus-by-atanh": 30,
                "squares-scaled": 52,
                "squares-scaled kernels-padded": "it fails",
            },
            "squares-scaled",
        ),
        (
            {"": "it fails", "squares-scaled softplus-by-atanh": 40, "all": "it fails"},
            "squares-scaled softplus-by-atanh",
        ),
    ],
)
def test_what_the_device_computes_better_stays(ratios: dict[str, float | str], kept: str) -> None:
    everything = "squares-scaled softplus-by-atanh kernels-padded"
    script = {each.replace("all", everything): ratio for each, ratio in ratios.items()}
    trial = Scripted(script)
    result = judged((NORM, SOFTPLUS, PADDED), attempt, names, trial, "arm64:a76 low")  # type: ignore[arg-type]
    assert names(result.attempt) == kept.replace("all", everything)
    assert any(not each.kept for each in result.tried) is (kept != "all")


def test_a_ratio_is_of_all_that_is_finite() -> None:
    expected = np.array([3.0, 4.0, np.inf], np.float32)
    assert signal_to_noise(expected, expected) == math.inf
    assert signal_to_noise(expected, np.array([3.0, 4.5, np.inf], np.float32)) == pytest.approx(20.0)
    assert signal_to_noise(expected, np.array([3.0, np.nan, np.inf], np.float32)) == -math.inf
    assert signal_to_noise(expected, expected[:2]) == -math.inf
    assert signal_to_noise(expected, None) == -math.inf


def convolution() -> onnx.ModelProto:
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[1,1,6,6] x) => (float[1,1,4,4] y)
        <float[1,1,3,3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9}> { y = Conv(x, w) }"""
    return parser.parse_model(text)


def test_what_can_hurt_is_not_done_or_promised_without_a_device() -> None:
    model = from_proto(convolution())
    assert not fix_model(model, target=LOW).changed
    (found,) = check_model(model, arch="aarch64", precision="low", rewrites=None).diagnostics
    assert (found.code, found.fixable, found.may_fix) == ("MNN781", False, False)
    result = check_model(model, arch="aarch64", precision="low", rewrites=None)
    assert "kernels-padded was not tried, because only a device tells" in render([result], OutputFormat.TEXT)


def test_small_values_need_no_padded_kernel() -> None:
    model = from_proto(convolution())
    for peak, count in ((100.0, 0), (1000.0, 1)):
        fixed = fix_model(model, target=LOW.with_peaks({"x": peak}), rewrites=(PADDED,), prove=False)
        assert len(fixed.applied) == 0  # without a device
        target = LOW.with_peaks({"x": peak})
        assert len(list(PADDED.find(view_model(model).main, target))) == count


def test_a_device_is_for_half_precision() -> None:
    with pytest.raises(UsageError, match="none was asked for"):
        FixedFor(device="arm64").where()
    assert FixedFor(precision="low").where() is None
    assert FixedFor(device="arm64", precision="low").told() == {"arch": "aarch64", "precision": "low"}


def test_rewrites_for_half_precision_find_nothing_in_float32() -> None:
    rows = {row.remedy for op in LOW.table.ops() for row in LOW.table.rows(op) if row.precision}
    for each in all_rewrites():
        if each.for_half_precision:
            assert each.name in rows
        assert each.for_half_precision or not each.needs_device


def test_simulation_judges_what_costs_time() -> None:
    random = np.random.default_rng(3)
    weight = random.standard_normal((8, 8, 3, 3)).astype(np.float32) / 9
    proto = parser.parse_model(
        """<ir_version: 8, opset_import: ["": 17]> g (float[1,8,24,24] x) => (float[1,8,24,24] y) {
        y = Conv<pads=[1, 1, 1, 1]>(x, w) }"""
    )
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    image = random.standard_normal((1, 8, 24, 24)).astype(np.float32)
    large = fix_model(from_proto(proto), target=LOW, inputs={"x": 2000 * image}, simulate=simulated)
    assert "kernels-padded" in {each.rewrite for each in large.applied}
    assert [each.device for each in large.tried] == ["simulation of low, mean of the values inside"] * len(large.tried)
    assert not fix_model(from_proto(proto), target=LOW, inputs={"x": 2000 * image}).applied


def test_constants_go_into_convolutions_without_a_device() -> None:
    proto = parser.parse_model(
        """<ir_version: 8, opset_import: ["": 17]> g (float[1,2,5,4] x) => (float[1,3,3,2] y)
        <float s = {0.7003}, float[3,1,1] t = {0.2, 0.3, 0.4}> { c = Conv(x, w) m = Mul(c, s) y = Add(m, t) }"""
    )
    weight = np.linspace(-1, 1, 54, dtype=np.float32).reshape(3, 2, 3, 3)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    fixed = fix_model(from_proto(proto), target=LOW)
    assert [node.op_type for node in fixed.model.proto.graph.node] == ["Conv"]
    assert not fix_model(from_proto(proto), target=Target("3.6.1", arch="aarch64")).applied
