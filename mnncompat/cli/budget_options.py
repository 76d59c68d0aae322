"""`--max-size`, `--max-ops` and `--max-latency-ratio`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

from mnncompat.cli import options
from mnncompat.cli.declared import option
from mnncompat.cli.limits import parse_size
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from mnncompat.converting.budget import Budget

MaxSize = Annotated[
    str | None,
    option("--max-size", metavar="SIZE", help="Publish no file that is larger, its weights included: `5MB`."),
]
MaxOps = Annotated[
    int | None, option("--max-ops", min=1, metavar="N", help="Publish no file of more ops, constants included.")
]
MaxLatencyRatio = Annotated[
    float | None,
    option(
        "--max-latency-ratio",
        metavar="RATIO",
        help="Publish no file whose run takes more than this times as long as without the rewrites; measured as "
        "--time does.",
    ),
]


class BudgetOptions(NamedTuple):
    """What a file may take, and whether its runs are timed."""

    time: options.Time = False
    max_size: MaxSize = None
    max_ops: MaxOps = None
    max_latency_ratio: MaxLatencyRatio = None

    def read(self) -> Budget:
        """The limits.

        Raises:
            UsageError: One of them makes no sense.
        """
        from mnncompat.converting.budget import Budget

        ratio = self.max_latency_ratio
        if ratio is not None and not 0 < ratio < float("inf"):
            raise UsageError(f"--max-latency-ratio {ratio:g} is no ratio", hint="give a positive number, such as 1.05")
        size = None if self.max_size is None else parse_size(self.max_size, "--max-size")
        return Budget(max_bytes=size, max_ops=self.max_ops, max_latency_ratio=ratio)


NO_BUDGET = BudgetOptions()
