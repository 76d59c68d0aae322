"""The inputs of `check`: for `--probe`, and for what `--precision low` predicts of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from mnncompat.cli import options
from mnncompat.cli.data_options import Feeds, Inputs, Preprocessing, SampleOptions
from mnncompat.cli.declared import option
from mnncompat.cli.device_options import LOW
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from mnncompat.graph.model_file import Model
    from mnncompat.parity import RealData
    from mnncompat.results.diagnostics import CheckResult

    Addition = Callable[[Model, CheckResult], CheckResult]

_MOST = 5
_FLOAT16 = "aarch64"
Draws = Annotated[
    int,
    option(
        "--draws",
        min=0,
        max=_MOST,
        metavar="N",
        help="With --precision low: predict what float16 does to N drawn inputs, the second of them large; what "
        "--input and --feeds give is predicted in any case.",
        show_default=False,
    ),
]


class PredictedOptions(NamedTuple):
    """Real data, and how many inputs are drawn to predict half precision."""

    data: Inputs = None
    preprocess: Preprocessing = None
    feeds: Feeds = None
    draws: Draws = 0

    def read(self) -> RealData:
        """As `SampleOptions.read`."""
        return SampleOptions(self.data, self.preprocess, self.feeds).read()

    def predictors(
        self,
        where: Mapping[str, Any],
        mnn: str | None,
        *,
        shape: list[str] | None = None,
        seed: int = 0,
        memory: int | None = None,
        probes: bool = False,
    ) -> list[Addition]:
        """What adds predictions of half precision to the result of one model; nothing where none are asked for.

        Args:
            where: Architecture and precision, as a target takes them.
            mnn: The release that is checked for.
            shape: What the user wrote of shapes.
            seed: Of drawn inputs.
            memory: Bytes that a run may take.
            probes: Whether the data are for `--probe` as well.

        Raises:
            UsageError: Inputs are given that nothing reads, or another release than the installed one.
        """
        if where["precision"] != LOW:
            if self.draws:
                raise UsageError("--draws is about half precision", hint="add --precision low")
            return []
        if not self.draws and not self.data and not self.feeds:
            return []
        if where["arch"] not in (None, _FLOAT16):
            if probes and not self.draws:
                return []
            raise UsageError(
                f"MNN computes in float32 on {where['arch']}, whatever the precision", hint=f"--arch {_FLOAT16}"
            )
        require_installed("--precision low with inputs", mnn)
        return [_predictor(self.read(), self.draws, shape, seed, memory)]


NO_INPUTS = PredictedOptions()
"""As they are by default."""


def require_installed(option: str, mnn: str | None) -> None:
    """Refuse another release than the installed one, for what runs it.

    Raises:
        UsageError: It is another one.
    """
    from mnncompat.cli.config import configured
    from mnncompat.support.releases import require_installed as required

    required(mnn, option, configured=mnn is not None and mnn == configured("mnn"))


def _predictor(real: RealData, draws: int, shape: list[str] | None, seed: int, memory: int | None) -> Addition:
    def predict(model: Model, result: CheckResult) -> CheckResult:
        from mnncompat.diagnosing.half_precision.drawn import Inputs, predicted
        from mnncompat.mnn import Limits

        shapes = options.parse_shapes(shape, model)
        inputs = Inputs(data=real, draws=draws, shapes=shapes, seed=seed, memory=memory)
        return predicted(model, result, inputs, Limits().with_memory(memory))

    return predict
