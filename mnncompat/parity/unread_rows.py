"""Draws that read the rows of a table which no other draw has read.

A table of 500 rows is mostly not read by five draws of 16 ids: two rows that are exchanged would not show. So ids that
were not drawn are drawn in further draws, as long as few are enough; where they are not, the reader is told.
"""

from __future__ import annotations

import time
import zlib
from math import ceil, inf
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.inference.domain_claims import Kind
from mnncompat.parity.input_plan import InputPlan, NamedFeeds
from mnncompat.parity.plan_runs import bounded_run
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mnncompat.parity.runners import Runner

    Outputs = list[dict[str, np.ndarray]]

OTHER_IDS = "other ids"
"""Name of these draws; from the second on with a number."""
_MOST = 16
_SECONDS = 1.0
"""CPU time that their runs may take under the reference."""
_LARGEST = 1 << 24
"""Ids of which more than so many exist are not looked at."""
_SHOWING = (Kind.MASK, Kind.LENGTH)
"""Inputs that hide steps; here they hide none."""


def read_other_rows(plan: InputPlan, runner: Runner, feeds: Sequence[NamedFeeds]) -> tuple[list[NamedFeeds], Outputs]:
    """Run the reference on draws with the ids that are missing.

    Args:
        plan: Of the draws.
        runner: Of the reference.
        feeds: The draws at the plan's sizes.

    Returns:
        The draws and what comes of them; none if nothing is missing, or too much.
    """
    left = {name: _shuffled(plan, name, ids) for name, ids in _unread(plan, feeds).items() if ids.size}
    sizes = {name: int(np.prod(plan.shapes[name])) for name in left}
    found: list[NamedFeeds] = []
    outputs: Outputs = []
    start = time.process_time()
    for number in range(max((ceil(left[name].size / sizes[name]) for name in left), default=0)):
        arrays = _showing(plan, feeds[0])
        for name, ids in left.items():
            taken = np.take(ids, np.arange(number * sizes[name], (number + 1) * sizes[name]), mode="wrap")
            arrays[name] = taken.reshape(plan.shapes[name]).astype(arrays[name].dtype)
        feed = NamedFeeds(name=f"{OTHER_IDS} {number + 1}" if number else OTHER_IDS, arrays=arrays)
        ran = bounded_run(plan, runner, [feed])
        if isinstance(ran, Failure) or time.process_time() - start > _SECONDS:
            break
        found.append(feed)
        outputs += ran
    return found, outputs


def unread_rows(plan: InputPlan, feeds: Sequence[NamedFeeds]) -> Iterator[str]:
    """Notes about rows that no draw reads.

    Args:
        plan: Of the draws.
        feeds: All draws.
    """
    for name, ids in _unread(plan, feeds, most=inf).items():
        domain = plan.domains[name]
        count = int(domain.high - domain.low) + 1
        if ids.size and domain.reasons:
            yield (
                f"input {name!r}: {count - ids.size} of {count} ids were drawn; what {domain.reasons[0]} holds for the "
                "others was not compared"
            )


def _unread(plan: InputPlan, feeds: Sequence[NamedFeeds], most: float = _MOST) -> dict[str, np.ndarray]:
    """The ids that no draw has, of inputs for which so many draws are enough."""
    found = {}
    for name, domain in plan.domains.items():
        is_free = domain.kind is Kind.IDS and domain.high - domain.low < _LARGEST and name not in plan.arrays
        if is_free and name in plan.shapes and np.prod(plan.shapes[name]):
            drawn = np.unique(np.concatenate([feed.arrays[name].ravel() for feed in feeds]))
            ids = np.setdiff1d(np.arange(int(domain.low), int(domain.high) + 1), drawn)
            if ids.size <= most * np.prod(plan.shapes[name]):
                found[name] = ids
    return found


def _shuffled(plan: InputPlan, name: str, ids: np.ndarray) -> np.ndarray:
    return np.random.default_rng([plan.seed, zlib.crc32(name.encode())]).permutation(ids)


def _showing(plan: InputPlan, feed: NamedFeeds) -> dict[str, np.ndarray]:
    """The inputs of a draw, with masks and lengths that hide nothing."""
    (plain,) = plan.feeds(["zeros"])
    hiding = {name: plain.arrays[name] for name, domain in plan.domains.items() if domain.kind in _SHOWING}
    return {name: hiding.get(name, array) for name, array in feed.arrays.items()}
