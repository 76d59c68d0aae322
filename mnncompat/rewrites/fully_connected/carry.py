"""Which operators between and after the layers are carried in four dimensions, and with which operands."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Any, NamedTuple

from onnx import NodeProto

from mnncompat.graph.operator_traits import ARITHMETIC, FLOAT_FUNCTIONS, RESHAPES
from mnncompat.graph.protos import Dim, attribute, is_onnx
from mnncompat.graph.view import GraphView
from mnncompat.rewrites.fully_connected.forms import Form

_ELEMENTWISE = FLOAT_FUNCTIONS | {"Cast", "Clip", "Identity"}
_BINARY = ARITHMETIC | {"Pow"}
_SOFTMAX_PER_AXIS_OPSET = 13


class Use(Enum):
    """How an operand of a carried node is passed."""

    FOUR_D = "as it is held, [N, C, H, W]"
    POINTWISE = "as [N, F, 1, 1]"
    KEPT = "unchanged"
    CONSTANT = "a constant, reshaped"


class Operand(NamedTuple):
    """One operand of a carried node: a value and how it is passed; `shape` is for `Use.CONSTANT`."""

    use: Use
    name: str
    shape: tuple[int, ...] = ()

    @property
    def is_data(self) -> bool:
        """True for a value of the region."""
        return self.use in (Use.FOUR_D, Use.POINTWISE)


class Carried(NamedTuple):
    """A node that works on the 4-D value as well.

    Attributes:
        operands: Its operands.
        form: Form of its first output.
        attributes: Attributes to set; the others stay.
        alias: True if the node does nothing in four dimensions and is left out.
    """

    operands: tuple[Operand, ...]
    form: Form
    attributes: Mapping[str, Any] = MappingProxyType({})
    alias: bool = False


def carried(view: GraphView, node: NodeProto, forms: Mapping[str, Form]) -> Carried | None:
    """How a node is carried, or None if it is not."""
    inputs = [forms.get(name) for name in node.input]
    if not is_onnx(node) or not any(inputs) or any(form and form.rank != 2 for form in inputs):  # noqa: PLR2004
        return None
    if node.op_type in _ELEMENTWISE:
        return _elementwise(node, forms)
    if node.op_type == "Dropout":
        return _dropout(view, node, forms)
    if node.op_type in RESHAPES:
        return _view(view, node, forms)
    rule = _RULES.get(node.op_type)
    if rule is None or not all(form is None or form.settled for form in inputs):
        return None
    return rule(view, node, forms)


def _elementwise(node: NodeProto, forms: Mapping[str, Form]) -> Carried | None:
    first, *rest = node.input
    if first not in forms or any(name in forms for name in rest):
        return None
    operands = (Operand(use=Use.FOUR_D, name=first), *(Operand(use=Use.KEPT, name=name) for name in rest))
    return Carried(operands=operands, form=forms[first].computed())


def _view(view: GraphView, node: NodeProto, forms: Mapping[str, Form]) -> Carried | None:
    """A reshape of [N, F] to [N, F] does nothing."""
    form, shape = forms.get(node.input[0]), view.shape(node.output[0])
    same = form is not None and shape is not None and len(shape) == 2 and shape[1] == form.features  # noqa: PLR2004
    if form is None or not same or not form.settled:
        return None
    return Carried(operands=(Operand(use=Use.FOUR_D, name=node.input[0]),), form=form.computed(), alias=True)


def _dropout(view: GraphView, node: NodeProto, forms: Mapping[str, Form]) -> Carried | None:
    mask = node.output[1] if len(node.output) > 1 else ""
    if mask and (mask in view.consumers or view.is_external_use(mask)):
        return None
    training = node.input[2] if len(node.input) > 2 else ""  # noqa: PLR2004 - data, ratio, training_mode
    if training:
        value = view.stored_value(training)
        if value is None or bool(value.any()):
            return None
    return _elementwise(node, forms)


def _batch_normalization(_view: GraphView, node: NodeProto, forms: Mapping[str, Form]) -> Carried | None:
    first, *rest = node.input
    stateful = attribute(node, "training_mode", 0) or len([name for name in node.output if name]) > 1
    if first not in forms or any(name in forms for name in rest) or stateful or not attribute(node, "spatial", 1):
        return None
    operands = (Operand(use=Use.POINTWISE, name=first), *(Operand(use=Use.KEPT, name=name) for name in rest))
    return Carried(operands=operands, form=forms[first].computed(forms[first].features))


def _prelu(view: GraphView, node: NodeProto, forms: Mapping[str, Form]) -> Carried | None:
    first, slope = node.input
    shape = view.shape(slope)
    if first not in forms or slope in forms or not view.is_stored(slope) or shape is None:
        return None
    features = forms[first].features
    if shape not in ((), (1,), (1, 1), (features,), (1, features)):
        return None
    count = 1 if math.prod(dim for dim in shape if isinstance(dim, int)) == 1 else features
    operands = (
        Operand(use=Use.POINTWISE, name=first),
        Operand(use=Use.CONSTANT, name=slope, shape=(count, 1, 1)),
    )
    return Carried(operands=operands, form=forms[first].computed(features))


def _binary(view: GraphView, node: NodeProto, forms: Mapping[str, Form]) -> Carried | None:
    data = [forms[name] for name in node.input if name in forms]
    features = max(form.features for form in data)
    if any(form.features not in (1, features) for form in data):
        return None
    same = len({(form.size, form.order) for form in data}) == 1
    operands: list[Operand] = []
    for name in node.input:
        operand = Operand(use=Use.FOUR_D, name=name) if name in forms else _constant(view, name, features)
        if operand is None:
            return None
        operands.append(operand)
    if same and not any(operand.use is Use.CONSTANT for operand in operands):
        return Carried(operands=tuple(operands), form=data[0].computed()._replace(batch=_broadcast_batch(data)))
    pointwise = (Operand(use=Use.POINTWISE, name=o.name) if o.is_data else o for o in operands)
    form = Form(size=(features, 1, 1), batch=_broadcast_batch(data))
    return Carried(operands=tuple(pointwise), form=form)


def _broadcast_batch(forms: Sequence[Form]) -> Dim:
    """First dimension of the result; None if it is not certain."""
    batches = {form.batch for form in forms} - {1}
    return 1 if not batches else batches.pop() if len(batches) == 1 else None


def _constant(view: GraphView, name: str, features: int) -> Operand | None:
    """A scalar is not changed, a constant per feature becomes [1, F, 1, 1]; other operands are not carried."""
    shape = view.shape(name)
    if shape is None or not view.is_stored(name):
        return None
    if shape in ((), (1,), (1, 1)):
        return Operand(use=Use.KEPT, name=name)
    if shape in ((features,), (1, features)):
        return Operand(use=Use.CONSTANT, name=name, shape=(1, features, 1, 1))
    return None


def _concat(_view: GraphView, node: NodeProto, forms: Mapping[str, Form]) -> Carried | None:
    if attribute(node, "axis", 1) not in (1, -1) or any(name not in forms for name in node.input):
        return None
    features = sum(forms[name].features for name in node.input)
    operands = tuple(Operand(use=Use.POINTWISE, name=name) for name in node.input)
    return Carried(operands=operands, form=forms[node.input[0]].computed(features), attributes={"axis": 1})


def _over_features(view: GraphView, node: NodeProto, forms: Mapping[str, Form]) -> Carried | None:
    """Softmax and LogSoftmax: below opset 13 the axis starts a coercion to 2-D, which 1 x 1 planes do not change."""
    default = 1 if view.opset < _SOFTMAX_PER_AXIS_OPSET else -1
    if attribute(node, "axis", default) not in (1, -1):
        return None
    form = forms[node.input[0]]
    operands = (Operand(use=Use.POINTWISE, name=node.input[0]),)
    return Carried(operands=operands, form=form.computed(form.features), attributes={"axis": 1})


def _arg(_view: GraphView, node: NodeProto, forms: Mapping[str, Form]) -> Carried | None:
    if attribute(node, "axis", 0) not in (1, -1):
        return None
    rank = 2 if attribute(node, "keepdims", 1) else 1
    form = Form(size=(1, 1, 1), batch=forms[node.input[0]].batch, rank=rank)
    operands = (Operand(use=Use.POINTWISE, name=node.input[0]),)
    return Carried(operands=operands, form=form, attributes={"axis": 1, "keepdims": 1})


_RULES: dict[str, Callable[[GraphView, NodeProto, Mapping[str, Form]], Carried | None]] = {
    "BatchNormalization": _batch_normalization,
    "PRelu": _prelu,
    "Concat": _concat,
    "Softmax": _over_features,
    "LogSoftmax": _over_features,
    "ArgMax": _arg,
    "ArgMin": _arg,
    **dict.fromkeys(_BINARY, _binary),
}
