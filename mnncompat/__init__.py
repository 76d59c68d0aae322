"""Lint ONNX models for MNN, rewrite what MNN cannot run, convert, and prove that the result computes the same.

The verbs of the command line as functions::

    import mnncompat
    mnncompat.check("model.onnx").diagnostics           # findings, most severe first
    mnncompat.fix("model.onnx").model.proto             # the rewritten ModelProto, proven equal
    mnncompat.convert("model.onnx", "model.mnn").verdict
    mnncompat.verify("model.onnx", "model.mnn").verdict
    mnncompat.diagnose("model.onnx", "model.mnn").culprits
    mnncompat.export("model.py:Net", ["1,3,224,224"], "model.onnx")

Nothing heavy is imported before it is needed: not MNN, not ONNX Runtime, not torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mnncompat.errors import (
    ExportError,
    MnncompatError,
    ModelError,
    OutputError,
    RunnerError,
    TableError,
    UsageError,
    require_supported_system,
)

if TYPE_CHECKING:
    __version__: str
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from onnx import ModelProto

    from mnncompat.checking.api import check
    from mnncompat.converting.api import convert
    from mnncompat.converting.converted import Converted
    from mnncompat.fixing.transaction import FixedModel
    from mnncompat.mnn import ConvertOptions, Limits
    from mnncompat.parity import Given, Tolerance
    from mnncompat.results.diagnosis import Diagnosis
    from mnncompat.results.parity_report import ParityReport

__all__ = [
    "Converted",
    "ExportError",
    "MnncompatError",
    "ModelError",
    "OutputError",
    "RunnerError",
    "TableError",
    "UsageError",
    "check",
    "convert",
    "diagnose",
    "export",
    "fix",
    "verify",
]


def fix(  # noqa: PLR0913 - options
    model: Path | str | ModelProto,
    *,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    unsafe: bool = False,
    mnn: str | None = None,
    arch: str | None = None,
    precision: str = "high",
    head: str | None = None,
    freeze: Mapping[str, tuple[int, ...]] | None = None,
    prove: bool = True,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    inputs: Given | None = None,
    data_only: bool = False,
    seed: int = 0,
    memory: int | None = None,
) -> FixedModel:
    """Rewrite a model; the model that is given stays as it is, and nothing is written.

    Args:
        model: Path of an ONNX file, or a model in memory.
        select: Only these rewrites, or rewrites of these findings: codes, starts of codes, or names.
        ignore: Not these rewrites, and not for these findings.
        unsafe: Apply unsafe rewrites too.
        mnn: Release to rewrite for, such as ``3.6.1``, or ``latest``; the installed one if None.
        arch: Architecture to rewrite for, such as ``aarch64``; None for all.
        precision: What MNN computes in there: ``high``, ``normal`` or ``low``.
        head: Form of fully connected heads: ``spatial`` or ``flat``; None chooses for each one.
        freeze: Input name -> shape: fix these dynamic dimensions; the result accepts no other shape.
        prove: Compare original and result under ONNX Runtime, and roll back rewrites that are not equal.
        shapes: Shapes of inputs with dynamic dimensions, for the proof.
        inputs: Real data for the proof: arrays or paths by input name, or feeds (see `mnncompat.parity.real_data`).
        data_only: Prove it on these data alone, not on drawn inputs as well.
        seed: Of the drawn inputs.
        memory: Bytes that a run may take at sizes that are chosen; None for half of what is free, at most 1.5 GB.

    Returns:
        The rewritten model (`FixedModel.model.proto`) and what was done.

    Raises:
        ModelError: The model cannot be read.
        UsageError: An argument does not fit.
    """
    require_supported_system()
    from mnncompat.checking.rechecked import fix_and_check
    from mnncompat.converting.given_arguments import chosen_rewrites, given_data, given_model
    from mnncompat.diagnosing.half_precision.simulated_trial import simulated
    from mnncompat.support.head_form import head_form
    from mnncompat.support.target import Target

    rewrites, rows = chosen_rewrites(select, ignore, unsafe=unsafe)
    return fix_and_check(
        given_model(model),
        rewrites=rewrites,
        target=Target(mnn, arch=arch, precision=precision, choice=rows, head=head_form(head)),
        freeze=freeze,
        prove=prove,
        shapes=shapes,
        inputs=given_data(inputs, only=data_only),
        seed=seed,
        memory=memory,
        simulate=simulated,
    )


def verify(  # noqa: PLR0913 - options
    model: Path | str | ModelProto,
    mnn_file: Path | str,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    inputs: Given | None = None,
    data_only: bool = False,
    tolerance: Tolerance | None = None,
    tolerances: Mapping[str, Tolerance] | None = None,
    seed: int = 0,
    memory: int | None = None,
    limits: Limits | None = None,
    save_data: Path | str | None = None,
    power: bool = True,
) -> ParityReport:
    """Compare a model under ONNX Runtime with an `.mnn` file under MNN on the same inputs.

    See `mnncompat.parity.verify` for the arguments, the metrics and the criterion; `data_only` draws no inputs.
    """
    require_supported_system()
    from pathlib import Path

    from mnncompat import parity
    from mnncompat.converting.given_arguments import given_data

    return parity.verify(
        Path(model) if isinstance(model, str) else model,
        Path(mnn_file),
        shapes=shapes,
        inputs=given_data(inputs, only=data_only),
        tolerance=tolerance,
        tolerances=tolerances,
        seed=seed,
        memory=memory,
        limits=limits,
        save_data=None if save_data is None else Path(save_data),
        power=power,
        as_stored=True,
    )


def diagnose(
    model: Path | str | ModelProto,
    mnn_file: Path | str | None = None,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    inputs: Given | None = None,
    options: ConvertOptions | None = None,
    limits: Limits | None = None,
    seed: int = 0,
    repro: Path | str | None = None,
) -> Diagnosis:
    """Find the node that makes a converted model compute something else, see `mnncompat.diagnosing.diagnose`.

    Args:
        model: Path of an ONNX file, or a model in memory.
        mnn_file: The converted file; None converts the model as it is.
        shapes: Shapes of inputs with dynamic dimensions.
        inputs: Real data, see `mnncompat.parity.real_data`.
        options: Of MNN's converter.
        limits: Time and memory that each of MNN's processes may use.
        seed: Of the drawn inputs.
        repro: Folder for the smallest model that shows the fault.

    Raises:
        ModelError: The model or the file cannot be read.
        UsageError: An argument does not fit.
        RunnerError: MNN or ONNX Runtime is not installed, or ONNX Runtime does not run the model.
        OutputError: The folder cannot be written.
    """
    require_supported_system()
    from mnncompat.converting.given_arguments import given_model, given_path
    from mnncompat.diagnosing.diagnose import diagnose as found
    from mnncompat.diagnosing.diagnose_options import DiagnoseOptions
    from mnncompat.diagnosing.draws import Drawing
    from mnncompat.mnn import ConvertOptions, Limits
    from mnncompat.parity import real_data

    drawing = Drawing(shapes=shapes or {}, data=real_data(inputs), seed=seed)
    wanted = DiagnoseOptions(
        drawing=drawing, converter=options or ConvertOptions(), limits=limits or Limits(), repro=given_path(repro)
    )
    return found(given_model(model), given_path(mnn_file), wanted)


def export(target: str, shapes: Sequence[str], out: Path | str, **options: Any) -> None:
    """Export a torch module to ONNX (extra `torch`).

    Args:
        target: ``MODULE:CALLABLE``, see `mnncompat.converting.torch_export.export_module`.
        shapes: One for each input, ``1,3,224,224`` or ``name:1,3,224,224``.
        out: The file to write.
        **options: Fields of `mnncompat.converting.torch_export.ExportOptions`.

    Raises:
        ExportError: torch is missing, or cannot export the module.
        UsageError: An argument does not fit.
        OutputError: `out` cannot be written.
    """
    require_supported_system()
    from pathlib import Path

    from mnncompat.converting.torch_export import ExportOptions, export_module

    export_module(target, shapes, Path(out), options=ExportOptions(**options))


_HOMES = {
    "Converted": "mnncompat.converting.converted",
    "check": "mnncompat.checking.api",
    "convert": "mnncompat.converting.api",
}


def __getattr__(name: str) -> Any:
    """What takes time to find or to import."""
    if name == "__version__":
        from importlib.metadata import version

        return version("mnncompat")
    if name in _HOMES:
        require_supported_system()
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'mnncompat' has no attribute '{name}'")
