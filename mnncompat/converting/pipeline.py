"""The conversion pipeline: check, fix, convert, verify, then publish. The output appears only if parity is proven."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mnncompat.checking.checker import check_model
from mnncompat.checking.chosen_findings import chosen_findings
from mnncompat.converting.attempts import shown
from mnncompat.converting.file_sizes import source_bytes, weights_that_became_floats
from mnncompat.converting.handed_model import convert_handed
from mnncompat.converting.near_misses import fails_on_zeros_alone, is_near, random_hint, tie_hint
from mnncompat.errors import MnncompatError, ModelError
from mnncompat.files.allowance import seconds_left
from mnncompat.files.scratch import ScratchFolder
from mnncompat.graph.atomic_files import publish, require_different, require_writable, weights_of
from mnncompat.graph.model_file import Model
from mnncompat.results.outcomes import ConvertResult, Verdict
from mnncompat.results.proof_strength import ProofVerdict, acceptable
from mnncompat.rewrites.core.base import Rewrite
from mnncompat.rewrites.index import all_rewrites, requested_rewrite, requested_rewrites
from mnncompat.support.releases import installed_version
from mnncompat.support.row_choice import EVERYTHING, RowChoice
from mnncompat.support.target import Target

if TYPE_CHECKING:
    from mnncompat.fixing.transaction import FixedModel
    from mnncompat.mnn import Converted, ConvertOptions, Limits
    from mnncompat.parity import Given, Tolerance
    from mnncompat.results.diagnostics import CheckResult, Diagnostic
    from mnncompat.results.failures import Failure
    from mnncompat.results.parity_report import ParityReport
    from mnncompat.support.head_form import HeadForm

_ATTEMPT = 1.5
"""How many times what was done before has to be left for an attempt with another rewrite."""

Progress = Callable[[str], None]
"""Called with one line at the start of each step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion(ConvertResult):
    """A conversion with the models that it went through.

    Attributes:
        fix: What was rewritten before the conversion, with the models; None if fixing was switched off.
    """

    fix: FixedModel | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOptions:
    """What `convert_model` does on the way.

    Attributes:
        rewrites: Rewrites to apply before the conversion; empty for none.
        rows: Findings to report and to remove.
        head: The form of every fully connected head; None chooses for each one.
        requested: Names of rewrites on request, applied as well; the converter options that belong to them are set.
        converter: Options that pass through to MNN's converter.
        limits: What MNN's child processes may use.
        shapes: Shapes of inputs with dynamic dimensions.
        inputs: Real data, see `mnncompat.parity.real_data`.
        tolerance: Of outputs that are not named in `tolerances`; None for the default, which depends on `converter`.
        tolerances: Tolerances by output name.
        seed: Of the drawn inputs.
        memory: Bytes that a run may take at sizes that are chosen; None for the default. If `limits` is None, MNN gets
            no less.
        power: Measure which operators the comparison would have caught, had they been wrong.
        accept: What may be missing for a proof, see `mnncompat.results.proof_strength.ACCEPTABLE`.
    """

    rewrites: Sequence[Rewrite] = ()
    rows: RowChoice = EVERYTHING
    head: HeadForm | None = None
    requested: Sequence[str] = ()
    converter: ConvertOptions | None = None
    limits: Limits | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    inputs: Given | None = None
    tolerance: Tolerance | None = None
    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)
    seed: int = 0
    memory: int | None = None
    power: bool = True
    accept: Collection[ProofVerdict | str] = ()


def convert_model(
    model: Model, out: Path | None, *, options: GateOptions | None = None, progress: Progress = lambda _: None
) -> Conversion:
    """Convert a model with MNN, and publish the file only if it is proven to compute what the model computes.

    Args:
        model: The model, as it was exported.
        out: Where the `.mnn` file goes; None does everything but publish it.
        options: See `GateOptions`.
        progress: Told about every step.

    Returns:
        How it ended; `out` is untouched unless the verdict is `Verdict.CONVERTED`: the parity report's verdict is
        *equal* or *within*, or `GateOptions.accept` names all that it lacks.

    Raises:
        OutputError: `out` cannot be written.
        UsageError: An option does not fit the model.
        ModelError: The model cannot be read.
        RunnerError: MNN or ONNX Runtime is not installed.
    """
    if out is not None:
        require_writable(out)
        if model.path is not None:
            require_different(model.path, out)
    with ScratchFolder() as folder:
        return _Gate(model, options or GateOptions(), progress, folder).run(out)


class _Gate:
    """One run of the pipeline, in a folder of its own."""

    def __init__(self, model: Model, options: GateOptions, progress: Progress, folder: Path) -> None:
        from mnncompat.mnn import ConvertOptions, Limits
        from mnncompat.parity import real_data

        self._model = model
        self._options = options
        self._accept = acceptable(options.accept)
        requested = [requested_rewrite(name) for name in options.requested]
        told = {field: value for each in requested for field, value in each.converter_options}
        self._rewrites = (*options.rewrites, *requested)
        self._converter = replace(options.converter or ConvertOptions(), **told)
        self._limits = options.limits or Limits().with_memory(options.memory)
        self._data = real_data(options.inputs)
        self._progress = progress
        self._started = time.monotonic()
        self._onnx = folder / "model.onnx"
        self._mnn = folder / "model.mnn"

    def run(self, out: Path | None) -> Conversion:
        from mnncompat.results.failures import Failure

        check = self._check()
        fixed = self._fix()
        result = Conversion(
            source=self._model.name,
            out=None,
            verdict=Verdict.NOT_PROVEN,
            check=check,
            fix=fixed,
            remaining=self._remaining(check, fixed),
            shapes=self._options.shapes,
        )
        if fixed is not None and any(each.is_wrong for each in fixed.rolled_back):
            return replace(result, hint=self._random_hint())
        unquantised: ParityReport | None = None
        if is_lossy(self._converter):
            full = self._prove_unquantised(fixed)
            if isinstance(full, Failure):
                return replace(result, verdict=Verdict.NOT_CONVERTED, failure=full)
            if not full.is_accepted(self._accept):
                return replace(result, verdict=_VERDICTS[full.verdict], parity=full, hint=self._random_hint())
            unquantised = full
        converted = self._convert(fixed, self._converter)
        if isinstance(converted, Failure):
            return replace(result, verdict=Verdict.NOT_CONVERTED, failure=converted)
        parity = self._verify(fixed, unquantised)
        result = replace(self._with_sizes(result), parity=parity, ops=self._count(), words=converted.words)
        if not parity.is_accepted(self._accept):
            return replace(result, verdict=_VERDICTS[parity.verdict], hint=self._hint(parity, fixed))
        if out is not None:
            publish(self._mnn, out)
            if weights_of(self._mnn).exists():
                self._progress(f"weights are in a file beside it, which MNN looks for there: {weights_of(out)}")
        return replace(result, verdict=Verdict.CONVERTED, out=out, accepted=parity.lacks)

    def _hint(self, parity: ParityReport, fixed: FixedModel | None) -> str:
        """What to try where noise or a known approximation may be the only cause of the difference."""
        if not parity.differs:
            return self._random_hint()
        hint = tie_hint(self._model) if fails_on_zeros_alone(parity) else ""
        if hint or not is_near(parity):
            return hint
        applied = () if fixed is None else tuple(each.rewrite for each in fixed.applied)
        for each in self._suggesting_rewrites():
            advice = each.suggestion(self._model.skeleton, applied)
            found = shown(parity, self._attempt(each)) if advice else ""
            if found:
                return f"{advice}; {found}"
        return ""

    def _attempt(self, rewrite: Rewrite) -> ParityReport | None:
        """Compare once more with another rewrite; None if that fails, or would take too long."""
        took = time.monotonic() - self._started
        if seconds_left() < _ATTEMPT * took:
            return None
        limits = replace(self._limits, seconds=min(self._limits.seconds, took + 1.0))
        options = replace(self._options, power=False, limits=limits)
        if rewrite.on_request:
            options = replace(options, requested=(*options.requested, rewrite.name))
        else:
            options = replace(options, rewrites=(*options.rewrites, rewrite))
        self._progress(f"once more, with {rewrite.name}")
        with ScratchFolder() as folder:
            try:
                return _Gate(self._model, options, self._progress, folder).compare_alone()
            except MnncompatError:
                return None

    def compare_alone(self) -> ParityReport | None:
        """Fix, convert and compare, no more; None if a step fails."""
        from mnncompat.results.failures import Failure

        fixed = self._fix()
        if fixed is not None and fixed.rolled_back:
            return None
        converted = self._convert(fixed, self._converter)
        return None if isinstance(converted, Failure) else self._verify(fixed, None)

    def _random_hint(self) -> str:
        """What makes random outputs comparable; empty if no output is random."""
        options = self._options
        return random_hint(
            self._model, shapes=options.shapes, inputs=self._data, seed=options.seed, memory=options.memory
        )

    def _suggesting_rewrites(self) -> Iterator[Rewrite]:
        """Every rewrite except those whose converter options are already set."""
        for each in (*all_rewrites(), *requested_rewrites()):
            told = [getattr(self._converter, field) == value for field, value in each.converter_options]
            if not told or not all(told):
                yield each

    def _check(self) -> CheckResult:
        self._progress("check: what does MNN refuse, or get wrong?")
        return self._checked(self._model)

    def _remaining(self, check: CheckResult, fixed: FixedModel | None) -> tuple[Diagnostic, ...]:
        if fixed is None or not fixed.changed:
            return check.diagnostics
        return self._checked(fixed.model).diagnostics

    def _checked(self, model: Model) -> CheckResult:
        found = check_model(model, rewrites=None, head=self._options.head)
        return replace(found, diagnostics=chosen_findings(found.diagnostics, self._options.rows))

    def _fix(self) -> FixedModel | None:
        if not self._rewrites:
            return None
        from mnncompat.fixing.transaction import fix_model

        self._progress("fix: rewriting, and proving the result equal under ONNX Runtime")
        return fix_model(
            self._model,
            rewrites=self._rewrites,
            target=Target(choice=self._options.rows, head=self._options.head),
            shapes=self._options.shapes,
            inputs=self._data,
            seed=self._options.seed,
            memory=self._options.memory,
        )

    def _prove_unquantised(self, fixed: FixedModel | None) -> ParityReport | Failure:
        """Prove the conversion with weights as they are.

        Rounded weights are judged only by a ratio over the whole output, which a wrong operator may pass.
        """
        from mnncompat.results.failures import Failure

        full = replace(self._converter, fp16=False, weight_bits=0, weight_block=None, weight_asymmetric=None)
        self._progress("convert and verify with full weights first")
        converted = self._convert(fixed, full)
        return converted if isinstance(converted, Failure) else self._compare(fixed, None, power=self._options.power)

    def _convert(self, fixed: FixedModel | None, converter: ConvertOptions) -> Converted | Failure:
        self._progress(f"convert: MNN {installed_version()}")
        is_original = fixed is None or not fixed.changed
        model = self._model if fixed is None or is_original else fixed.model
        return convert_handed(model, self._onnx, self._mnn, converter, self._limits, is_original=is_original)

    def _verify(self, fixed: FixedModel | None, unquantised: ParityReport | None) -> ParityReport:
        """Compare the file; if its weights are rounded, what the proof with full weights exercised counts.

        A ratio over the whole output would miss faults that the proof with full weights catches.
        """
        tolerance = self._options.tolerance or default_tolerance(self._converter)
        found = self._compare(fixed, tolerance, power=self._options.power and unquantised is None)
        return found if unquantised is None else replace(found, power=unquantised.power)

    def _compare(self, fixed: FixedModel | None, tolerance: Tolerance | None, *, power: bool) -> ParityReport:
        from mnncompat.parity import verify

        rough = None if fixed is None else fixed.approximated
        which = "the original model" if rough is None else "the model after the unsafe rewrites"
        self._progress(f"verify: ONNX Runtime on {which}, MNN on the converted file")
        return verify(
            (self._model.path or self._model.skeleton) if rough is None else rough.proto,
            self._mnn,
            shapes=self._options.shapes,
            inputs=self._data,
            tolerance=tolerance,
            tolerances=self._options.tolerances,
            seed=self._options.seed,
            memory=self._options.memory,
            limits=self._limits,
            power=power,
            read=self._model if rough is None else None,
        )

    def _count(self) -> Mapping[str, int]:
        from mnncompat import mnn

        try:
            return mnn.count_ops(self._mnn)
        except ModelError:
            return {}

    def _with_sizes(self, result: Conversion) -> Conversion:
        after = sum(file.stat().st_size for file in (self._mnn, weights_of(self._mnn)) if file.exists())
        before = source_bytes(self._model)
        floats = weights_that_became_floats(self._model, before, after)
        return replace(result, bytes=after, source_bytes=before, became_floats=floats)


_VERDICTS = {
    ProofVerdict.DIFFERENT: Verdict.NOT_EQUAL,
    ProofVerdict.NOT_PROVEN: Verdict.NOT_EXERCISED,
    ProofVerdict.ONE_SIZE: Verdict.ONE_SIZE,
}
"""How a conversion ends whose proof lacks something."""


def is_lossy(converter: ConvertOptions) -> bool:
    """True if the converter is asked to round the weights."""
    return bool(converter.fp16 or converter.weight_bits)


def default_tolerance(converter: ConvertOptions) -> Tolerance | None:
    """The tolerance for the way in which the weights are stored; None for full precision."""
    from mnncompat.parity import FP16_WEIGHTS, quantized

    if converter.weight_bits:
        return quantized(converter.weight_bits)
    return FP16_WEIGHTS if converter.fp16 else None
