"""What test suites of others use."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import onnx
import pytest
from models import head, model_of
from onnx import helper

import mnncompat
from mnncompat.testing import assert_converts


def refused() -> onnx.ModelProto:
    """A model that draws random numbers: MNN has no operator for it, and no rewrite can express it."""
    node = helper.make_node("Bernoulli", ["x"], ["y"], dtype=1)
    return model_of([node], {"x": [1, 4]}, {"y": [1, 4]}, {}, opset=15)


def test_what_converts_has_its_parity(tmp_path: Path) -> None:
    result = assert_converts(head(), tmp_path / "head.mnn", seed=3)
    assert result.parity.passed
    assert result.out == tmp_path / "head.mnn"
    assert result.bytes == result.out.stat().st_size
    assert isinstance(result, mnncompat.Converted)


def test_what_does_not_convert_fails_with_the_report() -> None:
    with pytest.raises(AssertionError, match="Bernoulli"):
        assert_converts(refused())
    assert not isinstance(mnncompat.convert(refused(), None), mnncompat.Converted)


def test_a_tolerance_that_is_too_small_fails() -> None:
    with pytest.raises(AssertionError, match="too far off"):
        assert_converts(head(), tolerance=1e-12)


def test_the_fixture_is_there_without_being_imported(tmp_path: Path, repository: Path) -> None:
    onnx.save(head(), tmp_path / "head.onnx")
    (tmp_path / "test_model.py").write_text(
        textwrap.dedent(
            """
            import sys

            def test_nothing_is_imported():
                assert not {"onnx", "numpy", "MNN", "onnxruntime"} & set(sys.modules)

            def test_converts(mnn_converts):
                assert mnn_converts("head.onnx", power=False).ops
            """
        )
    )
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
    words += [] if _is_installed_here(repository) else ["-p", "mnncompat.testing.plugin"]
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def _is_installed_here(repository: Path) -> bool:
    """Whether the installed distribution has the entry point: a checkout that was installed earlier has not."""
    from importlib.metadata import distribution

    found = distribution("mnncompat")
    assert repository.exists()
    return any(each.group == "pytest11" for each in found.entry_points)


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert mnncompat.__version__ == version("mnncompat")
    with pytest.raises(AttributeError):
        _ = mnncompat.nothing
