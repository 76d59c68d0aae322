"""Measure a case: convert it and run it, twice, each step in a process of its own."""

from __future__ import annotations

import re
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from textwrap import shorten
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from mnncompat import mnn
from mnncompat.files.scratch import ScratchFolder
from mnncompat.mnn import ConvertOptions, ForkServer, Limits, ServedEnvironment
from mnncompat.probe.case import is_representable
from mnncompat.probe.judge import judge
from mnncompat.probe.measurement import Aspect, Measurement, Outcome
from mnncompat.probe.on_device import DeviceServer, tolerance_there
from mnncompat.results.failures import Failure, FailureKind

if TYPE_CHECKING:
    from mnncompat.devices.device import Where
    from mnncompat.mnn.request import Performer
    from mnncompat.probe.case import Case

LIMITS = Limits(seconds=10.0, memory_bytes=1 << 30, output_bytes=1 << 22, file_bytes=1 << 28)
"""What one step of one case may use. Micro-models take milliseconds and a few megabytes."""
FILLS = (None, 0x42)
"""What memory holds before it is written: in the first measurement what an application would find there, in the second
these bytes, which read as 48.56 in float32 and 1111638594 in int32. They are finite, so that padding that is multiplied
by zero has no effect, and far from every expected value."""
_OUTCOMES = {
    FailureKind.REFUSED: Outcome.REFUSED,
    FailureKind.NO_FILE: Outcome.REFUSED,
    FailureKind.CRASH: Outcome.CRASH,
    FailureKind.MEMORY: Outcome.CRASH,
    FailureKind.HANG: Outcome.HANG,
    FailureKind.FLOOD: Outcome.HANG,
    FailureKind.ERROR: Outcome.ERROR,
    FailureKind.UNREPRESENTABLE: Outcome.UNREPRESENTABLE,
}
_SIGNAL = re.compile(r"^(SIG[A-Z]+|signal \d+)|\bstatus (\d+)$")
_STRANGE = frozenset({"string", "complex64", "complex128", "int2", "uint2", "int4", "uint4"})
_EMPTY_WORDS = re.compile(r"code=\d+ in onForward, \d+")
_SCRATCH = re.compile(r"/\S*/(?=case\.onnx)")
"""The temporary folder that a case was converted in."""
_LINE = 160


class Prober:
    """Measures cases on one MNN. A context manager; not for several threads.

    Args:
        python: Interpreter of an environment with numpy and the MNN to measure; this one when None.
        limits: What one step of one case may use.
        where: A device to run the cases on, once each, with filled memory; None measures on this machine.
        release: Of MNN on the device; None for that of this machine.

    Raises:
        RunnerError: MNN cannot be imported there.
        UsageError: The device is not set up.
    """

    def __init__(
        self,
        *,
        python: Path | None = None,
        limits: Limits = LIMITS,
        where: Where | None = None,
        release: str | None = None,
    ) -> None:
        self._limits = limits
        self.where = where
        self._rough = tolerance_there(where)
        with ExitStack() as stack:
            self._place = stack.enter_context(ScratchFolder())
            self._servers: list[ForkServer | DeviceServer] = (
                [stack.enter_context(ForkServer(python=python, fill=fill)) for fill in FILLS]
                if where is None
                else [stack.enter_context(_on_device(where, release, python, limits))]
            )
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the servers. Harmless when repeated."""
        self._stack.close()

    def abandon(self) -> None:
        """From another thread: make the measurement that is going on raise `RunnerError`."""
        for server in self._servers:
            server.abandon()

    @property
    def environment(self) -> ServedEnvironment:
        """The environment of the MNN that is measured."""
        return self._servers[0].environment

    def measure(self, case: Case) -> Measurement:
        """Measure one case.

        Raises:
            RunnerError: MNN cannot be imported there, its server ended twice in a row, or this was abandoned.
        """
        return self.verdict(case, self.attempts(case))

    def attempts(self, case: Case) -> list[dict[str, np.ndarray] | Failure]:
        """Convert and run a case once with each way to fill memory: for each, output name -> array, or how it failed.

        One that did not end is not tried again, because that would take as long. One that MNN has no tensors for is
        not tried at all.
        """
        found: list[dict[str, np.ndarray] | Failure] = []
        if _is_measurable(case):
            for server in self._servers:
                found.append(self._attempt(case, server.perform))
                if isinstance(found[-1], Failure) and found[-1].kind in (FailureKind.HANG, FailureKind.FLOOD):
                    break
        return found

    def verdict(self, case: Case, found: list[dict[str, np.ndarray] | Failure]) -> Measurement:
        """The measurement that follows from the attempts at a case."""
        if not found:
            return Measurement(id=case.id, op=case.op, outcome=Outcome.UNREPRESENTABLE, detail=_strange_type(case))
        one, *more = found
        measured = self._measurement(case, one)
        for two in more:
            same = _same(one, two)
            again = measured if same and not isinstance(two, Failure) else self._measurement(case, two)
            measured = combined(measured, again, same=same)
        return measured

    def judged(self, case: Case, found: dict[str, np.ndarray]) -> tuple[Aspect, str]:
        """What is wrong with outputs, and how, by the tolerance of the place that computed them; see `judge`."""
        return judge(case, found, rough=self._rough)

    def _attempt(self, case: Case, performer: Performer) -> dict[str, np.ndarray] | Failure:
        folder = Path(tempfile.mkdtemp(dir=self._place))
        try:
            return attempt(case, folder, limits=self._limits, performer=performer)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _measurement(self, case: Case, found: dict[str, np.ndarray] | Failure) -> Measurement:
        if isinstance(found, Failure):
            return of_failure(case, found)
        aspect, detail = self.judged(case, found)
        outcome = Outcome.WRONG if aspect else Outcome.OK
        return Measurement(id=case.id, op=case.op, outcome=outcome, aspect=aspect, detail=_line(detail))


def _on_device(where: Where, release: str | None, python: Path | None, limits: Limits) -> DeviceServer:
    return DeviceServer(where, release=release, python=python, fill=FILLS[-1], memory=limits.memory_bytes)


def _is_measurable(case: Case) -> bool:
    return case.expected is not None and all(map(is_representable, (*case.feeds.values(), *case.expected.values())))


def attempt(case: Case, folder: Path, *, limits: Limits, performer: Performer) -> dict[str, np.ndarray] | Failure:
    """Convert a case and run the result.

    Args:
        case: One that has expected outputs.
        folder: An empty one.
        limits: For each of the two steps.
        performer: Carries them out.

    Returns:
        Output name -> array, or how it failed.
    """
    model, converted = folder / "case.onnx", folder / "case.mnn"
    model.write_bytes(case.model)
    result = mnn.convert(model, converted, options=ConvertOptions(), limits=limits, performer=performer)
    if isinstance(result, Failure):
        return result
    names = list(case.expected or {})
    feeds = [*case.earlier, case.feeds]
    ran = mnn.run(converted, feeds, output_names=names, limits=limits, performer=performer)
    return ran if isinstance(ran, Failure) else ran.outputs[-1]


def of_failure(case: Case, failure: Failure) -> Measurement:
    """The measurement that follows from a failure."""
    cause = failure.kind.value if failure.kind in (FailureKind.MEMORY, FailureKind.FLOOD) else ""
    if failure.kind is FailureKind.CRASH:
        found = _SIGNAL.search(failure.message.partition(" while ")[0].partition(" at exit")[0])
        cause = "" if found is None else found[1] or f"status {found[2]}"
    words = "; ".join(line for line in failure.words.splitlines() if not _EMPTY_WORDS.match(line))
    return Measurement(
        id=case.id,
        op=case.op,
        outcome=_OUTCOMES[failure.kind],
        stage=failure.stage.value,
        cause=cause,
        detail=_line(words or ("" if cause else failure.message)),
    )


def combined(one: Measurement, two: Measurement, *, same: bool) -> Measurement:
    """One measurement of two.

    The first one, which had memory as an application has it, unless only the second is wrong.

    Args:
        one: With memory as it comes.
        two: With memory filled.
        same: Whether both gave the same outputs, or both none.
    """
    if same and (one.outcome, one.stage, one.aspect) == (two.outcome, two.stage, two.aspect):
        return one
    told = two if one.outcome is Outcome.OK else one
    if told.outcome is Outcome.OK:
        told = replace(told, outcome=Outcome.WRONG, aspect=Aspect.VALUES)
    if told.outcome is Outcome.WRONG:
        told = replace(told, detail="depends on memory that was never written")
    return replace(told, unstable=True)


def _strange_type(case: Case) -> str:
    import onnx

    graph = onnx.load_model_from_string(case.model).graph
    for what, values in (("input", graph.input), ("output", graph.output)):
        for value in values:
            kind = value.type.WhichOneof("value")
            name = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
            if kind != "tensor_type" or name in _STRANGE or name.startswith(("float8", "float4")):
                return f"{what} {value.name!r} is {name if kind == 'tensor_type' else kind}"
    return "an input or output holds no numbers, or numbers beyond float32"


def _same(one: dict[str, np.ndarray] | Failure, two: dict[str, np.ndarray] | Failure) -> bool:
    """Whether two attempts gave the same: bit for bit where they gave outputs."""
    if isinstance(one, Failure) or isinstance(two, Failure):
        return isinstance(one, Failure) and isinstance(two, Failure)
    return all(
        array.dtype == two[name].dtype and array.shape == two[name].shape and array.tobytes() == two[name].tobytes()
        for name, array in one.items()
    )


def _line(text: str) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in _SCRATCH.sub("", text))
    return shorten(printable, _LINE, placeholder=" ...")
