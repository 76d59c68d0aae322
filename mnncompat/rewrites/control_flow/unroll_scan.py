"""Scan, iteration by iteration or as Loop."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import TYPE_CHECKING

from onnx import GraphProto, TensorProto, helper

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mnncompat.support.node_facts import NodeFacts

_MOST_NODES = 2000
_OLD_OPSET = 9


class UnrollScan(NodeRewrite):
    """Write the body of a Scan once for every step, or as the body of a Loop.

    **What.** Scan of every opset. With a static number of steps the body is repeated, once for each step. With
    a dynamic one, or where that would be more than 2,000 nodes, the Scan becomes a Loop that gathers the slices.

    **Why.** MNN's converter does not declare Scan.

    **Before and after**::

        h, y = Scan(h0, x) {h1 = Tanh(x_t + h_t)}             x: [3, 2]
        h1 = Tanh(x[0] + h0); h2 = Tanh(x[1] + h1); h = Tanh(x[2] + h2); y = Concat(h1, h2, h)

    **Algebra.** Scan is defined by this loop: step t reads slice t of each scanned operand (from the end where the
    direction is 1) and the states of step t - 1, and appends (or prepends) its scan outputs.

    **Why this form.** A repeated body is plain operators, which MNN schedules and fuses; Loop runs its body by an
    interpreter that copies the states.

    **Refuses** opset 8 (a batch of sequences) with sequence lengths that are not constant or with a dynamic batch, and
    a dynamic number of steps where an output is scanned backwards.

    **Source.** https://onnx.ai/onnx/operators/onnx__Scan.html
    """

    code = "MNN940"
    name = "unroll-scan"
    summary = "its body is repeated for every step"
    op_types = ("Scan",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Sequence[Value | None]:
        """Emit the steps."""
        if node.opset < _OLD_OPSET:
            return _batched(node, new)
        scan = _Scan(node, new)
        steps = scan.steps()
        if steps is not None and steps * len(scan.body.node) <= _MOST_NODES:
            return scan.unrolled(steps)
        return scan.looped()

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Forward and backward, along another axis, dynamic, and with a body that reads the graph around it."""
        return (
            *_unrolled_examples(),
            refused(
                "opset 8 with a dynamic batch",
                "dimension 0 of 'x' is dynamic",
                """(float[B,2] h0, float[B,3,2] x) => (float[B,2] h, float[B,3,2] y) {
                h, y = Scan<num_scan_inputs=1, body = step (float[2] h_in, float[2] e) => (float[2] h_out, float[2] s) {
                h_out = Add(h_in, e) s = Identity(h_out) }>("", h0, x) }""",
                opset=8,
            ),
            unchanged("a Loop", _LOOP),
        )


def _unrolled_examples() -> tuple[Example, ...]:
    """Forward and backward, along another axis, of a dynamic length."""
    body = """body = step (float[2] h_in, float[2] e) => (float[2] h_out, float[2] s) {
            t = Add(h_in, e) h_out = Tanh(t) s = Mul(h_out, w) }"""
    return (
        rewritten(
            "two outputs, a value from outside",
            f"""(float[2] h0, float[3,2] x) => (float[2] h, float[3,2] y) {{
            h, y = Scan<num_scan_inputs=1, {body}>(h0, x) }}""",
            becomes="3 Add, Concat, 3 Mul, Split, 3 Squeeze, 3 Tanh, 3 Unsqueeze",
            w=(2,),
        ),
        rewritten(
            "backwards, along axis 1",
            f"""(float[2] h0, float[2,3] x) => (float[2] h, float[2,3] y) {{
            h, y = Scan<num_scan_inputs=1, scan_input_axes=[1], scan_input_directions=[1], scan_output_axes=[-1],
            scan_output_directions=[1], {body}>(h0, x) }}""",
            becomes="3 Add, Concat, 3 Mul, Split, 3 Squeeze, 3 Tanh, 3 Unsqueeze",
            w=(2,),
        ),
        rewritten(
            "dynamic length",
            f"""(float[2] h0, float[T,2] x) => (float[2] h, float[T,2] y) {{
            h, y = Scan<num_scan_inputs=1, {body}>(h0, x) }}""",
            becomes="Gather, Loop{Add, Gather, Identity, Mul, Tanh}, Shape, Squeeze",
            w=(2,),
        ),
        refused(
            "dynamic length, without a state",
            "it has no state",
            """(float[T,2] x) => (float[T,2] y) {
            y = Scan<num_scan_inputs=1, body = step (float[2] e) => (float[2] s) { s = Tanh(e) }>(x) }""",
        ),
        _OPSET_8,
    )


_OPSET_8 = rewritten(
    "opset 8",
    """(float[2,2] h0, float[2,3,2] x) => (float[2,2] h, float[2,3,2] y) {
    h, y = Scan<num_scan_inputs=1, body = step (float[2] h_in, float[2] e) => (float[2] h_out, float[2] s) {
    h_out = Add(h_in, e) s = Identity(h_out) }>("", h0, x) }""",
    becomes="6 Add, 4 Concat, 6 Identity, 8 Slice, 8 Squeeze, 10 Unsqueeze",
    opset=8,
)
_LOOP = """(float[2] h0, int64 n) => (float[2] h) { c = Constant<value = bool {1}>()
    h = Loop<body = step (int64 i, bool c_in, float[2] h_in) => (bool c_out, float[2] h_out) {
    c_out = Identity(c_in) h_out = Tanh(h_in) }>(n, c, h0) }"""


class _Scan:
    """A Scan of opset 9 or newer."""

    def __init__(self, node: NodeFacts, new: SubgraphBuilder) -> None:
        self.new = new
        self.body: GraphProto = node.attribute("body")
        operands = new.inputs()
        count = int(node.attribute("num_scan_inputs"))
        self.states, self.scanned = operands[: len(operands) - count], operands[len(operands) - count :]
        outputs = len(self.body.output) - len(self.states)
        self.input_axes = list(node.attribute("scan_input_axes") or [0] * count)
        self.output_axes = list(node.attribute("scan_output_axes") or [0] * outputs)
        self.input_backwards = list(node.attribute("scan_input_directions") or [0] * count)
        self.output_backwards = list(node.attribute("scan_output_directions") or [0] * outputs)
        _require_consistent(self.body, len(operands), count, [self.input_axes, self.input_backwards])
        if any(len(each) != outputs for each in (self.output_axes, self.output_backwards)):
            raise NotApplicable(f"it states axes or directions of other than its {outputs} scan outputs")

    def steps(self) -> int | None:
        """The number of steps, None if it is dynamic."""
        for value, axis in zip(self.scanned, self.input_axes, strict=True):
            size = value.dims[axis]
            if isinstance(size, int):
                return size
        return None

    def unrolled(self, steps: int) -> list[Value]:
        if steps == 0:
            raise NotApplicable("there are no steps: the scan outputs are empty")
        new, states = self.new, list(self.states)
        slices = [
            [new.squeeze(part, [axis % value.rank]) for part in new.split(value, [1] * steps, axis % value.rank)]
            for value, axis in zip(self.scanned, self.input_axes, strict=True)
        ]
        stacks: list[list[Value]] = [[] for _ in self.output_axes]
        for step in range(steps):
            elements = [
                parts[steps - 1 - step if backwards else step]
                for parts, backwards in zip(slices, self.input_backwards, strict=True)
            ]
            results = new.inline(self.body, [*states, *elements])
            states = results[: len(states)]
            for stack, result in zip(stacks, results[len(states) :], strict=True):
                stack.append(result)
        stacked = [
            self._stack(stack[::-1] if backwards else stack, axis)
            for stack, axis, backwards in zip(stacks, self.output_axes, self.output_backwards, strict=True)
        ]
        return [*states, *stacked]

    def _stack(self, values: list[Value], axis: int) -> Value:
        axis = axis % (values[0].rank + 1)
        return self.new.concat([self.new.unsqueeze(value, [axis]) for value in values], axis)

    def looped(self) -> list[Value]:
        """A Loop of as many steps as the first scanned operand has slices."""
        if any(self.output_backwards):
            raise NotApplicable("the number of steps is dynamic, and an output is scanned backwards")
        if not self.states:
            raise NotApplicable(
                "the number of steps is dynamic, and it has no state: MNN crashes on a Loop without one"
            )
        new, first = self.new, self.scanned[0]
        shape = new.op("Shape", first)
        trips = new.op("Gather", shape, new.constant([self.input_axes[0] % first.rank]), axis=0)
        trips = new.squeeze(trips, [0])
        body = self._loop_body([value.rank for value in self.scanned])
        outputs = new.ops("Loop", trips, None, *self.states, count=len(self.body.output), body=body)
        count = len(self.states)
        return [
            *outputs[:count],
            *(self._moved(v, axis) for v, axis in zip(outputs[count:], self.output_axes, strict=True)),
        ]

    def _moved(self, value: Value, axis: int) -> Value:
        """Loop stacks along axis 0."""
        axis = axis % value.rank
        if axis == 0:
            return value
        others = list(range(1, value.rank))
        return self.new.transpose(value, [*others[:axis], 0, *others[axis:]])

    def _loop_body(self, ranks: list[int]) -> GraphProto:
        fresh = _fresh_names(self.body)
        graph = GraphProto()
        graph.CopyFrom(self.body)
        states = len(self.states)
        step, condition, carried = fresh("step"), fresh("condition"), fresh("condition_out")
        del graph.input[:]
        graph.input.append(helper.make_tensor_value_info(step, TensorProto.INT64, []))
        graph.input.append(helper.make_tensor_value_info(condition, TensorProto.BOOL, []))
        graph.input.extend(self.body.input[:states])
        head = []
        for number, (value, axis, rank) in enumerate(zip(self.scanned, self.input_axes, ranks, strict=True)):
            index = step
            if self.input_backwards[number]:
                index, reached = fresh(f"index_{number}"), fresh(f"minus_{number}")
                head.append(helper.make_node("Neg", [step], [reached], name=fresh("neg")))
                one = helper.make_tensor(fresh("minus_one"), TensorProto.INT64, [], [-1])
                graph.initializer.append(one)
                head.append(helper.make_node("Add", [reached, one.name], [index], name=fresh("add")))
            element = self.body.input[states + number].name
            head.append(
                helper.make_node("Gather", [value.name, index], [element], name=fresh("gather"), axis=axis % rank)
            )
        nodes = list(self.body.node)
        del graph.node[:]
        graph.node.extend([*head, *nodes])
        graph.node.append(helper.make_node("Identity", [condition], [carried], name=fresh("identity")))
        del graph.output[:]
        graph.output.append(helper.make_tensor_value_info(carried, TensorProto.BOOL, []))
        graph.output.extend(self.body.output)
        return graph


def _fresh_names(body: GraphProto) -> Callable[[str], str]:
    """Makes names that the body does not have; each is found at once, however many there were."""
    taken = {name for node in body.node for name in (*node.input, *node.output)}
    taken |= {value.name for value in (*body.input, *body.output)}
    counted: Counter[str] = Counter()

    def fresh(name: str) -> str:
        for tried in count(counted[name]):
            counted[name] = tried + 1
            if (unused := f"{name}_{tried}" if tried else name) not in taken:
                break
        taken.add(unused)
        return unused

    return fresh


def _require_consistent(body: GraphProto, operands: int, count: int, stated: Sequence[Sequence[int]]) -> None:
    """Check what ONNX's inference looks at only where the types of all that is read are known.

    Args:
        body: The body.
        operands: How many the node has.
        count: How many of them are scanned.
        stated: What the node says about each of the scanned ones.

    Raises:
        NotApplicable: It does not fit.
    """
    if not 0 < count <= operands or any(len(each) != count for each in stated):
        raise NotApplicable(f"it scans {count} of {operands} operands, and states axes or directions of others")
    if len(body.input) != operands or len(body.output) < operands - count:
        raise NotApplicable(f"its body has {len(body.input)} inputs and {len(body.output)} outputs")


def _batched(node: NodeFacts, new: SubgraphBuilder) -> list[Value]:
    """Opset 8: every operand has a batch in front, and every sample a length."""
    body: GraphProto = node.attribute("body")
    count = int(node.attribute("num_scan_inputs"))
    operands = [new.value(name) for name in node.node.input[1:]]
    states, scanned = operands[: len(operands) - count], operands[len(operands) - count :]
    backwards = list(node.attribute("directions") or [0] * count)
    _require_consistent(body, len(operands), count, [backwards])
    batch, steps = scanned[0].dim(0), scanned[0].dim(1)
    lengths = new.integers(0) if new.has(0) else [steps] * batch
    if any(length != steps for length in lengths):
        raise NotApplicable(f"the sequences have the lengths {lengths}")
    if not 0 < batch * steps * len(body.node) <= _MOST_NODES:
        raise NotApplicable(f"{batch} sequences of {steps} steps are too many to write out, or none")
    rows: list[list[Value]] = [[] for _ in body.output]
    for sample in range(batch):
        carried = [_row(new, state, [sample]) for state in states]
        stacks: list[list[Value]] = [[] for _ in body.output[len(states) :]]
        for step in range(steps):
            elements = [
                _row(new, value, [sample, steps - 1 - step if back else step])
                for value, back in zip(scanned, backwards, strict=True)
            ]
            results = new.inline(body, [*carried, *elements])
            carried = results[: len(states)]
            for stack, result in zip(stacks, results[len(states) :], strict=True):
                stack.append(new.unsqueeze(result, [0]))
        for row, value in zip(rows, [*carried, *(new.concat(stack, 0) for stack in stacks)], strict=True):
            row.append(new.unsqueeze(value, [0]))
    return [new.concat(row, 0) for row in rows]


def _row(new: SubgraphBuilder, value: Value, indices: list[int]) -> Value:
    axes = list(range(len(indices)))
    return new.squeeze(new.slice(value, indices, [index + 1 for index in indices], axes), axes)
