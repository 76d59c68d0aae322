"""How to diagnose: what `diagnose` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mnncompat.diagnosing.draws import Drawing
from mnncompat.mnn import ConvertOptions, Held, Limits
from mnncompat.parity import FLOAT32

if TYPE_CHECKING:
    from mnncompat.devices.device import Where
    from mnncompat.parity import Tolerance

Progress = Callable[[str], None]
"""Called with one line at the start of each step."""


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
        where: A device that runs the file, next to this machine; None for this machine alone.
        kept: Where a file that the model is converted into is copied to; None for nowhere.
    """

    drawing: Drawing
    converter: ConvertOptions
    limits: Limits
    inner: Tolerance = FLOAT32
    inputs: Mapping[str, Held] = field(default_factory=dict)
    repro: Path | None = None
    where: Where | None = None
    kept: Path | None = None
