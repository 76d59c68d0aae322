"""`mnncompat dev` writes what the tool itself can read, and says what is missing; only in a checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mnncompat
from mnncompat.cli import main, skeletons
from mnncompat.rewrites.index import all_rewrites, requested_rewrites
from mnncompat.support import rule_files


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this checkout, to be edited."""
    package = Path(mnncompat.__file__).parent
    shutil.copytree(package, tmp_path / "mnncompat", ignore=shutil.ignore_patterns("__pycache__", "_rules"))
    shutil.copytree(rule_files.root(), tmp_path / "rules", ignore=shutil.ignore_patterns("evidence"))
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from mnncompat.cli import run; run()", *arguments]
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)


def told(folder: Path, *arguments: str) -> str:
    done = run(folder, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_next_code_is_new_and_in_its_range(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["row"], ["row", "--op", "Conv"], ["rewrite"]):
        assert main(["dev", "next-code", *arguments]) == 0
    other, conv, rewrite = capsys.readouterr().out.split()
    used = {each.code for each in (*all_rewrites(), *requested_rewrites())}
    used |= {
        row.get("code")
        for file in rule_files.root().glob("ops/*.toml")
        for row in tomllib.loads(file.read_text())["support"]
    }
    assert used.isdisjoint((other, conv, rewrite))
    assert (other[:4], conv[:4], rewrite[:4] in ("MNN8", "MNN9")) == ("MNN6", "MNN1", True)


def test_a_retired_code_is_not_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    retired = tomllib.loads((rule_files.root() / "retired.toml").read_text())["retired"]
    assert retired
    assert skeletons._used() >= retired.keys()
    monkeypatch.setattr(skeletons, "_used", lambda: {f"MNN8{number:02}" for number in range(98)} | {"MNN899"})
    assert skeletons._free(("8",)) == "MNN898"


def test_a_row_is_read_and_says_what_it_needs(checkout: Path) -> None:
    file = checkout / "rules" / "ops" / "Gelu.toml"
    before = file.read_text()
    first = told(checkout, "dev", "new-row", "Gelu")
    second = told(checkout, "dev", "new-row", "Gelu")
    assert file.read_text().startswith(before)
    codes = [row["code"] for row in tomllib.loads(file.read_text())["support"][-2:]]
    assert int(codes[1][3:]) == int(codes[0][3:]) + 1
    assert f"row {codes[0]}\n" in first
    assert f"mnncompat probe --corpus rows --code {codes[1]}" in second
    assert "TODO: the cause" in told(checkout, "rule", codes[0])


def test_a_row_of_an_operator_without_a_file(checkout: Path) -> None:
    (checkout / "rules" / "ops" / "Gelu.toml").unlink()
    told(checkout, "dev", "new-row", "Gelu")
    assert tomllib.loads((checkout / "rules" / "ops" / "Gelu.toml").read_text())["support"][0]["status"] == "wrong"


def test_a_rewrite_is_found_and_says_what_it_needs(checkout: Path) -> None:
    arguments = ("dev", "new-rewrite", "gelu-by-tanh", "--family", "elementwise", "--op", "Gelu")
    assert "python -m pytest tests/rewrites/test_examples.py -k gelu-by-tanh" in told(checkout, *arguments)
    assert (checkout / "mnncompat" / "rewrites" / "elementwise" / "gelu_by_tanh.py").is_file()
    assert "TODO: what it does to Gelu" in told(checkout, "rule", "gelu-by-tanh")
    program = """
from mnncompat.rewrites.index import all_rewrites
(found,) = [each for each in all_rewrites() if each.name == "gelu-by-tanh"]
print(type(found).__name__, *(type(example.expected).__name__ for example in found.examples()), sep="|")
"""
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, cwd=checkout, check=True, capture_output=True, text=True)
    assert done.stdout == "GeluByTanh|Rewritten|Unchanged|Refused\n"
    again = run(checkout, *arguments)
    assert (again.returncode, "there is a rewrite 'gelu-by-tanh'" in again.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["next-code", "rule"], "there is no code for 'rule'"),
        (["new-row", "Nothing"], "ONNX has no operator 'Nothing'"),
        (["new-rewrite", "Some_Name", "--family", "shape"], "'Some_Name' is no name of a rewrite"),
        (["new-rewrite", "some-name", "--family", "nothing"], "there is no family 'nothing'"),
        (["new-rewrite", "some-name", "--family", "shape", "--op", "Nothing"], "ONNX has no operator 'Nothing'"),
    ],
)
def test_what_does_not_fit(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dev", *arguments]) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [["next-code"], ["new-row", "Gelu"], ["new-rewrite", "some-name", "--family", "shape"]]
)
def test_without_a_checkout_there_is_nothing_to_edit(command: list[str], checkout: Path) -> None:
    (checkout / "rules").rename(checkout / "mnncompat" / "_rules")
    done = run(checkout, "dev", *command)
    assert (done.returncode, done.stdout) == (2, "")
    assert "this mnncompat is installed without one" in done.stderr


def test_no_skeleton_is_left_as_it_was_written() -> None:
    files = [*rule_files.root().glob("ops/*.toml"), *(Path(mnncompat.__file__).parent / "rewrites").rglob("*.py")]
    unfinished = [file.name for file in files if "TODO: " in file.read_text()]
    assert not unfinished, f"`mnncompat dev` left a TODO in {unfinished}"


def test_check_does_not_import_it(tutorial: Path) -> None:
    program = """
import sys
from mnncompat.cli import main
main(["check", sys.argv[1]])
sys.exit("mnncompat.cli.dev" in sys.modules or "mnncompat.cli.skeletons" in sys.modules)
"""
    assert (
        subprocess.run([sys.executable, "-c", program, str(tutorial)], check=False, capture_output=True).returncode == 0
    )
