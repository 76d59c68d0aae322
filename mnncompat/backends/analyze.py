"""Convert a model with the installed MNN, as it is and after its rewrites, and place both on backends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mnncompat import mnn
from mnncompat.backends.node_origins import NodeOrigins
from mnncompat.backends.placement import place
from mnncompat.backends.registry import Backend, backend, require
from mnncompat.backends.wanted_head import wanted_head
from mnncompat.errors import RunnerError
from mnncompat.files.scratch import ScratchFolder
from mnncompat.fixing.transaction import fix_model
from mnncompat.graph.model_file import Model, save
from mnncompat.inference.model_view import view_model
from mnncompat.results.backend_placement import BackendReport, Placement
from mnncompat.support.releases import installed_version
from mnncompat.support.row_choice import EVERYTHING, RowChoice
from mnncompat.support.target import Target

if TYPE_CHECKING:
    from mnncompat.fixing.transaction import FixedModel
    from mnncompat.rewrites.core.base import Rewrite
    from mnncompat.support.head_form import HeadForm

Progress = Callable[[int, int], None]
"""Called with the number of conversions done and to be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendAnalysis:
    """A model on backends.

    Attributes:
        reports: One for each backend, in the order asked for.
        failure: How the conversion of the model as it is failed; None if it did not.
        fixed: The result of `mnncompat fix` for the model.
    """

    reports: tuple[BackendReport, ...]
    failure: mnn.Failure | None
    fixed: FixedModel


def analyze(
    model: Model,
    names: Sequence[str],
    *,
    rewrites: Sequence[Rewrite] | None = None,
    head: HeadForm | None = None,
    rows: RowChoice = EVERYTHING,
    limits: mnn.Limits | None = None,
    progress: Progress = lambda _done, _total: None,
) -> BackendAnalysis:
    """Place a model, and the model after its rewrites, on backends of the installed MNN. Nothing is published.

    The rewrites are checked, but not proven under ONNX Runtime; `mnncompat fix` proves them.

    Args:
        model: The model.
        names: Backends, see `mnncompat.backends.registry.names`.
        rewrites: What `mnncompat fix` would apply; by default every safe rewrite.
        head: The form in which they write fully connected heads; by default what the backends want.
        rows: Findings that they are to remove.
        limits: What MNN's child processes may use.
        progress: Called with the progress.

    Raises:
        ModelError: The model's weights cannot be read.
        RunnerError: MNN is not installed.
        UsageError: There is no such backend in the installed MNN.
    """
    version = installed_version()
    if version is None:
        raise RunnerError("MNN is not installed, and --backend converts with it", hint="pip install MNN")
    backends = [backend(name, version) for name in require(names)]
    target = Target(version, choice=rows, head=head or wanted_head(names, version))
    fixed = fix_model(model, rewrites=rewrites, target=target, prove=False)
    total = 2 if fixed.changed else 1
    before = _converted(model, model.path, limits or mnn.Limits())
    progress(1, total)
    after = _converted(fixed.model, None, limits or mnn.Limits()) if fixed.changed else None
    progress(total, total)
    return BackendAnalysis(
        reports=tuple(
            BackendReport(
                backend=each.name,
                mnn_version=version,
                compiler=each.compiler,
                execution=each.execution,
                placement=_placement(model, before, each),
                fixed=_placement(fixed.model, after, each),
                rewrites=tuple(dict.fromkeys(fix.rewrite for fix in fixed.applied)),
            )
            for each in backends
        ),
        failure=before if isinstance(before, mnn.Failure) else None,
        fixed=fixed,
    )


def _converted(model: Model, source: Path | None, limits: mnn.Limits) -> mnn.MnnGraph | mnn.Failure:
    """The converted graph of the file `source`, or of the model if there is no file."""
    with ScratchFolder() as folder:
        target, data = folder / "model.mnn", model.data
        if source is None:
            source = folder / "model.onnx"
            data = save(model, source)
        converted = mnn.convert(source, target, options=mnn.ConvertOptions(), limits=limits, data=data)
        return converted if isinstance(converted, mnn.Failure) else mnn.read_graph(target)


def _placement(model: Model, graph: mnn.MnnGraph | mnn.Failure | None, chosen: Backend) -> Placement | None:
    if not isinstance(graph, mnn.MnnGraph):
        return None
    origins = NodeOrigins(view_model(model), graph)
    return place(graph, chosen, lambda op: tuple(location.path for location in origins.of(op)))
