"""Which nodes of a graph become one four-dimensional region, and how values enter and leave it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from onnx import TensorProto

from mnncompat.graph.protos import is_onnx
from mnncompat.graph.view import GraphView
from mnncompat.rewrites.fully_connected.carry import Carried, Operand, Use, carried
from mnncompat.rewrites.fully_connected.forms import Form, mixed, source, two_dimensional
from mnncompat.rewrites.fully_connected.layers import Layer, layer
from mnncompat.support.head_form import HeadForm

# Before opset 7 Gemm and the arithmetic operators broadcast by attributes.
_NUMPY_BROADCAST_OPSET = 7


class Step(NamedTuple):
    """A node of a region: a layer, or a carried node.

    Attributes:
        node: Index of the node.
        what: What it is.
        output: Name of the 2-D value that it computes.
        form: Form of that value.
    """

    node: int
    what: Layer | Carried
    output: str
    form: Form

    @property
    def operands(self) -> tuple[Operand, ...]:
        """The operands that are values of the region or enter it."""
        if isinstance(self.what, Layer):
            return (Operand(use=Use.FOUR_D, name=self.what.value),)
        return tuple(operand for operand in self.what.operands if operand.is_data)

    @property
    def nodes(self) -> tuple[int, ...]:
        """Indices of the nodes that it replaces."""
        return (self.node, *self.what.folded) if isinstance(self.what, Layer) else (self.node,)


class Region(NamedTuple):
    """Nodes that are rewritten together.

    Attributes:
        steps: In graph order.
        forms: Forms of all values that the steps read or compute.
        exits: 2-D values that are used outside of the region.
    """

    steps: tuple[Step, ...]
    forms: dict[str, Form]
    exits: frozenset[str]


def plan(view: GraphView, head: HeadForm) -> tuple[list[Region], dict[int, str]]:
    """Find the regions of a graph, written in a form, and the nodes that are refused with the reason."""
    forms, steps, refusals = _forward(view, head)
    chosen = _chosen(steps, forms)
    groups = _groups(chosen, forms)
    return [_region(view, group, forms) for group in groups], refusals


def _forward(view: GraphView, head: HeadForm) -> tuple[dict[str, Form], dict[str, Step], dict[int, str]]:
    """Determine the form of every value that has one; returns steps by the value that they compute."""
    forms: dict[str, Form] = {}
    steps: dict[str, Step] = {}
    refusals: dict[int, str] = {}
    formless: dict[str, str] = {}
    taken: set[int] = set()
    for index, node in enumerate(view.nodes):
        if index in taken or not node.output:
            continue
        found = layer(view, index)
        if isinstance(found, Layer):
            step = _layer_step(view, found, forms, formless)
            if isinstance(step, Step):
                steps[step.output], forms[step.output] = step, step.form
                taken.update(found.folded)
            else:
                refusals[index] = step
        elif found is not None:
            refusals[index] = found
        elif (how := carried(view, node, forms)) is not None:
            steps[node.output[0]] = Step(node=index, what=how, output=node.output[0], form=how.form)
            forms[node.output[0]] = how.form
        else:
            origin = source(view, node, head) if is_onnx(node) else None
            if isinstance(origin, Form):
                forms[node.output[0]] = origin
            elif origin is not None:
                formless[node.output[0]] = origin
            elif node.op_type in ("Identity", "Dropout", "Cast", "Relu") and node.input[0] in formless:
                formless[node.output[0]] = formless[node.input[0]]
    return forms, steps, refusals


def _layer_step(view: GraphView, found: Layer, forms: dict[str, Form], formless: dict[str, str]) -> Step | str:
    if view.opset < _NUMPY_BROADCAST_OPSET:
        return f"opset {view.opset} is older than {_NUMPY_BROADCAST_OPSET}"
    if found.value in formless:
        return formless[found.value]
    outputs, inputs = found.weight.shape
    form = forms.get(found.value) or two_dimensional(view, found.value, inputs)
    if isinstance(form, str):
        return form
    if form.features != inputs or form.rank != 2:  # noqa: PLR2004 - a batch of feature vectors
        return mixed(inputs, form.features, form.entry.value if form.entry else found.value)
    dtype = view.dtype(found.value)
    if dtype is not None and dtype != found.weight.dtype:
        return f"'{found.value}' is {TensorProto.DataType.Name(dtype).lower()}, the weight is not"
    forms[found.value] = form._replace(settled=True)
    return Step(node=found.node, what=found, output=found.output, form=forms[found.value].computed(outputs))


def _chosen(steps: dict[str, Step], forms: dict[str, Form]) -> list[Step]:
    """The layers, the nodes carried after them, and the nodes that must be carried before them."""
    active: dict[str, Step] = {}
    for step in sorted(steps.values(), key=lambda s: s.node):
        if isinstance(step.what, Layer) or any(operand.name in active for operand in step.operands):
            active[step.output] = step
    waiting = list(active.values())
    while waiting:
        for operand in waiting.pop().operands:
            if forms[operand.name].entry is None and operand.name not in active:
                active[operand.name] = steps[operand.name]
                waiting.append(steps[operand.name])
    return sorted(active.values(), key=lambda s: s.node)


def _groups(steps: list[Step], forms: dict[str, Form]) -> list[list[Step]]:
    """Groups of connected steps: steps that share a value, or the value by which they enter the region."""
    leader = list(range(len(steps)))

    def find(position: int) -> int:
        while leader[position] != position:
            position = leader[position]
        return position

    seen: dict[str, int] = {}
    for position, step in enumerate(steps):
        for name in (step.output, *_shared(step, forms)):
            first = seen.setdefault(name, position)
            low, high = sorted((find(first), find(position)))
            leader[high] = low
    groups: dict[int, list[Step]] = {}
    for position, step in enumerate(steps):
        groups.setdefault(find(position), []).append(step)
    return list(groups.values())


def _shared(step: Step, forms: dict[str, Form]) -> Iterator[str]:
    for operand in step.operands:
        yield operand.name
        entry = forms[operand.name].entry
        if entry is not None:
            yield f"{entry.kind.value} {entry.value}"  # a space: cannot be taken for the name of a step's output


def _region(view: GraphView, steps: list[Step], forms: dict[str, Form]) -> Region:
    nodes = {index for step in steps for index in step.nodes}
    names = {operand.name for step in steps for operand in step.operands} | {step.output for step in steps}
    rereads = {
        operand.name
        for step in steps
        for operand in step.operands
        if operand.use is Use.POINTWISE and needs_two_dimensions(forms[operand.name])
    }
    exits = {
        step.output
        for step in steps
        if step.output in rereads
        or view.is_external_use(step.output)
        or any(user not in nodes for user in view.consumers.get(step.output, ()))
    }
    return Region(steps=tuple(steps), forms={name: forms[name] for name in names}, exits=frozenset(exits))


def needs_two_dimensions(form: Form) -> bool:
    """True if the pointwise form of a value can only be reached through the 2-D value itself."""
    return not form.pointwise and not form.in_order
