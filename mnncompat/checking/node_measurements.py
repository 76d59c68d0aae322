"""`check --probe`: the table's findings beside what the installed MNN does with the model's own nodes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mnncompat.checking.checker import MEASURED, UNKNOWN
from mnncompat.checking.kept_measurements import KeptMeasurements
from mnncompat.files.allowance import bounds_of_children
from mnncompat.files.user_cache import measurements_folder
from mnncompat.graph.model_file import Model
from mnncompat.inference.model_view import view_model
from mnncompat.probe.case import Case
from mnncompat.probe.measurement import Measurement, Outcome
from mnncompat.probe.nodes import NodeCase, node_cases_of
from mnncompat.probe.prober import LIMITS
from mnncompat.results.diagnostics import CheckResult, Diagnostic, Location, Severity

if TYPE_CHECKING:
    from mnncompat.parity import Given


_FEW = 16  # measuring this many cases takes as long as starting MNN once more

Progress = Callable[[int, int], None]
"""Called with the number of nodes measured and to be measured."""


def measure_nodes(
    model: Model,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    inputs: Given | None = None,
    seed: int = 0,
    apart: Collection[int] = (),
    cache: Path | None = None,
    progress: Progress = lambda _done, _total: None,
) -> tuple[str, tuple[tuple[NodeCase, Measurement | None], ...]]:
    """Measure every distinct node of a model's main graph on the installed MNN.

    Of nodes with the same fingerprint (`mnncompat.probe.node_fingerprint`) one is measured, and its measurement counts
    for all of them.

    Args:
        model: The model.
        shapes: Shapes of inputs with dynamic dimensions.
        inputs: Real data, see `mnncompat.parity.real_data`; the first sample is run.
        seed: Of the drawn inputs.
        apart: Indices of nodes that are measured on their own values, whatever their fingerprint; see `flagged`.
        cache: Folder that keeps the measurements; None for the user's cache folder.
        progress: Called with the progress.

    Returns:
        The MNN release, and every node with its measurement (None if it could not be cut out).

    Raises:
        RunnerError: MNN is not installed, or ONNX Runtime cannot run the model.
        UsageError: A shape or an array does not fit.
    """
    from mnncompat.probe.environment import describe
    from mnncompat.probe.pool import Pool

    sites = node_cases_of(model, shapes=shapes, inputs=inputs, seed=seed, apart=apart)
    cases = {site.case.id: site.case for site in sites if site.case is not None}
    with Pool(jobs=1 if len(cases) <= _FEW else None) as pool:
        header = describe(pool.environment)
        kept = KeptMeasurements(cache or measurements_folder(), header)
        told = _Told(progress, sum(each not in kept.found for each in cases))

        def measure(some: Sequence[Case]) -> Iterator[Measurement]:
            return map(told.of, pool.measure(some)) if some else iter(())

        if _is_tightened():
            kept.add(measure([each for each in cases.values() if each.id not in kept.found]))
        else:
            kept.complete(list(cases.values()), measure)
    found = tuple((site, None if site.case is None else kept.found[site.case.id]) for site in sites)
    return header["mnn"], found


class _Told:
    """Tells the progress, measurement by measurement."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def of(self, each: Measurement) -> Measurement:
        self._done += 1
        self._progress(self._done, self._total)
        return each


def _is_tightened() -> bool:
    """Whether the user's limit of memory is below that of a measurement: what it ended counts for this run alone."""
    return bounds_of_children(LIMITS.seconds, LIMITS.memory_bytes)[1] < LIMITS.memory_bytes


def flagged(result: CheckResult) -> frozenset[int]:
    """Indices of the main graph's nodes with an error, which only a measurement of that very node may withdraw."""
    return frozenset(
        item.location.index
        for item in result.diagnostics
        if item.severity is Severity.ERROR and _is_main(item) and item.location.index is not None
    )


def merged(
    result: CheckResult, model: Model, version: str, found: Sequence[tuple[NodeCase, Measurement | None]]
) -> CheckResult:
    """Combine the measurements with the table's findings.

    A node that MNN computes wrongly, and that no row covers, becomes a new finding. An error of the table on a node
    that MNN computes correctly becomes a warning that says so. A use that was unknown and is computed correctly is no
    longer reported.
    """
    measured = {site.index: each for site, each in found if each is not None}
    view = view_model(model).main
    items = [_with_measurement(item, measured, version) for item in result.diagnostics]
    told = {item.location.index for item in items if item.severity is Severity.ERROR and _is_main(item)}
    items += [
        _finding(view.location(index), each, version)
        for index, each in measured.items()
        if each.outcome is not Outcome.OK and index not in told
    ]
    right = _correct_ops(measured)
    kept = [item for item in items if not (item.code == UNKNOWN and item.location.op_type in right)]
    kept.sort(key=lambda item: (item.severity.rank, item.location.graph, item.location.index or 0, item.code))
    return replace(result, diagnostics=tuple(kept))


def _with_measurement(item: Diagnostic, measured: Mapping[int, Measurement], version: str) -> Diagnostic:
    each = measured.get(item.location.index) if item.location.index is not None and _is_main(item) else None
    if each is None or item.severity is Severity.INFO or item.status == "rewrite":
        return item
    if each.outcome is Outcome.OK:
        if item.severity is Severity.WARNING:
            return item
        message = f"{item.message}; but MNN {version} computes this node right with this model's values"
        return replace(item, severity=Severity.WARNING, message=message)
    message = f"{item.message}; measured on MNN {version}: {_words(each)}"
    return replace(item, severity=Severity.ERROR, message=message)


def _finding(location: Location, each: Measurement, version: str) -> Diagnostic:
    return Diagnostic(
        code=MEASURED,
        name="measured-hazard",
        severity=Severity.ERROR,
        message=f"measured on MNN {version}: {_words(each)}; no row of the table covers it",
        location=location,
        status=each.outcome.value,
        hint="please report it: the table needs a row for it",
        evidence=(each.id,),
    )


def _words(each: Measurement) -> str:
    unstable = ", and it depends on memory that was never written" if each.unstable else ""
    return f"{each.code.removesuffix('!')}{f' ({each.detail})' if each.detail else ''}{unstable}"


def _is_main(item: Diagnostic) -> bool:
    return not item.location.graph


def _correct_ops(measured: Mapping[int, Measurement]) -> set[str]:
    """Op types of which every measured node is computed correctly."""
    wrong = {each.op for each in measured.values() if each.outcome is not Outcome.OK}
    return {each.op for each in measured.values()} - wrong
