"""Compare the twins of foreign operators with ONNX Runtime's kernels, and with MNN.

`PYTHONPATH=. python tests/rewrites/measure_foreign.py [--mnn] [OP ...]`. For each operator so many configurations
 (20) are drawn from seeds: the model runs under ONNX Runtime, its twin does,
and with ``--mnn`` what `fix` makes of it runs under MNN. Prints a line for each operator, and what failed.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from evaluation import evaluated
from foreign_models import Array, Configuration, Draw, assert_same, expected, twin
from foreign_ops import DRAWS
from rewriting import TARGET

from mnncompat.fixing.transaction import fix_model
from mnncompat.graph.model_file import from_proto
from mnncompat.inference.model_view import view_model
from mnncompat.parity import real_data
from mnncompat.probe.case import Case
from mnncompat.probe.measurement import Outcome
from mnncompat.probe.prober import Prober


def judge(draw: Draw, seed: int, prober: Prober | None) -> bool:
    """Compare one configuration; False if it proves nothing, because rounding alone moves the kernel's own results.

    Raises:
        AssertionError: Something differs.
    """
    found = draw(np.random.default_rng(seed))
    right = expected(found)
    view = view_model(from_proto(found.model())).main
    names = [each.name for each in found.model().graph.output]
    for name, value in zip(names, right, strict=True):
        assert view.dtype(name), f"{name}: the type is not known"
        shape = view.shape(name)
        assert shape is not None, f"{name}: the shape is not known"
        assert len(shape) == value.ndim, f"{name}: {shape} is inferred, {value.shape} right"
        assert all(a == b for a, b in zip(shape, value.shape, strict=True) if isinstance(a, int)), (shape, value.shape)
    result = twin(found, right)
    (values,) = evaluated(result, [found.feeds()])
    actual = [values[each.name] for each in result.graph.output]
    try:
        assert_same(found, right, actual)
    except AssertionError:
        if not is_unsettled(found, right, actual):
            raise
        return False
    if prober is not None:
        in_mnn(found, prober, dict(zip(names, right, strict=True)))
    return True


def is_unsettled(found: Configuration, right: Sequence[Array], actual: Sequence[Array]) -> bool:
    """Whether the kernel's results move as far, where the operands of floats are off by a few millionths.

    A quantised state that lies between two integers goes to either of them.
    """
    moved = [0.0] * len(right)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        given = {
            name: (value * (1 + 3e-6 * rng.uniform(-1, 1, value.shape))).astype(value.dtype)
            if value is not None and value.dtype.kind == "f" and name not in found.constants
            else value
            for name, value in found.inputs.items()
        }
        for place, other in enumerate(expected(replace(found, inputs=given))):
            moved[place] = max(moved[place], _apart(right[place], other))
    return all(_apart(one, two) <= 2 * far for one, two, far in zip(right, actual, moved, strict=True))


def _apart(one: Array, two: Array) -> float:
    return float(np.abs(one.astype(np.float64) - two.astype(np.float64)).max(initial=0))


def in_mnn(found: Configuration, prober: Prober, right: dict[str, np.ndarray]) -> None:
    """Compare what MNN makes of the model after `fix`.

    Raises:
        AssertionError: The model is not proven, or MNN gets it wrong.
    """
    if found.valid is not None and not found.valid.all():
        return  # what ONNX Runtime makes of padding is not defined
    fixed = fix_model(from_proto(found.model()), target=TARGET, inputs=real_data(found.feeds(), only=True))
    assert not fixed.rolled_back, fixed.rolled_back
    proto = fixed.model.proto
    case = Case(
        id="foreign", op="", model=proto.SerializeToString(), feeds=found.feeds(), expected=right, rtol=1e-3, atol=2e-5
    )
    measured = prober.measure(case)
    assert measured.outcome is Outcome.OK, f"MNN: {measured.code} {measured.detail}"


def main() -> int:
    """Measure what the command line names, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("op", nargs="*", help="operators; all by default")
    parser.add_argument("--configurations", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--mnn", action="store_true", help="MNN as well, on what `fix` makes")
    parser.add_argument("--traceback", action="store_true")
    arguments = parser.parse_args()
    failed = 0
    with Prober() as prober:
        for op in arguments.op or sorted(DRAWS):
            wrong: dict[str, list[int]] = {}
            unsettled = 0
            for seed in range(arguments.first, arguments.first + arguments.configurations):
                try:
                    unsettled += not judge(DRAWS[op], seed, prober if arguments.mnn else None)
                except Exception as error:  # noqa: BLE001 - whatever fails is counted
                    words = f"{type(error).__name__}: {error}"[:300].replace("\n", " ")
                    if arguments.traceback:
                        traceback.print_exc()
                    wrong.setdefault(words, []).append(seed)
            count = sum(map(len, wrong.values()))
            failed += count
            told = f", {unsettled} of them moved as far by rounding" if unsettled else ""
            print(f"{op}: {arguments.configurations - count} of {arguments.configurations} right{told}", flush=True)  # noqa: T201
            for words, seeds in wrong.items():
                print(f"    seeds {seeds}: {words}", flush=True)  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
