"""The README's example of the Python API is checked by mypy and pyright; types say what a result certainly has."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from models import head

import mnncompat
from mnncompat.errors import UsageError


def test_what_the_type_checkers_see_is_what_the_documents_show(repository: Path) -> None:
    checked = (repository / "tests" / "docs" / "snippet.py").read_text().partition("\n\n")[2]
    for name in ("README.md", "docs/api.md"):
        assert f"```python\n{checked}```" in (repository / name).read_text()


def unproven(model: str) -> None:
    """Never called: without asking whether the file was published, `parity` may be None, and mypy says so."""
    result = mnncompat.convert(model, None)
    result.parity.outputs  # type: ignore[union-attr]  # noqa: B018
    if isinstance(result, mnncompat.Converted):
        result.parity.outputs  # noqa: B018


def test_check_takes_what_the_command_line_takes() -> None:
    model = head()
    everything = {each.code for each in mnncompat.check(model).diagnostics}
    assert everything == {"MNN801"}
    assert not mnncompat.check(model, ignore=["MNN8"]).diagnostics
    assert mnncompat.check(model, select=["fully-connected-to-convolution"]).diagnostics
    assert not mnncompat.check(model, select=["MNN1"]).diagnostics
    with pytest.raises(UsageError, match="no rule is called 'MNN9999'"):
        mnncompat.check(model, ignore=["MNN9999"])
    placed = mnncompat.check(model, backend="nnapi", ignore=["MNN801"])
    assert [each.backend for each in placed.backends] == ["nnapi"]
    with pytest.raises(UsageError, match="probe measures the installed MNN"):
        mnncompat.check(model, probe=True, mnn="3.0.0")


def test_check_measures_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    text = '<ir_version: 8, opset_import: ["" : 11]> g (float[2,3,4] x) => (float[2,3,4] y) { y = Softmax(x) }'
    model = onnx.parser.parse_model(text)
    (found,) = mnncompat.check(model, probe=True).diagnostics
    assert found.code == "MNN220"
    assert "measured on MNN" in found.message
