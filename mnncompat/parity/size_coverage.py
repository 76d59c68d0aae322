"""At which sizes the dynamic dimensions of a model were compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnncompat.results.proof_strength import BATCH_SIZES, OTHER_SIZES, SizeCoverage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mnncompat.parity.signature import InputSpec
    from mnncompat.results.parity_report import ParityReport


def places(
    signature: Sequence[InputSpec], dimensions: Mapping[str, Mapping[int, str]]
) -> dict[str, list[tuple[InputSpec, int]]]:
    """Where the dynamic dimensions stand: by name, inputs and axes.

    Args:
        signature: The inputs. A size that it states is not dynamic.
        dimensions: Input -> its dynamic dimensions by axis, see `SymbolicShapes`.
    """
    found: dict[str, list[tuple[InputSpec, int]]] = {}
    for spec in signature:
        for axis, name in dimensions.get(spec.name, {}).items():
            if spec.shape is None or not isinstance(spec.shape[axis], int):
                found.setdefault(name, []).append((spec, axis))
    return found


def title(name: str, where: Sequence[tuple[InputSpec, int]]) -> str:
    """What to call a dimension: its name, or input and axis."""
    spec, axis = where[0]
    return name if spec.shape is not None and spec.shape[axis] == name else f"{spec.name} axis {axis}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """A dynamic dimension.

    Attributes:
        title: See `title`.
        places: Where it stands: inputs and axes.
        needed: At how many sizes it has to be compared.
        settled: Why it has no other sizes; empty if it has, or that is not known.
    """

    title: str
    places: tuple[tuple[str, int], ...]
    needed: int
    settled: str = ""


def dimensions_of(
    where: Mapping[str, Sequence[tuple[InputSpec, int]]], settled: Mapping[str, str]
) -> tuple[Dimension, ...]:
    """The dynamic dimensions.

    Args:
        where: See `places`.
        settled: Why a dimension has no other sizes, by its name.
    """
    return tuple(
        Dimension(
            title=title(name, found),
            places=tuple((spec.name, axis) for spec, axis in found),
            needed=BATCH_SIZES if is_batch(found) else OTHER_SIZES,
            settled=settled.get(name, ""),
        )
        for name, found in where.items()
    )


def coverage(report: ParityReport, dimensions: Sequence[Dimension]) -> tuple[SizeCoverage, ...]:
    """The sizes of each dynamic dimension in the draws that prove something.

    Args:
        report: What was compared.
        dimensions: Those of the model.
    """
    shapes = list(_proving(report))
    return tuple(
        SizeCoverage(
            dimension=each.title,
            inputs=tuple(dict.fromkeys(name for name, _ in each.places)),
            sizes=tuple(sorted({shape[name][axis] for shape in shapes for name, axis in each.places})),
            needed=each.needed,
            settled=each.settled,
        )
        for each in dimensions
    )


def is_batch(where: Sequence[tuple[InputSpec, int]]) -> bool:
    """Whether a dimension is the batch: the first axis of the first input that has it."""
    return bool(where) and where[0][1] == 0


def _proving(report: ParityReport) -> Iterator[Mapping[str, tuple[int, ...]]]:
    """The shapes of the draws in which every output agrees, none is inconclusive, and something was compared."""
    if report.failures:
        return
    for place, shapes in enumerate(report.shapes):
        found = [output.comparisons[place] for output in report.outputs]
        agree = all(each.passed and not each.inconclusive for each in found)
        if agree and any(each.compared for each in found):
            yield shapes
