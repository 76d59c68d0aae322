"""`mnncompat.convert`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mnncompat.converting.budget import UNLIMITED, Budget

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from onnx import ModelProto

    from mnncompat.converting.pipeline import Conversion
    from mnncompat.mnn import ConvertOptions, Limits
    from mnncompat.parity import Given, Tolerance


def convert(  # noqa: PLR0913 - options
    model: Path | str | ModelProto,
    out: Path | str | None,
    *,
    rewrite: bool = True,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    unsafe: bool = False,
    head: str | None = None,
    exact_gelu: bool | None = None,
    options: ConvertOptions | None = None,
    limits: Limits | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    inputs: Given | None = None,
    data_only: bool = False,
    tolerance: Tolerance | None = None,
    tolerances: Mapping[str, Tolerance] | None = None,
    seed: int = 0,
    memory: int | None = None,
    power: bool = True,
    time: bool = False,
    accept: Collection[str] = (),
    require_session: bool = False,
    recurrent: str = "auto",
    keep_quantized: bool = False,
    budget: Budget = UNLIMITED,
) -> Conversion:
    """Check, fix, convert and verify; `out` appears only if it is proven to compute what the model computes.

    Args:
        model: Path of an ONNX file, or a model in memory.
        out: The `.mnn` file; None does everything but write it.
        rewrite: Rewrite before the conversion.
        select: Only these rewrites, or rewrites of these findings.
        ignore: Not these rewrites, and not for these findings.
        unsafe: Apply unsafe rewrites too.
        head: Write fully connected heads in this form: ``spatial`` or ``flat``; None chooses for each one.
        exact_gelu: Compute GELU with Erf, not by MNN's approximation; None where the outputs agree only so.
        options: Of MNN's converter (`mnncompat.mnn.ConvertOptions`).
        limits: Time and memory that MNN may use (`mnncompat.mnn.Limits`).
        shapes: Shapes of inputs with dynamic dimensions.
        inputs: Real data: arrays or paths by input name, or feeds (see `mnncompat.parity.real_data`).
        data_only: Compare on these data alone.
        tolerance: Of outputs not named in `tolerances` (`mnncompat.parity.Tolerance`).
        tolerances: By output name.
        seed: Of the drawn inputs.
        memory: Bytes that a run may take at sizes that are chosen; None for half of what is free, at most 1.5 GB.
        power: Measure which operators the comparison would have caught, had they been wrong.
        time: Measure how long the file takes to run, for `Conversion.latency`.
        accept: What may be missing for a proof: ``not-proven``, ``one-size``.
        require_session: Publish nothing that MNN's Session API does not run as the Module API does.
        recurrent: LSTM and GRU as MNN's own ``ops``, as ``loops``, or ``auto``.
        keep_quantized: Quantised weights with a scale for each block stay the same integers in the file.
        budget: Publish no file that takes more: `mnncompat.converting.budget.Budget(max_ops=400)`.

    Raises:
        ModelError: The model cannot be read.
        OutputError: `out` cannot be written.
        UsageError: An argument does not fit.
        RunnerError: MNN or ONNX Runtime is not installed.
    """
    from mnncompat.converting.converted import narrowed
    from mnncompat.converting.gate_options import GateOptions
    from mnncompat.converting.given_arguments import chosen_rewrites, given_data, given_model, given_path
    from mnncompat.converting.pipeline import convert_model
    from mnncompat.support.head_form import head_form

    rewrites, rows = chosen_rewrites(select, ignore, unsafe=unsafe)
    gate = GateOptions(rows=rows, converter=options, limits=limits).with_exact_gelu(exact_gelu)
    gate = replace(gate, rewrites=rewrites if rewrite else (), shapes=shapes or {}, memory=memory, seed=seed)
    gate = replace(gate, inputs=given_data(inputs, only=data_only), tolerance=tolerance, tolerances=tolerances or {})
    gate = replace(gate, power=power, accept=accept, requires_session=require_session, recurrent=recurrent)
    gate = replace(gate, head=head_form(head), time=time, budget=budget, keep_quantized=keep_quantized)
    return narrowed(convert_model(given_model(model), given_path(out), options=gate))
