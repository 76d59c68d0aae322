"""`mnncompat.check`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnx import ModelProto

    from mnncompat.graph.model_file import Model
    from mnncompat.parity import Given
    from mnncompat.results.diagnostics import CheckResult
    from mnncompat.support.row_choice import RowChoice


def check(  # noqa: PLR0913 - options
    model: Path | str | ModelProto,
    *,
    mnn: str | None = None,
    arch: str | None = None,
    precision: str = "high",
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    backend: str | Sequence[str] = (),
    head: str | None = None,
    probe: bool = False,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    inputs: Given | None = None,
    seed: int = 0,
) -> CheckResult:
    """Find what an MNN release refuses, crashes on or computes wrongly.

    Starts neither MNN nor ONNX Runtime, unless a backend is given or nodes are measured: then the installed MNN
    converts the model or its nodes.

    Args:
        model: Path of an ONNX file, or a model in memory.
        mnn: Release such as ``3.6.1``, or ``latest``; the installed one if None.
        arch: Architecture that the file is deployed on, such as ``aarch64``; None for all.
        precision: What MNN computes in there: ``high``, ``normal`` or ``low``.
        select: Only these rules: codes, starts of codes, or names.
        ignore: Not these rules.
        backend: Backends of MNN such as ``nnapi``, for `CheckResult.backends` and findings about them.
        head: Form of fully connected heads: ``spatial`` or ``flat``; None chooses for each one.
        probe: Measure each distinct node on the installed MNN as well.
        shapes: Shapes of inputs with dynamic dimensions, for what is measured.
        inputs: Real data for what is measured, see `mnncompat.parity.real_data`.
        seed: Of the drawn inputs for what is measured.

    Raises:
        ModelError: The model cannot be read.
        UsageError: There is no such release, rule or backend, or a backend or a measurement is wanted of a release
            that is not installed.
        RunnerError: A backend or a measurement is wanted, and MNN is not installed.
    """
    from mnncompat.backends.wanted_head import wanted_head
    from mnncompat.checking.checker import check_model
    from mnncompat.checking.chosen_findings import chosen_findings
    from mnncompat.graph.model_file import from_proto, load
    from mnncompat.support.head_form import head_form
    from mnncompat.support.releases import require_installed, resolve_version

    choice = _choice(select, ignore)
    names = (backend,) if isinstance(backend, str) else tuple(backend)
    for what in [*(["backend"] if names else []), *(["probe"] if probe else [])]:
        require_installed(mnn, what)
    loaded = load(model) if isinstance(model, (str, Path)) else from_proto(model)
    form = head_form(head) or (wanted_head(names, resolve_version(mnn)) if names else None)
    result = check_model(loaded, mnn_version=mnn, arch=arch, precision=precision, rewrites=None, head=form)
    if probe:
        result = _measured(loaded, result, shapes or {}, inputs, seed)
    if names:
        from mnncompat.checking.surveyed import surveyed

        result = surveyed(loaded, result, names, choice, head=form)
    return replace(result, diagnostics=chosen_findings(result.diagnostics, choice))


def _measured(
    model: Model, result: CheckResult, shapes: Mapping[str, tuple[int, ...]], inputs: Given | None, seed: int
) -> CheckResult:
    """The result with what the installed MNN does with each distinct node."""
    from mnncompat.checking.node_measurements import flagged, measure_nodes, merged
    from mnncompat.parity import real_data

    data = real_data(inputs)
    return merged(result, model, *measure_nodes(model, shapes=shapes, inputs=data, seed=seed, apart=flagged(result)))


def _choice(select: Sequence[str], ignore: Sequence[str]) -> RowChoice:
    """The rules that count.

    Raises:
        UsageError: An entry means no rule.
    """
    from mnncompat.checking.rule_catalog import require_rules
    from mnncompat.results.renamed_rules import current_name
    from mnncompat.support.row_choice import RowChoice

    selected, ignored = tuple(map(current_name, select)), tuple(map(current_name, ignore))
    require_rules((*selected, *ignored))
    return RowChoice(select=selected, ignore=ignored)
