"""The two errors of every value: accumulated, as the file computes it, and its own, fed with golden values."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mnncompat.diagnosing.correspondence import Correspondence, depths
from mnncompat.diagnosing.deviations import deviation, strange
from mnncompat.diagnosing.golden import HELD_BYTES, chunks
from mnncompat.diagnosing.tracing import AheadRunner, TraceRunner, traced_apart
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from mnncompat.mnn import Held, Traced
    from mnncompat.parity import Tolerance
    from mnncompat.results.diagnosis import Deviation

_JUDGES = 2
_AHEAD = 2
"""Parts that are begun before their turn."""


@dataclass(slots=True, kw_only=True)
class Measured:
    """What was seen of a file in one draw.

    Attributes:
        accumulated: Value -> its error as the file computes it.
        own: Value -> its error, fed with golden values.
        held: Value -> how MNN holds it.
        shapes: Value -> the shape that it has there, which may have other axes of size 1.
        born: Values in which MNN has NaN or infinities where ONNX Runtime has none -> which.
        failures: Values that could not be computed.
        outputs: Outputs of the model, computed while the file was looked into.
        kept: Values as the file computes them from golden ones, of those whose own error is beyond tolerance, and of
            those that `Measuring.keep` was asked for.
    """

    accumulated: dict[str, Deviation] = field(default_factory=dict)
    own: dict[str, Deviation] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    born: dict[str, str] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    outputs: dict[str, np.ndarray] = field(default_factory=dict)
    kept: dict[str, np.ndarray] = field(default_factory=dict)


class _Part(NamedTuple):
    """A part of a file: values to compute, and those that are fed."""

    wanted: list[str]
    fed: list[str]


class Measuring:
    """Measures the values of a file in one draw.

    Args:
        runner: Runs parts of the file.
        tensors: The file's tensors.
        golden: What ONNX Runtime computes.
        feeds: Input name -> array.
        tolerance: Of values inside the model.
        coarse: Values that are functions which saturate.
        pool: Where runs are begun that will be needed; None begins none.
    """

    def __init__(
        self,
        runner: TraceRunner,
        tensors: Correspondence,
        golden: Mapping[str, np.ndarray],
        feeds: Mapping[str, np.ndarray],
        tolerance: Tolerance,
        coarse: Collection[str] = (),
        *,
        pool: Executor | None = None,
    ) -> None:
        self.runner = AheadRunner(runner, pool)
        self.tensors = tensors
        self.golden = golden
        self.feeds = dict(feeds)
        self._tolerance = tolerance
        self._coarse = coarse
        self.found = Measured()

    def measure_accumulated(self, outputs: Sequence[str]) -> None:
        """Run the file on the inputs of the model and look at every value on the way; outputs are kept."""
        for chunk in self._all(outputs):
            traced, failed = traced_apart(self.runner, self.feeds, chunk, {})
            self.found.held |= traced.held
            self.found.failures |= failed
            self.found.shapes |= {name: array.shape for name, array in traced.values.items()}
            self.found.outputs |= {name: array for name, array in traced.values.items() if name in outputs}
            for name, judged in self._judged(traced.values).items():
                self.found.accumulated[name] = judged
                odd = strange(traced.values[name])
                if odd and odd != strange(self.golden[name]):
                    self.found.born[name] = odd

    def begin_accumulated(self, outputs: Sequence[str]) -> None:
        """Begin what `measure_accumulated` does first."""
        for chunk in list(self._all(outputs))[:1]:
            self.runner.begin(self.feeds, chunk, {})

    def _all(self, outputs: Sequence[str]) -> Iterator[list[str]]:
        """Every value, as many at a time as memory holds."""
        names = [name for name in self.tensors.numbers if name in self.golden]
        names += [name for name in outputs if name not in names]
        sizes = [self.golden[name].nbytes if name in self.golden else 0 for name in names]
        yield from chunks(names, sizes, HELD_BYTES)

    def measure_own(self, names: Collection[str]) -> None:
        """Compute values from golden ones; values that are computed from each other in different runs."""
        before = {name: self.tensors.before[name] for name in self.tensors.numbers if name in self.found.held}
        parts = [part for part in self._apart(before, names) if part.fed]
        self._begin(parts[:_AHEAD])
        for number, part in enumerate(parts):
            traced, failed = self._traced(part)
            self._begin(parts[number + _AHEAD : number + _AHEAD + 1])  # MNN computes it while this one is judged
            self._judge_own(traced, failed)

    def hide(self, tensors: Correspondence) -> set[str]:
        """Go on with fewer tensors; returns the values whose own error has to be measured again."""
        before, self.tensors = self.tensors, tensors
        found = self.found
        gone = [name for name in before.numbers if name not in tensors.numbers]
        for each in (found.accumulated, found.own, found.held, found.shapes, found.born, found.failures, found.kept):
            for name in gone:
                each.pop(name, None)
        return {name for name in tensors.numbers if tensors.before[name] != before.before[name]}

    def keep(self, names: Collection[str]) -> None:
        """Keep values as the file computes them from golden ones, though they are within their tolerance."""
        wanted = [name for name in names if name in self.found.own and name not in self.found.kept]
        fed = dict.fromkeys(each for name in wanted for each in self.tensors.before[name])
        if wanted and not set(fed) & set(wanted):
            traced, _ = traced_apart(self.runner, {name: self.value(name) for name in fed}, wanted, self.found.held)
            self.found.kept |= traced.values

    def deviation(self, name: str, array: np.ndarray) -> Deviation:
        """How far an array is from the golden value."""
        return deviation(self.golden[name], array, self._tolerance, is_coarse=name in self._coarse)

    def strict_deviation(self, name: str, array: np.ndarray) -> Deviation:
        """The same where no element may be an outlier: one wrong row is all of the error of some faults."""
        return deviation(
            self.golden[name], array, replace(self._tolerance, outliers=0.0), is_coarse=name in self._coarse
        )

    def value(self, name: str) -> np.ndarray:
        """The right value of a tensor, in the shape that it has in the file, or of an input."""
        if name in self.feeds:
            return self.feeds[name]
        array, shape = self.golden[name], self.found.shapes.get(name)
        return array if shape is None or math.prod(shape) != array.size else array.reshape(shape)

    def _apart(self, before: Mapping[str, tuple[str, ...]], names: Collection[str]) -> Iterator[_Part]:
        """Parts that are run one after the other: in none of them is a value computed from another one of it."""
        number = depths(before)
        wanted = [name for name in before if name in names and self._can_be_fed(before[name])]
        for depth in sorted({number[name] for name in wanted}):
            apart = [name for name in wanted if number[name] == depth]
            sizes = [sum(self._bytes(each) for each in (name, *before[name])) for name in apart]
            for chunk in chunks(apart, sizes, HELD_BYTES):
                yield _Part(chunk, list(dict.fromkeys(each for name in chunk for each in before[name])))

    def _begin(self, parts: Sequence[_Part]) -> None:
        for part in parts:
            self.runner.begin({name: self.value(name) for name in part.fed}, part.wanted, self.found.held)

    def _traced(self, part: _Part) -> tuple[Traced, dict[str, Failure]]:
        return traced_apart(self.runner, {name: self.value(name) for name in part.fed}, part.wanted, self.found.held)

    def _judge_own(self, traced: Traced, failed: Mapping[str, Failure]) -> None:
        self.found.failures |= {name: each for name, each in failed.items() if name not in self.found.accumulated}
        self.found.own |= (judged := self._judged(traced.values))
        self.found.kept |= {name: traced.values[name] for name, own in judged.items() if own.is_wrong}

    def _judged(self, values: Mapping[str, np.ndarray]) -> dict[str, Deviation]:
        """How far values are from the golden ones, in two threads: numpy works beside Python."""
        known = [name for name in values if name in self.golden]
        with ThreadPoolExecutor(_JUDGES) as judges:
            found = judges.map(lambda name: self.deviation(name, values[name]), known)
            return dict(zip(known, found, strict=True))

    def _can_be_fed(self, names: Sequence[str]) -> bool:
        return all(name in self.feeds or (name in self.found.held and self._survives(name)) for name in names)

    def _survives(self, name: str) -> bool:
        """Whether MNN can hold the golden value: integers may be too large, arrays empty, axes others."""
        array, held = self.golden.get(name), self.found.held[name]
        if array is None or not array.size or name not in self.found.accumulated:
            return False
        if self.found.accumulated[name].problem.startswith("dtype"):
            return False
        if array.dtype.kind in "iu" and held.dtype.startswith("int"):
            limits = np.iinfo(held.dtype)
            return bool(array.min() >= limits.min and array.max() <= limits.max)
        return True

    def _bytes(self, name: str) -> int:
        return self.value(name).nbytes
