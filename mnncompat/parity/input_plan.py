"""One way to feed a model: sizes and the domains of its inputs, and the draws that follow from them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.errors import UsageError
from mnncompat.inference.domain_claims import Kind
from mnncompat.inference.input_domains import Domain
from mnncompat.parity.bfloat16 import rounded
from mnncompat.parity.float_limits import float_limits
from mnncompat.parity.sampling import DRAWS, MILDEST, describe, sample
from mnncompat.results.parity_report import InputAssumption

if TYPE_CHECKING:
    from mnncompat.graph.view import GraphView
    from mnncompat.parity.signature import InputSpec

GIVEN = "given"
"""Name of the draw when the user gave every input."""
CONSTANT = "constant"
"""Name of the draw of a model without inputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFeeds:
    """One draw.

    Attributes:
        name: What reports call it: the draw, and the batch size when there are several.
        arrays: Input name -> array, in the declared dtype.
    """

    name: str
    arrays: dict[str, np.ndarray]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Input name -> shape."""
        return {name: array.shape for name, array in self.arrays.items()}


@dataclass(slots=True, kw_only=True)
class InputPlan:
    """One way to feed a model.

    Attributes:
        view: The main graph.
        signature: The inputs.
        sizes: Of the dynamic dimensions.
        shapes: Input -> shape at these sizes.
        domains: Input -> what its values are; those that a runtime's words correct are corrected in place.
        arrays: What the user gave.
        seed: Every input and draw has a stream of its own, so that adding an input does not change the others.
        estimate: Bytes that a run is estimated to take.
        bound: Bytes that a run may take at most; None where the user said all sizes.
        mildness: How often a draw was made milder, see `mnncompat.parity.sampling`.
        corrected: Inputs whose domain a runtime's words corrected.
        relations: Input -> what the graph requires of its sizes, in words.
    """

    view: GraphView
    signature: Sequence[InputSpec]
    sizes: Mapping[str, int]
    shapes: Mapping[str, tuple[int, ...]]
    domains: dict[str, Domain]
    arrays: Mapping[str, np.ndarray]
    seed: int
    estimate: int = 0
    bound: int | None = None
    mildness: dict[str, int] = field(default_factory=dict)
    corrected: set[str] = field(default_factory=set)
    relations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def feeds(self, draws: Sequence[str] = DRAWS, *, suffix: str = "") -> list[NamedFeeds]:
        """The draws; a single one where nothing is left to draw.

        Args:
            draws: Names of the draws wanted.
            suffix: Added to their names.

        Raises:
            UsageError: An input of a type that cannot be drawn is not given.
        """
        free = [spec for spec in self.signature if spec.name not in self.arrays]
        if not free:
            draws = [GIVEN if self.signature else CONSTANT]
        return [
            NamedFeeds(
                name=f"{draw}{suffix}",
                arrays=dict(self.arrays) | {s.name: self._drawn(s, draw, is_first=not suffix) for s in free},
            )
            for draw in draws
        ]

    def milder(self, draw: str) -> bool:
        """Make a draw less likely to overflow; False if it is as mild as can be."""
        if self.mildness.get(draw, 0) >= MILDEST or draw not in DRAWS:
            return False
        self.mildness[draw] = self.mildness.get(draw, 0) + 1
        return True

    def assumptions(self) -> tuple[InputAssumption, ...]:
        """What is assumed of each input that is drawn, and why."""
        return tuple(
            InputAssumption(
                name=spec.name,
                dtype="" if spec.dtype is None else spec.dtype.name,
                shape=self.shapes[spec.name],
                values=describe(self.domains[spec.name]),
                reasons=self.domains[spec.name].reasons,
                relations=self.relations.get(spec.name, ()),
            )
            for spec in self.signature
            if spec.name not in self.arrays and spec.name in self.domains
        )

    def _drawn(self, spec: InputSpec, draw: str, *, is_first: bool) -> np.ndarray:
        """Values of an input; states of other sizes than the first are not zeros, so that their order is seen."""
        if spec.dtype is None:
            raise UsageError(
                f"input {spec.name!r} is of a type that cannot be drawn at random",
                hint="only tensors of floats, integers and booleans can be fed",
            )
        random = np.random.default_rng([self.seed, zlib.crc32(spec.name.encode()), DRAWS.index(draw)])
        mild, domain = self.mildness.get(draw, 0), self.domains[spec.name]
        form = "large" if domain.kind is Kind.STATE and not is_first else draw
        values = sample(domain, self.shapes[spec.name], form, random, mild=mild)
        if spec.dtype.kind in "iu":
            limits = np.iinfo(spec.dtype)
            values = np.clip(values, limits.min, limits.max)
        elif spec.dtype.kind == "f":
            most = float(float_limits(spec.dtype).max)
            values = np.clip(values, -most, most)
        drawn = np.asarray(values).astype(spec.dtype)
        return rounded(drawn) if spec.is_bfloat16 else drawn
