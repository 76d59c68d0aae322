"""Fixtures for everything that runs MNN or stands in for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from mnncompat.mnn import Limits

MIB = 1024 * 1024


@pytest.fixture
def limits() -> Limits:
    return Limits(seconds=60, memory_bytes=2048 * MIB)


@pytest.fixture
def short() -> Limits:
    return Limits(seconds=1, memory_bytes=512 * MIB, output_bytes=MIB)


@pytest.fixture
def fake() -> Callable[[str], list[str]]:
    """A command that stands in for the worker: isolated Python running the given source."""

    def command(source: str) -> list[str]:
        return [sys.executable, "-I", "-S", "-c", source]

    return command


@pytest.fixture
def onnx_file(tmp_path: Path) -> Callable[..., Path]:
    """Write an ONNX file from the graph's text, with named initializers of any array."""

    def write(graph: str, *, opset: int = 17, name: str = "model.onnx", **initializers: np.ndarray) -> Path:
        model = parser.parse_model(f'<ir_version: 9, opset_import: ["" : {opset}]>\n{graph}')
        model.graph.initializer.extend(numpy_helper.from_array(array, key) for key, array in initializers.items())
        path = tmp_path / name
        path.write_bytes(model.SerializeToString())
        onnx.checker.check_model(path)
        return path

    return write
