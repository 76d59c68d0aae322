"""Rows that are about one precision or architecture: whom they concern, and how `check` and `fix` ask for it."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from mnncompat import check
from mnncompat.checking.checker import check_model
from mnncompat.cli import main
from mnncompat.errors import UsageError
from mnncompat.graph.model_file import from_proto
from mnncompat.support.deployment import limits_in_words
from mnncompat.support.table import SupportTable
from mnncompat.support.target import Target

MODEL = onnx.parser.parse_model('<ir_version: 8, opset_import: ["": 17]> g (float[2] x) => (float[2] y) { y = Abs(x) }')
ROWS = """
[[support]]
code = "MNN701"
name = "everywhere"
mnn = ">=3.0"
status = "wrong"
reason = "a"
when = {}
evidence = ["measured: x"]

[[support]]
code = "MNN702"
name = "half"
mnn = ">=3.0"
arch = ["aarch64"]
precision = ["low"]
status = "partial"
reason = "b"
when = {}
evidence = ["measured: x"]
"""


@pytest.fixture
def table(tmp_path: Path) -> SupportTable:
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops" / "Abs.toml").write_text(ROWS)
    (tmp_path / "graph.toml").write_text(
        '[[graph]]\ncode = "MNN011"\nname = "n"\nmnn = "<1"\nfind = "training-op"\nstatus = "wrong"\nreason = "r"\n'
        'evidence = ["measured: x"]\n'
    )
    return SupportTable(tmp_path)


@pytest.mark.parametrize(
    ("arch", "precision", "codes"),
    [
        (None, "high", ["MNN701"]),
        (None, "low", ["MNN701", "MNN702"]),
        ("aarch64", "low", ["MNN701", "MNN702"]),
        ("aarch64", "normal", ["MNN701"]),
        ("x86_64", "low", ["MNN701"]),
    ],
)
def test_a_row_concerns_who_deploys_there(
    table: SupportTable, arch: str | None, precision: str, codes: list[str]
) -> None:
    found = check_model(from_proto(MODEL), mnn_version="3.6.1", arch=arch, precision=precision, table=table)
    assert [each.code for each in found.diagnostics] == codes
    target = Target("3.6.1", arch=arch, precision=precision, table=table)
    view = target.table.rows("Abs")
    assert [row.code for row in view if target.concerns(row)] == codes


def test_the_message_says_where(table: SupportTable) -> None:
    found = check_model(from_proto(MODEL), mnn_version="3.6.1", precision="low", table=table)
    assert [each.message for each in found.diagnostics] == ["a", "b (on aarch64 with precision low)"]
    assert limits_in_words((), ()) == ""
    assert limits_in_words((), ("normal", "low")) == "with precision normal or low"


def test_there_are_three_precisions(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    onnx.save(MODEL, tmp_path / "m.onnx")
    with pytest.raises(UsageError, match="unknown precision: half"):
        check(MODEL, precision="half")
    for words in (["check", str(tmp_path / "m.onnx")], ["fix", str(tmp_path / "m.onnx"), "--diff"]):
        assert main([*words, "--precision", "half"]) == 2
        assert main([*words, "--arch", "mips"]) == 2
        assert main([*words, "--precision", "low", "--arch", "aarch64"]) == 0
    said = capsys.readouterr().err
    assert "unknown precision: half" in said
    assert "unknown architecture: mips" in said


def test_a_project_says_what_it_deploys_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx.save(MODEL, tmp_path / "m.onnx")
    (tmp_path / "pyproject.toml").write_text('[tool.mnncompat]\nprecision = "half"\n')
    monkeypatch.chdir(tmp_path)
    assert main(["check", "m.onnx"]) == 2
    assert "unknown precision: half" in capsys.readouterr().err
    (tmp_path / "pyproject.toml").write_text('[tool.mnncompat]\nprecision = "low"\n')
    assert main(["check", "m.onnx"]) == 0
