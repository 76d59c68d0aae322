"""`mnncompat info`: what it tells is what MNN and onnx say themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest

import mnncompat
from mnncompat.cli import main
from mnncompat.mnn.op_history import FIRST_RELEASE, least_release

MODEL = """<ir_version: 9, opset_import: ["" : 17]>
g (int64[N,8] ids, float[N,8,4] x, float[2] unread) => (float[N,8,4] y, int64[N,8] top) <float[10,4] table> {
    e = Gather(table, ids)
    s = Add(e, x)
    y = Relu(s)
    top = ArgMax<axis=2, keepdims=0>(y)
}"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An ONNX model and its `.mnn` file."""
    folder = tmp_path_factory.mktemp("info")
    proto = onnx.parser.parse_model(MODEL)
    proto.graph.initializer.append(onnx.helper.make_tensor("table", 1, (10, 4), [float(each) for each in range(40)]))
    del proto.graph.initializer[:-1]
    onnx.save(proto, folder / "m.onnx")
    result = mnncompat.convert(folder / "m.onnx", folder / "m.mnn", accept=("not-proven",))
    assert result.verdict == "converted", result
    return folder / "m.onnx", folder / "m.mnn"


def told(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["info", *words, "--output-format", "json"]) == 0
    (item,) = json.loads(capsys.readouterr().out)["items"]
    found: dict[str, Any] = item
    return found


def test_inputs_and_outputs_of_a_converted_file(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    original, file = files
    found = told([str(file), "--model", str(original)], capsys)
    inputs = {each["name"]: each for each in found["inputs"]}
    assert (inputs["ids"]["dtype"], inputs["ids"]["original"]) == ("int32", "int64")
    assert (inputs["x"]["dtype"], inputs["x"]["original"]) == ("float32", "float32")
    assert inputs["unread"]["ignored"]
    assert not inputs["x"]["ignored"]
    outputs = {each["name"]: each for each in found["trial"]["outputs"]}
    assert outputs["y"]["shape"][1:] == [8, 4]
    assert (outputs["top"]["dtype"], outputs["top"]["original"]) == ("int32", "int64")
    assert found["trial"]["session_runs"]
    assert found["trial"]["lost"] == ["unread"]
    assert found["bytes"] == file.stat().st_size
    assert found["version"]


def test_a_size_that_is_asked_for(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    shapes = ["--shape", "ids:3,8", "--shape", "x:3,8,4"]
    found = told([str(files[1]), "--model", str(files[0]), *shapes], capsys)
    assert {each["name"]: each["shape"] for each in found["trial"]["outputs"]} == {"y": [3, 8, 4], "top": [3, 8]}


def test_overview_of_an_onnx_model(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    found = told([str(files[0])], capsys)
    assert found["opsets"] == {"ai.onnx": 17}
    assert found["ops"] == {"Add": 1, "ArgMax": 1, "Gather": 1, "Relu": 1}
    assert (found["parameters"], found["parameter_bytes"]) == (40, {"float32": 160})
    assert [each["shape"] for each in found["inputs"]] == [["N", 8], ["N", 8, 4], [2]]


def test_text(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(files[1]), "--model", str(files[0])]) == 0
    text = capsys.readouterr().out
    assert "Module yes; Session yes" in text
    assert "no op reads the input 'unread'" in text
    assert main(["info", str(files[0])]) == 0
    assert "opset ai.onnx 17" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"no model at all", b"\x00" * 64])
def test_no_mnn_file(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bad.mnn"
    file.write_bytes(content)
    assert main(["info", str(file)]) == 2
    assert "error: " in capsys.readouterr().err


def test_options_about_mnn_files_alone(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(files[0]), "--shape", "x:1,8,4"]) == 2
    assert "about an .mnn file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ops", "release", "because"),
    [
        (["Convolution", "ReLU"], FIRST_RELEASE, ("Convolution", "ReLU")),
        (["Convolution", "LayerNorm", "While"], "1.1.0", ("LayerNorm", "While")),
        (["LayerNorm", "RoPE"], "3.6.1", ("RoPE",)),
        (["OpType 612"], "", ("OpType 612",)),
    ],
)
def test_first_release_with_all_ops(ops: list[str], release: str, because: tuple[str, ...]) -> None:
    assert tuple(least_release(ops)) == (release, because)


def test_a_lock_file_names_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = '<ir_version: 9, opset_import: ["" : 17]> g (float[2,3] x, int64[4] unread) => (float[2,3] y) { y = Exp(x) }'
    onnx.save(onnx.parser.parse_model(text), "m.onnx")
    words = ["--no-power", "--accept", "not-proven", "--accept", "one-size"]
    assert main(["convert", "m.onnx", "-q", *words]) == 0
    told = capsys.readouterr().out
    assert (
        "info     fed with x: float32 [2, 3], NCHW; unread: int32 [4], NCHW (int64 in the model); MNN's schema" in told
    )
    assert main(["info", "m.mnn", "--lock", "mnncompat.lock"]) == 2
    assert "no such file" in capsys.readouterr().err
    main(["ci", "--update", "m.onnx", "-q"])
    capsys.readouterr()
    assert main(["info", "m.mnn", "--lock", "mnncompat.lock"]) == 0
    told = capsys.readouterr().out
    assert "ops and size are those of m.onnx: " in told
    assert "no op reads the input 'unread'" in told
    assert "int64" in told
    onnx.save(onnx.parser.parse_model(text.replace("y = Exp(x)", "e = Exp(x) y = Sin(e)")), "other.onnx")
    assert main(["convert", "other.onnx", "-q", *words]) == 0
    assert main(["info", "other.mnn", "--lock", "mnncompat.lock"]) == 2
    assert "has no model whose file has the ops and the size" in capsys.readouterr().err


def sized(text: str, folder: Path, *, beside: bool) -> list[str]:
    """Convert a model, and the words for `info` of its file."""
    onnx.save(onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : 17]> g {text}'), folder / "source.onnx")
    accept = ("not-proven", "one-size")
    made = mnncompat.convert(folder / "source.onnx", folder / "m.mnn", accept=accept, power=False)
    assert made.verdict == "converted"
    if beside:
        (folder / "source.onnx").rename(folder / "m.onnx")
    return [str(folder / "m.mnn")]


def test_lengths_that_have_to_agree_are_found_without_the_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "(float[1,t] mask, float[1,t,5] memory) => (float[1,1,5] y) { y = MatMul(mask, memory) }"
    trial = told(sized(text, tmp_path, beside=False), capsys)["trial"]
    assert not trial["problem"]
    assert trial["chosen"]
    assert trial["shapes"] == {"mask": [1, 16], "memory": [1, 16, 5]}
    trial = told([str(tmp_path / "m.mnn"), "--shape", "mask:1,7"], capsys)["trial"]
    assert trial["shapes"] == {"mask": [1, 7], "memory": [1, 7, 5]}
    assert main(["info", str(tmp_path / "m.mnn"), "--shape", "masc:1,7"]) == 2
    assert "has no input 'masc'" in capsys.readouterr().err


def test_sizes_that_the_model_beside_the_file_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "(float[1,t] x) => (float[3,3] y) <int64[2] square = {3, 3}> { y = Reshape(x, square) }"
    words = sized(text, tmp_path, beside=True)
    trial = told(words, capsys)["trial"]
    assert (trial["problem"], trial["sizes_of"]) == ("", "m.onnx")
    assert trial["shapes"] == {"x": [1, 9]}
    assert main(["info", *words]) == 0
    assert "x [1, 9] (sizes that the nodes of m.onnx allow)" in capsys.readouterr().out
    assert main(["snippet", *words]) == 0
    code = capsys.readouterr().out
    assert "np.zeros([1, 9], np.float32)" in code
    assert "where ? stands above" in code
    (tmp_path / "m.onnx").write_bytes(b"damaged")
    assert main(["snippet", *words, "--shape", "x:1,8"]) == 2
    assert "--model MODEL.onnx" in capsys.readouterr().err


def test_a_session_that_python_cannot_feed_is_not_called_unable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = sized("(int8[2] a) => (float[2] y) { y = Cast<to=1>(a) }", tmp_path, beside=False)
    assert not told(words, capsys)["trial"]["session_tried"]
    assert main(["info", *words]) == 0
    assert "Session not tried: its input 'a' has a type" in capsys.readouterr().out
    assert main(["snippet", *words, "--api", "session"]) == 2
    assert "a Session was not tried with" in capsys.readouterr().err
