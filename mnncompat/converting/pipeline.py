"""The conversion pipeline: check, fix, convert, verify, then publish. The output appears only if parity is proven."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mnncompat.checking.checker import check_model
from mnncompat.checking.chosen_findings import chosen_findings
from mnncompat.converting.attempts import options_with, shown, suggesting
from mnncompat.converting.file_sizes import sizes_of
from mnncompat.converting.gate_options import VERDICTS, GateOptions, default_tolerance, is_lossy
from mnncompat.converting.handed_model import convert_handed
from mnncompat.converting.kept_quantized import has_quantized_blocks, kept_quantized
from mnncompat.converting.latency import Timed, measure_latency
from mnncompat.converting.near_misses import fails_on_zeros_alone, is_near, random_hint, tie_hint
from mnncompat.converting.recurrent_forms import FormChoice, choose_forms
from mnncompat.errors import MnncompatError
from mnncompat.files.allowance import seconds_left
from mnncompat.files.scratch import ScratchFolder
from mnncompat.graph.atomic_files import publish, require_different, require_writable, weights_of
from mnncompat.graph.model_file import Model
from mnncompat.results.outcomes import ConvertResult, Verdict
from mnncompat.results.proof_strength import ProofVerdict, acceptable
from mnncompat.results.recurrent_form import RecurrentForm, wanted_form
from mnncompat.rewrites.core.base import Rewrite
from mnncompat.support.releases import installed_version
from mnncompat.support.target import Target

if TYPE_CHECKING:
    from mnncompat.fixing.transaction import FixedModel
    from mnncompat.mnn import Converted, ConvertOptions
    from mnncompat.mnn.kept_integers import KeptIntegers
    from mnncompat.parity import Tolerance
    from mnncompat.results.diagnostics import CheckResult, Diagnostic
    from mnncompat.results.failures import Failure
    from mnncompat.results.parity_report import ParityReport

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
        if model.path is not None:
            require_different(model.path, out)
        require_writable(out)
    with ScratchFolder() as folder:
        return _Gate(model, options or GateOptions(), progress, folder).run(out)


class _Gate:
    """One run of the pipeline, in a folder of its own."""

    def __init__(self, model: Model, options: GateOptions, progress: Progress, folder: Path) -> None:
        from mnncompat.mnn import Limits
        from mnncompat.parity import real_data

        self._model = model
        self._options = options
        self._accept = acceptable(options.accept)
        self._rewrites = options.all_rewrites
        self._converter = options.whole_converter
        self._limits = options.limits or Limits().with_memory(options.memory)
        self._data = real_data(options.inputs)
        self._progress = progress
        self._started = time.monotonic()
        self._onnx = folder / "model.onnx"
        self._mnn = (options.kept or folder) / "model.mnn"

    def run(self, out: Path | None) -> Conversion:
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
        choice = self._forms(fixed)
        for form in choice.forms or (None,):
            self._converter = replace(self._converter, recurrent_ops=form is RecurrentForm.OPS)
            ended = self._converted(replace(result, recurrent=form, recurrent_reason=choice.reason(form)), fixed)
            agrees = ended.parity is not None and ended.parity.verdict is not ProofVerdict.DIFFERENT
            if agrees or self._lacks_time():
                break
        return self._published(ended, out)

    def _forms(self, fixed: FixedModel | None) -> FormChoice:
        """The forms of recurrent layers to convert the model in, until one agrees."""
        given = RecurrentForm.OPS if self._converter.recurrent_ops else None
        wanted = wanted_form(self._options.recurrent) or given
        model = self._model if fixed is None else fixed.model
        return choose_forms(model, wanted, self._converter, for_session=self._options.requires_session)

    def _converted(self, result: Conversion, fixed: FixedModel | None) -> Conversion:
        """Convert and compare; the verdict says what stands in the way, `Verdict.CONVERTED` that nothing does."""
        from mnncompat.results.failures import Failure

        unquantised: ParityReport | None = None
        kept: Sequence[KeptIntegers] = ()
        keeps = self._options.keep_quantized and has_quantized_blocks(self._model)
        if keeps or is_lossy(self._converter):
            full = self._prove_unquantised(fixed)
            if isinstance(full, Failure):
                return replace(result, verdict=Verdict.NOT_CONVERTED, failure=full)
            if not full.is_accepted(self._accept):
                return replace(result, verdict=VERDICTS[full.verdict], parity=full)
            unquantised = full
        if keeps:
            kept, told = kept_quantized(self._model, self._mnn)
            result = replace(result, kept_quantized=told)
        converted = self._convert(fixed, self._converter, kept)
        if isinstance(converted, Failure):
            return replace(result, verdict=Verdict.NOT_CONVERTED, failure=converted)
        parity = self._verify(fixed, unquantised)
        verdict = Verdict.CONVERTED if parity.is_accepted(self._accept) else VERDICTS[parity.verdict]
        sized = replace(result, **sizes_of(self._model, self._mnn, grows=not kept))
        return replace(sized, verdict=verdict, parity=parity, words=converted.words)

    def _published(self, ended: Conversion, out: Path | None) -> Conversion:
        """Publish the file if nothing stands in the way; else say what helps."""
        parity = ended.parity
        if parity is None:
            return ended
        if ended.verdict is not Verdict.CONVERTED:
            rounded = is_lossy(self._converter) and not ended.bytes
            hint, better = (self._random_hint(), None) if rounded else self._advice(parity, ended.fix, out)
            return better or replace(ended, hint=hint)
        if self._options.requires_session and (parity.session is None or not parity.session.passed):
            return replace(ended, verdict=Verdict.NO_SESSION)
        if self._options.is_timed:
            self._progress("time: MNN on the converted file, and on the model converted as it is")
            done = Timed(self._model, ended.fix, self._mnn, self._converter, self._limits)
            ended = replace(ended, latency=measure_latency(done, self._options))
        if exceeded := self._options.budget.exceeded(ended):
            return replace(ended, verdict=Verdict.OVER_BUDGET, exceeded=exceeded)
        if out is not None:
            publish(self._mnn, out)
            if weights_of(self._mnn).exists():
                self._progress(f"weights are in a file beside it, which MNN looks for there: {weights_of(out)}")
        return replace(ended, out=out, accepted=parity.lacks)

    def _with_last_resort(self, rewrite: Rewrite, out: Path | None) -> Conversion:
        """Convert once more, with a rewrite that nobody asked for, and publish the file if it is proven."""
        self._progress(f"all of it once more, with {rewrite.name}")
        declined = (*self._options.declined, rewrite.name)
        options = options_with(replace(self._options, declined=declined), rewrite)
        with ScratchFolder() as folder:
            found = _Gate(self._model, options, self._progress, folder).run(out)
        return replace(found, added_rewrite=rewrite.name)

    def _advice(
        self, parity: ParityReport, fixed: FixedModel | None, out: Path | None
    ) -> tuple[str, Conversion | None]:
        """What to try where noise or a known approximation may be the only cause of the difference.

        Returns:
            The words, and the conversion with a rewrite of last resort if the outputs agree in it; else None.
        """
        if not parity.differs:
            return self._random_hint(), None
        hint = tie_hint(self._model) if fails_on_zeros_alone(parity) else ""
        if hint or not is_near(parity):
            return hint, None
        applied = () if fixed is None else tuple(each.rewrite for each in fixed.applied)
        for each in suggesting(self._converter):
            advice = each.suggestion(self._model.skeleton, applied)
            if not advice or self._lacks_time():
                continue
            if each.last_resort and each.name not in self._options.declined:
                better = self._with_last_resort(each, out)
                if better.parity is not None and better.verdict is not Verdict.NOT_EQUAL:
                    return "", better
                after = better.parity
            else:
                after = self._attempt(each)
            if found := shown(parity, after):
                return f"{advice}; {found}", None
        return "", None

    def _lacks_time(self) -> bool:
        """True if another attempt may take more than is left."""
        return seconds_left() < _ATTEMPT * (time.monotonic() - self._started)

    def _attempt(self, rewrite: Rewrite) -> ParityReport | None:
        """Compare once more with another rewrite; None if that fails."""
        took = time.monotonic() - self._started
        limits = replace(self._limits, seconds=min(self._limits.seconds, took + 1.0))
        options = options_with(replace(self._options, power=False, limits=limits), rewrite)
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
        as_ops = self._forms(fixed).forms[:1] == (RecurrentForm.OPS,)
        converted = self._convert(fixed, replace(self._converter, recurrent_ops=as_ops))
        return None if isinstance(converted, Failure) else self._verify(fixed, None)

    def _random_hint(self) -> str:
        """What makes random outputs comparable; empty if no output is random."""
        told = self._options
        return random_hint(self._model, shapes=told.shapes, inputs=self._data, seed=told.seed, memory=told.memory)

    def _check(self) -> CheckResult:
        self._progress("check: what does MNN refuse, or get wrong?")
        return self._checked(self._model)

    def _remaining(self, check: CheckResult, fixed: FixedModel | None) -> tuple[Diagnostic, ...]:
        if fixed is None or not fixed.changed:
            return check.diagnostics
        return self._checked(fixed.model).diagnostics

    def _checked(self, model: Model) -> CheckResult:
        options = self._options
        found = check_model(model, arch=options.arch, precision=options.precision, rewrites=None, head=options.head)
        return replace(found, diagnostics=chosen_findings(found.diagnostics, self._options.rows))

    def _fix(self) -> FixedModel | None:
        if not self._rewrites:
            return None
        from mnncompat.fixing.transaction import fix_model

        self._progress("fix: rewriting, and proving the result equal under ONNX Runtime")
        return fix_model(
            self._model,
            rewrites=self._rewrites,
            target=self._target,
            shapes=self._options.shapes,
            inputs=self._data,
            seed=self._options.seed,
            memory=self._options.memory,
            where=self._options.where,
            simulate=self._options.simulate,
        )

    @property
    def _target(self) -> Target:
        told = self._options
        return Target(arch=told.arch, precision=told.precision, choice=told.rows, head=told.head)

    def _prove_unquantised(self, fixed: FixedModel | None) -> ParityReport | Failure:
        """Prove the conversion with weights as they are.

        Rounded weights are judged only by a ratio over the whole output, which a wrong operator may pass.
        """
        from mnncompat.results.failures import Failure

        full = replace(self._converter, fp16=False, weight_bits=0, weight_block=None, weight_asymmetric=None)
        self._progress("convert and verify with full weights first")
        converted = self._convert(fixed, full)
        if isinstance(converted, Failure):
            return converted
        return self._compare(fixed, None, power=self._options.power, is_final=False)

    def _convert(
        self, fixed: FixedModel | None, converter: ConvertOptions, kept: Sequence[KeptIntegers] = ()
    ) -> Converted | Failure:
        self._progress(f"convert: MNN {installed_version()}")
        is_original = fixed is None or not fixed.changed
        model = self._model if fixed is None or is_original else fixed.model
        return convert_handed(model, self._onnx, self._mnn, converter, self._limits, is_original=is_original, kept=kept)

    def _verify(self, fixed: FixedModel | None, unquantised: ParityReport | None) -> ParityReport:
        """Compare the file; if its weights are rounded, what the proof with full weights exercised counts.

        A ratio over the whole output would miss faults that the proof with full weights catches.
        """
        tolerance = self._options.tolerance or default_tolerance(self._converter)
        found = self._compare(fixed, tolerance, power=self._options.power and unquantised is None)
        if self._options.untried:
            found = replace(found, notes=(*found.notes, self._options.untried))
        return found if unquantised is None else replace(found, power=unquantised.power)

    def _compare(
        self, fixed: FixedModel | None, tolerance: Tolerance | None, *, power: bool, is_final: bool = True
    ) -> ParityReport:
        from mnncompat.parity import verify

        rough = None if fixed is None else fixed.approximated
        which = "the original model" if rough is None else "the model after the unsafe rewrites"
        self._progress(f"verify: ONNX Runtime on {which}, MNN on the converted file")
        return verify(
            (self._model.path or self._model.skeleton) if rough is None else rough.skeleton,
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
            session=is_final,
            where=self._options.where if is_final else None,
            save_data=self._options.save_data if is_final else None,
        )
