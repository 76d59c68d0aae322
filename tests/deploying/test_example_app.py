"""The tutorial's app: its generated files are what the command writes, and the tutorial's commands work."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tree_sitter
import tree_sitter_kotlin
from compiling import diagnostics

import mnncompat
from mnncompat.cli import main

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "mnist"
APP = EXAMPLE / "android" / "app" / "src" / "main"
MODEL = APP / "java" / "com" / "example" / "mnn" / "Model.kt"
NATIVE = APP / "cpp" / "model.cpp"
STEPS = "image=resize:28x28,color:gray,scale:255"


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("app") / "mnist.mnn"
    assert (
        mnncompat.convert(EXAMPLE / "mnist-fc.onnx", file, power=False, accept=("not-proven",)).verdict == "converted"
    )
    return file


@pytest.mark.parametrize(("language", "place"), [("kotlin", MODEL), ("jni", NATIVE)])
def test_generated_files_are_what_the_command_writes(language: str, place: Path, converted: Path) -> None:
    out = converted.with_suffix(f".{language}")
    words = ["--model", str(EXAMPLE / "mnist-fc.onnx"), "--precision", "low", "--preprocess", STEPS]
    assert main(["snippet", str(converted), "--language", language, "-o", str(out), *words]) == 0
    assert out.read_text() == place.read_text(), "write it again: see examples/mnist/android/README.md"


def test_the_app_compiles_and_is_parsed() -> None:
    assert not diagnostics(NATIVE.read_text(), "model.cpp")
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_kotlin.language()))
    for file in MODEL.parent.glob("*.kt"):
        assert not parser.parse(file.read_bytes()).root_node.has_error, file
    used = set(re.findall(r"model\.(\w+)\(", MODEL.with_name("MainActivity.kt").read_text()))
    assert used == {"prepareImage", "run"}
    assert all(f"fun {name}(" in MODEL.read_text() for name in used)


def test_the_tutorial_ends_with_a_classified_image(tmp_path: Path) -> None:
    text = (EXAMPLE / "README.md").read_text()
    (block,) = re.findall(r"^```sh\n(pip install \"\.\[.*?)^```$", text, re.MULTILINE | re.DOTALL)
    install, *commands = block.splitlines()
    assert install == 'pip install ".[images]"'
    assert len(commands) < 9
    ignored = shutil.ignore_patterns("build", "__pycache__")
    shutil.copytree(EXAMPLE, tmp_path / "examples" / "mnist", ignore=ignored)
    for command in commands:
        program, *words = command.split()
        started = [sys.executable, *(["-m", "mnncompat"] if program == "mnncompat" else []), *words]
        done = subprocess.run(started, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    assert done.stdout.splitlines()[-1] == "digit.png: 7"
