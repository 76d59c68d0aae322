"""What makes a wrong part right: it is converted and run again, with one thing different each time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, NodeProto, helper

from mnncompat.diagnosing.minimize import copy_of
from mnncompat.errors import MnncompatError
from mnncompat.fixing.transaction import fix_model
from mnncompat.graph.model_file import from_proto
from mnncompat.graph.protos import attribute
from mnncompat.graph.tensor_values import array_tensor, tensor_array
from mnncompat.parity.runners import OnnxRuntimeRunner
from mnncompat.results.diagnosis import Attempt
from mnncompat.results.failures import Failure
from mnncompat.support.target import Target

if TYPE_CHECKING:
    from mnncompat.diagnosing.bench import Bench, Outcome
    from mnncompat.diagnosing.excerpts import Excerpt
    from mnncompat.graph.view import GraphView
    from mnncompat.mnn import ConvertOptions
    from mnncompat.mnn.request import Performer

_LEVELS = (0, 1, 2)
_USUAL_LEVEL = 1
_GELU = frozenset({"Erf", "Gelu", "FastGelu", "Tanh"})
_OWN_KERNEL = 2


def attempts(
    part: Excerpt, bench: Bench, options: ConvertOptions, view: GraphView, values: Mapping[str, np.ndarray]
) -> Iterator[Attempt]:
    """Try switches of the converter, an algorithm, other values, and the rewrites of `mnncompat fix`.

    Args:
        part: A part of the model that is wrong with these options.
        bench: Runs it.
        options: Of the conversion.
        view: The graph that it was cut out of.
        values: The values of that graph, its inputs among them.
    """
    later = [
        _begun(what, option, bench, part.model, part.feeds, part.expected, changed)
        for what, option, changed in switches(part.model, options)
    ]
    other = without_winograd(part.model)
    if other is not None:
        later.append(_begun("no Winograd convolution", "", bench, other, part.feeds, part.expected, options))
    later += _other_values(part, bench, options)
    first = [*_in_float32(part, bench, options), *_rewritten(part, bench, options, view, values)]
    for what, option, outcome in (*first, *later):
        found = outcome()
        yield Attempt(what=what, option=option, helps=found.is_right, detail=found.words)


_Begun = tuple[str, str, "Callable[[], Outcome]"]
"""What is different, as an option, and what came out."""


def _begun(
    what: str,
    option: str,
    bench: Bench,
    model: ModelProto,
    feeds: Mapping[str, np.ndarray],
    expected: Mapping[str, np.ndarray],
    options: ConvertOptions,
    performer: Performer | None = None,
) -> _Begun:
    """Begin an attempt, where several may run at a time."""
    run = partial(bench.run, model, feeds, expected, options, performer)
    return what, option, run if bench.pool is None else bench.pool.submit(run).result


def _in_float32(part: Excerpt, bench: Bench, options: ConvertOptions) -> Iterator[_Begun]:
    """The part on the same device, if float16 may be computed there, in float32."""
    if bench.in_float32 is None:
        return
    own = bench.in_float32
    yield _begun("precision high there", "", bench, part.model, part.feeds, part.expected, options, own)


def switches(model: ModelProto, options: ConvertOptions) -> Iterator[tuple[str, str, ConvertOptions]]:
    """What may be different in a conversion of a model: in words, as options of `mnncompat convert`, and for MNN."""
    now = _USUAL_LEVEL if options.optimize_level is None else options.optimize_level
    for level in _LEVELS:
        if level != now:
            changed = replace(options, optimize_level=level)
            yield f"optimize level {level}", f"--optimize-level {level}", changed
    if options.gelu_approximation is not False and any(node.op_type in _GELU for node in model.graph.node):
        yield "exact GELU", "--exact-gelu", replace(options, gelu_approximation=False)
    if options.fp16:
        yield "float32 weights", "without --fp16", replace(options, fp16=False)
    if options.weight_bits:
        full = replace(options, weight_bits=0, weight_block=None, weight_asymmetric=None)
        yield "weights that are not quantised", "without --weight-bits", full


def _rewritten(
    part: Excerpt, bench: Bench, options: ConvertOptions, view: GraphView, values: Mapping[str, np.ndarray]
) -> Iterator[_Begun]:
    """The part after `mnncompat fix`, if that changes it; its sizes are fixed, which those of the model may not be."""
    try:
        fixed = fix_model(from_proto(copy_of(part.model)), target=Target(**bench.deployment), prove=False)
    except MnncompatError:
        return
    if not fixed.changed:
        return
    names = ", ".join(dict.fromkeys(each.rewrite for each in fixed.applied))
    is_open = not all(_is_fixed(view.shape(name)) for name in part.feeds)
    what = f"rewritten by {names}{', at the sizes of this draw' if is_open else ''}"
    option = _fixing_sizes(view, values) if is_open else "mnncompat fix"
    if option and bench.where is not None:
        option += "".join(f" --{name} {value}" for name, value in bench.deployment.items() if value)
    yield _begun(what, option, bench, fixed.model.proto, part.feeds, part.expected, options)


def _fixing_sizes(view: GraphView, values: Mapping[str, np.ndarray]) -> str:
    """The command that fixes the sizes of a model to those of a draw; empty for one that is in no file."""
    names = [name for name in view.input_names if name in values and not _is_fixed(view.shape(name))]
    if view.scope.model.path is None or not names:
        return ""
    sizes = (f"--shape {name}:{','.join(map(str, values[name].shape))}" for name in names)
    return " ".join(("mnncompat fix", *sizes))


def _is_fixed(shape: Sequence[int | str | None] | None) -> bool:
    return shape is not None and all(isinstance(size, int) for size in shape)


def _other_values(part: Excerpt, bench: Bench, options: ConvertOptions) -> Iterator[_Begun]:
    """The part with normal numbers instead of those of the draw."""
    if not all(each.dtype == np.float32 for each in part.feeds.values()):
        return
    draws = np.random.default_rng(0)
    feeds = {name: draws.standard_normal(each.shape).astype(np.float32) for name, each in part.feeds.items()}
    expected = OnnxRuntimeRunner(part.model).run([feeds])
    if isinstance(expected, Failure):
        return
    right = {name: expected[0][name] for name in part.expected}
    yield _begun("normal numbers as its inputs", "", bench, part.model, feeds, right, options)


def without_winograd(model: ModelProto) -> ModelProto | None:
    """The same model with a row of zeros in kernels that MNN would run as Winograd's; None if there are none.

    MNN takes Winograd's algorithm for square kernels only (`ConvolutionWinogradBridge::canUseWinograd`).
    """
    copy = copy_of(model)
    stored = {each.name: each for each in copy.graph.initializer}
    changed = False
    for node in copy.graph.node:
        tensor = stored.get(node.input[1]) if node.op_type == "Conv" and len(node.input) > 1 else None
        weight = None if tensor is None else tensor_array(tensor)
        if tensor is None or weight is None or not _may_be_winograd(node, weight.shape):
            continue
        height, width = weight.shape[2:]
        taller = np.concatenate([weight, np.zeros_like(weight[:, :, :1])], axis=2)
        tensor.CopyFrom(array_tensor(taller, tensor.name))
        top, left, bottom, right = attribute(node, "pads", [0, 0, 0, 0])
        _set(node, "pads", [top, left, bottom + 1, right])
        _set(node, "kernel_shape", [height + 1, width])
        changed = True
    return copy if changed else None


def _may_be_winograd(node: NodeProto, shape: tuple[int, ...]) -> bool:
    rank = 4
    return (
        len(shape) == rank
        and shape[2] == shape[3] >= _OWN_KERNEL
        and set(attribute(node, "strides", [1])) == {1}
        and set(attribute(node, "dilations", [1])) == {1}
        and attribute(node, "group", 1) == 1
        and attribute(node, "auto_pad", b"NOTSET") == b"NOTSET"
    )


def _set(node: NodeProto, name: str, value: list[int]) -> None:
    kept = [each for each in node.attribute if each.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])
