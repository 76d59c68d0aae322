"""`--input`, `--preprocess`, `--feeds`, `--data-only`, `--memory-limit`, `--save-data` and `--load-data`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import parser

from mnncompat.cli import main
from mnncompat.cli.limits import parse_memory
from mnncompat.errors import UsageError
from mnncompat.report.json import SCHEMA_VERSION

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    text = """<ir_version: 9, opset_import: ["" : 17]>
        g (float[1,3,4,4] image, int64[n] ids) => (float[1,3,4,4] y, float[n,2] z) {
            table = Constant <value = float[3,2] {1,2,3,4,5,6}> ()
            z = Gather (table, ids)
            y = Relu (image)
        }"""
    onnx.save(parser.parse_model(text), tmp_path / "model.onnx")
    np.savez(tmp_path / "ids.npz", few=np.array([1]), more=np.array([0, 2]))
    (tmp_path / "feeds.py").write_text(
        'import numpy as np\ndef draws():\n    yield {"image": np.ones((1, 3, 4, 4)), "ids": np.array([2])}\n'
    )
    return tmp_path / "model.onnx"


def test_data_in_every_command(model: Path, capsys: Capture) -> None:
    data = ["--input", f"ids={model.parent / 'ids.npz'}", "--feeds", f"{model.parent / 'feeds.py'}:draws"]
    limit = ["--memory-limit", "1GB"]
    out, saved = model.with_suffix(".mnn"), model.parent / "data"
    assert main(["convert", str(model), "-q", *data, *limit]) == 0
    text = capsys.readouterr().out
    assert "given data: sample few, sample more, feeds 1" in text
    assert "input image: float32 [1, 3, 4, 4]" in text
    assert "ids below 3 (Gather of table [3, 2])" in text
    assert main(["verify", str(model), str(out), *data, *limit, "--data-only", "--save-data", str(saved)]) == 1
    assert "equal for batch 1 and 2 only: 2 outputs in 3 draws" in capsys.readouterr().out
    assert main(["verify", "--load-data", str(saved), "--output-format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["schema_version"] == SCHEMA_VERSION
    (result,) = document["results"]
    assert (result["source"], result["file"]) == (str(model), str(out))
    assert result["parity"]["given"] == result["parity"]["draws"] == ["sample few", "sample more", "feeds 1"]
    assert [each["name"] for each in result["parity"]["assumptions"]] == ["image"]
    accepted = ["--accept", "one-size"]
    assert main(["verify", str(model), str(out), "--load-data", str(saved), *accepted]) == 0
    assert main(["fix", str(model), *data, *limit, "-o", str(model.parent / "fixed.onnx")]) == 0
    assert main(["check", str(model), "--probe", *data]) == 0


def test_images(model: Path, capsys: Capture) -> None:
    from PIL import Image

    folder = model.parent / "images"
    folder.mkdir()
    for name in ("cat", "dog"):
        Image.new("RGB", (9, 7), "red").save(folder / f"{name}.png")
    steps = ["--preprocess", "image=resize:4,crop:4,scale:255,mean:0.5,std:0.5"]
    assert main(["convert", str(model), "-q", "--input", f"image={folder}", *steps]) == 0
    assert "given data: sample cat.png, sample dog.png" in capsys.readouterr().out


def test_data_alone(model: Path, capsys: Capture) -> None:
    words = ["convert", str(model), "-q", "--data-only", "--input", f"ids={model.parent / 'ids.npz'}"]
    assert main(words) == 1
    assert not model.with_suffix(".mnn").exists()
    assert "not published: equal for batch 1 and 2 only" in capsys.readouterr().out
    assert main([*words, "--accept", "one-size"]) == 0
    assert "2 outputs in 2 draws" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--input", "ids"], "--input ids names no input"),
        (["--input", "ids=FOLDER/none.npy"], "no such file or folder"),
        (["--input", "ids=FOLDER/ids.npz", "--input", "ids=FOLDER/ids.npz"], "names ids twice"),
        (["--input", "other=FOLDER/ids.npz"], "the model has no input 'other'"),
        (["--input", "image=FOLDER/ids.npz"], "is int64, the model needs float32"),
        (["--preprocess", "image=scale:255"], "there are no images for it"),
        (["--input", "ids=FOLDER/ids.npz", "--preprocess", "ids=scale:255"], "holds arrays"),
        (["--input", "ids=FOLDER/ids.npz", "--preprocess", "ids=turn:1"], "no step 'turn'"),
        (["--feeds", "FOLDER/feeds.py"], "not MODULE:FUNCTION"),
        (["--feeds", "FOLDER/feeds.py:none"], "has no none"),
        (["--data-only"], "no data to compare on alone"),
        (["--memory-limit", "much"], "--memory-limit much is not a size"),
    ],
)
def test_bad_options_are_told(model: Path, capsys: Capture, options: list[str], words: str) -> None:
    given = [each.replace("FOLDER", str(model.parent)) for each in options]
    assert main(["convert", str(model), "-q", *given]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert "hint: " in said.err
    assert "Traceback" not in said.err
    assert not model.with_suffix(".mnn").exists()


def test_bad_options_of_verify_are_told(model: Path, capsys: Capture) -> None:
    file = model.with_suffix(".mnn")
    file.touch()
    for options, words in (
        (["--load-data", str(model.parent)], "holds no saved data"),
        (["--load-data", str(model.parent), "--input", "ids=ids.npz"], "takes no inputs"),
        ([], "MODEL and FILE.mnn are missing"),
        ([str(model)], "FILE.mnn is missing"),
        ([str(model), str(file), "--save-data", str(model.parent)], "holds other things than saved data"),
    ):
        assert main(["verify", *options]) == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GB", 4 * 10**9), ("512MB", 512 * 10**6), ("1.5 GiB", 3 << 29), ("2kb", 2000), ("4096", 4096), ("7B", 7)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "0", "nan", "inf", "4GKB", "1e400"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError, match="is not a size"):
        parse_memory(text)
