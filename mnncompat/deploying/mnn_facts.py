"""What is in an `.mnn` file, as the file, MNN's loader and one run tell it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from mnncompat import mnn
from mnncompat.deploying.trial import Sizes, try_out, usual_shapes
from mnncompat.errors import MnncompatError, ModelError, UsageError
from mnncompat.mnn.op_history import least_release
from mnncompat.results.failures import Failure
from mnncompat.results.file_info import MnnFileInfo, TensorInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mnncompat.graph.model_file import Model
    from mnncompat.mnn import Limits, MnnInput

    Shape = tuple[int, ...]
    Shapes = Mapping[str, Shape]

_UNCOUNTED = frozenset({"Input", "Const", "TrainableParam"})


def mnn_info(
    file: Path, *, model: Model | None = None, shapes: Shapes | None = None, limits: Limits | None = None
) -> MnnFileInfo:
    """Read a file, load it in MNN and run it once on zeros.

    Args:
        file: The `.mnn` file.
        model: The ONNX model that it was made of: its dtypes and the sizes that its nodes allow are told beside.
        shapes: Input name -> shape to run it at; by default those of the file, and for dynamic dimensions sizes that
            the model allows, or usual ones, or sizes that the model beside the file allows.
        limits: What each child process may use.

    Raises:
        ModelError: It is no `.mnn` file, is damaged, or MNN does not load it.
        UsageError: Shapes are given of an input that it does not have.
        RunnerError: MNN is not installed.
    """
    limits = limits or mnn.Limits()
    graph = mnn.read_graph(file)
    loaded = mnn.interface(file, limits=limits)
    if isinstance(loaded, Failure):
        hint = "convert the model again; `mnncompat diagnose` says which op it is"
        raise ModelError(f"MNN does not load {file}: {loaded.message}", hint=hint)
    counts = Counter(op.type for op in graph.ops)
    since = least_release(counts)
    weights = file.with_name(f"{file.name}.weight")
    _require_inputs(file, loaded.inputs, shapes or {})
    sizes = _sizes(file, loaded.inputs, model, dict(shapes or {}))
    dtypes = {each.name: each.dtype for each in loaded.inputs}
    tried = try_out(file, graph.outputs, sizes=sizes, dtypes=dtypes, limits=limits)
    return MnnFileInfo(
        path=file,
        bytes=file.stat().st_size,
        external_bytes=weights.stat().st_size if any(op.external for op in graph.ops) and weights.is_file() else 0,
        version=graph.version,
        ops={name: count for name, count in _ordered(counts) if name not in _UNCOUNTED},
        constants=counts["Const"],
        bodies=tuple(dict.fromkeys(op.body for op in graph.ops if op.body)),
        weight_bits=dict(sorted(Counter(op.bits for op in graph.ops if op.bits).items())),
        inputs=tuple(_input(each, model, tried.lost) for each in loaded.inputs),
        outputs=graph.outputs,
        least_release=since.release,
        least_because=since.because,
        trial=replace(tried, outputs=_with_originals(tried.outputs, model)),
    )


def _require_inputs(file: Path, inputs: Sequence[MnnInput], given: Shapes) -> None:
    names = [each.name for each in inputs]
    for name in given:
        if name not in names:
            hint = f"its inputs are: {', '.join(map(repr, names)) or 'none'}"
            raise UsageError(f"--shape {name}: {file} has no input {name!r}", hint=hint)


def _ordered(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _input(found: MnnInput, model: Model | None, lost: Sequence[str]) -> TensorInfo:
    declared = {} if model is None else _declared(model)
    shape, original = declared.get(found.name, (None, ""))
    told: tuple[int | str | None, ...] = tuple(size if size >= 0 else None for size in found.shape)
    return TensorInfo(
        name=found.name,
        shape=told if shape is None or len(shape) != len(told) else shape,
        dtype=found.dtype,
        layout=found.layout,
        original=original,
        ignored=found.name in lost,
    )


def _with_originals(outputs: tuple[TensorInfo, ...], model: Model | None) -> tuple[TensorInfo, ...]:
    declared = {} if model is None else _declared(model)
    return tuple(replace(each, original=declared.get(each.name, (None, ""))[1]) for each in outputs)


def _declared(model: Model) -> dict[str, tuple[tuple[int | str | None, ...] | None, str]]:
    from mnncompat.deploying.onnx_facts import tensor_info

    graph = model.skeleton.graph
    told = map(tensor_info, (*graph.input, *graph.output))
    return {each.name: (each.shape, each.dtype) for each in told}


def _sizes(file: Path, inputs: Sequence[MnnInput], model: Model | None, given: dict[str, Shape]) -> Iterator[Sizes]:
    """What to run the file at, in this order."""
    if model is not None and any(-1 in each.shape for each in inputs):
        planned = _planned(model, inputs, given)
        if planned is not None:
            yield Sizes(planned)
            return
    fixed = {each.name: each.shape for each in inputs} | given
    if all(-1 not in shape for shape in fixed.values()):
        yield Sizes({each.name: fixed[each.name] for each in inputs})
        return
    yield from _beside(file, inputs, given)
    yield from (Sizes(each, chosen=True) for each in usual_shapes(inputs, given))


def _beside(file: Path, inputs: Sequence[MnnInput], given: dict[str, Shape]) -> Iterator[Sizes]:
    """Sizes that the nodes of an ONNX model allow which lies beside the file and is called like it."""
    from mnncompat.graph.model_file import load

    place = file.with_suffix(".onnx")
    try:
        planned = _planned(load(place), inputs, given) if place.is_file() else None
    except MnncompatError:
        return
    if planned is not None:
        yield Sizes(planned, chosen=True, of=place.name)


def _planned(model: Model, inputs: Sequence[MnnInput], given: dict[str, Shape]) -> Shapes | None:
    """Sizes that the model's nodes allow; None if they do not say those of all inputs."""
    from mnncompat.parity.input_planner import InputPlanner
    from mnncompat.parity.signature import input_signature

    signature = input_signature(model.skeleton)
    planner = InputPlanner(model.skeleton, signature, given, {}, seed=0, memory=mnn.Limits().memory_bytes)
    plan = next(planner.plans(), None)
    shapes = {} if plan is None else plan.shapes
    names = [each.name for each in inputs]
    return {name: shapes[name] for name in names} if set(names) <= set(shapes) else None
