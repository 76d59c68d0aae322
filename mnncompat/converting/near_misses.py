"""What may explain a conversion that does not agree: equal numbers in another order, an approximation, noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.graph.model_file import Model
from mnncompat.inference.model_view import view_model
from mnncompat.inference.random_nodes import random_nodes
from mnncompat.support.target import Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mnncompat.parity import Given
    from mnncompat.results.parity_report import ParityReport

_ZEROS = "zeros"
"""Name of the sample in which all numbers are equal."""
_NEARLY = 20.0
"""Signal-to-noise ratio in dB above which an approximation may be the only cause of a difference."""


def is_near(parity: ParityReport) -> bool:
    """True if every output that fails is close to the original's."""
    failed = [each.worst for each in parity.outputs if not each.passed]
    return bool(failed) and all(each is not None and each.snr_db >= _NEARLY for each in failed)


def fails_on_zeros_alone(parity: ParityReport) -> bool:
    """True if only the sample of zeros fails, by its values: where all numbers are equal, their order may differ."""
    for output in parity.outputs:
        failed = [each for each in output.comparisons if not each.passed]
        alone = [each.draw for each in failed] == [_ZEROS] and failed[0].expected_shape == failed[0].actual_shape
        if not (output.passed or alone):
            return False
    return bool(parity.outputs)  # without outputs one of the two runs failed


def tie_hint(model: Model) -> str:
    """What the rows of the model's operators say about equal numbers; empty if they say nothing."""
    target = Target()
    for view in view_model(model).graphs():
        for index in range(len(view.nodes)):
            for match in target.table.match(view, index, target.version):
                if match.certain and match.row.status == "supported" and match.row.advice:
                    return (
                        f"only zeros differ, where numbers are equal: {match.row.advice}. Where that is all and does "
                        "not matter, compare on real data alone: `--input` and `--data-only` (in Python inputs=..., "
                        "data_only=True)"
                    )
    return ""


def random_hint(
    model: Model,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    inputs: Given | None = None,
    seed: int = 0,
    memory: int | None = None,
) -> str:
    """What makes random outputs comparable, tried on the model; empty if no output is random.

    Args:
        model: The original.
        shapes: Of inputs with dynamic dimensions.
        inputs: Real data, see `mnncompat.parity.real_data`.
        seed: Of the drawn inputs.
        memory: Bytes that a run may take at sizes that are chosen.
    """
    if not random_nodes(view_model(model)):
        return ""
    from mnncompat.fixing.selection import choose_rewrites
    from mnncompat.fixing.transaction import fix_model

    noise = tuple(each for each in choose_rewrites(unsafe=True) if each.adds_inputs)
    fixed = fix_model(model, rewrites=noise, shapes=shapes, inputs=inputs, seed=seed, memory=memory)
    if fixed.recorded is not None and fixed.recorded.passed:
        names = ", ".join(f"'{each.location.node}'" for each in fixed.applied)
        option = "`mnncompat convert --unsafe-fixes` (in Python unsafe=True)"
        return f"{option} makes what {names} draws an input of the model"
    return "; ".join(dict.fromkeys(f"'{each.location.node}': {each.reason}" for each in fixed.refused))
