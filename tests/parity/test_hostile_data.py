"""Data of somebody else: an array, labels or a picture that can be used, or one error; and within limits."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import parser
from PIL import Image

from mnncompat.deploying.labels import read_labels
from mnncompat.errors import UsageError
from mnncompat.parity.images import opened, parse_preprocess

MODEL = '<ir_version: 9, opset_import: ["" : 17]> g (float[2,3] x) => (float[2,3] y) { y = Relu(x) }'
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n"


def bomb(path: Path, megabytes: int) -> None:
    """An archive of zeros: a thousandth of what it holds."""
    header, piece = io.BytesIO(), bytes(10**6)
    shape = {"descr": "<f4", "fortran_order": False, "shape": (megabytes * 250_000,)}
    np.lib.format.write_array_header_1_0(header, shape)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.npy", "w") as file,
    ):
        file.write(header.getvalue())
        for _ in range(megabytes):
            file.write(piece)


@pytest.mark.parametrize(
    "command",
    [
        ["check", "model.onnx", "--precision", "low"],
        ["fix", "model.onnx", "--diff"],
        ["convert", "model.onnx"],
        ["diagnose", "model.onnx"],
    ],
    ids=lambda words: words[0],
)
def test_reading_data_is_bounded(command: list[str], tmp_path: Path) -> None:
    """By what the user says, before any model is read; a function of the user's own too."""
    onnx.save(parser.parse_model(MODEL), tmp_path / "model.onnx")
    bomb(tmp_path / "bomb.npz", 300)
    (tmp_path / "feeds.py").write_text("import time\ndef draws():\n    time.sleep(60)\n    yield {}\n")
    for options, told in (
        (["--input", "x=bomb.npz", "--memory-limit", "50MB"], ("not enough memory", "of memory")),
        (["--feeds", "feeds.py:draws", "--timeout", "1"], ("the command took more than 1 s",)),
    ):
        words = [sys.executable, "-m", "mnncompat", *command, *options]
        done = subprocess.run(words, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=50)
        assert done.returncode == 2
        assert any(each in done.stderr for each in told), done.stderr
        assert done.stderr.count("error: ") == 1


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("\ufeff3\n4", [3, 4]),
        ("--5\n\u00b2", ["--5", "\u00b2"]),
        ("9" * 5000 + "\n1", ["9" * 5000, 1]),
        ("a 1\nb \u0663", [1, "\u0663"]),
    ],
)
def test_labels_that_are_no_numbers_are_text(text: str, labels: list[object], tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text(text, encoding="utf-8")
    assert read_labels(file, ["a", "b"]) == labels


@pytest.mark.parametrize("text", ['a,"' + "x" * 140_000, "\n\n", ",\n", "a\0b,1"])
def test_labels_that_cannot_be_read(text: str, tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError):
        read_labels(file, ["a", "b"])


def test_a_picture_runs_no_program(tmp_path: Path) -> None:
    """Pillow knows formats by their contents, and gives PostScript to Ghostscript."""
    file = tmp_path / "picture.png"
    file.write_bytes(POSTSCRIPT)
    with pytest.raises(UsageError, match="cannot be read as an image"):
        opened(file)


def test_a_damaged_picture_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a decoder raises."""
    file = tmp_path / "picture.png"
    Image.new("RGB", (4, 4)).save(file)

    def struct_error(*_: object, **__: object) -> None:
        raise IndexError("tuple index\nout of range")

    monkeypatch.setattr(Image.Image, "convert", struct_error)
    with pytest.raises(UsageError, match="cannot be read as an image: tuple index out of range"):
        opened(file)


@pytest.mark.parametrize("steps", ["resize:99999999999", "crop:1x40000", "resize:99999999999x2"])
def test_sizes_that_no_picture_has(steps: str) -> None:
    with pytest.raises(UsageError, match="is not understood"):
        parse_preprocess("--preprocess x", steps)
