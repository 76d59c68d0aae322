"""For test suites: a model converts, and the file computes what the model computes.

from mnncompat.testing import assert_converts

def test_detector_deploys(mnn_converts):          # the fixture of the pytest plugin; or assert_converts itself
result = mnn_converts("detector.onnx", tolerance=1e-3)
assert result.bytes < 5_000_000
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import ModelProto

    from mnncompat.converting.converted import Converted


def assert_converts(
    model: Path | str | ModelProto, out: Path | str | None = None, *, tolerance: float | None = None, **options: Any
) -> Converted:
    """Assert that MNN converts a model into a file that is proven to compute what the model computes.

    Args:
        model: Path of an ONNX file, or a model in memory.
        out: Where the `.mnn` file goes; None writes none.
        tolerance: Relative tolerance of all outputs; None for the default.
        options: Others of `mnncompat.convert`, such as ``accept=["one-size"]`` or ``inputs=...``.

    Returns:
        The conversion, with `parity`, `ops`, `bytes`.

    Raises:
        AssertionError: It does not; the message is the report of `mnncompat convert`.
        MnncompatError: The work could not be done, e.g. `ModelError` for a model that cannot be read.
    """
    from mnncompat.converting.api import convert
    from mnncompat.converting.converted import Converted
    from mnncompat.parity import FLOAT32
    from mnncompat.report import OutputFormat, render

    if tolerance is not None:
        options["tolerance"] = replace(FLOAT32, rtol=tolerance)
    result = convert(model, out, **options)
    if isinstance(result, Converted):
        return result
    raise AssertionError("\n" + render([result], OutputFormat.TEXT))
