"""Every verdict from the command line: exit status, words, JSON, and whether a file was written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

import mnncompat
from mnncompat import UsageError, parity
from mnncompat.cli import main
from mnncompat.parity import FLOAT32
from mnncompat.results.outcomes import Verdict
from mnncompat.results.parity_report import ParityReport
from mnncompat.results.proof_strength import ACCEPTABLE, EQUAL_ATOL, EQUAL_RTOL, Power, ProofVerdict, acceptable

Capture = pytest.CaptureFixture[str]

LAYER = "g (float[N,8] x) => (float[N,4] y) { y = MatMul(x, w) }"
POOLED = "g (float[N,3,4,4,4] x) => (float[N,3,1,1,1] y) { y = GlobalAveragePool(x) }"
"""MNN computes only the first of a batch right; a rewrite helps."""
NOISY = "g (float[2,8] x) => (float[2,8] y, float[2,8] r) { y = Neg(x) r = RandomNormalLike(x) }"
FIXED = "g (float[N,8] x) => (float[2,4] y) { t = Reshape(x, two) z = MatMul(t, v) y = Relu(z) }"
"""A Reshape to [2, 4] allows a batch of 1 alone."""
ONE_ROW = ["--data-only", "--input", "x=x.npy"]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    np.save("x.npy", random.standard_normal((1, 8)).astype(np.float32))
    np.save("volume.npy", random.standard_normal((1, 3, 4, 4, 4)).astype(np.float32))


def saved(text: str) -> str:
    model = parser.parse_model(f'<ir_version: 9, opset_import: ["" : 17]>\n{text}')
    random = np.random.default_rng(1)
    weights = {
        "w": random.standard_normal((8, 4)).astype(np.float32),
        "v": random.standard_normal((4, 4)).astype(np.float32),
        "two": np.array([2, 4]),
    }
    read = {name for node in model.graph.node for name in node.input}
    model.graph.initializer.extend(numpy_helper.from_array(array, n) for n, array in weights.items() if n in read)
    onnx.save(model, "model.onnx")
    return "model.onnx"


def convert(text: str, *words: str) -> int:
    return main(["convert", saved(text), "-o", "out.mnn", "-q", *words])


def document(capsys: Capture) -> dict[str, Any]:
    (result,) = json.loads(capsys.readouterr().out)["results"]
    return dict(result)


def written() -> bool:
    return Path("out.mnn").exists()


def test_equal(capsys: Capture) -> None:
    assert convert(LAYER) == 0
    assert written()
    text = capsys.readouterr().out
    assert "converted: out.mnn computes what model.onnx computes" in text
    assert main(["verify", "model.onnx", "out.mnn", "--output-format", "json"]) == 0
    report = document(capsys)["parity"]
    assert (report["verdict"], report["lacks"], report["passed"]) == ("equal", [], True)
    (size,) = report["sizes"]
    assert (size["dimension"], size["sizes"], size["needed"], size["is_proven"]) == ("N", [1, 2, 3], 3, True)


def test_power_that_is_left_out_is_said(capsys: Capture) -> None:
    assert convert(LAYER, "--no-power") == 0
    assert "computes what model.onnx computes; power not measured" in capsys.readouterr().out
    assert main(["verify", "model.onnx", "out.mnn", "--no-power"]) == 0
    assert "power not measured" in capsys.readouterr().out
    assert main(["verify", "model.onnx", "out.mnn", "--no-power", "--output-format", "json"]) == 0
    assert document(capsys)["parity"]["power"] is None


def test_one_size(capsys: Capture) -> None:
    assert convert(LAYER, *ONE_ROW, "--output-format", "json") == 1
    assert not written()
    result = document(capsys)
    assert (result["verdict"], result["out"], result["accepted"]) == ("one-size", None, [])
    assert (result["parity"]["verdict"], result["parity"]["lacks"]) == ("one-size", ["one-size"])
    assert result["parity"]["sizes"][0]["sizes"] == [1]
    assert convert(LAYER, *ONE_ROW) == 1
    text = capsys.readouterr().out
    assert "not published: equal for batch 1 only" in text
    assert not [line for line in text.splitlines() if " yes" in line and not line.strip().startswith("APIs: ")]
    assert convert(LAYER, *ONE_ROW, "--output-format", "concise") == 1
    assert "error MNN096 the batch (N) is dynamic" in capsys.readouterr().out
    assert not written()


@pytest.mark.parametrize("words", [["one-size"], ["not-proven,one-size"], ["not-proven", "--accept", "one-size"]])
def test_what_is_accepted_is_published_and_said(words: list[str], capsys: Capture) -> None:
    assert convert(LAYER, *ONE_ROW, "--accept", *words) == 0
    assert written()
    text = capsys.readouterr().out
    assert "converted: out.mnn is equal to what model.onnx computes for batch 1 only (accepted)" in text
    assert "computes what" not in text
    assert main(["verify", "model.onnx", "out.mnn", *ONE_ROW]) == 1
    assert main(["verify", "model.onnx", "out.mnn", *ONE_ROW, "--accept", *words]) == 0


def test_another_word_does_not_accept_it() -> None:
    assert convert(LAYER, *ONE_ROW, "--accept", "not-proven") == 1
    assert not written()


@pytest.mark.parametrize("command", ["convert", "verify"])
@pytest.mark.parametrize("word", ["", ",", " "])
def test_an_option_without_a_name_is_an_error(command: str, word: str, capsys: Capture) -> None:
    files = [saved(LAYER), "-o", "out.mnn"] if command == "convert" else [saved(LAYER), "out.mnn"]
    assert main([command, *files, "--accept", word]) == 2
    assert capsys.readouterr().err == (
        "error: --accept names nothing\nhint: leave --accept out, or name something after it\n"
    )
    assert not written()


@pytest.mark.parametrize("command", ["convert", "verify"])
@pytest.mark.parametrize("word", ["different", "equal", "everything", "one-size,nothing"])
def test_nothing_else_can_be_accepted(command: str, word: str, capsys: Capture) -> None:
    files = [saved(LAYER), "-o", "out.mnn"] if command == "convert" else [saved(LAYER), "out.mnn"]
    assert main([command, *files, "--accept", word]) == 2
    assert "hint: there are: not-proven, one-size" in capsys.readouterr().err
    assert not written()
    with pytest.raises(UsageError):
        mnncompat.convert("model.onnx", None, accept=word.split(","))


def test_the_configuration_accepts(capsys: Capture) -> None:
    Path("pyproject.toml").write_text('[tool.mnncompat]\naccept = ["one-size"]\n')
    assert convert(LAYER, *ONE_ROW) == 0
    assert main(["verify", "model.onnx", "out.mnn", *ONE_ROW]) == 0
    assert "equal for batch 1 only: accepted" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--fp16"], ["--weight-bits", "8"]])
def test_within(words: list[str], capsys: Capture) -> None:
    assert convert(LAYER, *words, "--output-format", "json") == 0
    report = document(capsys)["parity"]
    assert (report["verdict"], report["lacks"]) == ("within", [])
    assert 20 < report["snr_db"] < 100
    assert convert(LAYER, *words) == 0
    text = capsys.readouterr().out
    assert f"converted: out.mnn is within {report['snr_db']:.1f} dB of what model.onnx computes" in text
    assert "computes what" not in text.replace("of what", "")
    assert not [line for line in text.splitlines() if " yes" in line and not line.strip().startswith("APIs: ")]


def test_a_tolerance_that_is_wider_proves_no_equality(capsys: Capture) -> None:
    assert convert(LAYER, "--weight-bits", "4") == 0
    assert main(["verify", "model.onnx", "out.mnn", "--tolerance", "1e-3"]) == 1
    assert main(["verify", "model.onnx", "out.mnn", "--tolerance", "0.4"]) == 0
    assert "\nwithin " in capsys.readouterr().out
    assert (FLOAT32.rtol, FLOAT32.is_rough) == (EQUAL_RTOL, False)
    assert FLOAT32.atol <= EQUAL_ATOL


@pytest.mark.parametrize(("words", "told"), [(["--weight-bits", "4"], "4 bits"), (["--weight-bits", "8"], "8 bits")])
def test_a_file_with_rounded_weights_is_judged_as_one(words: list[str], told: str, capsys: Capture) -> None:
    assert convert(LAYER, *words) == 0
    capsys.readouterr()
    assert main(["verify", "model.onnx", "out.mnn", "--save-data", "data"]) == 0
    text = capsys.readouterr().out
    assert f"note: the file holds weights that were rounded to {told} (1 op): without --tolerance it is judged" in text
    assert "\nwithin " in text
    assert main(["verify", "--load-data", "data"]) == 0
    assert f"weights that were rounded to {told}" in capsys.readouterr().out
    other = onnx.load("model.onnx")
    weights = numpy_helper.to_array(other.graph.initializer[0])
    other.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights[::-1].copy(), "w"))
    onnx.save(other, "model.onnx")
    assert main(["verify", "model.onnx", "out.mnn"]) == 1
    assert "NOT equal" in capsys.readouterr().out


def test_random_outputs_are_not_proven(capsys: Capture) -> None:
    assert convert(NOISY, "--output-format", "json") == 1
    result = document(capsys)
    assert (result["verdict"], result["parity"]["verdict"]) == ("not-proven", "not-proven")
    assert convert(NOISY) == 1
    assert "not published: not proven" in capsys.readouterr().out
    assert not written()
    assert convert(NOISY, "--accept", "not-proven") == 0
    assert written()
    text = capsys.readouterr().out
    assert "not proven (accepted)" in text
    assert "computes what" not in text


def test_silent_operators_are_not_proven(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    silent = Power(exercised=("Conv 'a'",), silent=("MatMul 'b'",))
    plain = parity.verify

    def without_power(*given: Any, **options: Any) -> ParityReport:
        return replace(plain(*given, **options), power=silent)

    monkeypatch.setattr(parity, "verify", without_power)
    assert convert(LAYER, "--output-format", "json") == 1
    result = document(capsys)
    assert (result["verdict"], result["parity"]["lacks"]) == ("not-proven", ["not-proven"])
    assert result["parity"]["power"]["silent"] == ["MatMul 'b'"]
    assert not written()
    assert convert(LAYER, *ONE_ROW, "--accept", "one-size") == 1
    assert "exercised 1 of 2 operators with weights; silent: MatMul 'b'" in capsys.readouterr().out
    assert convert(LAYER, *ONE_ROW, "--accept", "one-size,not-proven") == 0
    assert written()


@pytest.mark.parametrize("words", [[], ["--shape", "x:1,3,4,4,4"], ["--input", "x=volume.npy"]])
def test_what_is_right_for_one_and_wrong_for_two_is_different(words: list[str], capsys: Capture) -> None:
    accepted = ["--accept", "one-size,not-proven"]
    assert convert(POOLED, "--no-fix", *words, *accepted, "--output-format", "json") == 1
    assert not written()
    result = document(capsys)
    assert (result["verdict"], result["parity"]["verdict"]) == ("not-equal", "different")
    assert [each["runner"] for each in result["parity"]["failures"]] == ["MNN"]  # it reads behind the first one
    assert "without the draws at other sizes (normal, batch 2, normal, batch 3) MNN gives outputs" in str(
        result["parity"]["notes"]
    )
    assert convert(POOLED, *words) == 0


def test_errors_that_the_check_still_finds_are_named(capsys: Capture) -> None:
    words = ["--no-fix", "--data-only", "--input", "x=volume.npy", "--accept", "one-size"]
    assert convert(POOLED, *words) == 0
    text = capsys.readouterr().out
    assert "for batch 1 only (accepted)" in text
    assert "Findings of the check, which the comparison did not confirm:\nerror[MNN1" in text
    assert convert(POOLED, *words, "--output-format", "json") == 0
    assert [each["severity"] for each in document(capsys)["remaining"]] == ["error"]
    assert convert(POOLED, "--output-format", "json") == 0
    assert [each["severity"] for each in document(capsys)["remaining"] if each["severity"] == "error"] == []


def test_a_size_that_the_graph_fixes_is_proven(capsys: Capture) -> None:
    assert convert(FIXED, "--output-format", "json") == 0
    report = document(capsys)["parity"]
    (size,) = report["sizes"]
    assert (report["verdict"], size["sizes"], size["is_proven"]) == ("equal", [1], True)
    assert size["settled"].startswith("ONNX Runtime refuses 2, 3, 4, 8")


def test_sizes_that_find_no_memory_are_not_proven(capsys: Capture) -> None:
    model = saved("g (float[1,H] x) => (float[1,H] y) { y = Relu(x) }")
    result = mnncompat.convert(model, "out.mnn", shapes={"x": (1, 4)}, memory=10)
    assert result.parity is not None
    assert (result.verdict, result.parity.sizes[0].sizes) == (Verdict.ONE_SIZE, (4,))
    assert not written()
    enough = mnncompat.convert(model, "out.mnn", shapes={"x": (1, 4)})
    assert enough.parity is not None
    assert enough.parity.verdict is ProofVerdict.EQUAL
    assert enough.parity.draws[-1].startswith("normal, H ")
    assert capsys.readouterr().out == ""


def test_dimensions_that_belong_together_vary_together() -> None:
    model = saved("g (float[1,A] x, float[1,B] z) => (float[1,A] y) { s = Add(x, z) y = Relu(s) }")
    report = mnncompat.fix(model).proof
    assert report is None  # nothing to rewrite: the comparison below is what counts
    found = parity.compare_models(model, model, shapes={"x": (1, 5)})
    assert found.verdict is ProofVerdict.EQUAL
    assert [len(each.sizes) for each in found.sizes] == [2, 2]
    assert all(not each.settled for each in found.sizes)


def test_quantised_weights_that_become_floats_are_told(capsys: Capture) -> None:
    graph = "g (float[N,64] x) => (float[N,256] y) { d = DequantizeLinear(q, s) y = MatMul(x, d) }"
    model = onnx.load(saved(graph))
    stored = np.random.default_rng(2).integers(-127, 128, (64, 256)).astype(np.int8)
    weights: dict[str, np.ndarray] = {"q": stored, "s": np.array(0.01, np.float32)}
    for name, array in weights.items():
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    onnx.save(model, "model.onnx")
    assert main(["convert", "model.onnx", "-o", "out.mnn", "-q", "--output-format", "json"]) == 0
    result = document(capsys)
    before, after = Path("model.onnx").stat().st_size, Path("out.mnn").stat().st_size
    assert (result["source_bytes"], result["bytes"]) == (before, after)
    assert result["became_floats"] == {"kinds": ["int8"], "bytes": 64 * 256}
    assert main(["convert", "model.onnx", "-o", "out.mnn", "-q"]) == 0
    told = capsys.readouterr().out
    assert "16.4 kB of int8 weights became floats: the file grew from 16." in told
    assert convert(LAYER, "--output-format", "json") == 0
    assert document(capsys)["became_floats"] is None


def test_words_of_the_library_are_those_of_the_command_line() -> None:
    assert acceptable(["one-size"]) == {ProofVerdict.ONE_SIZE}
    assert acceptable([]) == frozenset()
    assert ProofVerdict.DIFFERENT not in ACCEPTABLE
    row = np.load("x.npy")
    refused = mnncompat.convert(saved(LAYER), "out.mnn", inputs={"x": row}, data_only=True)
    assert refused.verdict is Verdict.ONE_SIZE
    accepted = mnncompat.convert("model.onnx", "out.mnn", inputs={"x": row}, data_only=True, accept=("one-size",))
    assert (accepted.verdict, accepted.accepted) == (Verdict.CONVERTED, (ProofVerdict.ONE_SIZE,))
