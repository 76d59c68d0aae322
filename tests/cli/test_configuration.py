"""The effect of `[tool.mnncompat]` on commands that know only some of its keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnncompat import UsageError, fix
from mnncompat.checking import rule_catalog as catalog
from mnncompat.cli import main
from mnncompat.fixing.selection import choose_rewrites
from mnncompat.support.releases import installed_version, releases, require_installed


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file to write; the working directory is beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "pyproject.toml"


def write(file: Path, *lines: str) -> None:
    file.write_text("\n".join(["[tool.mnncompat]", *lines, ""]))


def older() -> str:
    """A release that is not the installed one."""
    return next(release for release in reversed(releases().dates) if release != installed_version())


@pytest.mark.parametrize("entry", ["MNN220", "MNN2", "MNN010", "unmeasured-op", "MNN004", "MNN091"])
def test_fix_and_convert_take_rules_that_are_no_rewrites(
    configured: Path, tutorial: Path, entry: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(configured, f'ignore = ["{entry}"]')
    assert main(["fix", str(tutorial), "-o", "fixed.onnx", "--no-verify"]) == 0
    assert "MNN801" in capsys.readouterr().out


def test_convert_takes_them_too(configured: Path, tutorial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(configured, 'ignore = ["MNN220"]')
    assert main(["convert", str(tutorial), "--dry-run", "-q"]) == 0
    assert "by fully-connected-to-convolution" in capsys.readouterr().out


def test_selecting_other_rules_selects_no_rewrite(
    configured: Path, tutorial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(configured, 'select = ["MNN220"]')
    assert main(["fix", str(tutorial), "-o", "fixed.onnx"]) == 0
    capsys.readouterr()
    assert Path("fixed.onnx").read_bytes() == tutorial.read_bytes()
    assert not fix(tutorial, select=["MNN220"]).changed


@pytest.mark.parametrize("command", ["fix", "convert"])
def test_unknown_words_are_still_refused(
    configured: Path, tutorial: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(configured, 'ignore = ["MNN999", "MNN220"]')
    assert main([command, str(tutorial), "-o", "out"]) == 2
    assert "'MNN999'" in capsys.readouterr().err
    assert not Path("out").exists()


def test_a_finding_chooses_its_remedy_and_a_result_none() -> None:
    every = choose_rewrites(is_rule=catalog.is_rule)
    assert choose_rewrites(ignore=["MNN220"], is_rule=catalog.is_rule) == every
    assert choose_rewrites(select=["MNN091"], is_rule=catalog.is_rule) == ()
    assert "softmax-axis" in {rewrite.name for rewrite in choose_rewrites(select=["MNN220"], is_rule=catalog.is_rule)}
    with pytest.raises(UsageError, match="MNN091"):
        choose_rewrites(select=["MNN091"])


@pytest.mark.parametrize("option", [["--probe"], ["--backend", "nnapi"]])
def test_the_installed_release_in_the_configuration_is_no_conflict(
    configured: Path, tutorial: Path, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    write(configured, f'mnn = "{installed_version()}"')
    assert main(["check", str(tutorial), *option, "--fail-on", "error"]) == 0
    assert main(["check", str(tutorial), *option, "--fail-on", "error", "--mnn", f"{installed_version()}"]) == 0
    assert f"(MNN {installed_version()})" in capsys.readouterr().out


@pytest.mark.parametrize("option", [["--probe"], ["--backend", "nnapi"]])
def test_another_release_in_the_configuration_is_named_as_such(
    configured: Path, tutorial: Path, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    write(configured, f'mnn = "{older()}"')
    assert main(["check", str(tutorial), *option]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith(f"error: {option[0]} measures the installed MNN, {installed_version()}, not {older()}")
    assert f'[tool.mnncompat] in pyproject.toml has mnn = "{older()}"' in error
    assert f"add --mnn {installed_version()}" in hint
    assert main(["check", str(tutorial), *option, "--mnn", f"{installed_version()}", "--fail-on", "error"]) == 0


def test_another_release_on_the_command_line_is_not_blamed_on_the_configuration(
    configured: Path, tutorial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(configured, f'mnn = "{installed_version()}"')
    assert main(["check", str(tutorial), "--backend", "nnapi", "--mnn", older()]) == 2
    written = capsys.readouterr().err
    assert "leave out --mnn" in written
    assert "pyproject" not in written


def test_no_release_is_no_conflict() -> None:
    require_installed(None, "--probe")
    require_installed(installed_version(), "--probe", configured=True)
    with pytest.raises(UsageError, match="unknown MNN version"):
        require_installed("99.0", "--probe")


@pytest.mark.parametrize("line", ['backend = "nnapi"', 'backend = ["nope"]'])
def test_a_backend_that_does_not_fit_is_refused(
    configured: Path, tutorial: Path, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(configured, line)
    assert main(["check", str(tutorial)]) == 2
    assert "backend" in capsys.readouterr().err


UNASKED = (
    "export",
    "feeds",
    "metric",
    "transform",
    "python",
    "ssh",
    "output",
    "in-place",
    "in_place",
    "save-data",
    "input",
)


@pytest.mark.parametrize("key", UNASKED)
@pytest.mark.parametrize("value", ['"evil.py:run"', '["evil.py:run"]', "true"])
def test_a_repository_cannot_make_it_run_code_or_write_files(
    configured: Path, tutorial: Path, key: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (configured.parent / "evil.py").write_text("import pathlib\npathlib.Path('ran').touch()\ndef run(): return []\n")
    write(configured, f"{key} = {value}")
    for command in (
        ["check", str(tutorial)],
        ["convert", str(tutorial), "--dry-run"],
        ["fix", str(tutorial), "--diff"],
    ):
        assert main(command) == 2
        assert f"'{key}' may not be in [tool.mnncompat]" in capsys.readouterr().err
    assert not (configured.parent / "ran").exists()


@pytest.mark.parametrize(
    "text", ["tool = 1", "[tool]\nmnncompat = 3 # tool.mnncompat", "# tool.mnncompat\nx = " + "[" * 9999]
)
def test_a_damaged_file_is_a_message(
    configured: Path, tutorial: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configured.write_text(f"{text}\n# tool.mnncompat\n")
    status = main(["check", str(tutorial), "--fail-on", "never"])
    captured = capsys.readouterr()
    assert "internal error" not in captured.err
    assert status == (0 if text == "tool = 1" else 2)


def test_values_of_the_file_are_checked_as_on_the_command_line(
    configured: Path, tutorial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(configured, "seed = -1")
    assert main(["convert", str(tutorial), "--dry-run", "-q"]) == 2
    assert "-1" in capsys.readouterr().err
