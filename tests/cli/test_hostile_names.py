"""Names in models, files and folders reach no terminal and no runner as commands, on stdout or stderr."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import ModelProto, TensorProto, helper
from test_bad_input import linear

from mnncompat.cli import main
from mnncompat.cli.printing import emit, say, say_lines
from mnncompat.report.text.page import Page, Style

EVIL = (
    "x\n::error file=a,line=1::pwned\r::warning::w\x1b[31m\x1b]0;title\x07\x9b31m\u202e\u2066\u2028"
    "##[error]p ##vso[task.x]q"
)
FORMATS = ("text", "concise", "json", "sarif", "github", "junit", "gitlab", "markdown")
COMMAND = re.compile(r"\s*::(error|warning|notice) (file=[^,:]+,)?title=MNN[0-9]{3} [a-z-]+(?: \([a-z]+\))?::[^\r\n]*")


def renamed(proto: ModelProto) -> ModelProto:
    """The model with every name in it replaced by one that holds the evil text."""
    for node in proto.graph.node:
        node.name = f"{node.name}{EVIL}"
        node.input[:] = [f"{name}{EVIL}" for name in node.input]
        node.output[:] = [f"{name}{EVIL}" for name in node.output]
    for value in (*proto.graph.input, *proto.graph.output):
        value.name = f"{value.name}{EVIL}"
    for tensor in proto.graph.initializer:
        tensor.name = f"{tensor.name}{EVIL}"
    proto.graph.name = proto.producer_name = proto.graph.doc_string = EVIL
    proto.metadata_props.add(key=EVIL, value=EVIL)
    return proto


def hazardous() -> ModelProto:
    """A model with an operator that MNN does not have."""
    proto = linear()
    proto.graph.node[-1].op_type = "Hardmax"
    return proto


def sound() -> ModelProto:
    return renamed(linear())


def cyclic() -> ModelProto:
    proto = linear()
    proto.graph.node[0].input[0] = "z"
    return renamed(proto)


def unsorted() -> ModelProto:
    proto = linear()
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(reversed(nodes))
    return renamed(proto)


def dangling() -> ModelProto:
    proto = linear()
    proto.graph.node[0].input[1] = "nowhere"
    return renamed(proto)


def unknown_operator() -> ModelProto:
    proto = linear()
    proto.graph.node[1].op_type = f"Relu{EVIL}"
    proto.graph.node[0].domain = EVIL
    proto.opset_import.append(helper.make_opsetid(EVIL, 1))
    return renamed(proto)


def external_data() -> ModelProto:
    proto = linear()
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=f"/{EVIL}")
    return renamed(proto)


def invalid_for_runtime() -> ModelProto:
    """What ONNX Runtime refuses, with the names in its words."""
    proto = linear()
    proto.graph.node[1].attribute.append(helper.make_attribute(f"no_such{EVIL}", 1))
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 7
    return renamed(proto)


MODELS: tuple[Callable[[], ModelProto], ...] = (
    sound,
    cyclic,
    unsorted,
    dangling,
    unknown_operator,
    external_data,
    invalid_for_runtime,
)
CALLS: dict[str, list[str]] = {
    "check": ["check", "{model}"],
    "fix": ["fix", "{model}", "-o", "{out}.onnx", "--diff"],
    "convert": ["convert", "{model}", "-o", "{out}.mnn"],
}


def assert_harmless(text: str, output_format: str) -> None:
    """No escape sequences, and no line that a runner takes for a command, but those of the format itself."""
    for line in text.split("\n"):
        assert line.isprintable(), ascii(line)
        assert "##[" not in line, line
        assert "##vso[" not in line, line
        if line.lstrip().startswith("::"):
            assert output_format == "github", line
            assert COMMAND.fullmatch(line), line


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_names_in_models(make: Callable[[], ModelProto], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(make().SerializeToString())
    places = {"model": str(model), "out": str(tmp_path / "out")}
    for name, words in CALLS.items():
        for output_format in FORMATS if name == "check" else FORMATS[:1]:
            status = main([*(word.format(**places) for word in words), "--output-format", output_format])
            captured = capfd.readouterr()
            assert status in (0, 1, 2)
            assert_harmless(captured.out, output_format)
            assert_harmless(captured.err, "text")
            assert "Traceback" not in captured.err
            assert "internal error" not in captured.err


@pytest.mark.parametrize("make", [sound, unknown_operator, invalid_for_runtime], ids=lambda make: make.__name__)
def test_names_in_what_libraries_print(make: Callable[[], ModelProto], tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(make().SerializeToString())
    done = subprocess.run([sys.executable, "-m", "mnncompat", "convert", str(model)], capture_output=True, check=False)
    assert done.returncode in (0, 1, 2)
    assert_harmless(done.stdout.decode() + done.stderr.decode(), "text")


NAMES = (
    "::error file=a::pwned.onnx",
    "  ::warning::x.onnx",
    "##[error]x.onnx",
    "a\x1b[31m\n::error::b.onnx",
    "\u202ex.onnx",
)


@pytest.mark.parametrize("name", NAMES)
def test_names_of_files(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(hazardous().SerializeToString())
    for output_format in FORMATS:
        for words in (["check", name], ["check", f"none-{name}"], ["check", name, f"none-{name}"]):
            assert main([*words, "--output-format", output_format]) in (1, 2)
            captured = capfd.readouterr()
            assert_harmless(captured.out, output_format)
            assert_harmless(captured.err, "text")
            is_pattern = "[" in name and f"none-{name}" in words  # that matches nothing: the command line is wrong
            if output_format in ("json", "sarif") and not is_pattern:
                json.loads(captured.out)


@pytest.mark.parametrize(
    "words",
    [
        [EVIL],
        ["check", f"--{EVIL}"],
        ["check", "m.onnx", "--mnn", EVIL],
        ["check", "m.onnx", "--output-format", EVIL],
        ["check", "m.onnx", "--select", EVIL],
        ["check", "m.onnx", "--fail-on", EVIL],
        ["verify", EVIL, EVIL],
        ["convert", "m.onnx", "--seed", EVIL],
        ["convert", "m.onnx", "--tolerance", EVIL],
        ["convert", "m.onnx", "--feeds", EVIL],
        ["rule", EVIL],
        ["ops", EVIL],
        ["probe", EVIL],
        ["export", EVIL, "--shape", "1"],
    ],
    ids=lambda words: words[0][:6],
)
def test_words_of_the_command_line(
    words: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    captured = capfd.readouterr()
    assert captured.err.startswith("error: ")
    assert_harmless(captured.out + captured.err, "text")


def test_a_hostile_configuration(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    evil = json.dumps(EVIL)
    for text in (f"[tool.mnncompat]\n{evil} = 1\n", f"[tool.mnncompat]\nmnn = {evil}\n", "[tool.mnncompat]\n" + EVIL):
        (tmp_path / "pyproject.toml").write_text(text)
        assert main(["check", "m.onnx"]) == 2
        captured = capfd.readouterr()
        assert_harmless(captured.out + captured.err, "text")


def test_a_traceback_is_escaped_too(tmp_path: Path) -> None:
    program = f"""
import os, sys
os.environ["MNNCOMPAT_TRACEBACK"] = "1"
from mnncompat import cli
from mnncompat.cli import check
def broken(*_a, **_o): raise ZeroDivisionError({EVIL!r})
import mnncompat.graph.model_file as module
module.load = broken
sys.exit(cli.main(["check", "m.onnx"]))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 2
    assert b"Traceback" in done.stderr
    assert_harmless(done.stderr.decode(), "text")


def test_the_printer(capsys: pytest.CaptureFixture[str]) -> None:
    say(" ::error::b\n::error::c")
    say_lines("a\n ::error::b\n\x1b[1m\n")
    emit("\x1b[1m::x\x1b[0m\n::y ##[error]z")
    emit('{"name": "##[error]"}', "json")
    emit("::error title=t::m ##[debug]", "github")
    captured = capsys.readouterr()
    assert captured.err == " \\x3a:error::b\\n::error::c\na\n \\x3a:error::b\n\\x1b[1m\n"
    first, second, third, fourth = captured.out.splitlines()
    assert first == "\x1b[1m\\x3a:x\x1b[0m"
    assert second == "\\x3a:y \\x23#[error]z"
    assert json.loads(third) == {"name": "##[error]"}
    assert "##[" not in third
    assert fourth == "::error title=t::m \\x23#[debug]"


@pytest.mark.parametrize("width", [None, 30])
def test_a_page_escapes_what_it_is_given(width: int | None) -> None:
    page = Page(color=True, width=width)
    page.line(EVIL, lead="  hint: ")
    page.labelled("hint", Style.BAD, EVIL, indent=4)
    page.line("plain", style=Style.GOOD)
    text = re.sub("\x1b\\[(1;31|32|0)m", "", page.text())
    assert text.replace("\n", "").isprintable()
    assert not re.search(r"^\s*::", text, re.MULTILINE)


def test_warnings_of_libraries_are_not_printed(tmp_path: Path) -> None:
    """ONNX warns about a key of external data that it does not know, and shows it."""
    proto = linear()
    (tmp_path / "w.bin").write_bytes(proto.graph.initializer[0].raw_data)
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="w.bin")
    tensor.external_data.add(key=EVIL, value=EVIL)
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    words = [sys.executable, "-m", "mnncompat", "convert", "m.onnx", "-q", "--output-format", "json"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert_harmless(done.stdout, "json")


def test_a_line_break_in_an_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.onnx").write_bytes(linear().SerializeToString())
    assert main(["fix", str(tmp_path / "m.onnx"), "--head", "spatial", "-o", str(tmp_path / "a\nerror: b")]) == 0
    assert capsys.readouterr().err.splitlines() == [f"wrote {tmp_path}/a\\nerror: b"]


PRINTS = """
import os, sys
from mnncompat import cli
from mnncompat.graph import model_file
real = model_file.load
def noisy(path):
    os.system("echo from-c; echo from-c >&2")
    os.write(1, b"written\\n"); os.write(2, b"written\\n")
    return real(path)
model_file.load = noisy
sys.argv = ["mnncompat", *sys.argv[1:]]
cli.run()
"""


@pytest.mark.parametrize("traceback", [False, True])
def test_what_libraries_print_is_kept_off_both_streams(traceback: bool, tutorial: Path) -> None:  # noqa: FBT001
    environment = {key: value for key, value in os.environ.items() if key != "MNNCOMPAT_TRACEBACK"}
    environment |= {"MNNCOMPAT_TRACEBACK": "1"} if traceback else {}
    done = subprocess.run(
        [sys.executable, "-c", PRINTS, "check", str(tutorial), "--output-format", "json"],
        capture_output=True,
        env=environment,
        check=False,
    )
    assert (b"from-c" in done.stdout) is traceback
    assert (b"written" in done.stderr) is traceback
    if not traceback:
        assert json.loads(done.stdout)["results"]
        assert done.stderr == b""
