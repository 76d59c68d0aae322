"""Faults as converters and exporters make them: one at a time, in a copy of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

Array = np.ndarray
Planter = Callable[[ModelProto, NodeProto, np.random.Generator], bool]
_WEIGHTED = {"Conv": 1, "ConvTranspose": 1, "MatMul": 1, "Gemm": 1, "Gather": 0, "LSTM": 1}
_ADDED = {"Conv": 2, "ConvTranspose": 2, "Gemm": 2, "LSTM": 3, "InstanceNormalization": 2, "LayerNormalization": 2}
_WITH_CONSTANTS = ("Add", "Mul", "Sub", "Div", "Pow")
_ATTRIBUTES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "LeakyRelu": ("alpha", lambda value: value * 1.5),
    "HardSigmoid": ("alpha", lambda value: value * 1.1),
    "InstanceNormalization": ("epsilon", lambda value: max(value * 1e4, 1e-1)),
    "LayerNormalization": ("epsilon", lambda value: max(value * 1e4, 1e-1)),
    "BatchNormalization": ("epsilon", lambda value: max(value * 1e4, 1e-1)),
    "Softmax": ("axis", lambda value: value - 1),
    "AveragePool": ("count_include_pad", lambda value: 1 - value),
    "Transpose": ("perm", lambda value: [value[0], *reversed(value[1:])]),
}
_DEFAULTS: dict[str, Any] = {"alpha": 0.2, "epsilon": 1e-5, "axis": -1, "count_include_pad": 0, "perm": [0, 2, 1]}


class Plant(NamedTuple):
    """A fault.

    Attributes:
        kind: What is wrong.
        node: The label of the operator that it is in: ``Conv 'stem'``.
        model: The copy.
    """

    kind: str
    node: str
    model: ModelProto


def plants(model: ModelProto, count: int, seed: int) -> list[Plant]:
    """Plant faults in a model, of as many kinds as it has places for.

    Args:
        model: It stays as it is.
        count: How many, if the model has places for them.
        seed: Of the places.
    """
    draws = np.random.default_rng(seed)
    kinds: dict[str, list[tuple[str, int]]] = {}
    for index, node in enumerate(model.graph.node):
        for kind in _kinds(model, node):
            kinds.setdefault(kind, []).append((kind, index))
    for places in kinds.values():
        draws.shuffle(places)
    chosen: list[Plant] = []
    while len(chosen) < count and any(kinds.values()):
        for places in kinds.values():
            if places and len(chosen) < count:
                kind, index = places.pop()
                planted = _planted(model, kind, index, draws)
                chosen += [] if planted is None else [planted]
    return chosen


def label(node: NodeProto) -> str:
    """What reports call a node."""
    return f"{node.op_type} {node.name or next(iter(node.output), '')!r}"


def _kinds(model: ModelProto, node: NodeProto) -> Iterator[str]:
    place = _WEIGHTED.get(node.op_type)
    if place is not None and place < len(node.input) and _weight(model, node.input[place]) is not None:
        yield from ("row", "channel", "permuted", "sign", "one weight")
    added = _ADDED.get(node.op_type)
    if added is not None and added < len(node.input) and _weight(model, node.input[added]) is not None:
        yield "bias"
    if node.op_type in ("Add", "Mul", "Sub", "Div", "Pow") and any(
        _weight(model, each) is not None for each in node.input
    ):
        yield "constant"
    if node.op_type == "Clip" and len(node.input) > 2 and _weight(model, node.input[2]) is not None:
        yield "clip"
    if node.op_type == "Relu":
        yield "clip"
    if node.op_type in ("Conv", "MaxPool", "AveragePool") and sum(_attribute(node, "pads", [0])):
        yield "pad"
    if node.op_type == "Gather" and _weight(model, node.input[1], kinds="iu") is not None:
        yield "index"
    if node.op_type in _ATTRIBUTES:
        yield "attribute"
    if node.op_type == "ConstantOfShape":
        yield "fill"


def _planted(model: ModelProto, kind: str, index: int, draws: np.random.Generator) -> Plant | None:
    copy = ModelProto()
    copy.CopyFrom(model)
    node = copy.graph.node[index]
    done = _PLANTERS[kind](copy, node, draws)
    return Plant(kind, label(model.graph.node[index]), copy) if done else None


def _weight(model: ModelProto, name: str, kinds: str = "f") -> Array | None:
    """A constant's value; None if it is none, or of another kind."""
    tensor = next((each for each in model.graph.initializer if each.name == name), None)
    if tensor is None:
        node = next((each for each in model.graph.node if name in each.output and each.op_type == "Constant"), None)
        tensor = None if node is None else _attribute(node, "value", None)
    array = None if tensor is None else numpy_helper.to_array(tensor)
    return array if array is not None and array.dtype.kind in kinds and array.size else None


def _replace(model: ModelProto, node: NodeProto, place: int, array: Array) -> bool:
    """Give one operand of one node another constant; other nodes keep theirs."""
    name = f"{node.input[place]}/planted"
    before = _weight(model, node.input[place], "fiu")
    assert before is not None
    planted = np.ascontiguousarray(array, before.dtype).reshape(before.shape)  # a scalar stays one
    model.graph.initializer.append(numpy_helper.from_array(planted, name))
    node.input[place] = name
    return not np.array_equal(before, array)


def _on_weight(
    change: Callable[[Array, np.random.Generator], None],
) -> Callable[[ModelProto, NodeProto, np.random.Generator], bool]:
    """Change a weight whose axis 0 are the results: (out, in, ...)."""

    def plant(model: ModelProto, node: NodeProto, draws: np.random.Generator) -> bool:
        place = _WEIGHTED[node.op_type]
        weight = _weight(model, node.input[place])
        assert weight is not None
        axes = _axes(node)
        if weight.ndim < 2:
            return False
        array = weight.copy()
        change(np.moveaxis(array, axes, (0, 1)), draws)
        return _replace(model, node, place, array)

    return plant


def _axes(node: NodeProto) -> tuple[int, int]:
    """The axes of a weight that are the results and the operands."""
    match node.op_type:
        case "MatMul":
            return -1, -2
        case "LSTM":
            return 1, 2
        case "ConvTranspose":
            return 1, 0
        case "Gemm" if not _attribute(node, "transB", 0):
            return 1, 0
    return 0, 1


def _row(weight: Array, draws: np.random.Generator) -> None:
    weight[draws.integers(len(weight))] *= draws.choice([0.9, 1.03, 1.1])


def _channel(weight: Array, draws: np.random.Generator) -> None:
    weight[:, draws.integers(weight.shape[1])] *= draws.choice([0.0, 0.95, 1.3])


def _permuted(weight: Array, draws: np.random.Generator) -> None:
    if len(weight) > 1:
        one, two = draws.choice(len(weight), 2, replace=False)
        weight[[one, two]] = weight[[two, one]]


def _sign(weight: Array, draws: np.random.Generator) -> None:
    weight[draws.integers(len(weight))] *= -1


def _one_weight(weight: Array, draws: np.random.Generator) -> None:
    weight[draws.integers(len(weight)), draws.integers(weight.shape[1])] += draws.choice([0.5, 2.0]) * weight.std()


def _bias(model: ModelProto, node: NodeProto, draws: np.random.Generator) -> bool:
    place = _ADDED[node.op_type]
    bias = _weight(model, node.input[place])
    assert bias is not None
    array = bias.copy()
    array.flat[draws.integers(bias.size)] += draws.choice([0.1, 0.5]) * float(np.sqrt(np.mean(np.square(bias)))) + 0.01
    return _replace(model, node, place, array)


def _constant(model: ModelProto, node: NodeProto, draws: np.random.Generator) -> bool:
    place = next(place for place, each in enumerate(node.input) if _weight(model, each) is not None)
    value = _weight(model, node.input[place])
    assert value is not None
    array = value.copy()
    array.flat[draws.integers(value.size)] *= draws.choice([0.97, 1.2])
    return _replace(model, node, place, array)


def _clip(model: ModelProto, node: NodeProto, _: np.random.Generator) -> bool:
    """A bound of a sixth, or a bound where there is none."""
    if node.op_type == "Clip":
        high = _weight(model, node.input[2])
        assert high is not None
        return _replace(model, node, 2, high / 6)
    model.graph.initializer.append(numpy_helper.from_array(np.array(0, np.float32), "planted/low"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(1, np.float32), "planted/high"))
    node.op_type = "Clip"
    node.input.extend(["planted/low", "planted/high"])
    return next(each.version for each in model.opset_import if each.domain in ("", "ai.onnx")) > 10


def _pad(_: ModelProto, node: NodeProto, draws: np.random.Generator) -> bool:
    """One column of padding moves from one border to the other."""
    pads = list(_attribute(node, "pads", ()))
    axis = int(draws.integers(len(pads) // 2))
    if not pads[axis] and not pads[axis + len(pads) // 2]:
        return False
    one, two = (axis, axis + len(pads) // 2) if pads[axis] else (axis + len(pads) // 2, axis)
    pads[one], pads[two] = pads[one] - 1, pads[two] + 1
    return _set(node, "pads", pads)


def _index(model: ModelProto, node: NodeProto, draws: np.random.Generator) -> bool:
    indices = _weight(model, node.input[1], "iu")
    assert indices is not None
    array = indices.copy()
    place = draws.integers(array.size)
    array.flat[place] = array.flat[place] - 1 if array.flat[place] else 1
    return _replace(model, node, 1, array)


def _attributes(_: ModelProto, node: NodeProto, __: np.random.Generator) -> bool:
    name, change = _ATTRIBUTES[node.op_type]
    return _set(node, name, change(_attribute(node, name, _DEFAULTS[name])))


def _fill(_: ModelProto, node: NodeProto, __: np.random.Generator) -> bool:
    value = numpy_helper.to_array(_attribute(node, "value", numpy_helper.from_array(np.zeros(1, np.float32))))
    filled = numpy_helper.from_array(np.asarray(value * 1.2 + 0.01, value.dtype))
    return value.dtype.kind == "f" and _set(node, "value", filled)


def _attribute(node: NodeProto, name: str, default: Any) -> Any:
    found = next((each for each in node.attribute if each.name == name), None)
    return default if found is None else helper.get_attribute_value(found)


def _set(node: NodeProto, name: str, value: Any) -> bool:
    for place, each in enumerate(node.attribute):
        if each.name == name:
            del node.attribute[place]
            break
    node.attribute.append(helper.make_attribute(name, value))
    return True


_PLANTERS = {
    "row": _on_weight(_row),
    "channel": _on_weight(_channel),
    "permuted": _on_weight(_permuted),
    "sign": _on_weight(_sign),
    "one weight": _on_weight(_one_weight),
    "bias": _bias,
    "constant": _constant,
    "clip": _clip,
    "pad": _pad,
    "index": _index,
    "attribute": _attributes,
    "fill": _fill,
}
