"""Judges outputs against their reference, each by its tolerance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from mnncompat.errors import UsageError
from mnncompat.parity.outliers import examine
from mnncompat.parity.output_scale import fitted
from mnncompat.parity.scores import NO_SCORES, Scores, excuse_ties
from mnncompat.parity.tolerance import FLOAT16, FLOAT32, REWRITE
from mnncompat.results.parity_report import Comparison, OutputParity, Tolerance

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy as np

    from mnncompat.parity.input_plan import NamedFeeds
    from mnncompat.parity.outliers import Examined
    from mnncompat.parity.rounded_weights import Rounded
    from mnncompat.results.parity_report import ParityReport, RunnerFailure, UndeterminedOutput

    Outputs = list[dict[str, np.ndarray]]
    Explain = Callable[
        [Sequence[NamedFeeds], str, Sequence[Examined], Tolerance], tuple[tuple[Comparison, ...], list[str]]
    ]


def tolerances_by_output(
    names: Sequence[str], half: Collection[str], tolerance: Tolerance | None, overrides: Mapping[str, Tolerance]
) -> dict[str, Tolerance]:
    """The tolerance of each output.

    Args:
        names: The outputs.
        half: Those that are declared float16.
        tolerance: Of outputs that are not named in the overrides; None for the default one.
        overrides: By output name.

    Raises:
        UsageError: An override names no output.
    """
    for name in overrides:
        if name not in names:
            listed = ", ".join(repr(each) for each in names)
            raise UsageError(
                f"a tolerance names the output {name!r}, which the model does not have", hint=f"it has: {listed}"
            )
    default = {
        name: FLOAT16 if name in half and tolerance in (None, REWRITE) else tolerance or FLOAT32 for name in names
    }
    return default | dict(overrides)


class Judge:
    """Judges the outputs of a model.

    Args:
        tolerances: Of every output.
        explain: Examines the draws of an output that failed; returns the comparisons, with outliers excused and those
            that prove nothing marked as inconclusive, and notes. None takes failures as they are, but for the share of
            outliers that the tolerance allows.
        unexplained: Outputs whose failures are taken as they are.
        coarse: Outputs that are functions which saturate.
        scores: What outputs of whole numbers are made from; their tensors are judged like outputs.
        rounded: Says what holds for `loose` instead, where one of them does not agree, and why; asked then alone.
        loose: Outputs whose tolerance follows from how the weights are stored.
        settled: Whether an output is of one value, whatever the model is fed with; asked where it has no finite number.
    """

    def __init__(
        self,
        tolerances: Mapping[str, Tolerance],
        explain: Explain | None = None,
        unexplained: Collection[str] = (),
        *,
        coarse: Collection[str] = (),
        scores: Scores = NO_SCORES,
        rounded: Callable[[], Rounded | None] | None = None,
        loose: Collection[str] = (),
        settled: Callable[[str], bool] | None = None,
    ) -> None:
        self.tolerances = dict(tolerances)
        """Of every output, as they were used."""
        self._given = dict(tolerances)
        self.notes: list[str] = []
        """About what was judged."""
        self.facts: list[str] = []
        """Notes that hold however the outputs are judged, and are kept with their data."""
        self._explain = explain
        self._unexplained = unexplained
        self._coarse = coarse
        self._rounded = rounded
        self._loose = loose
        self._settled = settled
        self.scores = scores
        """What outputs of whole numbers are made from."""

    def fit(self, expected: Outputs) -> None:
        """Let tolerances follow the size of the outputs, where they may.

        Args:
            expected: For each draw, what the reference computed.
        """
        for name, given in self._given.items():
            if given.scaled and name in self.tolerances:
                values = [each[name] for each in expected]
                self.tolerances[name] = fitted(given, values, is_coarse=name in self._coarse)

    def outputs(
        self, feeds: Sequence[NamedFeeds], expected: Outputs, actual: Outputs, *, without: Collection[str] = ()
    ) -> tuple[OutputParity, ...]:
        """Judge every output.

        Args:
            feeds: The draws.
            expected: For each draw, what the reference computed.
            actual: For each draw, what is compared with it; outputs may be missing.
            without: Outputs that cannot be judged, because they are random.
        """
        self.fit(expected)
        scores = [name for name in self.scores.labels if name in self.tolerances]
        actual = [each | _in_shape_of(wanted, each, scores) for wanted, each in zip(expected, actual, strict=True)]
        other = [name for name in scores if not _have_one_shape(name, expected, actual)]
        for name in other:
            del self.tolerances[name]
            self.facts.append(f"{self.scores.labels[name]}: not compared, the file's {name!r} is another tensor")
        names = [name for name in self.tolerances if name not in without]
        examined = {name: self._examined(name, feeds, expected, actual) for name in names}
        for name in self._loosened(examined, expected):
            examined[name] = self._examined(name, feeds, expected, actual)
        return tuple(self._output(name, feeds, expected, draws) for name, draws in examined.items())

    def _examined(
        self, name: str, feeds: Sequence[NamedFeeds], expected: Outputs, actual: Outputs
    ) -> Sequence[Examined]:
        return examine(
            [each[name] for each in expected],
            [each.get(name) for each in actual],
            [feed.name for feed in feeds],
            self.tolerances[name],
        )

    def _loosened(self, examined: Mapping[str, Sequence[Examined]], expected: Outputs) -> list[str]:
        """Take the tolerance of rounded weights where outputs do not agree by that of full ones.

        Returns:
            The outputs with another tolerance: none if all agree in every draw, without a single outlier.
        """
        names = [name for name in self._loose if name in examined]
        if all(draw.comparison.passed for name in names for draw in examined[name]):
            return []
        rounded = None if self._rounded is None else self._rounded()
        if rounded is None:
            return []
        self._given |= dict.fromkeys(names, rounded.tolerance)
        self.fit(expected)
        self.facts.append(rounded.words)
        return names

    def _output(
        self, name: str, feeds: Sequence[NamedFeeds], expected: Outputs, draws: Sequence[Examined]
    ) -> OutputParity:
        tolerance = self.tolerances[name]
        if name in self.scores.choices:
            draws = self._without_ties(name, draws, expected)
        comparisons = tuple(each.by_share for each in draws)
        failed = not all(each.comparison.passed for each in draws)
        if failed and self._explain is not None and name not in self._unexplained:
            comparisons, notes = self._explain(feeds, name, draws, tolerance)
            self.notes.extend(notes)
        problems = [f"{each.draw}: {problem}" for each in comparisons for problem in each.problems]
        if not problems and _leaves_too_few(comparisons):
            aside = sum(each.inconclusive for each in comparisons)
            told = f"rounding explains the difference in {aside} of {len(comparisons)} draws"
            problems = [f"{told}: fewer than half are left as proof"]
        has_elements = any(wanted[name].size for wanted in expected)
        is_empty = has_elements and not any(each.compared for each in comparisons)
        if not problems and is_empty and not (self._settled is not None and self._settled(name)):
            problems = ["nothing was compared: no element of the reference is finite in any draw"]
        if (
            not problems
            and any(each.error_ratio for each in comparisons)
            and not any(each.discriminative for each in comparisons)
        ):
            problems = ["nothing was proven: the reference is nearly zero in every draw; give real data with --input"]
        label = self.scores.labels.get(name, name)
        return OutputParity(name=label, tolerance=tolerance, comparisons=comparisons, problems=tuple(problems))

    def _without_ties(self, name: str, draws: Sequence[Examined], expected: Outputs) -> list[Examined]:
        """Excuse indices that differ between scores that tie."""
        choice = self.scores.choices[name]
        if choice.scores not in self.tolerances:
            return list(draws)
        found = []
        for draw, outputs in zip(draws, expected, strict=True):
            scores = (outputs[choice.scores], self.tolerances[choice.scores])
            judged = excuse_ties(draw.comparison, draw.expected, draw.actual, choice, scores)
            if judged.passed and not draw.comparison.passed:
                self.notes.append(
                    f"output {name!r}, {judged.draw}: {judged.outliers} of {judged.compared} indices differ, each "
                    "between scores that are equal within their tolerance"
                )
            found.append(replace(draw, comparison=judged, by_share=judged))
        return found


def _in_shape_of(
    expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray], names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Tensors that have other axes of size 1, as those of a rewritten layer may, in the shape of the original's."""
    found = {}
    for name in names:
        wanted, each = expected[name].shape, actual.get(name)
        if each is not None and [n for n in each.shape if n != 1] == [n for n in wanted if n != 1]:
            found[name] = each.reshape(wanted)
    return found


def _have_one_shape(name: str, expected: Outputs, actual: Outputs) -> bool:
    """Whether a tensor has the same shape on both sides, in every draw."""
    pairs = zip(expected, actual, strict=True)
    return all(name in found and found[name].shape == wanted[name].shape for wanted, found in pairs)


def _leaves_too_few(comparisons: Sequence[Comparison]) -> bool:
    """Whether draws are inconclusive, and fewer than half of all agree and would have shown a dead output."""
    proofs = sum(each.passed and each.discriminative and not each.inconclusive for each in comparisons)
    return any(each.inconclusive for each in comparisons) and 2 * proofs < len(comparisons)


def problems_of(
    outputs: Sequence[OutputParity],
    failures: Sequence[RunnerFailure],
    undetermined: Sequence[UndeterminedOutput] = (),
) -> tuple[str, ...]:
    """Why a comparison fails, one line each."""
    problems = [f"{each.runner}: {each.failure.message}" for each in failures]
    problems += [f"output {each.name!r}, {problem}" for each in outputs for problem in each.problems]
    problems += [f"output {each.name!r} {each.reason}" for each in undetermined]
    return tuple(problems) if problems or outputs else ("nothing was compared: the model has no outputs",)


def agreement_on_data(report: ParityReport) -> tuple[str, ...]:
    """A note where all that differs was drawn, and the user's data agree."""
    comparisons = [each for output in report.outputs for each in output.comparisons]
    on_data = [each for each in comparisons if each.draw in report.given]
    if (
        report.undetermined
        or all(each.passed for each in comparisons)
        or not on_data
        or not all(each.passed for each in on_data)
    ):
        return ()
    return ("the given data agree; --data-only judges by them alone",)
