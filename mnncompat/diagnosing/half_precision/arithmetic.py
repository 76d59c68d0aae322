"""`rules/half_precision.json`: in which arithmetic MNN computes an operator with `precision = low`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from mnncompat.support.rule_files import read_json, root

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetics:
    """What the table says.

    Attributes:
        kinds: Operator -> `float16`, `capped`, `copied`, `float32`, `product`, `average`, `running` or `composite`.
        steps: Composite operator -> the operators that it is computed by.
        caps: Operator -> the largest result.
        noise: Operator -> relative error of its approximation.
        rounding: Relative error of one rounding, root mean square.
        constant_block: Terms of a product with constant weights that are added up in one go.
    """

    kinds: Mapping[str, str]
    steps: Mapping[str, tuple[str, ...]]
    caps: Mapping[str, float]
    noise: Mapping[str, float]
    rounding: float
    constant_block: int

    def of(self, op: str) -> str:
        """The arithmetic of an operator; one that was not measured reads and writes float16."""
        return self.kinds.get(op, "float16")


@cache
def arithmetics() -> Arithmetics:
    """The table.

    Raises:
        TableError: It is missing or damaged.
    """
    read = read_json(root() / "half_precision.json")
    return Arithmetics(
        kinds={op: kind for kind, ops in read["operators"].items() for op in ops},
        steps={op: tuple(each) for op, each in read["steps"].items()},
        caps=read["caps"],
        noise=read["noise"],
        rounding=read["rounding"],
        constant_block=read["constant_block"],
    )
