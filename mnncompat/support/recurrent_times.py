"""How long MNN takes for LSTM and GRU in both of their forms: what was measured, in `rules/recurrent.json`."""

from __future__ import annotations

import json
import math
from functools import cache
from typing import NamedTuple

from mnncompat.errors import TableError
from mnncompat.support.rule_files import root


class RecurrentTimes(NamedTuple):
    """One layer that was measured, with one thread.

    Attributes:
        op: ``LSTM`` or ``GRU``.
        units: Numbers of a state, and of the input of a step.
        batch: Sequences at once.
        steps: Of a sequence.
        loops: Milliseconds of one run as a loop over a subgraph.
        ops: Milliseconds of one run as MNN's own op.
    """

    op: str
    units: int
    batch: int
    steps: int
    loops: float
    ops: float

    @property
    def words(self) -> str:
        """What was measured: ``GRU of 512 units, batch 8, 64 steps``."""
        return f"{self.op} of {self.units} units, batch {self.batch}, {self.steps} steps"


@cache
def measured() -> tuple[RecurrentTimes, ...]:
    """All that was measured.

    Raises:
        TableError: The file is damaged.
    """
    path = root() / "recurrent.json"
    try:
        return tuple(RecurrentTimes(**each) for each in json.loads(path.read_text(encoding="utf-8"))["layers"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "measure it with `python tests/benchmarks/recurrent_forms.py --record`"
        raise TableError(f"{path}: {error}", hint=hint) from error


def nearest(op: str, *, units: int, batch: int, steps: int) -> RecurrentTimes:
    """What was measured of the layer that is most alike: each size counts by its ratio.

    Raises:
        TableError: The file is damaged, or has nothing of this operator.
    """

    def distance(each: RecurrentTimes) -> float:
        pairs = ((each.units, units), (each.batch, batch), (each.steps, steps))
        return sum(abs(math.log(there / max(1, here))) for there, here in pairs)

    layers = [each for each in measured() if each.op == op]
    if not layers:
        raise TableError(f"rules/recurrent.json has no {op}", hint="install mnncompat again")
    return min(layers, key=distance)
