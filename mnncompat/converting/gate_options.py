"""What a conversion is asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mnncompat.converting.budget import UNLIMITED, Budget
from mnncompat.results.outcomes import Verdict
from mnncompat.results.proof_strength import ProofVerdict
from mnncompat.results.recurrent_form import AUTO, wanted_form
from mnncompat.rewrites.core.base import Rewrite
from mnncompat.rewrites.index import requested_rewrite
from mnncompat.support.deployment import HIGH
from mnncompat.support.row_choice import EVERYTHING, RowChoice

if TYPE_CHECKING:
    from mnncompat.devices.device import Where
    from mnncompat.fixing.half_precision import BeginTrial
    from mnncompat.mnn import ConvertOptions, Limits
    from mnncompat.parity import Given, Tolerance
    from mnncompat.support.head_form import HeadForm


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOptions:
    """What `convert_model` does on the way.

    Attributes:
        rewrites: Rewrites to apply before the conversion; empty for none.
        rows: Findings to report and to remove.
        head: The form of every fully connected head; None chooses for each one.
        requested: Names of rewrites on request, applied as well; the converter options that belong to them are set.
        declined: Names of rewrites on request that are not even applied where the outputs agree only with them.
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
        time: Measure how long the file takes to run, beside one that is converted without the rewrites.
        budget: What the file may take where it is deployed.
        keep_quantized: Quantised weights with a scale for each block stay the same integers in the file.
        accept: What may be missing for a proof, see `mnncompat.results.proof_strength.ACCEPTABLE`.
        recurrent: The form of LSTM and GRU, `auto` to choose, see `mnncompat.converting.recurrent_forms`.
        requires_session: Publish nothing that MNN's Session API does not run as the Module API does.
        where: A device that has to compute the same; None for none.
        simulate: Begins what judges rewrites for half precision where there is no device; None for nothing.
        arch: The architecture that the file is deployed on; None for all.
        precision: What MNN computes in there.
        untried: What to say of a deployment that nothing was run on; empty for nothing.
        save_data: A folder for the feeds and the outputs of the comparison, see `mnncompat.parity.save_data`.
        kept: A folder in which the converted file stays, as `model.mnn`, published or not; None for a temporary one.
    """

    rewrites: Sequence[Rewrite] = ()
    rows: RowChoice = EVERYTHING
    head: HeadForm | None = None
    requested: Sequence[str] = ()
    declined: Collection[str] = ()
    converter: ConvertOptions | None = None
    limits: Limits | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    inputs: Given | None = None
    tolerance: Tolerance | None = None
    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)
    seed: int = 0
    memory: int | None = None
    power: bool = True
    time: bool = False
    budget: Budget = UNLIMITED
    keep_quantized: bool = False
    accept: Collection[ProofVerdict | str] = ()
    recurrent: str = AUTO
    requires_session: bool = False
    where: Where | None = None
    simulate: BeginTrial | None = None
    arch: str | None = None
    precision: str = HIGH
    untried: str = ""
    save_data: Path | None = None
    kept: Path | None = None

    def __post_init__(self) -> None:
        """Check the words.

        Raises:
            UsageError: There is no such form.
        """
        wanted_form(self.recurrent)

    def with_exact_gelu(self, wanted: bool | None) -> GateOptions:  # noqa: FBT001 - it is the option
        """The same, with GELU by Erf, without it whatever comes of it, or where the outputs agree only so."""
        if wanted is None:
            return self
        return replace(self, requested=("exact-gelu",)) if wanted else replace(self, declined=("exact-gelu",))

    @property
    def is_timed(self) -> bool:
        """Whether the latency is measured."""
        return self.time or self.budget.max_latency_ratio is not None

    @property
    def all_rewrites(self) -> tuple[Rewrite, ...]:
        """The rewrites, and those on request."""
        return (*self.rewrites, *map(requested_rewrite, self.requested))

    @property
    def whole_converter(self) -> ConvertOptions:
        """Options of MNN's converter, with those that belong to the rewrites on request."""
        from mnncompat.mnn import ConvertOptions

        told = {name: value for each in self.requested for name, value in requested_rewrite(each).converter_options}
        return replace(self.converter or ConvertOptions(), **told)


def is_lossy(converter: ConvertOptions) -> bool:
    """True if the converter is asked to round the weights."""
    return bool(converter.fp16 or converter.weight_bits)


def default_tolerance(converter: ConvertOptions) -> Tolerance | None:
    """The tolerance for the way in which the weights are stored; None for full precision."""
    from mnncompat.parity import FP16_WEIGHTS, quantized

    if converter.weight_bits:
        return quantized(converter.weight_bits)
    return FP16_WEIGHTS if converter.fp16 else None


VERDICTS = {
    ProofVerdict.DIFFERENT: Verdict.NOT_EQUAL,
    ProofVerdict.NOT_PROVEN: Verdict.NOT_EXERCISED,
    ProofVerdict.ONE_SIZE: Verdict.ONE_SIZE,
}
"""How a conversion ends whose proof lacks something."""
