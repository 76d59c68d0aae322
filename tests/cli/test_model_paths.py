"""Which models folders and patterns name."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import onnx
import pytest
from test_bad_input import linear

from mnncompat.cli import main, standard_input
from mnncompat.errors import UsageError
from mnncompat.files.model_paths import is_excluded, model_files

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Models in folders; the working directory is the one above."""
    names = (
        *("models/m1.onnx", "models/m2.onnx", "models/m10.onnx", "models/old/m3.onnx", "models/sub/deep/m4.onnx"),
        *(".venv/lib/other.onnx", "models/.cache/m5.onnx", "node_modules/m6.onnx", "models/notes.txt"),
        "models/m1.onnx.data",
    )
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(linear().SerializeToString())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*given: str, exclude: tuple[str, ...] = ()) -> list[str]:
    return [path.as_posix() for path in model_files([Path(each) for each in given], exclude=exclude)]


def test_a_folder_names_its_models_in_natural_order(tree: Path) -> None:  # noqa: ARG001
    everything = [f"models/{name}.onnx" for name in ("m1", "m2", "m10", "old/m3", "sub/deep/m4")]
    assert found("models") == found(".") == everything
    assert found("models/m2.onnx", "models") == ["models/m2.onnx", *(each for each in everything if "m2" not in each)]
    assert found("models/m1.onnx", "./models/m1.onnx") == ["models/m1.onnx"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("models/*.onnx", ["m1", "m2", "m10"]),
        ("models/**/*.onnx", ["m1", "m2", "m10", "old/m3", "sub/deep/m4"]),
        ("models/*", ["m1", "m2", "m10", "old/m3", "sub/deep/m4"]),
        ("models/m[12].onnx", ["m1", "m2"]),
        ("models/s*", ["sub/deep/m4"]),
    ],
)
def test_a_pattern_names_what_it_matches(tree: Path, pattern: str, names: list[str]) -> None:  # noqa: ARG001
    assert found(pattern) == [f"models/{name}.onnx" for name in names]


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (("old",), ["m1", "m2", "m10", "sub/deep/m4"]),
        (("old/", "m1*"), ["m2", "sub/deep/m4"]),
        (("models/*.onnx",), ["old/m3", "sub/deep/m4"]),
        (("sub/deep/m4.onnx",), ["m1", "m2", "m10", "old/m3"]),
        (("dels/m1.onnx", "m"), ["m1", "m2", "m10", "old/m3", "sub/deep/m4"]),
    ],
)
def test_what_is_excluded_is_left_out(tree: Path, patterns: tuple[str, ...], names: list[str]) -> None:  # noqa: ARG001
    assert found("models", exclude=patterns) == [f"models/{name}.onnx" for name in names]


def test_a_file_that_is_named_is_taken(tree: Path) -> None:  # noqa: ARG001
    assert found("models/old/m3.onnx", exclude=("old",)) == ["models/old/m3.onnx"]
    assert found("models/notes.txt", "nowhere.onnx") == ["models/notes.txt", "nowhere.onnx"]
    assert is_excluded(Path("models/old/m3.onnx"), ["old"])


def test_a_name_with_brackets_is_a_name(tree: Path) -> None:
    (tree / "a[1].onnx").write_bytes(linear().SerializeToString())
    assert found("a[1].onnx") == ["a[1].onnx"]


@pytest.mark.parametrize(
    ("given", "told"), [("empty", "has no .onnx files"), ("models/*.bin", "no .onnx file matches")]
)
def test_nothing_found_is_an_error(tree: Path, given: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "empty").mkdir()
    with pytest.raises(UsageError, match=told):
        found(given)
    assert main(["check", given]) == 2
    assert told in capsys.readouterr().err


def test_links_are_models_but_folders_behind_links_are_not_searched(tree: Path) -> None:
    (tree / "models" / "linked.onnx").symlink_to(tree / "node_modules" / "m6.onnx")
    (tree / "models" / "again").symlink_to(tree / "models")
    assert "models/linked.onnx" in found("models")
    assert not any("again" in each for each in found("models"))


def test_what_git_ignores_is_left_out(tree: Path) -> None:
    git = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(["git", "init", "-q", "."], check=True, env=os.environ | git)
    (tree / ".gitignore").write_text("old/\nm2.onnx\n")
    left = [f"models/{name}.onnx" for name in ("m1", "m10", "sub/deep/m4")]
    assert found("models") == left
    assert [Path(each).relative_to(tree).as_posix() for each in found(str(tree / "models"))] == left
    assert found("models/m2.onnx") == ["models/m2.onnx"]


def test_check_of_a_folder_has_one_summary(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "models", "--exclude", "old"]) == 0
    assert "4 models: no findings" in capsys.readouterr().out
    for number in range(9):
        (tree / "models" / f"pointer{number}.onnx").write_text(POINTER)
    assert main(["check", "models"]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("error: ") == 3
    assert "... and others: is a Git LFS pointer" in captured.err
    assert "9 of 14 models could not be worked on" in captured.err
    assert captured.out.count("MNN090") == 9


def test_the_configuration_excludes(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "pyproject.toml").write_text('[tool.mnncompat]\nexclude = ["old", "m1*"]\n')
    assert main(["check", "models"]) == 0
    assert "2 models: no findings" in capsys.readouterr().out


def test_a_file_of_weights_stands_for_its_models(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = "shared.onnx.data"
    onnx.save_model(linear(), tree / "w1.onnx", save_as_external_data=True, location=data, size_threshold=0)
    (tree / "w2.onnx").write_bytes((tree / "w1.onnx").read_bytes())
    (tree / "other.onnx.data").write_bytes(b"x")
    assert main(["check", "shared.onnx.data", "w1.onnx", "other.onnx.data"]) == 0
    captured = capsys.readouterr()
    assert "2 models: no findings" in captured.out
    assert "other.onnx.data: no model beside it has its weights there" in captured.err


def test_standard_input_is_a_model(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for data, status, told in ((linear().SerializeToString(), 0, "-: no findings"), (b"", 2, "the file is empty")):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert main(["check", "-"]) == status
        captured = capsys.readouterr()
        assert told in captured.out
        assert "model.onnx" not in captured.out + captured.err
    assert sorted(each.name for each in tree.iterdir()) == [".venv", "models", "node_modules"]


class Endless(io.RawIOBase):
    """A stream that never ends, and counts what is read from it."""

    taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self.taken += len(buffer)
        return len(buffer)


def test_standard_input_is_read_as_far_as_a_model_may_go(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = Endless()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(source)))
    monkeypatch.setattr(standard_input, "LARGEST_BYTES", 3_000_000)
    assert main(["check", "-"]) == 2
    assert "-: standard input holds more than" in capsys.readouterr().err
    assert source.taken < 5_000_000


def test_a_name_that_begins_with_a_dash(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "-m.onnx").write_bytes(linear().SerializeToString())
    assert main(["check", "-m.onnx"]) == 2
    assert "hint: if -m.onnx is a file, write it after `--`, or as ./-m.onnx" in capsys.readouterr().err
    assert main(["check", "--", "-m.onnx"]) == 0
