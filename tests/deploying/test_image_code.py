"""Code that prepares images: the Python gives what is declared, the C++ compiles, the Kotlin is parsed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import tree_sitter
import tree_sitter_kotlin
from compiling import diagnostics
from photographs import photograph
from PIL import Image

import mnncompat
from mnncompat.cli import main
from mnncompat.deploying.code.interface import Api
from mnncompat.deploying.mnn_facts import mnn_info
from mnncompat.deploying.snippet import Language, snippet
from mnncompat.parity.images import decode, parse_preprocess
from mnncompat.results.file_info import MnnFileInfo

NUMBERS = "scale:255,mean:0.485/0.456/0.406,std:0.229/0.224/0.225"
STEPS = {
    "antialias": f"resize:39,crop:32,{NUMBERS}",
    "bicubic": f"resize:40,filter:bicubic,crop:32,{NUMBERS}",
    "bilinear, blue first": f"resize:32x32,filter:bilinear,color:bgr,{NUMBERS}",
    "nearest": "resize:200,filter:nearest,crop:32,scale:127.5,mean:1",
    "corners": "resize:48x36,filter:corners,crop:32",
    "crop alone": f"crop:32,{NUMBERS}",
}
TEXT = """<ir_version: 9, opset_import: ["" : 17]> g (float[1,3,32,32] image) => (float[1,3] y)
    { m = GlobalAveragePool(image) y = Flatten(m) }"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> MnnFileInfo:
    folder = tmp_path_factory.mktemp("images")
    Image.fromarray(photograph(5, (60, 84))).save(folder / "photo.png")
    onnx.save(onnx.parser.parse_model(TEXT), folder / "m.onnx")
    assert mnncompat.convert(folder / "m.onnx", folder / "m.mnn", power=False).verdict == "converted"
    return mnn_info(folder / "m.mnn")


@pytest.mark.parametrize(("name", "api"), [*((name, Api.SESSION) for name in STEPS), ("antialias", Api.MODULE)])
def test_python_prepares_what_is_declared(name: str, api: Api, found: MnnFileInfo) -> None:
    folder = found.path.parent
    place = folder / f"code_{list(STEPS).index(name)}.py"
    place.write_text(snippet(found, Language.PYTHON, api=api, threads=1, preprocess={"image": STEPS[name]}))
    call = f"""
import sys, numpy as np
sys.path.insert(0, {str(folder)!r})
import {place.stem} as code
from PIL import Image
given = code.prepare_image(np.asarray(Image.open({str(folder / "photo.png")!r})))
np.savez({str(folder / "found.npz")!r}, given=given, **code.run(given))
"""
    (folder / "call.py").write_text(call)
    done = subprocess.run(
        [sys.executable, folder / "call.py"], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    made = np.load(folder / "found.npz")
    steps = parse_preprocess("--preprocess", STEPS[name])
    pixels = decode(folder / "photo.png", steps).astype(np.float32) / np.float32(steps.scale)
    numbers = (np.asarray(each, np.float32) for each in (steps.mean or 0, steps.std or 1))
    mean, std = numbers
    expected = np.moveaxis((pixels - mean) / std, -1, 0)[None]
    assert made["given"].shape == expected.shape
    assert made["given"].dtype == np.float32
    levels = np.abs(made["given"] - expected) * steps.scale * np.reshape(std, (1, -1, 1, 1))
    assert levels.max() < 1.01
    assert levels.mean() < 0.05
    (right,) = onnxruntime.InferenceSession(folder / "m.onnx").run(None, {"image": made["given"]})
    np.testing.assert_allclose(made["y"], right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", STEPS)
def test_native_code_compiles_and_kotlin_is_parsed(name: str, found: MnnFileInfo) -> None:
    def code(language: Language) -> str:
        return snippet(found, language, threads=1, preprocess={"image": STEPS[name]})

    for language in (Language.CPP, Language.JNI):
        assert not diagnostics(code(language), "model.cpp"), code(language)
    flags = ("-xobjective-c++", "-fobjc-arc", "-fobjc-runtime=ios", "-fobjc-exceptions")
    assert not diagnostics(code(Language.OBJC), "model.mm", *flags), code(Language.OBJC)
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_kotlin.language()))
    assert not parser.parse(code(Language.KOTLIN).encode()).root_node.has_error, code(Language.KOTLIN)
    assert "fun prepareImage(pixels: ByteArray" in code(Language.KOTLIN)


def test_the_configuration_and_the_command(
    found: MnnFileInfo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(found.path.parent)
    steps = 'path = "m.onnx"\npreprocess = { image = "resize:40,crop:32,scale:255" }\n'
    Path("pyproject.toml").write_text(f"[[tool.mnncompat.models]]\n{steps}")
    assert main(["snippet", "m.mnn"]) == 0
    assert "prepare_image" not in capsys.readouterr().out
    assert main(["snippet", "m.mnn", "--model", "m.onnx"]) == 0
    assert "def prepare_image(pixels):" in capsys.readouterr().out
    assert main(["snippet", "m.mnn", "--preprocess", "photo=scale:255"]) == 2
    assert "has no input 'photo'" in capsys.readouterr().err
    assert main(["snippet", "m.mnn", "--preprocess", "image=size:4"]) == 2
    assert "there is no step 'size'" in capsys.readouterr().err
