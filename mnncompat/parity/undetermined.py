"""Outputs that depend on random numbers: no runtime's values can be held against another's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.graph.model_file import Model
from mnncompat.inference.model_view import view_model
from mnncompat.inference.random_nodes import random_nodes
from mnncompat.results.failures import Failure
from mnncompat.results.parity_report import UndeterminedOutput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import onnx

    from mnncompat.parity.input_plan import NamedFeeds
    from mnncompat.parity.runners import Runner

_RUNS = 4
"""Further runs of the reference on the same feeds; an output on which all agree is settled by its inputs."""


def random_outputs(model: onnx.ModelProto) -> dict[str, tuple[str, ...]]:
    """The outputs of a model that depend on what random nodes draw, with these nodes in words."""
    found = random_nodes(view_model(Model(proto=model)))
    return {name: tuple(node.label for node in nodes) for name, nodes in found.items()}


def undetermined_outputs(
    reached: Mapping[str, tuple[str, ...]],
    runner: Runner,
    feeds: Sequence[NamedFeeds],
    outputs: Sequence[dict[str, np.ndarray]],
) -> tuple[list[UndeterminedOutput], list[str]]:
    """Find the outputs that nothing can be said about, because they depend on what random nodes draw.

    An output may depend on noise that an input scales: where that input is 0, all runs of the reference agree.

    Args:
        reached: Outputs and the random nodes that they depend on.
        runner: Runs the reference; a generator goes on from run to run, also one with a seed.
        feeds: What it was run on.
        outputs: What came of it.

    Returns:
        The outputs, and remarks about those that depend on noise in other runs, but not in these.
    """
    if not reached:
        return [], []
    varying = _varying(runner, feeds, outputs, set(reached))
    notes = [
        f"output {name!r} depends on what {', '.join(nodes)} draws, but not on these inputs: {_RUNS + 1} runs of the "
        "reference agree"
        for name, nodes in reached.items()
        if name not in varying
    ]
    return [UndeterminedOutput(name=name, nodes=reached[name]) for name in reached if name in varying], notes


def _varying(
    runner: Runner, feeds: Sequence[NamedFeeds], outputs: Sequence[dict[str, np.ndarray]], names: set[str]
) -> set[str]:
    """Those of some outputs that another run of the reference gives other values."""
    varying: set[str] = set()
    for _ in range(_RUNS):
        again = runner.run([feed.arrays for feed in feeds])
        if isinstance(again, Failure):
            return names
        for first, second in zip(outputs, again, strict=True):
            varying |= {name for name in names if not np.array_equal(first[name], second[name], equal_nan=True)}
        if varying == names:
            break
    return varying
