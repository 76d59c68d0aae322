"""How long files take to run, measured in one child process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.mnn.arrays import write_arrays
from mnncompat.mnn.process import working_directory
from mnncompat.mnn.request import perform
from mnncompat.mnn.session import storable_arrays
from mnncompat.mnn.worker import FEEDS
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from mnncompat.mnn.options import Limits


def time_runs(
    files: Sequence[Path],
    feed: Mapping[str, np.ndarray],
    *,
    output_names: Sequence[str],
    rounds: int,
    threads: int,
    limits: Limits,
) -> list[tuple[float, ...]] | Failure:
    """Run files in turn on the same values, by MNN's Module API on the CPU.

    Args:
        files: The `.mnn` files; they have the same inputs and outputs.
        feed: Input name -> array.
        output_names: The outputs to compute and to read.
        rounds: How often each file has its turn; every other round begins with the last file.
        threads: Of MNN.
        limits: What the child process may use.

    Returns:
        For each round the seconds of one run of each file, or how it failed.

    Raises:
        RunnerError: MNN is not installed.
    """
    paths = [str(file.resolve()) for file in files]
    stored = storable_arrays([feed], list(feed))
    if isinstance(stored, Failure):
        return stored
    with working_directory() as directory:
        write_arrays(directory / FEEDS, stored)
        arguments = {
            "models": paths,
            "readable": [*paths, *(f"{path}.weight" for path in paths)],
            "inputs": list(feed),
            "outputs": list(output_names),
            "rounds": rounds,
            "threads": threads,
        }
        answer = perform("run_in_turn", arguments, directory=directory, limits=limits)
        return answer if isinstance(answer, Failure) else [tuple(each) for each in answer.values["seconds"]]


def time_ops(
    file: Path, shapes: Mapping[str, Sequence[int]], *, runs: int, limits: Limits
) -> list[tuple[str, str, float]] | Failure:
    """Time the ops of a file, by MNN's Session API on one thread of the CPU.

    Args:
        file: The `.mnn` file.
        shapes: Input -> shape, where that is not the file's.
        runs: How often it is run.
        limits: What the child process may use.

    Returns:
        Name, type and seconds of each op that ran (see `mnncompat.mnn.interpreter.op_seconds`), or how it failed.

    Raises:
        RunnerError: MNN is not installed.
    """
    sizes = {name: list(shape) for name, shape in shapes.items()}
    arguments = {"model": str(file.resolve()), "shapes": sizes, "runs": runs}
    with working_directory() as directory:
        answer = perform("time_ops", arguments, directory=directory, limits=limits)
    return answer if isinstance(answer, Failure) else [tuple(each) for each in answer.values["ops"]]
