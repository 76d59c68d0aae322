"""Outputs that are indices or truth are judged by the numbers that they were made from, too.

Five indices of ArgMax show next to nothing of a model: most mistakes leave the largest where it is. The floating-point
tensors from which whole-number outputs follow (`scores`) are therefore computed on both sides and compared like
outputs: MNN computes any tensor whose name is asked for, and its converter mostly keeps ONNX's names. What ArgMax,
ArgMin and TopK choose may differ where scores tie: both elements are then within their tolerance of each other. Where
they are equal to the last bit ONNX says which one is chosen, and only rounding excuses another (`rounding`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import onnx

from mnncompat import mnn
from mnncompat.errors import ModelError
from mnncompat.graph.operator_traits import CASTS, RESHAPES, SIZES
from mnncompat.graph.protos import attribute, is_onnx
from mnncompat.inference.shape_inference import infer
from mnncompat.parity.metrics import allowance
from mnncompat.parity.mnn_runner import MnnRunner
from mnncompat.results.failures import Failure, Stage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from mnncompat.mnn import Limits
    from mnncompat.parity.speed import Timings
    from mnncompat.results.parity_report import Comparison, Tolerance

_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)
_LARGEST = ("ArgMax", "ArgMin", "TopK")
_IN_ORDER = RESHAPES | frozenset((*CASTS, "Identity"))
"""They leave the elements in their order."""
_MOST = 8
"""Number of score tensors of a model, beyond which none is asked for: they are then no scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How an output chooses among scores.

    Attributes:
        scores: The tensor with the scores.
        axis: Along which the choice is made.
        is_ranking: Whether several are chosen, in their order (TopK); else one, without an axis of its own in memory.
    """

    scores: str
    axis: int
    is_ranking: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What a model's whole-number outputs are made from.

    Attributes:
        labels: Score tensor -> what reports call it; those that are outputs already are left out.
        choices: Output -> how it chooses.
        types: Score tensor -> its ONNX type.
    """

    labels: Mapping[str, str]
    choices: Mapping[str, Choice]
    types: Mapping[str, int]

    def exposed(self, model: onnx.ModelProto) -> onnx.ModelProto:
        """The model, with the scores as further outputs; itself if there are none."""
        if not self.labels:
            return model
        result = onnx.ModelProto()
        result.CopyFrom(model)
        for name in self.labels:
            tensor = onnx.TypeProto(tensor_type=onnx.TypeProto.Tensor(elem_type=self.types[name]))
            result.graph.output.append(onnx.ValueInfoProto(name=name, type=tensor))
        return result

    def without(self, names: Collection[str]) -> Scores:
        """Without some tensors, which then are not compared, and of whose ties nothing is known."""
        return replace(self, labels={name: label for name, label in self.labels.items() if name not in names})


NO_SCORES = Scores(labels={}, choices={}, types={})
"""Of a model whose outputs are numbers."""


def scores_of(model: onnx.ModelProto) -> Scores:
    """Find the scores of every output of whole numbers or truth.

    Args:
        model: The model; weights need not be loaded.
    """
    whole = [
        each.name
        for each in model.graph.output
        if each.type.tensor_type.elem_type not in (onnx.TensorProto.UNDEFINED, *_FLOATS)
    ]
    inferred = infer(model) if whole else None
    if inferred is None:
        return NO_SCORES
    graph = inferred.graph
    types = {each.name: each.type.tensor_type.elem_type for each in (*graph.value_info, *graph.output)}
    producers = {output: node for node in model.graph.node for output in node.output if output}
    outputs = {each.name for each in model.graph.output}
    labels: dict[str, str] = {}
    for name in whole:
        found = list(_sources(name, producers, types))
        for place, tensor in enumerate(found):
            label = f"scores of {name}" if not place else f"scores of {name}: {tensor}"
            if tensor not in outputs:
                labels.setdefault(tensor, label)
    choices = {name: choice for name in whole if (choice := _choice(name, producers, types)) is not None}
    return Scores(labels=labels if len(labels) <= _MOST else {}, choices=choices, types=types)


def _sources(name: str, producers: Mapping[str, onnx.NodeProto], types: Mapping[str, int]) -> Iterator[str]:
    """The computed floating-point tensors that whole numbers follow from, the nearest ones."""
    pending, seen = [name], {name}
    while pending:
        node = producers.get(pending.pop(0))
        if node is None or node.op_type in SIZES or not is_onnx(node):
            continue
        for each in node.input:
            if each in seen or each not in producers:
                continue
            seen.add(each)
            if types.get(each) in _FLOATS:
                yield each
            else:
                pending.append(each)


def _choice(name: str, producers: Mapping[str, onnx.NodeProto], types: Mapping[str, int]) -> Choice | None:
    """How an output chooses, if nothing but casts and shapes lies behind the choice."""
    node = producers.get(name)
    while node is not None and is_onnx(node) and node.op_type in _IN_ORDER:
        name = node.input[0]
        node = producers.get(name)
    if node is None or not is_onnx(node) or node.op_type not in _LARGEST or types.get(node.input[0]) not in _FLOATS:
        return None
    is_ranking = node.op_type == "TopK"
    axis = attribute(node, "axis", -1 if is_ranking else 0)
    return Choice(scores=node.input[0], axis=int(axis), is_ranking=is_ranking)


class ScoringRunner:
    """MNN, with the scores of a second run: the first one is that of the file as it is used.

    Args:
        path: The `.mnn` file.
        outputs: The model's own outputs.
        scores: Score tensors that the file has.
        limits: What a child process may use.
    """

    def __init__(self, path: Path, *, outputs: Sequence[str], scores: Sequence[str], limits: Limits) -> None:
        self._path = path
        self._plain = MnnRunner(path, outputs=outputs, limits=limits)
        self._scores = MnnRunner(path, outputs=scores, limits=limits) if scores else None
        self.name = self._plain.name

    @property
    def timings(self) -> Timings:
        """Of the runs so far, without those for scores."""
        return self._plain.timings

    @property
    def for_session(self) -> tuple[int, ...]:
        """Numbers of the feeds that MNN's Session API is run on as well."""
        return self._plain.for_session

    @for_session.setter
    def for_session(self, draws: tuple[int, ...]) -> None:
        self._plain.for_session = draws

    @property
    def in_session(self) -> mnn.SessionRan | None:
        """What it gave of them in the last run; None if it was not run."""
        return self._plain.in_session

    def ask(self, names: Collection[str]) -> Collection[str]:
        """Give tensors inside the model with the outputs of the first of the feeds; returns those that the file has."""
        held = _tensors(self._path) if names else set()
        self._plain.inner = tuple(name for name in names if name in held)
        return self._plain.inner

    def run(self, feeds: Sequence[Mapping[str, np.ndarray]]) -> list[dict[str, np.ndarray]] | Failure:
        """Run the model on each of the feeds, see `Runner`. Without the scores, where MNN gives the outputs alone."""
        found = self._plain.run(feeds)
        if isinstance(found, Failure) and self._plain.inner and found.stage in (Stage.INNER, Stage.EXIT):
            self._plain.inner = ()
            found = self._plain.run(feeds)
        if self._scores is None or isinstance(found, Failure):
            return found
        scores = self._scores.run(feeds)
        return found if isinstance(scores, Failure) else [one | two for one, two in zip(found, scores, strict=True)]


def scores_in_file(scores: Scores, path: Path) -> tuple[Scores, list[str]]:
    """The scores that a converted file has as well, and a note for each that it has not.

    Args:
        scores: Of the original.
        path: The `.mnn` file.
    """
    if not scores.labels:
        return scores, []
    held = _tensors(path)
    missing = [name for name in scores.labels if name not in held]
    notes = [
        f"{scores.labels[name]}: not compared, the file has no tensor {name!r}; whole numbers show little of a model"
        for name in missing
    ]
    return scores.without(missing), notes


def _tensors(path: Path) -> Collection[str]:
    """The tensors of a file's main graph; none if it cannot be read."""
    try:
        return mnn.read_values(path)
    except ModelError:
        return set()


def excuse_ties(
    comparison: Comparison,
    expected: np.ndarray,
    actual: np.ndarray | None,
    choice: Choice,
    scores: tuple[np.ndarray, Tolerance],
) -> Comparison:
    """Excuse indices that differ between scores which tie.

    Args:
        comparison: Of the indices, which failed.
        expected: The reference's indices.
        actual: Those that are compared with them.
        choice: How they were chosen.
        scores: The reference's scores, any shape, and their tolerance.

    Returns:
        The comparison, without problems if every difference is a tie.
    """
    if comparison.passed or actual is None or actual.shape != expected.shape or actual.dtype.kind not in "biu":
        return comparison
    gaps = _gaps(expected, actual, choice, *scores)
    if gaps is None or not np.all(gaps <= 1):
        return comparison
    count = int(np.count_nonzero(expected != actual))
    return replace(comparison, problems=(), error_ratio=float(gaps.max(initial=0.0)), outliers=count)


def _gaps(
    expected: np.ndarray, actual: np.ndarray, choice: Choice, scores: np.ndarray, tolerance: Tolerance
) -> np.ndarray | None:
    """For each index, the distance of both scores as a multiple of what both may be off; None if it has no meaning."""
    axis = choice.axis % max(scores.ndim, 1)
    if scores.ndim == 0 or scores.size == 0 or not np.isfinite(scores).all():
        return None
    count = expected.size * scores.shape[axis] // scores.size
    shape = (*scores.shape[:axis], count, *scores.shape[axis + 1 :])
    if int(np.prod(shape)) != expected.size:
        return None
    wanted, found = (each.reshape(shape).astype(np.int64) for each in (expected, actual))
    if not all(np.all((each >= -scores.shape[axis]) & (each < scores.shape[axis])) for each in (wanted, found)):
        return None
    if choice.is_ranking and not np.all(np.diff(np.sort(found, axis=axis), axis=axis)):
        return None
    values = scores.astype(np.float64)
    allowed = allowance(values, tolerance)
    (one, may_one), (two, may_two) = (
        (np.take_along_axis(values, each, axis), np.take_along_axis(allowed, each, axis)) for each in (wanted, found)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        gaps = np.where(one == two, np.inf, np.abs(one - two) / (may_one + may_two))
    return np.where(wanted == found, 0.0, gaps)
