"""External data, and writing so that outputs are whole or absent."""

from __future__ import annotations

import json
import os
import signal
import stat
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from models import array, head

from mnncompat import fix
from mnncompat.cli import main
from mnncompat.errors import ModelError, OutputError
from mnncompat.graph.atomic_files import outputs_written, publish, write_atomically
from mnncompat.graph.model_file import from_proto, load, save


def stored_externally(folder: Path) -> Path:
    path = folder / "model.onnx"
    onnx.save_model(head(), path, save_as_external_data=True, location="model.bin", size_threshold=64)
    return path


def outputs(path: Path, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": images})[0])


def assert_equal_but_for_rounding(actual: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_reading_external_data_is_put_off_until_it_is_needed(tmp_path: Path) -> None:
    model = load(stored_externally(tmp_path))
    assert not model.weights_loaded
    assert all(not tensor.raw_data for tensor in model.proto.graph.initializer if tensor.external_data)
    model.load_weights()
    assert model.weights_loaded
    onnx.checker.check_model(model.proto)


@pytest.mark.parametrize("inner", ["", "elsewhere"])
def test_external_data_survives_a_fix(inner: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = stored_externally(tmp_path)
    images = array(2, 3, 6, 6)
    expected = outputs(source, images)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / inner).mkdir(exist_ok=True)
    out = tmp_path / inner / "fixed.onnx"
    assert main(["fix", str(source), "-o", str(out)]) == 0
    said = capsys.readouterr()
    assert_equal_but_for_rounding(outputs(out, images), expected)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    written = onnx.load(out, load_external_data=False)
    locations = {e.value for t in written.graph.initializer for e in t.external_data if e.key == "location"}
    assert locations == ({"model.bin"} if not inner else {"fixed.onnx.data"})
    (data,) = (str(out.with_name(each)) for each in locations)
    assert said.err == f"wrote {out} and {data}\n" if inner else said.err == f"wrote {out}\n"
    assert f"weights: {data}, which belongs to {out}" in " ".join(said.out.split())
    assert main(["fix", str(source), "-o", str(out), "--output-format", "json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["out"] == str(out)
    assert [Path(each).exists() for each in result["data"]] == [True]


def test_external_data_in_place(tmp_path: Path) -> None:
    source = stored_externally(tmp_path)
    images = array(2, 3, 6, 6)
    expected = outputs(source, images)
    assert main(["fix", str(source), "--in-place"]) == 0
    assert_equal_but_for_rounding(outputs(source, images), expected)
    assert "MatMul" not in [node.op_type for node in onnx.load(source).graph.node]


def test_converting_a_model_with_external_data(tmp_path: Path) -> None:
    source = stored_externally(tmp_path)
    assert main(["convert", str(source), "-q"]) == 0
    assert (tmp_path / "model.mnn").stat().st_size > 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.bin", "model.mnn", "model.onnx"]


def test_a_second_output_never_overwrites_the_data_of_the_first(tmp_path: Path) -> None:
    source = stored_externally(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    out = tmp_path / "elsewhere" / "fixed.onnx"
    images = array(1, 3, 6, 6)
    for _ in range(2):
        save(fix(source).model, out)
        assert_equal_but_for_rounding(outputs(out, images), outputs(source, images))
    names = sorted(path.name for path in out.parent.iterdir())
    assert names[0] == "fixed.onnx"
    assert len(names) == 3


def test_a_model_in_memory_must_be_whole(tmp_path: Path) -> None:
    proto = onnx.load(stored_externally(tmp_path), load_external_data=False)
    with pytest.raises(ModelError, match="refers to an external file"):
        from_proto(proto)


def test_a_failed_write_leaves_the_old_file_and_no_scraps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")

    def full(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device", str(path), len(data))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("command", ["fix", "convert"])
def test_a_read_only_file_system(
    command: str, tutorial: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = tempfile.mkstemp

    def refuse(*arguments: object, **options: object) -> tuple[int, str]:
        if options.get("dir") == tmp_path:
            raise OSError(30, "Read-only file system")
        return real(*arguments, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    assert main([command, str(tutorial), "-o", str(tmp_path / "out")]) == 2
    assert f"cannot write {tmp_path / 'out'}: Read-only file system" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_modes_are_those_of_the_old_file_or_the_umask(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_atomically(target, b"new")
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)
    target.chmod(0o600)
    write_atomically(target, b"newer")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_weights_beside_a_converted_file_are_published_with_it(tmp_path: Path) -> None:
    (tmp_path / "a.mnn").write_bytes(b"graph")
    (tmp_path / "a.mnn.weight").write_bytes(b"weights")
    (tmp_path / "out").mkdir()
    publish(tmp_path / "a.mnn", tmp_path / "out" / "b.mnn")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        "b.mnn": b"graph",
        "b.mnn.weight": b"weights",
    }


def test_a_signal_never_parts_a_file_from_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.mnn", "a.mnn.weight"):
        (tmp_path / name).write_bytes(b"new")
    out = tmp_path / "out"
    out.mkdir()
    for name in ("b.mnn", "b.mnn.weight"):
        (out / name).write_bytes(b"old")
    real = Path.replace

    def interrupted(path: Path, target: Path) -> Path:
        os.kill(os.getpid(), signal.SIGINT)
        return real(path, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            publish(tmp_path / "a.mnn", out / "b.mnn")
    finally:
        signal.signal(signal.SIGINT, handler)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {"b.mnn": b"new", "b.mnn.weight": b"new"}
    assert outputs_written()[-2:] == (out / "b.mnn", out / "b.mnn.weight")
