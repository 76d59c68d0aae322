"""The corpus: how many cases of each operator, at which opset, drawn again until one is valid and computable."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import checker, helper, shape_inference

from mnncompat.probe.case import Case
from mnncompat.probe.generated.expectation import Expectation, expect
from mnncompat.probe.generated.precision import tolerances
from mnncompat.probe.generated.registry import Generator, generators
from mnncompat.probe.generated.sample import Resample, Sample
from mnncompat.probe.generated.schema import opset_weight, versions

_ATTEMPTS = 12
_ATTEMPTS_AT_ONE_OPSET = 3
_DEALT = 3  # every third case takes the next version of the operator in turn, the others an opset by weight
_FEWEST = 2


@dataclass(slots=True)
class Tally:
    """What happened to the draws of a corpus.

    Attributes:
        verdicts: (op type, verdict or reason) -> how often.
        missing: Ids of cases for which no attempt succeeded.
    """

    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)


def generated_cases(
    seed: int, *, ops: Collection[str] | None = None, count: int | None = None, tally: Tally | None = None
) -> Iterator[Case]:
    """Draw a corpus of micro-models as exporters write them, with their right answers.

    A case depends on the seed, its operator and its number only: it is the same whatever else is drawn.

    Args:
        seed: Another seed gives other cases from the same distribution.
        ops: Op types wanted; None for all that have a generator.
        count: How many cases, shared out among the operators by their weights (two of each at least); None for the
            weights as they are.
        tally: Counts what was drawn and discarded.

    Yields:
        The cases, by operator in alphabetical order. Ids are `gen:SEED:OP:NUMBER`, or
        `gen:SEED:OP-FORM:NUMBER` if the graph has other nodes as well.
    """
    tally = tally if tally is not None else Tally()
    chosen = [each for each in generators().values() if ops is None or each.op in ops]
    for each, quota in zip(chosen, quotas(chosen, count), strict=True):
        for index in range(quota):
            case = _case(seed, each, index, tally)
            if case is not None:
                yield case


def generated_case(seed: int, name: str, index: int) -> Case | None:
    """One case of a corpus, by the parts of its id; None if there is no such generator, or if no draw succeeds."""
    one = generators().get(name)
    return None if one is None else _case(seed, one, index, Tally())


def quotas(chosen: Collection[Generator], count: int | None) -> list[int]:
    """How many cases of each generator: its weight, or its share of `count`."""
    weights = [each.weight for each in chosen]
    if count is None:
        return weights
    return [max(_FEWEST, round(count * weight / sum(weights))) for weight in weights]


def _case(seed: int, one: Generator, index: int, tally: Tally) -> Case | None:
    name = f"gen:{seed}:{one.name}:{index:04d}"
    for attempt in range(_ATTEMPTS):
        random = np.random.default_rng([seed, zlib.crc32(one.name.encode()), index, attempt])
        opset = _opset(one, index if attempt < _ATTEMPTS_AT_ONE_OPSET else 1, random)
        try:
            sample = Sample(one.op, opset, random, index)
            one.build(sample)
        except Resample:
            tally.verdicts[one.op, "choices do not fit together"] += 1
            continue
        case = _measured(name, one, sample, tally)
        if case is not None:
            return case
    tally.missing.append(name)
    return None


def _opset(one: Generator, index: int, random: np.random.Generator) -> int:
    known = versions(one.op, one.oldest, one.latest)
    if index % _DEALT == 0:
        opsets = known[sorted(known, reverse=True)[index // _DEALT % len(known)]]
    else:
        opsets = tuple(opset for each in known.values() for opset in each)
    weights = np.array([opset_weight(opset) for opset in opsets])
    return int(opsets[int(np.searchsorted(np.cumsum(weights), random.random() * weights.sum()))])


def _measured(name: str, one: Generator, sample: Sample, tally: Tally) -> Case | None:
    model = typed(sample.model())
    if model is None:
        tally.verdicts[one.op, "not a valid model"] += 1
        return None
    expectation = expect(one.op, model, sample.feeds)
    tally.verdicts[one.op, expectation.verdict.value] += 1
    if not expectation.outputs:
        return None
    _declare(model, expectation)
    try:
        checker.check_model(model)
    except checker.ValidationError:
        tally.verdicts[one.op, "not a valid model"] += 1
        return None
    outputs = expectation.outputs
    rtol, atol = tolerances(one.precision, [*sample.feeds.values(), *outputs.values()], outputs.values())
    return Case(
        id=name,
        op=one.op,
        model=model.SerializeToString(deterministic=True),
        feeds=dict(sample.feeds),
        expected=outputs,
        rtol=rtol,
        atol=atol,
    )


def typed(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """The model with the types and shapes of its outputs and intermediate values, None if it is not valid."""
    try:
        return shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except shape_inference.InferenceError:
        return None


def _declare(model: onnx.ModelProto, expectation: Expectation) -> None:
    """Declare the rank of every output: unknown dimensions become parameters, as exporters name them."""
    for output in model.graph.output:
        tensor = output.type.tensor_type
        actual = expectation.outputs[output.name].shape
        if not tensor.elem_type:
            tensor.elem_type = helper.np_dtype_to_tensor_dtype(expectation.outputs[output.name].dtype)
        if not tensor.HasField("shape") or len(tensor.shape.dim) != len(actual):
            tensor.shape.Clear()
            for _ in actual:
                tensor.shape.dim.add()
            tensor.shape.SetInParent()
        for index, dimension in enumerate(tensor.shape.dim):
            if not dimension.WhichOneof("value"):
                dimension.dim_param = f"{output.name}_dim_{index}"
