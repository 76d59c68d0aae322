"""Does `diagnose` name the right node? Faults planted in single nodes of real models: `make plants`.

A fault is planted in one op of the converted file, or the micro-model of a row that MNN gets wrong, refuses or dies on
is put into the model. It counts if the outputs differ, or MNN fails. The node with the fault, or the group that the
converter fused it into, has to be named first.
"""

from __future__ import annotations

import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from onnx import ModelProto
from plant_models import MODELS, PlantModel
from planting import Site, plant, sites
from splices import PREFIX, fitting, places, spliced

import mnncompat
from mnncompat import mnn
from mnncompat.diagnosing.correspondence import Group, corresponding
from mnncompat.diagnosing.diagnose import diagnose
from mnncompat.diagnosing.diagnose_options import DiagnoseOptions
from mnncompat.diagnosing.draws import Drawing
from mnncompat.diagnosing.lanes import Lanes
from mnncompat.graph.model_file import Model, from_proto
from mnncompat.graph.view import GraphView
from mnncompat.inference.model_view import view_model
from mnncompat.mnn import ConvertOptions, Limits
from mnncompat.parity import real_data
from mnncompat.results.diagnosis import Culprit, Diagnosis, DiagnosisVerdict
from mnncompat.results.failures import Failure

FIRST, LATER, OTHER, NONE, UNSEEN = "named first", "named later", "ANOTHER NAMED", "NONE NAMED", "does not show"
SHARE = 0.98
_Judge = Callable[..., "Tried"]


class Tried(NamedTuple):
    """What became of a fault."""

    model: str
    kind: str
    node: str
    outcome: str
    named: str
    seconds: float


def tried(
    name: str, *, plants: int | None = None, splices: int | None = None, seed: int = 0, lanes: Lanes | None = None
) -> Iterator[Tried]:
    """Plant faults in one model, and look what is named; in processes that are there already, if there are some."""
    judge = partial(_judged, name, lanes)
    subject = MODELS[name]
    draws = np.random.default_rng([seed, zlib.crc32(name.encode())])
    original = subject.build()
    fixed = mnncompat.fix(original, prove=False).model.proto
    with tempfile.TemporaryDirectory() as folder:
        yield from _planted(judge, fixed, subject, Path(folder), draws, subject.plants if plants is None else plants)
    yield from _spliced(judge, fixed, subject, draws, subject.splices if splices is None else splices)


def _planted(
    judge: _Judge, proto: ModelProto, subject: PlantModel, folder: Path, draws: np.random.Generator, count: int
) -> Iterator[Tried]:
    """Faults in the converted file: no two in the same op, each kind of change as often as the others."""
    source, file, wrong = folder / "model.onnx", folder / "model.mnn", folder / "wrong.mnn"
    onnx.save(proto, source)
    converted = mnn.convert(source, file, options=ConvertOptions(), limits=Limits(seconds=120))
    assert not isinstance(converted, Failure), converted
    model = from_proto(proto)
    for site in _chosen(sites(file), draws, count):
        if plant(file, site, wrong, draws):
            wanted = _wanted(model, file, site)
            yield judge(f"{site.op} {site.what}", model, wrong, subject, wanted, "/".join((site.body, *site.values)))


def _chosen(found: list[Site], draws: np.random.Generator, count: int) -> list[Site]:
    order = [found[number] for number in draws.permutation(len(found))]
    seen: Counter[tuple[str, str, bool]] = Counter()
    ranked = []
    for site in order:
        kind = site.op, site.what, bool(site.body)
        ranked.append((seen[kind], site))
        seen[kind] += 1
    return [site for _, site in sorted(ranked, key=lambda each: each[0])][:count]


def _wanted(model: Model, file: Path, site: Site) -> set[str]:
    """Values of the nodes with the fault: those of the groups that hold the op, or what it computes in a body."""
    inside = _wanted_inside(model, file, site) if site.body else set()
    if site.body and not inside:  # MNN's own loop, as of an LSTM: named after what it computes
        inside = {name for node in _inner(model.proto.graph) for name in node.output if name and name in site.body}
    if inside:
        return inside
    view = view_model(model).main
    groups = corresponding(mnn.read_graph(file), view, ()).groups
    if site.body:  # MNN's own loop, as of an LSTM: named after what it computes
        held = [group for group in groups if any(name in site.body for name in _computed(view, group))]
    else:
        held = [group for group in groups if any(set(op.outputs) & set(site.outputs) for op in group.ops)]
    return {name for group in held for name in _computed(view, group)}


def _computed(view: GraphView, group: Group) -> list[str]:
    """What the nodes of a group compute."""
    return [name for index in group.nodes for name in view.nodes[index].output if name]


def _wanted_inside(model: Model, file: Path, site: Site) -> set[str]:
    """What the op computes in its body, or else the first values after it that the ONNX body has."""
    known = {name for node in _inner(model.proto.graph) for name in node.output}
    ops = [op for op in mnn.read_graph(file).ops if op.body == site.body]
    found, ahead, seen = set[str](), list(site.outputs), set[int]()
    while ahead:
        number = ahead.pop()
        values = [name for op in ops for at, name in zip(op.outputs, op.values, strict=False) if at == number]
        found |= known.intersection(values) if op_is_computed(ops, number) else set()
        if not known.intersection(values) and number not in seen:
            seen.add(number)
            ahead += [each for op in ops if number in op.inputs for each in op.outputs]
    return found


def op_is_computed(ops: list[mnn.MnnOp], number: int) -> bool:
    """Whether a tensor is computed, not given."""
    return any(number in op.outputs and op.type not in ("Const", "Input") for op in ops)


def _inner(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes of all bodies."""
    for node in graph.node:
        for each in node.attribute:
            if each.HasField("g"):
                yield from each.g.node
                yield from _inner(each.g)


def _spliced(
    judge: _Judge, proto: ModelProto, subject: PlantModel, draws: np.random.Generator, count: int
) -> Iterator[Tried]:
    """Micro-models of rows, each at a place of its own."""
    fit, values = fitting(proto), places(proto)
    if not fit or not values:
        return
    for number in draws.permutation(len(fit))[:count]:
        case, value = fit[int(number)], values[int(draws.integers(len(values)))]
        model = spliced(proto, case, value)
        try:
            onnx.shape_inference.infer_shapes(model, strict_mode=True)
        except onnx.shape_inference.InferenceError:  # the row's model is none under this opset
            continue
        wanted = {each for node in model.graph.node if node.name.startswith(PREFIX) for each in node.output}
        yield judge("spliced", from_proto(model), None, subject, wanted, f"{case.id} at {value}")


def _judged(
    name: str,
    lanes: Lanes | None,
    kind: str,
    model: Model,
    file: Path | None,
    subject: PlantModel,
    wanted: set[str],
    node: str,
) -> Tried:
    drawing = Drawing(shapes=subject.shapes, data=real_data(subject.inputs or None))
    options = DiagnoseOptions(drawing=drawing, converter=ConvertOptions(), limits=Limits(seconds=20))
    begin = time.process_time()
    try:
        found = diagnose(model, file, options, lanes=lanes)
    except mnncompat.MnncompatError as error:
        return Tried(name, kind, node, UNSEEN, f"not run: {error}", time.process_time() - begin)
    return Tried(name, kind, node, outcome(found, wanted), _told(found), time.process_time() - begin)


def outcome(found: Diagnosis, wanted: set[str]) -> str:
    """Whether one of the values is computed by the culprit that is named first."""
    if found.verdict is DiagnosisVerdict.AGREES:
        return UNSEEN
    if not found.culprits:
        return NONE
    hits = [_holds(each, wanted) for each in found.culprits]
    return FIRST if hits[0] else LATER if any(hits) else OTHER


def _holds(culprit: Culprit, wanted: set[str]) -> bool:
    return any(wanted.intersection(node.outputs) for node in culprit.nodes)


def _told(found: Diagnosis) -> str:
    nodes = found.culprits[0].nodes[-3:] if found.culprits else ()
    told = ", ".join(each.path for each in nodes) or found.verdict.value
    return f"{told}{f' ({found.failure.message})' if found.failure else ''}"


def table(rows: list[Tried]) -> str:
    """One line for each fault, and the sums."""
    lines = [
        f"{row.model:16}{row.kind:26}{row.outcome:15}{row.seconds:5.1f} s  {row.node[:70]:70}  {row.named[:80]}"
        for row in rows
    ]
    counts = Counter(row.outcome for row in rows)
    shown = len(rows) - counts[UNSEEN]
    share = counts[FIRST] / shown if shown else 1.0
    sums = [f"{count:5}  {what}" for what, count in counts.most_common()]
    return "\n".join(
        [*lines, "", *sums, f"{share:6.1%} of {shown} in {len({row.model for row in rows})} models named first"]
    )


def main(names: list[str]) -> int:
    """Try the models that are named, or all; 1 if too few are named first."""
    rows: list[Tried] = []
    for name in names or MODELS:
        for row in tried(name):
            rows.append(row)
            sys.stderr.write(
                f"{len(rows)} {row.model}: {row.kind}: {row.outcome}: {row.node[:60]} -> {row.named[:60]}\n"
            )
    sys.stdout.write(f"{table(rows)}\n")
    counts = Counter(row.outcome for row in rows)
    return int(counts[FIRST] < SHARE * (len(rows) - counts[UNSEEN]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
