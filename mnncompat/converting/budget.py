"""What a converted file may take where it is deployed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnncompat.report.measures import size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnncompat.results.outcomes import ConvertResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits of a file; None where there is none.

    Attributes:
        max_bytes: Of the file and of the weights beside it.
        max_ops: Number of ops, those of subgraphs included, `Input` and `Const` too.
        max_latency_ratio: Of the time of a run to that of the file that the model makes without the rewrites.
    """

    max_bytes: int | None = None
    max_ops: int | None = None
    max_latency_ratio: float | None = None

    def exceeded(self, result: ConvertResult) -> tuple[str, ...]:
        """What a conversion exceeds, in words; empty if it keeps to everything.

        Args:
            result: A conversion that was proven, and timed if the latency is limited.
        """
        return tuple(self._exceeded(result))

    def _exceeded(self, result: ConvertResult) -> Iterator[str]:
        ops = sum(result.ops.values())
        if self.max_bytes is not None and result.bytes > self.max_bytes:
            yield f"{size(result.bytes)}, and {size(self.max_bytes)} are allowed"
        if self.max_ops is not None and ops > self.max_ops:
            yield f"{ops} ops, and {self.max_ops} are allowed"
        if self.max_latency_ratio is None:
            return
        ratio = _latency_ratio(result)
        if ratio is None:
            reason = "" if result.latency is None else result.latency.reason
            yield f"the ratio of the latencies was not measured{f': {reason}' if reason else ''}"
        elif ratio > self.max_latency_ratio:
            allowed = f"and {self.max_latency_ratio:g} are allowed"
            yield f"a run takes {ratio:.2f} times as long as without the rewrites, {allowed}"


def _latency_ratio(result: ConvertResult) -> float | None:
    """Of a run to one without the rewrites: 1 if there were none; None if it was not measured."""
    if result.fix is None or not result.fix.changed:
        return 1.0
    return None if result.latency is None or not result.latency.ratio else 1 / result.latency.ratio


UNLIMITED = Budget()
