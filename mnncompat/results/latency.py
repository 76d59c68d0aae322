"""What `convert --time` measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long one run takes on this machine, on the CPU, by MNN's Module API.

    Attributes:
        rounds: How often each file had its turn; 0 if nothing was measured.
        threads: Of MNN.
        before: Median of the file that the model makes without the rewrites, in seconds; None if there is none.
        after: Median of the converted file, in seconds; None if nothing was measured.
        ratio: Median of the ratios before / after of neighbouring runs; None without `before`.
        shapes: Shapes of the inputs.
        reason: Why something was not measured; may be empty.
    """

    rounds: int
    threads: int
    before: float | None = None
    after: float | None = None
    ratio: float | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    reason: str = ""
