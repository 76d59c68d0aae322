"""What was found about preprocessing: whether an application that does what is declared feeds what the training fed."""

from __future__ import annotations

from dataclasses import dataclass

MOST_LEVELS = 2.01
"""Rounding to 8 bits, in MNN and in the reference, is one level; MNN's gray is two levels off ITU-R 601-2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessReport:
    """The preprocessing of one input.

    Differences are told in levels of 8 bits: what one more in a pixel makes.

    Attributes:
        input: Name of the input.
        steps: What is declared, as `--preprocess` takes it.
        images: Number of images that were tried.
        resizes_before: Whether the code resizes before MNN's ImageProcess, which has no such filter.
        levels: The largest difference between ImageProcess and the declared steps; None if it was not run.
        transform: The training transform, as the user named it; empty if there is none.
        transform_levels: The largest difference between the declared steps and the transform; None without one, or if
            their sizes differ.
        faults: In what the transform, or ImageProcess, differs from the declared steps, in words.
        problem: Why something could not be tried; empty if nothing.
    """

    input: str
    steps: str
    images: int
    resizes_before: bool = False
    levels: float | None = None
    transform: str = ""
    transform_levels: float | None = None
    faults: tuple[str, ...] = ()
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Whether all give the same, up to rounding to 8 bits."""
        told = [self.levels, *([self.transform_levels] if self.transform else [])]
        return not self.faults and not self.problem and all(each is not None and each <= MOST_LEVELS for each in told)
