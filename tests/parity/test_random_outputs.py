"""Random operators end to end: what is found, what is compared, what is told, and what becomes an input."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import parser

import mnncompat
from mnncompat import mnn
from mnncompat.graph.model_file import from_proto
from mnncompat.inference.model_view import view_model
from mnncompat.inference.random_nodes import random_nodes
from mnncompat.parity import compare_models, load_data, real_data, verify
from mnncompat.results.outcomes import Verdict
from mnncompat.results.parity_report import Tolerance

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import ModelProto

NOISY = "<opset_import: ['': 17], domain: 'my'> noisy(v) => (w) { n = RandomNormalLike(v) w = Add(v, n) }"
LOOP = """y = Loop(trips, go, x)<body = b (int64 i, bool c, float[2,3] v) => (bool d, float[2,3] w)"""
COUNTS = "<int64 trips = {3}, bool go = {1}>"


def model(text: str, functions: str = "") -> ModelProto:
    imports = '"": 17, "my": 1' if functions else '"": 17'
    return parser.parse_model(
        f"<ir_version: 8, opset_import: [{imports}]>\ng {text}\n{functions.replace(chr(39), chr(34))}"
    )


GENERATOR = "(float[1,16] x) => (float[1,16] y) { n = RandomNormalLike(x) a = Add(x, n) y = Tanh(a) }"
VAE = """(float[N,8] x) => (float[N,8] z, float[N,8] mu) <float half = {0.5}> {
    mu = Tanh(x) lv = Sigmoid(x) h = Mul(lv, half) s = Exp(h) e = RandomNormalLike(mu) d = Mul(e, s) z = Add(mu, d) }"""
DROPOUT = """(float[2,3] x) => (float[2,3] y) <float p = {0.5}, bool t = {1}> {
    r = Relu(x) d = Dropout(r, p, t) y = Neg(d) }"""
DIFFUSION = f"""(float[2,3] x) => (float[2,3] y) {COUNTS} {{
    {LOOP} {{ d = Identity(c) n = RandomNormalLike(v) w = Add(v, n) }}> }}"""
CARRIED = f"""(float[2,3] x) => (float[2,3] y, float[2,3] z) {COUNTS} {{
    y, z = Loop(trips, go, x, x)<body = b (int64 i, bool c, float[2,3] v, float[2,3] u) =>
    (bool d, float[2,3] w, float[2,3] t) {{ d = Identity(c) n = RandomNormalLike(v) w = Add(v, n) t = Neg(u) }}> }}"""
SWAPPED = f"""(float[2,3] x) => (float[2,3] y, float[2,3] z) {COUNTS} {{
    y, z = Loop(trips, go, x, x)<body = b (int64 i, bool c, float[2,3] v, float[2,3] u) =>
    (bool d, float[2,3] w, float[2,3] t) {{
    d = Identity(c) n = RandomNormalLike(v) w = Add(u, n) t = Identity(v) }}> }}"""
BERNOULLI = "(float[2,8] x) => (float[2,8] y) { p = Sigmoid(x) b = Bernoulli<dtype=1>(p) y = Mul(x, b) }"
CLASSES = """(float[2,5] x) => (float[2,3,4] y) <float[5,4] w = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20}> {
    l = LogSoftmax<axis=1>(x) c = Multinomial<sample_size=3>(l) y = Gather(w, c) }"""
DYNAMIC = """(float[N,M] x) => (float[N,M] y) {
    s = Shape(x) z = ConstantOfShape<value = float[1] {0}>(s) n = RandomNormalLike(z) y = Add(x, n) }"""
GUMBEL = """(float[2,4] x) => (float[2,4] y) {
    u = RandomUniform<shape=[2,4]>() l = Log(u) m = Neg(l) g = Log(m) y = Sub(x, g) }"""
BRANCH = """(float[2,3] x, bool c) => (float[2,3] y) {
    a = If(c)<then_branch = t () => (float[2,3] p) { n = RandomNormalLike(x) p = Add(x, n) },
    else_branch = e () => (float[2,3] q) { q = Neg(x) }> y = Tanh(a) }"""
SCALED = "(float[2,4] x, float s) => (float[2,4] y) { n = RandomNormalLike<seed=1.0>(x) k = Mul(n, s) y = Add(x, k) }"
UNUSED = "(float[2,8] x) => (float[2,8] y) { n = RandomNormalLike(x) q = Add(n, x) y = Neg(x) }"
ITS_SHAPE = """(float[N,8] x) => (float[N,8] y) {
    n = RandomNormalLike(x) s = Shape(n) z = ConstantOfShape<value = float[1] {1}>(s) y = Add(x, z) }"""
TIMES_ZERO = """(float[2,4] x) => (float[2,4] y) <float z = {0.0}> {
    u = RandomUniform<shape=[2,4]>() l = Mul(u, z) y = Sub(x, l) }"""
RANDOM_SHAPE = """(float[2,4] x) => (int64[2] y) {
    n = RandomNormalLike(x) p = Relu(n) f = NonZero(p) y = Shape(f) }"""
FUNCTION = "(float[2,3] x) => (float[2,3] y) { a = my.noisy(x) y = my.noisy(a) }"
FUNCTION_IN_LOOP = f"(float[2,3] x) => (float[2,3] y) {COUNTS} {{ {LOOP} {{ d = Identity(c) w = my.noisy(v) }}> }}"

FED = {"generator": GENERATOR, "VAE": VAE, "Bernoulli": BERNOULLI, "classes": CLASSES, "dynamic": DYNAMIC}
FED |= {"Gumbel": GUMBEL, "branch": BRANCH, "scaled": SCALED}
REFUSED = {"dropout": (DROPOUT, "export the model for inference"), "diffusion": (DIFFUSION, "Loop 'y'")}
HARMLESS = {"unused": UNUSED, "its shape": ITS_SHAPE, "times zero": TIMES_ZERO}


@pytest.mark.parametrize(
    ("text", "functions", "outputs"),
    [
        (GENERATOR, "", {"y": ["n"]}),
        (VAE, "", {"z": ["e"]}),
        (DROPOUT, "", {"y": ["d"]}),
        (CARRIED, "", {"y": ["n"]}),
        (SWAPPED, "", {"y": ["n"], "z": ["n"]}),
        (BRANCH, "", {"y": ["n"]}),
        (RANDOM_SHAPE, "", {"y": ["n"]}),
        (FUNCTION, NOISY, {"y": ["n"]}),
        (FUNCTION_IN_LOOP, NOISY, {"y": ["n"]}),
        *((text, "", {}) for text in HARMLESS.values()),
    ],
)
def test_tells_which_outputs_depend_on_which_node(text: str, functions: str, outputs: dict[str, list[str]]) -> None:
    found = random_nodes(view_model(from_proto(model(text, functions))))
    assert {
        name: [each.view.location(each.position).node for each in nodes] for name, nodes in found.items()
    } == outputs


@pytest.mark.parametrize("name", FED)
def test_noise_as_an_input_is_published(name: str, tmp_path: Path) -> None:
    proto, out = model(FED[name]), tmp_path / "model.mnn"
    found = [each for each in mnncompat.check(proto).diagnostics if each.remedy == "noise-as-input"]
    assert [each.fixable for each in found] == [True]
    refused = mnncompat.convert(proto, out)
    assert refused.verdict is not Verdict.CONVERTED
    assert not out.exists()
    converted = mnncompat.convert(proto, out, unsafe=True)
    assert converted.verdict is Verdict.CONVERTED
    assert converted.fix is not None
    assert converted.fix.recorded is not None
    assert converted.fix.recorded.passed
    against_original = verify(proto, out)  # fed with what the original draws
    assert against_original.passed, against_original.problems


@pytest.mark.parametrize("name", ["generator", "VAE", "scaled"])
def test_conversion_names_the_node_and_an_option_that_helps(name: str) -> None:
    result = mnncompat.convert(model(FED[name]), None)
    assert result.verdict is Verdict.NOT_EXERCISED
    assert result.parity is not None
    assert not result.parity.differs
    (random,) = result.parity.undetermined
    assert "RandomNormalLike" in result.parity.problems[0]
    assert f"'{random.nodes[0].split(chr(39))[1]}'" in result.hint
    assert "--unsafe-fixes" in result.hint


def test_a_rewrite_that_noise_keeps_from_proof_stands_in_nobodys_way(tmp_path: Path) -> None:
    ones = ", ".join(["1"] * 32)
    text = f"""(float[N,8] x) => (float[N,4] y) <float[8,4] w = {{{ones}}}> {{
        n = RandomNormalLike(x) a = Add(x, n) y = MatMul(a, w) }}"""
    proto, out = model(text), tmp_path / "model.mnn"
    result = mnncompat.convert(proto, out, head="spatial")
    assert result.verdict is Verdict.NOT_EXERCISED
    assert result.fix is not None
    assert [each.is_wrong for each in result.fix.rolled_back] == [False]
    assert "cannot be proven" in result.fix.rolled_back[0].reason
    assert not out.exists()
    assert mnncompat.convert(proto, out, accept=["not-proven", "one-size"]).verdict is Verdict.CONVERTED
    assert out.exists()


def test_outputs_that_depend_on_no_noise_are_compared() -> None:
    report = compare_models(model(VAE), model(VAE))
    assert [each.name for each in report.outputs] == ["mu"]
    assert report.outputs[0].passed
    assert [each.name for each in report.undetermined] == ["z"]
    assert not report.passed


@pytest.mark.parametrize("name", REFUSED)
def test_refusal_is_told_and_advises_nothing_that_does_not_help(name: str, tmp_path: Path) -> None:
    text, words = REFUSED[name]
    result = mnncompat.convert(model(text), tmp_path / "model.mnn", unsafe=True)
    assert result.verdict is Verdict.NOT_EXERCISED
    assert words in result.hint
    assert "--unsafe-fixes" not in result.hint
    assert result.fix is not None
    assert any(each.rewrite == "noise-as-input" and words in each.reason for each in result.fix.refused)
    assert not any(each.fixable for each in mnncompat.check(model(text)).diagnostics)


def test_function_that_a_loop_calls_is_refused() -> None:
    found = mnncompat.check(model(FUNCTION_IN_LOOP, NOISY)).diagnostics
    (noise,) = [each for each in found if each.remedy == "noise-as-input"]
    assert not noise.fixable
    assert "draws anew in every step" in noise.hint


@pytest.mark.parametrize("name", HARMLESS)
def test_noise_of_no_consequence_is_no_finding_and_compared(name: str, tmp_path: Path) -> None:
    proto = model(HARMLESS[name])
    assert "random-numbers" not in {each.name for each in mnncompat.check(proto).diagnostics}
    assert mnncompat.convert(proto, tmp_path / "model.mnn").verdict is Verdict.CONVERTED


def test_noise_that_an_input_scales_to_nothing_is_compared() -> None:
    proto = model(SCALED)
    silent = compare_models(proto, proto, inputs=real_data({"s": np.asarray(0, np.float32)}, only=True))
    assert silent.passed
    assert "5 runs of the reference agree" in silent.notes[0]
    assert [each.name for each in compare_models(proto, proto).undetermined] == ["y"]


def test_what_the_noise_is_like_is_kept_with_the_model() -> None:
    fixed = mnncompat.fix(model(GUMBEL), unsafe=True).model.proto
    report = compare_models(fixed, fixed)
    assumed: dict[str, Any] = {each.name: each for each in report.assumptions}
    assert assumed["u_noise"].values == "numbers within bounds from 0.001 to 1"
    assert "RandomUniform 'u'" in assumed["u_noise"].reasons[0]


def test_wrong_wiring_of_the_noise_is_noticed() -> None:
    from mnncompat.parity import compare_recorded

    proto = model(GENERATOR)
    wrong = mnncompat.fix(proto, unsafe=True).model.proto
    next(node for node in wrong.graph.node if node.op_type == "Add").op_type = "Sub"
    assert not compare_recorded(proto, wrong).passed


def test_random_outputs_are_saved_as_random(tmp_path: Path) -> None:
    proto, out = model(VAE), tmp_path / "model.mnn"
    converted(proto, out)
    data = {"x": np.ones((1, 8), np.float32)}
    found = verify(proto, out, inputs=data, save_data=tmp_path / "data")
    assert [each.name for each in found.undetermined] == ["z"]
    assert found.given == ("sample 1",)
    loose = Tolerance(rtol=1e-2, atol=1e-3)
    again = load_data(tmp_path / "data")
    assert again.judge() == replace(found, speed=None, session=None)
    assert not again.judge(loose).passed
    assert not again.judge(loose).differs


def test_noise_that_is_fed_is_saved_with_the_inputs(tmp_path: Path) -> None:
    proto, out = model(GENERATOR), tmp_path / "model.mnn"
    assert mnncompat.convert(proto, out, unsafe=True).verdict is Verdict.CONVERTED
    found = verify(proto, out, inputs={"x": np.ones((1, 16), np.float32)}, save_data=tmp_path / "data")
    assert found.passed, found.problems
    again = load_data(tmp_path / "data")
    assert again.judge() == replace(found, speed=None, session=None)
    drawn = again.feeds[0].arrays["n_noise"]
    np.testing.assert_allclose(np.tanh(1 + drawn), again.expected[0]["y"], rtol=1e-5, atol=1e-6)


def test_data_for_the_noise_are_left_out_where_it_is_recorded() -> None:
    from mnncompat.parity import compare_recorded

    proto = model(GENERATOR)
    fixed = mnncompat.fix(proto, unsafe=True).model.proto
    ones = {name: np.ones((1, 16), np.float32) for name in ("x", "n_noise")}
    assert compare_recorded(proto, fixed, inputs=[ones]).given == ("feeds 1",)
    assert compare_recorded(proto, fixed, inputs={"n_noise": ones["n_noise"]}).given == ()


def test_noise_that_is_lost_in_one_draw_is_not_excused_as_rounding(tmp_path: Path) -> None:
    """Rounding is measured by further runs of the original, and these draw other noise."""
    proto, out = model(GENERATOR), tmp_path / "model.mnn"
    lost = """(float[1,16] x, float[1,16] n_noise) => (float[1,16] y) {
        s = Sign(x) o = Abs(s) m = Mul(n_noise, o) a = Add(x, m) y = Tanh(a) }"""  # no noise where x is 0
    converted(model(lost), out)
    (output,) = verify(proto, out).outputs
    assert [each.draw for each in output.comparisons if not each.passed] == ["zeros"]
    assert not any(each.inconclusive for each in output.comparisons)


def converted(proto: ModelProto, out: Path) -> None:
    onnx.save(proto, out.with_suffix(".onnx"))
    result = mnn.convert(out.with_suffix(".onnx"), out, options=mnn.ConvertOptions(), limits=mnn.Limits())
    assert isinstance(result, mnn.Converted)
