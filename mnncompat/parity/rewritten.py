"""Prove that a rewritten ONNX model computes what the original computes, both under ONNX Runtime."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from mnncompat.graph.model_file import load
from mnncompat.parity.comparison import (
    OnnxModel,
    compared,
    tolerances_of,
    with_weights,
)
from mnncompat.parity.judge import Judge
from mnncompat.parity.output_scale import coarse_outputs
from mnncompat.parity.real_data import Given, real_data
from mnncompat.parity.real_draws import Feeder
from mnncompat.parity.recorded_noise import NoiseRecorder
from mnncompat.parity.rounding import Rounding, inconclusive
from mnncompat.parity.runners import OnnxRunner
from mnncompat.parity.settled import is_settled
from mnncompat.parity.shared_nodes import sharing
from mnncompat.parity.signature import InputSpec, input_signature, output_names
from mnncompat.parity.tolerance import REWRITE
from mnncompat.parity.undetermined import random_outputs
from mnncompat.results.parity_report import ParityReport, Tolerance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    Outputs = list[dict[str, np.ndarray]]

ORIGINAL = "the original under onnxruntime"
"""Name of the reference."""


def compare_models(  # noqa: PLR0913 - options
    original: OnnxModel,
    rewritten: OnnxModel,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    inputs: Given | None = None,
    tolerance: Tolerance | None = None,
    tolerances: Mapping[str, Tolerance] | None = None,
    seed: int = 0,
    memory: int | None = None,
    folder: Path | None = None,
) -> ParityReport:
    """Prove that a rewritten ONNX model computes what the original computes, both under ONNX Runtime.

    Args:
        original: The reference.
        rewritten: The rewritten model. If it fixes a dimension that was dynamic, that size is fed.
        shapes: Shapes of inputs with dynamic dimensions; chosen when left out.
        inputs: Real data, as for `verify`.
        tolerance: For every floating-point output; None is `REWRITE`, or `FLOAT16` where the output is float16.
        tolerances: Overrides by output name.
        seed: What the feeds are drawn from.
        memory: Bytes that a run may take at sizes that are chosen.
        folder: Where the external data of models in memory lies.

    Returns:
        The verdict, per output and overall.

    Raises:
        UsageError: A shape, an array or an override does not fit the model.
        ModelError: A model cannot be read.
        RunnerError: ONNX Runtime is not installed, or a model is too large to be handed to it.
    """
    first, second = (load(each).skeleton if isinstance(each, (str, Path)) else each for each in (original, rewritten))
    signature = _narrowed(input_signature(first), input_signature(second))
    reference = OnnxRunner(original, name=ORIGINAL, folder=folder)
    subject = OnnxRunner(rewritten, name="the rewritten model under onnxruntime", folder=folder)
    random = random_outputs(first)
    judge = Judge(
        tolerances_of(first, tolerance or REWRITE, tolerances),
        partial(inconclusive, Rounding(lambda: with_weights(original))) if tolerance is None else None,
        unexplained={*(tolerances or ()), *random},
        coarse=coarse_outputs(first, output_names(first)),
        settled=partial(is_settled, first),
    )
    if not random and isinstance(original, onnx.ModelProto) and isinstance(rewritten, onnx.ModelProto):
        reference, subject = sharing(original, rewritten, reference, subject)
    feeder = Feeder(first, signature, shapes or {}, real_data(inputs), seed=seed, memory=memory)
    return compared(feeder, reference, subject, judge, random)


def compare_recorded(
    original: onnx.ModelProto,
    rewritten: onnx.ModelProto,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    inputs: Given | None = None,
    seed: int = 0,
    memory: int | None = None,
) -> ParityReport:
    """Prove that a model whose noise became inputs computes what the original computes, fed with what that draws.

    Both run under ONNX Runtime, the original first. See `mnncompat.parity.recorded_noise`.

    Args:
        original: The reference, which draws.
        rewritten: What the rewrite `noise-as-input` made of it.
        shapes: Shapes of the original's inputs with dynamic dimensions; chosen when left out.
        inputs: Real data for the original's inputs, see `mnncompat.parity.real_data`.
        seed: What the feeds are drawn from.
        memory: Bytes that a run may take at sizes that are chosen.

    Returns:
        The verdict, per output and overall.

    Raises:
        UsageError: A shape or an array does not fit the model.
        RunnerError: ONNX Runtime is not installed, or a model is too large to be handed to it.
    """
    recorder = NoiseRecorder(original)
    coarse = coarse_outputs(original, output_names(original))
    judge = Judge(tolerances_of(original, REWRITE, None), coarse=coarse)
    reference = OnnxRunner(recorder.model, name=ORIGINAL)
    subject = OnnxRunner(rewritten, name="the rewritten model under onnxruntime")
    signature = input_signature(original)
    own = {spec.name for spec in signature}
    given = {name: each for name, each in (shapes or {}).items() if name in own}
    feeder = Feeder(original, signature, given, real_data(inputs).of(own), seed=seed, memory=memory)
    return compared(feeder, reference, subject, judge, recorder.left, recorder=recorder)


def _narrowed(signature: Sequence[InputSpec], other: Sequence[InputSpec]) -> tuple[InputSpec, ...]:
    """The first signature, with the sizes that the other one fixes."""
    fixed = {spec.name: spec.shape for spec in other}
    return tuple(replace(spec, shape=_narrow(spec.shape, fixed.get(spec.name))) for spec in signature)


def _narrow(
    shape: tuple[int | str | None, ...] | None, other: tuple[int | str | None, ...] | None
) -> tuple[int | str | None, ...] | None:
    if shape is None or other is None or len(shape) != len(other):
        return shape if shape is not None else other
    return tuple(
        there if isinstance(there, int) and not isinstance(here, int) else here
        for here, there in zip(shape, other, strict=True)
    )
