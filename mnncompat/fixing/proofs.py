"""The proofs that a transaction asks for: comparisons of the original with the rewritten model under ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mnncompat.errors import RunnerError
from mnncompat.graph.model_file import Model

if TYPE_CHECKING:
    from mnncompat.fixing.device_trial import Draws
    from mnncompat.parity import Given
    from mnncompat.results.parity_report import ParityReport

Prover = Callable[[Model, Model], "ParityReport"]
"""Compares the original with the rewritten model."""


class Proofs:
    """The comparisons of one call, all on the same inputs.

    Args:
        wanted: Whether anything is to be proven.
        shapes: Shapes of inputs, where they are dynamic.
        inputs: Real data, see `mnncompat.parity.real_data`.
        seed: Of the drawn inputs.
        memory: Bytes that a run may take at sizes that are chosen; None for the default.
    """

    def __init__(
        self,
        *,
        wanted: bool,
        shapes: Mapping[str, tuple[int, ...]] | None,
        inputs: Given | None,
        seed: int,
        memory: int | None,
    ) -> None:
        if wanted and inputs is not None:
            from mnncompat.parity import real_data

            inputs = real_data(inputs)
        self._wanted = wanted
        self._shapes = shapes
        self._inputs = inputs
        self._seed = seed
        self._memory = memory

    def draws(self, original: Model) -> Draws:
        """What forms of a model are judged on in half precision.

        Args:
            original: The reference.
        """
        from mnncompat.fixing.device_trial import Draws

        shapes, inputs, seed, memory = self._shapes, self._inputs, self._seed, self._memory
        return Draws(original, shapes=shapes, inputs=inputs, seed=seed, memory=memory)

    @property
    def are_wanted(self) -> bool:
        """Whether models may be run."""
        return self._wanted

    def prover(self, *, tolerance_bits: int = 0, recorded: bool = False) -> Prover | None:
        """A comparison of two models, None if nothing is to be proven.

        Args:
            tolerance_bits: Allow for the error of weights that are rounded to this number of bits; 0 for none.
            recorded: Feed the second model with the noise that the first one draws.
        """
        if not self._wanted:
            return None

        def compare(before: Model, after: Model) -> ParityReport:
            from mnncompat.parity import compare_models, compare_recorded, quantized

            shapes, inputs, seed, memory = self._shapes, self._inputs, self._seed, self._memory
            if recorded:
                return compare_recorded(
                    before.skeleton, after.skeleton, shapes=shapes, inputs=inputs, seed=seed, memory=memory
                )
            return compare_models(
                before.skeleton,
                after.skeleton,
                shapes=shapes,
                inputs=inputs,
                tolerance=quantized(tolerance_bits) if tolerance_bits else None,
                seed=seed,
                memory=memory,
            )

        return compare


def require_reference(proof: ParityReport | None) -> None:
    """Without a reference nothing can be proven, and no rewrite is the cause.

    Raises:
        RunnerError: The original gave no outputs.
    """
    from mnncompat.parity.rewritten import ORIGINAL

    if proof is not None and proof.failures and not proof.outputs and proof.failures[0].runner == ORIGINAL:
        way = proof.failures[0].failure.way_to_a_reference("give the shapes of dynamic inputs with --shape")
        raise RunnerError(
            f"the fixes cannot be proven: {proof.problems[0]}",
            hint=f"{way}; or write without proof: `mnncompat fix --no-verify`",
        )
