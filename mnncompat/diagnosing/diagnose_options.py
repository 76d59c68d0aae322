"""How to diagnose: what `diagnose` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mnncompat.diagnosing.draws import Drawing
from mnncompat.diagnosing.tracing import TraceRunner
from mnncompat.mnn import ConvertOptions, Held, Limits
from mnncompat.parity import FLOAT32

if TYPE_CHECKING:
    from mnncompat.mnn.request import Performer
    from mnncompat.parity import Tolerance

Progress = Callable[[str], None]
"""Called with one line at the start of each step."""
MakeRunner = Callable[[Path, Limits, "Performer"], TraceRunner]
"""Makes what runs a file: its path, what it may use, and what carries out requests on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnoseOptions:
    """How to diagnose.

    Attributes:
        drawing: How inputs are chosen.
        converter: Options of the conversion; of a given file, those that it was made with, as far as they are known.
        limits: What each of MNN's processes may use.
        inner: Tolerance of values inside the model.
        inputs: How MNN holds the inputs of a body, of which its file says nothing.
        repro: Folder for a repro of the first culprit; None for none.
        make_runner: Makes what runs the file, by default MNN on this machine.
    """

    drawing: Drawing
    converter: ConvertOptions
    limits: Limits
    inner: Tolerance = FLOAT32
    inputs: Mapping[str, Held] = field(default_factory=dict)
    repro: Path | None = None
    make_runner: MakeRunner | None = None
