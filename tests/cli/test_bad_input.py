"""Bad input gives one line that says what is wrong, a hint and exit status 2, and no file is lost."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mnncompat.cli import Interrupted, main

COMMANDS = ("check", "fix", "convert")


def words(command: str, model: Path, out: Path) -> list[str]:
    return [command, str(model)] if command == "check" else [command, str(model), "-o", str(out)]


def linear(name: str = "model") -> onnx.ModelProto:
    weight = numpy_helper.from_array(np.ones((4, 3), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="fc"), helper.make_node("Relu", ["y"], ["z"], name="act")],
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 3])],
        [weight],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def saved(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def external(folder: Path, location: str) -> Path:
    model = linear()
    tensor = model.graph.initializer[0]
    (folder / "weights.bin").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return saved(model, folder)


def empty(folder: Path) -> Path:
    (folder / "model.onnx").touch()
    return folder / "model.onnx"


def truncated(folder: Path) -> Path:
    path = saved(linear(), folder)
    path.write_bytes(path.read_bytes()[:-40])
    return path


def text(folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_text("<html>404 not found</html>\n" * 20)
    return path


def lfs_pointer(folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 1733082\n")
    return path


def noise(folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(bytes(np.random.default_rng(0).integers(0, 256, 4096, dtype=np.uint8)))
    return path


def missing(folder: Path) -> Path:
    return folder / "model.onnx"


def without_nodes(folder: Path) -> Path:
    model = linear()
    del model.graph.node[:]
    return saved(model, folder)


def without_opset(folder: Path) -> Path:
    model = linear()
    del model.opset_import[:]
    return saved(model, folder)


def cyclic(folder: Path) -> Path:
    model = linear()
    model.graph.node[0].input[0] = "z"
    return saved(model, folder)


def dangling(folder: Path) -> Path:
    model = linear()
    model.graph.node[0].input[1] = "nowhere"
    return saved(model, folder)


def duplicate_values(folder: Path) -> Path:
    model = linear()
    model.graph.node[1].output[0] = "y"
    return saved(model, folder)


def duplicate_nodes(folder: Path) -> Path:
    model = linear()
    model.graph.node[1].name = "fc"
    return saved(model, folder)


def external_missing(folder: Path) -> Path:
    return external(folder, "gone.bin")


def external_absolute(folder: Path) -> Path:
    return external(folder, str(folder / "weights.bin"))


def external_parent(folder: Path) -> Path:
    (folder / "inner").mkdir()
    path = external(folder / "inner", "../weights.bin")
    shutil.copy(folder / "inner" / "weights.bin", folder / "weights.bin")
    return path


def external_symlink(folder: Path) -> Path:
    (folder / "inner").mkdir()
    (folder / "secret").write_bytes(b"0" * 48)
    (folder / "inner" / "link.bin").symlink_to(folder / "secret")
    return external(folder / "inner", "link.bin")


def external_short(folder: Path) -> Path:
    path = external(folder, "weights.bin")
    (folder / "weights.bin").write_bytes(b"0" * 8)
    return path


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "empty": (empty, "the file is empty"),
    "truncated": (truncated, "truncated or damaged"),
    "text": (text, "is a text file"),
    "lfs": (lfs_pointer, "Git LFS pointer"),
    "noise": (noise, "not an ONNX model"),
    "missing": (missing, "no such file"),
    "no-nodes": (without_nodes, "nothing computes the output"),
    "no-opset": (without_opset, "imports no opset"),
    "cyclic": (cyclic, "has a cycle: '"),
    "dangling": (dangling, "which nothing computes"),
    "duplicate-values": (duplicate_values, "'y' is defined more than once"),
    "duplicate-nodes": (duplicate_nodes, "two nodes are called 'fc'"),
    "external-missing": (external_missing, "is missing"),
    "external-absolute": (external_absolute, "has an absolute path"),
    "external-parent": (external_parent, "leaves the model's folder"),
    "external-symlink": (external_symlink, "is a link out of the model's folder"),
    "external-short": (external_short, "too short"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("case", BAD)
def test_bad_models(command: str, case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build, expected = BAD[case]
    model = build(tmp_path)
    before = contents(tmp_path)
    status = main(words(command, model, tmp_path / "out"))
    captured = capsys.readouterr()
    assert status == 2
    assert captured.out.startswith("error[MNN090] unreadable-model: ")
    assert expected in captured.out
    assert_one_error(captured.err, expected)
    assert contents(tmp_path) == before


def assert_one_error(stderr: str, expected: str) -> None:
    lines = [line for line in stderr.splitlines() if line.startswith(("error:", "hint:"))]
    assert [line.split(":")[0] for line in lines] == ["error", "hint"], stderr
    assert expected in lines[0]
    assert "Traceback" not in stderr


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_permission(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests may run as root, for whom file modes do not count: the refusal is simulated."""
    model = saved(linear(), tmp_path)

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert main(words(command, model, tmp_path / "out")) == 2
    assert_one_error(capsys.readouterr().err, "permission denied")
    assert not (tmp_path / "out").exists()


OPTIONS: dict[str, tuple[list[str], str]] = {
    "unknown version": (["check", "{model}", "--mnn", "9.9.9"], "unknown MNN version"),
    "unknown format": (["check", "{model}", "--output-format", "xml"], "unknown output format"),
    "unknown level": (["check", "{model}", "--fail-on", "doom"], "unknown level"),
    "unknown rule": (["check", "{model}", "--select", "MNN999"], "no rule is called"),
    "unknown rewrite": (["fix", "{model}", "-o", "{out}", "--select", "nope"], "no rewrite is called"),
    "unknown option": (["check", "{model}", "--wat"], "--wat"),
    "unknown command": (["frobnicate"], "frobnicate"),
    "no model": (["check"], "MODEL is missing"),
    "nothing to do": (["fix", "{model}"], "nothing to do with the result"),
    "two ways": (["fix", "{model}", "-o", "{out}", "--in-place"], "exclude each other"),
    "onto itself": (["fix", "{model}", "-o", "{model}"], "is the input itself"),
    "convert onto itself": (["convert", "{model}", "-o", "{model}"], "is the input itself"),
    "no folder": (["convert", "{model}", "-o", "{out}/deep/x.mnn"], "does not exist"),
    "onto a folder": (["fix", "{model}", "-o", "{folder}"], "is the input itself"),
    "unknown architecture": (["fix", "{model}", "-o", "{out}", "--arch", "arm65"], "unknown architecture: arm65"),
    "frozen shape of nothing": (["fix", "{model}", "-o", "{out}", "--shape", "y:1,4"], "y"),
    "unknown operator": (["probe", "--op", "Nope"], "no operator"),
    "unknown operator to fix": (["probe", "--fix", "--op", "Nope"], "no operator"),
    "shape of nothing": (["convert", "{model}", "-o", "{out}", "--shape", "y:1,4"], "y"),
    "shape of other rank": (["convert", "{model}", "-o", "{out}", "--shape", "x:1,4,1"], "rank"),
    "shape against the model": (["convert", "{model}", "-o", "{out}", "--shape", "x:1,5"], "5"),
    "shape of nothing at all": (["convert", "{model}", "-o", "{out}", "--shape", "x:1,none"], "is not a shape"),
    "shape below one": (["convert", "{model}", "-o", "{out}", "--shape", "x:0,4"], "0"),
    "data from nowhere": (["convert", "{model}", "-o", "{out}", "--input", "x={folder}/none.npy"], "none.npy"),
    "data without a name": (["convert", "{model}", "-o", "{out}", "--input", "x.npy"], "names no input"),
    "tolerance of nothing": (["convert", "{model}", "-o", "{out}", "--tolerance", "q=1e-3"], "q"),
    "tolerance below zero": (["convert", "{model}", "-o", "{out}", "--tolerance", "z=-1"], "not a tolerance"),
    "weight bits": (["convert", "{model}", "-o", "{out}", "--weight-bits", "64"], "64 bits"),
    "target version": (["convert", "{model}", "-o", "{out}", "--target-version", "new"], "new"),
    "optimize level": (["convert", "{model}", "-o", "{out}", "--optimize-level", "7"], "7"),
    "verify without file": (["verify", "{model}", "{folder}/none.mnn"], "no such file"),
    "no such rule": (["rule", "MNN999"], "no rule is called"),
    "no such operator": (["ops", "Frobnicate"], "no operator is called"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_bad_options(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, expected = OPTIONS[case]
    model = saved(linear(), tmp_path)
    before = contents(tmp_path)
    places = {"model": model, "out": tmp_path / "out", "folder": tmp_path}
    assert main([word.format(**places) for word in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert_one_error(captured.err, expected)
    assert contents(tmp_path) == before


def test_one_bad_model_does_not_hide_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = saved(linear(), tmp_path)
    (tmp_path / "empty.onnx").touch()
    assert main(["check", str(tmp_path / "empty.onnx"), str(good)]) == 2
    captured = capsys.readouterr()
    assert "1 model: no findings" in captured.out
    assert_one_error(captured.err, "the file is empty")


def test_bad_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    model = saved(linear(), tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.mnncompat]\ncolour = true\n")
    assert main(["check", str(model)]) == 2
    assert_one_error(capsys.readouterr().err, "has no key 'colour'")


def test_configuration_is_used_and_the_command_line_wins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = saved(linear(), tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.mnncompat]\nmnn = "0.2.0.4"\nfail-on = "never"\n')
    assert main(["check", str(model)]) == 0
    assert "MatMul is not in MNN 0.2.0.4" in capsys.readouterr().out
    assert main(["check", str(model), "--fail-on", "warning"]) == 1
    capsys.readouterr()
    assert main(["check", str(model), "--mnn", "3.6.1", "--fail-on", "warning"]) == 0
    assert "MatMul is not in MNN" not in capsys.readouterr().out


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("wait", [0.3, 1.0])
def test_interrupted(sent: signal.Signals, wait: float, tmp_path: Path, tutorial: Path) -> None:
    """Ctrl-C in the middle of a conversion: no traceback, an earlier output untouched, no temporary files left."""
    out = tmp_path / "out.mnn"
    out.write_bytes(b"an earlier result")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-m", "mnncompat", "convert", str(tutorial), "-o", str(out)]
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stderr is not None
        child.stderr.readline()  # the first step has begun
        time.sleep(wait)
        child.send_signal(sent)
        stdout, stderr = child.communicate(timeout=60)
    if "converted: " in stdout:  # it was faster than the signal
        return
    assert child.returncode == 2
    assert stdout == ""
    assert_one_error(stderr, "interrupted")
    if f"written before that, and complete: {out}" in stderr:  # between the file and the report
        assert len(out.read_bytes()) > 10_000
    else:
        assert "nothing was written" in stderr
        assert out.read_bytes() == b"an earlier result"
    assert list(tmp_path.iterdir()) in ([out, scratch], [scratch, out])
    assert list(scratch.iterdir()) == []


def test_interrupted_while_importing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a signal raises inside an extension module's initialisation comes out as an ImportError."""
    from mnncompat import parity
    from mnncompat.errors import RunnerError

    def import_something(*_arguments: object, **_options: object) -> None:
        with contextlib.suppress(Interrupted):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
        raise RunnerError("ONNX Runtime cannot be imported: initialization failed", hint="install it")

    monkeypatch.setattr(parity, "compare_models", import_something)
    assert main(["fix", str(saved(linear(), tmp_path)), "--head", "spatial", "-o", str(tmp_path / "out.onnx")]) == 2
    assert_one_error(capsys.readouterr().err, "interrupted")


def test_interrupted_after_an_output_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second model is cut short: the first output stays, and is named, also where workers wrote others before."""
    from mnncompat.fixing import transaction
    from mnncompat.fleet.processes import in_parallel

    assert list(in_parallel([], lambda _path: None, 1)) == []  # an earlier command in this process had workers

    real = transaction.fix_model
    out: list[Any] = []

    def interrupted(*arguments: Any, **options: Any) -> Any:
        if out:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        out.append(real(*arguments, **options))
        return out[0]

    monkeypatch.setattr(transaction, "fix_model", interrupted)
    first, second = saved(linear(), tmp_path), tmp_path / "second.onnx"
    second.write_bytes(before := first.read_bytes())
    assert main(["fix", str(first), str(second), "--head", "spatial", "--in-place"]) == 2
    assert f"written before that, and complete: {first}" in capsys.readouterr().err
    assert first.read_bytes() != before
    assert second.read_bytes() == before


@pytest.mark.parametrize("output_format", ["json", "sarif", "github", "junit", "gitlab", "markdown", "concise"])
@pytest.mark.parametrize("words", [["verify", "{}", "x.mnn"], ["diagnose", "{}"], ["report", "{}", "x.html"]])
def test_a_program_finds_the_error_in_the_report(
    words: list[str], output_format: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of one model as well: whoever reads standard output has nothing else."""
    model = tmp_path / "model.onnx"
    model.write_bytes(b"\xff" * 40)
    (tmp_path / "x.mnn").write_bytes(b"")
    places = {"{}": str(model), "x.mnn": str(tmp_path / "x.mnn"), "x.html": str(tmp_path / "x.html")}
    named = [places.get(each, each) for each in words]
    assert main([*named, "--output-format", output_format]) == 2
    assert "not an ONNX model" in capsys.readouterr().out
