"""A conversion whose file was proven: a type that has what every such result has."""

from __future__ import annotations

from dataclasses import dataclass, fields

from mnncompat.converting.pipeline import Conversion
from mnncompat.results.outcomes import Verdict
from mnncompat.results.parity_report import ParityReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted(Conversion):
    """A conversion with `Verdict.CONVERTED`.

    Attributes:
        parity: ONNX Runtime on the original against MNN on the file.
    """

    parity: ParityReport


def narrowed(result: Conversion) -> Conversion:
    """The same result; a `Converted` if it is one."""
    if result.verdict is not Verdict.CONVERTED or result.parity is None:
        return result
    return Converted(**{each.name: getattr(result, each.name) for each in fields(result)})
