"""`mnncompat snippet`: the Python code runs and agrees, the C++ and Objective-C compile, the Kotlin is parsed."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
import tree_sitter
import tree_sitter_kotlin
from compiling import declared, diagnostics

import mnncompat
from mnncompat import mnn
from mnncompat.cli import main
from mnncompat.deploying.code.interface import Api, comment, escaped, literal
from mnncompat.deploying.mnn_facts import mnn_info
from mnncompat.deploying.snippet import Language, snippet
from mnncompat.results.file_info import MnnFileInfo

Feeds = dict[str, np.ndarray]
MODELS: dict[str, tuple[str, dict[str, tuple[str, tuple[int, ...]]]]] = {
    "image": (
        "(float[1,3,8,8] image) => (float[1,4,8,8] y) { y = Conv<pads=[1,1,1,1]>(image, w) }",
        {"image": ("float32", (1, 3, 8, 8))},
    ),
    "dynamic": (
        "(float[N,3,H,W] image) => (float[N,3,1,1] y) { r = Relu(image) y = GlobalAveragePool(r) }",
        {"image": ("float32", (2, 3, 7, 9))},
    ),
    "ids": (
        "(int64[N,8] ids) => (float[N,8,4] y) { y = Gather(table, ids) }",
        {"ids": ("int64", (1, 8))},
    ),
    "two outputs": (
        """(float[2,6] x) => (float[2,6] y, int64[2] best)
        { y = Softmax<axis=1>(x) best = ArgMax<axis=1, keepdims=0>(x) }""",
        {"x": ("float32", (2, 6))},
    ),
    "state": (
        """(float[1,1,4] x, float[1,1,3] h) => (float[1,1,3] y, float[1,1,3] h_next) {
        s = Concat<axis=2>(x, h) m = MatMul(s, u) h_next = Tanh(m) y = Relu(h_next) }""",
        {"x": ("float32", (1, 1, 4)), "h": ("float32", (1, 1, 3))},
    ),
    "scalar": (
        "(float[2,3] x, float s) => (float[2,3] y) { y = Mul(x, s) }",
        {"x": ("float32", (2, 3)), "s": ("float32", ())},
    ),
    "boolean mask": (
        "(float[2,3] x, bool[2,3] keep) => (float[2,3] y) { y = Where(keep, x, none) }",
        {"x": ("float32", (2, 3)), "keep": ("bool", (2, 3))},
    ),
    "input that nothing reads": (
        "(float[2,3] x, float[4] unread) => (float[2,3] y) { y = Sigmoid(x) }",
        {"x": ("float32", (2, 3)), "unread": ("float32", (4,))},
    ),
    "names that are no identifiers": (
        "(float[2,3] x, float[2,3] z) => (float[2,3] y) { y = Sub(x, z) }",
        {"x": ("float32", (2, 3)), "z": ("float32", (2, 3))},
    ),
    "sequence": (
        "(float[5,1,3] x) => (float[5,1,1,2] y) { y, h = GRU<hidden_size=2, linear_before_reset=1>(x, gw, gr) }",
        {"x": ("float32", (5, 1, 3))},
    ),
}
STORED: dict[str, tuple[int, ...]] = {
    "w": (4, 3, 3, 3),
    "table": (10, 4),
    "u": (7, 3),
    "gw": (1, 6, 3),
    "gr": (1, 6, 2),
}
HOSTILE = {"x": "7 'quoted\" name\\\n::error::$x", "z": "класс", "y": 'class */ """'}


def built(name: str) -> onnx.ModelProto:
    text, _ = MODELS[name]
    proto = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : 17]> g {text}')
    rng = np.random.default_rng(0)
    used = {each for node in proto.graph.node for each in node.input}
    for key, shape in STORED.items():
        if key in used:
            proto.graph.initializer.append(
                onnx.numpy_helper.from_array(rng.normal(size=shape).astype(np.float32) / 2, key)
            )
    if "none" in used:
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(-1e4, np.float32), "none"))
    if name.startswith("names"):
        for value in (*proto.graph.input, *proto.graph.output):
            value.name = HOSTILE[value.name]
        node = proto.graph.node[0]
        node.input[:], node.output[:] = [HOSTILE[each] for each in node.input], [HOSTILE[each] for each in node.output]
    return proto


def fed(name: str) -> Feeds:
    rng = np.random.default_rng(1)
    found = {}
    for key, (dtype, shape) in MODELS[name][1].items():
        drawn: Any = rng.integers(0, 10, shape) if dtype == "int64" else rng.normal(size=shape)
        if dtype == "bool":
            drawn = drawn > 0
        found[HOSTILE[key] if name.startswith("names") else key] = np.asarray(drawn, dtype)
    return found


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, MnnFileInfo]:
    """Every model as an `.mnn` file, and what is known about it."""
    folder = tmp_path_factory.mktemp("snippets")
    found = {}
    for name in MODELS:
        file = folder / f"{name}.mnn"
        result = mnncompat.convert(built(name), file, accept=("not-proven", "one-size"), power=False)
        assert result.verdict == "converted", (name, result)
        shapes = {key: value.shape for key, value in fed(name).items()}
        found[name] = mnn_info(file, shapes=shapes)
    return found


def code_of(found: MnnFileInfo, language: Language, api: Api | None = None) -> str:
    return snippet(found, language, api=api, threads=1)


class Job(NamedTuple):
    """Code to run: its text, the file beside which it belongs, and what it is fed with, in order."""

    code: str
    file: Path
    feeds: list[np.ndarray]


CALL = """
import importlib.util, json, sys
import numpy as np
feeds, names, arrays = list(np.load("given.npz").values()), [], []
for place, count in json.load(open("given.json")):
    spec = importlib.util.spec_from_file_location("code", place)
    code = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(code)
    given, feeds = feeds[:count], feeds[count:]
    for _ in range(2):
        outputs = code.run(*given)
    names.append(list(outputs))
    arrays += outputs.values()
np.savez("found.npz", *arrays)
json.dump(names, open("found.json", "w"))
"""


def run_python(jobs: list[Job], folder: Path) -> list[Feeds]:
    """Run code, twice each, in a process of its own: it holds MNN. Returns the outputs of each by name."""
    for job in jobs:
        job.file.with_suffix(".py").write_text(job.code, encoding="utf-8")
    places = [(str(job.file.with_suffix(".py")), len(job.feeds)) for job in jobs]
    (folder / "given.json").write_text(json.dumps(places))
    np.savez(folder / "given.npz", *(array for job in jobs for array in job.feeds))
    call = [sys.executable, "-c", CALL]
    done = subprocess.run(call, capture_output=True, text=True, timeout=120, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    arrays = iter(np.load(folder / "found.npz").values())
    return [{name: next(arrays) for name in names} for names in json.loads((folder / "found.json").read_text())]


def job_of(name: str, found: MnnFileInfo, api: Api) -> Job:
    feeds = fed(name)
    read = [each.name for each in found.inputs if api is Api.MODULE or each.name not in found.trial.lost]
    return Job(code_of(found, Language.PYTHON, api), found.path, [feeds[each] for each in read])


@pytest.fixture(scope="module")
def computed(
    converted: dict[str, MnnFileInfo], tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, Api], Feeds]:
    """What the code of every model gives, in each API."""
    folder = tmp_path_factory.mktemp("computed")
    found: dict[tuple[str, Api], Feeds] = {}
    for api in Api:
        outputs = run_python([job_of(name, converted[name], api) for name in MODELS], folder)
        found |= {(name, api): each for name, each in zip(MODELS, outputs, strict=True)}
    return found


@pytest.mark.parametrize("api", list(Api))
@pytest.mark.parametrize("name", MODELS)
def test_python_agrees_with_onnx_runtime(name: str, api: Api, computed: dict[tuple[str, Api], Feeds]) -> None:
    expected = onnxruntime.InferenceSession(built(name).SerializeToString()).run(None, fed(name))
    outputs = computed[name, api]
    names = [each.name for each in built(name).graph.output]
    assert list(outputs) == names
    for key, value in zip(names, expected, strict=True):
        assert outputs[key].shape == value.shape
        np.testing.assert_allclose(outputs[key], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("api", list(Api))
@pytest.mark.parametrize("name", MODELS)
def test_native_code_compiles(name: str, api: Api, converted: dict[str, MnnFileInfo]) -> None:
    for language in (Language.CPP, Language.JNI):
        code = code_of(converted[name], language, api)
        assert not diagnostics(code, "model.cpp"), code
    code = code_of(converted[name], Language.OBJC, api)
    assert not diagnostics(code, "model.mm", "-xobjective-c++", "-fobjc-arc", "-fobjc-runtime=ios", "-fobjc-exceptions")


INERT = [
    '??/"); system("id"); //',
    '"); system("id"); //',
    "ends in ??/",
    "ends in ????/",
    "ends in \\",
    "*/ int injected = 0; /*",
    "line\nint injected = 0;",
    "\u2028int injected = 0;",
    '""" + injected() + """',
    "${injected()}",
]


@pytest.mark.parametrize("text", INERT)
def test_a_name_stays_a_name(text: str) -> None:
    """Whatever it is: in strings it is itself, and in comments it ends neither the comment nor the line."""
    size = len(text.encode()) + 1
    for around in ("// {}\n", "/* {} */\n"):
        code = f"{around.format(comment(text))}extern int after;\nint user() {{ return after; }}\n"
        code += f'static_assert(sizeof({literal(text)}) == {size}, "");\n'
        assert not diagnostics(code, "name.cpp"), code
        assert "injected" not in declared(code, "name.cpp")
    module = ast.parse(f'"""{comment(text)}."""\nname = {escaped(text)}\n')
    assert [type(each) for each in module.body] == [ast.Expr, ast.Assign]
    assert ast.literal_eval(module.body[1].value) == text  # type: ignore[attr-defined]
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_kotlin.language()))
    code = f"/** {comment(text)} */\n// {comment(text)}\nval name = {escaped(text, dollar=True)}\n"
    kinds = [each.type for each in parser.parse(code.encode()).root_node.children]
    assert [each for each in kinds if "comment" not in each] == ["property_declaration"]
    assert b"interpol" not in str(parser.parse(code.encode()).root_node).encode()


def test_the_compiler_sees_faults(converted: dict[str, MnnFileInfo]) -> None:
    code = code_of(converted["image"], Language.CPP)
    assert any("setTensor" in each for each in diagnostics(code.replace("resizeTensor", "setTensor"), "model.cpp"))


@pytest.mark.parametrize("name", MODELS)
def test_kotlin_is_parsed(name: str, converted: dict[str, MnnFileInfo]) -> None:
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_kotlin.language()))
    code = code_of(converted[name], Language.KOTLIN)
    assert not parser.parse(code.encode()).root_node.has_error, code
    assert parser.parse(code.replace("fun run(", "fun run((").encode()).root_node.has_error


def test_the_command_writes_a_file(
    converted: dict[str, MnnFileInfo], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(converted["two outputs"].path)
    assert main(["snippet", file, "--language", "cpp", "-o", str(tmp_path / "model.hpp")]) == 0
    assert "Array<int32_t> best;" in (tmp_path / "model.hpp").read_text()
    capsys.readouterr()
    assert main(["snippet", file, "--api", "module"]) == 0
    code = capsys.readouterr().out
    compile(code, "model.py", "exec")
    assert 'OUTPUTS = ["y", "best"]' in code


@pytest.mark.parametrize("words", [["--language", "cobol"], ["--api", "rpc"], ["--precision", "lowest"]])
def test_what_is_unknown_is_refused(
    words: list[str], converted: dict[str, MnnFileInfo], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["snippet", str(converted["image"].path), *words]) == 2
    assert "hint: there are: " in capsys.readouterr().err


def test_an_api_that_does_not_run_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = """<ir_version: 9, opset_import: ["" : 17]> g (float[2,3] x, int64 n) => (float[2,3] y) {
        t = Constant<value = bool {1}>()
        y = Loop(n, t, x) <body = step (int64 i, bool c, float[2,3] s) => (bool d, float[2,3] r)
        { d = Identity(c) r = Add(s, s) }> }"""
    mnncompat.convert(onnx.parser.parse_model(text), tmp_path / "loop.mnn", accept=("not-proven", "one-size"))
    assert main(["snippet", str(tmp_path / "loop.mnn"), "--api", "session"]) == 2
    assert "a Session does not run" in capsys.readouterr().err
    assert main(["snippet", str(tmp_path / "loop.mnn")]) == 0
    assert "Module API" in capsys.readouterr().out


def test_channels_in_groups_of_four(tmp_path: Path) -> None:
    """A file whose input is NC4HW4, as other converters and older releases write it, is fed in NCHW."""
    onnx.save(built("image"), tmp_path / "image.onnx")
    options = mnn.ConvertOptions(keep_input_format=False)
    mnn.convert(tmp_path / "image.onnx", tmp_path / "image.mnn", options=options, limits=mnn.Limits())
    found = mnn_info(tmp_path / "image.mnn")
    assert [each.layout for each in found.inputs] == ["NC4HW4"]
    (expected,) = onnxruntime.InferenceSession(built("image").SerializeToString()).run(None, fed("image"))
    for api in Api:
        (outputs,) = run_python([job_of("image", found, api)], tmp_path)
        np.testing.assert_allclose(outputs["y"], expected, rtol=1e-4, atol=1e-5)
        assert not diagnostics(code_of(found, Language.CPP, api), "model.cpp")
