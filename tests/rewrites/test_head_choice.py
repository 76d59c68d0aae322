"""Which fully connected heads become convolutions, and in which form: by release, backend and option, and by gain."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from heads import parsed
from onnx import ModelProto

from mnncompat import check, fix
from mnncompat.backends.wanted_head import wanted_head
from mnncompat.cli import main
from mnncompat.results.diagnostics import Category, Severity
from mnncompat.support.head_form import HeadForm

NORM = "n = BatchNormalization(h, s, s, s, v)"
WEIGHTS = {"w": (24, 5), "w2": (5, 3), "s": (5,), "v": (5,)}


def head(text: str) -> ModelProto:
    model = parsed(f"(float[N,2,3,4] x) => (float[N,k] y) {{ f = Flatten(x) h = MatMul(f, w) {text} }}", **WEIGHTS)
    for tensor in model.graph.initializer:
        if tensor.name == "v":
            tensor.CopyFrom(onnx.numpy_helper.from_array(abs(onnx.numpy_helper.to_array(tensor)) + 1, "v"))
    return model


ALONE = "y = Relu(h)"
TWO = "r = Relu(h) y = MatMul(r, w2)"
WITH_NORM = f"{NORM} y = Relu(n)"
WITH_NORM_LATER = f"r = Relu(h) {NORM.replace('(h', '(r')} y = MatMul(n, w2)"


@pytest.mark.parametrize(
    ("text", "options", "kernels"),
    [
        (ALONE, {}, []),
        (TWO, {}, []),
        (WITH_NORM_LATER, {}, []),
        (WITH_NORM, {}, [(24, 1, 1)]),
        (f"{NORM} r = Relu(n) y = MatMul(r, w2)", {}, [(24, 1, 1), (5, 1, 1)]),
        (ALONE, {"mnn": "0.2.0.4"}, [(2, 3, 4)]),
        (TWO, {"mnn": "0.2.0.4"}, [(2, 3, 4), (5, 1, 1)]),
        (WITH_NORM, {"mnn": "0.2.1.5"}, [(2, 3, 4)]),
        (WITH_NORM, {"mnn": "0.2.1.6"}, [(24, 1, 1)]),
        (ALONE, {"mnn": "0.2.1.6"}, []),
        (ALONE, {"head": "flat"}, [(24, 1, 1)]),
        (ALONE, {"head": "spatial"}, [(2, 3, 4)]),
        (WITH_NORM, {"head": "spatial"}, [(2, 3, 4)]),
        (ALONE, {"mnn": "0.2.0.4", "head": "flat"}, [(24, 1, 1)]),
    ],
)
def test_form(text: str, options: dict[str, str], kernels: list[tuple[int, ...]]) -> None:
    model = head(text)
    result = fix(model, **options)  # type: ignore[arg-type]
    assert result.proven
    stored = {tensor.name: tuple(tensor.dims) for tensor in result.model.proto.graph.initializer}
    convolutions = [node for node in result.model.proto.graph.node if node.op_type == "Conv"]
    assert [stored[node.input[1]][1:] for node in convolutions] == kernels
    assert result.changed == bool(kernels)
    assert result.changed or result.model.proto is model, "it stays as it is"


MEAN = "(float[N,3,H,W] x) => (float[N,k] y) { f = ReduceMean<axes=[2, 3], keepdims=0>(x) "
AFTER_MEAN = f"{MEAN} y = MatMul(f, w) }}"


@pytest.mark.parametrize(
    ("text", "size", "options", "pools"),
    [
        (AFTER_MEAN, (4, 4), {}, 1),
        (AFTER_MEAN, (2, 8), {}, 1),
        (AFTER_MEAN, (5, 3), {}, 0),
        (AFTER_MEAN, ("H", "W"), {}, 0),
        (AFTER_MEAN, (4, 4), {"precision": "low"}, 0),
        (f"{MEAN} g = MatMul(f, w) y = Concat<axis=1>(f, g) }}", (4, 4), {}, 1),
        (f"{MEAN} g = MatMul(f, w) s = ReduceMax<axes=[1], keepdims=1>(f) y = Add(g, s) }}", (4, 4), {}, 0),
        (AFTER_MEAN.replace("ReduceMean", "ReduceMax"), (4, 4), {}, 0),
    ],
)
def test_a_mean_over_many_positions_becomes_a_pool(
    text: str, size: tuple[int | str, int | str], options: dict[str, str], pools: int
) -> None:
    """Where nothing else reads the mean, and the number of positions is known."""
    model = parsed(text.replace("H,W", f"{size[0]},{size[1]}"), w=(3, 5))
    result = fix(model, **options)  # type: ignore[arg-type]
    made = [node.op_type for node in result.model.proto.graph.node]
    assert (made.count("GlobalAveragePool"), made.count("Conv")) == (pools, pools)
    assert result.proven


def test_without_matmul_the_missing_operator_is_the_error() -> None:
    found = [each for each in check(head(ALONE), mnn="0.2.0.4").diagnostics if each.severity is Severity.ERROR]
    assert [(each.code, each.remedy, each.category) for each in found] == [
        ("MNN001", "fully-connected-to-convolution", Category.CORRECTNESS)
    ]


@pytest.mark.parametrize(
    ("backends", "form"),
    [
        (["nnapi"], HeadForm.SPATIAL),
        (["opengl"], HeadForm.SPATIAL),
        (["coreml"], None),
        (["opencl", "vulkan-image"], None),
        (["coreml", "nnapi"], HeadForm.SPATIAL),
    ],
)
def test_backends_without_matmul_want_convolutions_alone(backends: list[str], form: HeadForm | None) -> None:
    assert wanted_head(backends, "3.6.1") is form


@pytest.mark.parametrize(
    ("words", "kernels"),
    [
        ([], []),
        (["--backend", "nnapi"], [(5, 2, 3, 4)]),
        (["--backend", "coreml"], []),
        (["--backend", "nnapi", "--head", "flat"], [(5, 24, 1, 1)]),
        (["--head", "spatial"], [(5, 2, 3, 4)]),
        (["--head", "spatial", "--ignore", "MNN801"], []),
        (["--select", "MNN801"], []),
    ],
)
def test_options(words: list[str], kernels: list[tuple[int, ...]], tmp_path: Path) -> None:
    onnx.save(head(ALONE), tmp_path / "model.onnx")
    out = tmp_path / "out.onnx"
    assert main(["fix", str(tmp_path / "model.onnx"), "-o", str(out), "--no-verify", *words]) == 0
    stored = [tuple(tensor.dims) for tensor in onnx.load(out).graph.initializer]
    assert [dims for dims in stored if len(dims) == 4] == kernels
    assert kernels or out.read_bytes() == (tmp_path / "model.onnx").read_bytes()


def test_check_finds_what_fix_will_rewrite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx.save(head(ALONE), tmp_path / "model.onnx")
    monkeypatch.chdir(tmp_path)
    for text, expected in (("", []), ('head = "spatial"', ["MatMul 24 -> 5 over 2x3x4 can be a 3x4 convolution"])):
        Path("pyproject.toml").write_text(f"[tool.mnncompat]\n{text}\n")
        assert main(["check", "model.onnx", "--output-format", "json"]) == 0
        (result,) = json.loads(capsys.readouterr().out)["results"]
        assert [each["message"] for each in result["diagnostics"] if each["code"] == "MNN801"] == expected
    assert main(["fix", "model.onnx", "--diff", "--head", "round"]) == 2
    assert "there are: spatial, flat" in capsys.readouterr().err
