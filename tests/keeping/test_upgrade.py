"""What another release of MNN changes is told; a release lies in a folder of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import onnx
import pytest
from models import detector, head

from mnncompat.cli import main
from mnncompat.errors import RunnerError
from mnncompat.fleet.other_release import release_folder
from mnncompat.support.releases import installed_version

INSTALLED = installed_version()


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of MNN 3.5.0, in which there is one that converts nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path / "models")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = tmp_path / "cache" / "mnncompat" / "releases" / f"3.5.0-python{version}"
    (folder / "MNN").mkdir(parents=True)
    (folder / "MNN" / "__init__.py").write_text("")
    (folder / "_tools.py").write_text(
        "def mnnconvert(words):\n    print('this one converts nothing')\n    return True\n"
    )
    (folder / "mnn-3.5.0.dist-info").mkdir()
    (folder / "mnn-3.5.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: MNN\nVersion: 3.5.0\n")
    (folder / "complete").touch()
    return folder


def test_what_is_worse_ends_with_1_and_each_model_is_told(release: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert release.exists()
    onnx.save(detector(), "detector.onnx")
    Path("damaged.onnx").write_bytes(b"\x08\x08")
    assert main(["upgrade", "--to", "3.5.0", "--output-format", "json", "detector.onnx"]) == 1
    captured = capsys.readouterr()
    assert "MNN 3.5.0: converting 1 model\n" in captured.err
    (found,) = json.loads(captured.out)["results"]
    assert (found["before"], found["now"], found["was"]) == (f"MNN {INSTALLED}", "MNN 3.5.0", "equal")
    assert found["worse"] == ["no file is published any more: not-converted"]
    Path("numpy.py").write_text("raise SystemExit('imported from the working directory')")
    assert main(["upgrade", "--from", "3.5.0", "--to", str(INSTALLED), "-q", "detector.onnx", "damaged.onnx"]) == 2
    out = capsys.readouterr().out
    assert "detector.onnx: changed (was not-converted, is equal)" in out
    assert "error[MNN090] unreadable-model" in out
    assert f"1 model under MNN {INSTALLED} against MNN 3.5.0: 1 changed" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--from", "3.5.0", "--to", "3.5.0", "a.onnx"], "both releases are 3.5.0"),
        (["--from", "0.2.0.4", "a.onnx"], "MNN 0.2.0.4 cannot be run here"),
        (["--from", "99", "a.onnx"], "unknown MNN version: 99"),
        (["--from", "3.5.0"], "MODEL is missing"),
    ],
)
def test_what_does_not_fit_is_an_error(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["upgrade", *words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert "hint: " in error


def test_a_model_that_is_missing_is_told_before_anything_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert main(["upgrade", "--from", "3.5.0", "none.onnx"]) == 2
    assert "no such file" in capsys.readouterr().out
    assert not (tmp_path / "cache").exists()


def test_pip_that_finds_nothing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(RunnerError, match=r"pip cannot install MNN 3\.4\.1 for this Python: ERROR: "):
        release_folder("3.4.1")
    assert not [each for each in (tmp_path / "mnncompat" / "releases").iterdir() if each.suffix != ".lock"]


def test_the_installed_release_needs_no_folder() -> None:
    assert release_folder(str(INSTALLED)) is None


def test_findings_that_only_one_release_has_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mnncompat.cli.upgrade import _findings

    monkeypatch.chdir(tmp_path)
    text = '<ir_version: 8, opset_import: ["" : 13]> g (float[2,4] x) => (float[8] y) { y = Unique<sorted=1>(x) }'
    onnx.save(onnx.parser.parse_model(text), "unique.onnx")
    gone, new = _findings(Path("unique.onnx"), "3.5.0", "3.6.1")
    assert "MNN614" in {each.code for each in gone}
    assert "MNN614" not in {each.code for each in new}
    onnx.save(head(), "head.onnx")
    assert _findings(Path("head.onnx"), "3.5.0", "3.6.1") == ((), ())
