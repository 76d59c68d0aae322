"""What random nodes draw, as inputs of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import GraphProto, ModelProto, NodeProto

from mnncompat.graph.operator_traits import RANDOM
from mnncompat.graph.protos import attribute, is_onnx
from mnncompat.graph.validation import subgraphs
from mnncompat.graph.value_names import names_in_use, reads, rename_captured
from mnncompat.inference.noise_inputs import describe, noise_of, without_functions
from mnncompat.results.diagnostics import Applicability
from mnncompat.rewrites.core.base import Example, Refusal
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.model_rewrite import ModelRewrite, RewriteLocation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mnncompat.graph.view import GraphView, ModelView
    from mnncompat.inference.noise_inputs import NoiseInput
    from mnncompat.rewrites.core.base import Match
    from mnncompat.support.target import Target


class NoiseAsInput(ModelRewrite):
    """Feed what random nodes draw, as further inputs of the model.

    **What.** `mnncompat fix MODEL --unsafe-fixes`. RandomNormal, RandomNormalLike, RandomUniform, RandomUniformLike,
    Bernoulli and Multinomial that an output depends on, also in the branches of an If and in local functions.

    **Why.** No two runs agree on what is drawn, so that nobody can tell whether MNN computes the rest as it should; it
    has no Bernoulli and no Multinomial.

    **Before and after**::

        n = RandomNormalLike<mean = m, scale = s>(x); y = Add(x, n)
        y = Add(x, n_noise)
        b = Bernoulli(p)
        b = Cast(Less(b_noise, p))

    **Algebra.** The input `<name of the node>_noise` has shape and type of the node's result and is that result:
    N(m, s), or uniform from low to high, or classes in the place of Multinomial, whose operand is then read no more.
    Bernoulli's is uniform from 0 to 1, in the type of the probabilities. What the numbers are like is in the metadata
    of the model, under ``mnncompat.noise``.

    **Unsafe**: the model has more inputs than before, and whoever runs it has to draw the numbers. The proof runs the
    original, records what it draws, and feeds the result with that; everything that happens afterwards is proven equal
    to the result as usual, MNN's file included.

    **Refuses** nodes in the body of a Loop, a Scan or a SequenceMap, which draw anew in every step; Dropout in training
    mode, which an export for inference does not have; results of unknown rank. Noise that no output depends on is left.

    **Source.** https://onnx.ai/onnx/operators/onnx__RandomNormalLike.html,
    https://onnx.ai/onnx/operators/onnx__Bernoulli.html
    """

    code = "MNN951"
    name = "noise-as-input"
    summary = "what it draws is an input of the model"
    applicability = Applicability.UNSAFE
    adds_inputs = True
    needs_hazard = True

    def find(self, view: GraphView, target: Target) -> Iterable[Match | Refusal]:
        """Yield a refusal for each random node of a graph whose numbers cannot be fed."""
        if not any(_is_candidate(node) for node in view.nodes):
            return
        noise = noise_of(view.scope)
        refused = list(noise.refused)
        written_out = noise_of(without_functions(view.scope)) if noise.inputs else noise
        if not written_out.inputs:  # a function that is called in a loop
            refused += [(each.source, written_out.refused[0][1]) for each in noise.inputs]
        found = {source.position: reason for source, reason in refused if source.view.path == view.path}
        fed = {each.source.position for each in noise.inputs if each.source.view.path == view.path}
        for index, node in enumerate(view.nodes):
            is_stray = node.op_type in RANDOM and not target.declares(node.op_type) and index not in fed
            reason = found.get(index, "no output depends on what it draws" if is_stray else "")
            if reason:
                yield Refusal(rewrite=self.name, index=index, reason=reason)

    def search(self, model: ModelView, target: Target) -> list[RewriteLocation]:  # noqa: ARG002
        """The random nodes that an output depends on and whose numbers can be fed."""
        found = noise_of(model).inputs
        if not found or not noise_of(without_functions(model)).inputs:  # a function may be called in a loop
            return []
        return [
            RewriteLocation(each.source.view, each.source.position, f"{self.summary}: '{each.name}'") for each in found
        ]

    def rewrite(self, model: ModelView, locations: Sequence[RewriteLocation]) -> ModelProto:  # noqa: ARG002
        """The model with the inputs, and without the nodes and what only they read."""
        whole = without_functions(model)
        result = ModelProto()
        result.CopyFrom(whole.proto)
        inputs = noise_of(whole).inputs
        for each in inputs:
            value = onnx.helper.make_tensor_value_info(each.name, each.element, each.shape)
            result.graph.input.append(value)
        graphs = {each.source.view.address: _graph_at(result.graph, each) for each in inputs}
        for address, graph in graphs.items():
            _replace(graph, [each for each in inputs if each.source.view.address == address])
        describe(result, {each.name: each.domain for each in inputs})
        return result

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Each operator, where it may stand, and what is refused or of no consequence."""
        return (*_of_each_operator(), *_in_nested_graphs(), *_refused(), *_unchanged())


def _is_candidate(node: NodeProto) -> bool:
    return node.op_type in RANDOM or "Dropout" in node.op_type or (not is_onnx(node) and node.op_type == "Sampling")


def _graph_at(graph: GraphProto, each: NoiseInput) -> GraphProto:
    for index, name in each.source.view.address:
        graph = next(item.g for item in graph.node[index].attribute if item.name == name)
    return graph


def _replace(graph: GraphProto, inputs: Sequence[NoiseInput]) -> None:
    """Put inputs of the model in the place of nodes of one graph."""
    outputs = {value.name for value in graph.output}
    renamed: dict[str, str] = {}
    released: list[str] = []
    for each in sorted(inputs, key=lambda one: -one.source.position):  # what stands before keeps its place
        index = each.source.position
        node = graph.node[index]
        if node.op_type == "Bernoulli":
            _compare(graph, index, each)
            continue
        released += filter(None, node.input)
        if node.output[0] in outputs:
            node.CopyFrom(onnx.helper.make_node("Identity", [each.name], list(node.output), name=node.name))
        else:
            renamed[node.output[0]] = each.name
            del graph.node[index]
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        for _, inner in subgraphs(node):
            rename_captured(inner, renamed)
    _release(graph, released)


def _compare(graph: GraphProto, index: int, each: NoiseInput) -> None:
    """Bernoulli as a comparison of uniform numbers with its probabilities."""
    node = graph.node[index]
    below = f"{each.name}_below"
    while below in set(names_in_use(graph)):
        below += "_"
    compared = onnx.helper.make_node("Less", [each.name, node.input[0]], [below], name=below)
    kind = attribute(node, "dtype") or each.element
    node.CopyFrom(onnx.helper.make_node("Cast", [below], list(node.output), name=node.name, to=kind))
    graph.node.insert(index, compared)


def _release(graph: GraphProto, names: list[str]) -> None:
    """Remove nodes and initializers of a graph that computed only what is read no more."""
    while names:
        name = names.pop()
        if name in {*reads(graph), *(value.name for value in graph.output)}:
            continue
        for node in [each for each in graph.node if name in each.output]:
            if not set(filter(None, node.output)) & {*reads(graph), *(value.name for value in graph.output)}:
                names += filter(None, node.input)
                graph.node.remove(node)
        inputs = {value.name for value in graph.input}
        for tensor in [each for each in graph.initializer if each.name == name and name not in inputs]:
            graph.initializer.remove(tensor)


def _of_each_operator() -> tuple[Example, ...]:
    """Each operator, of shapes that are stated, dynamic and computed."""
    return (
        rewritten(
            "added to a dynamic batch",
            "(float[N,4] x) => (float[N,4] y) { n = RandomNormalLike<scale=0.5>(x) a = Add(x, n) y = Tanh(a) }",
            becomes="Add, Tanh",
        ),
        rewritten(
            "uniform, of a shape that is computed",
            """(float[N,4] x) => (float[N,4] y) {
            s = Shape(x) o = ConstantOfShape(s) u = RandomUniformLike<low=0.1, high=0.9>(o)
            l = Log(u) y = Sub(x, l) }""",
            becomes="Log, Sub",
        ),
        rewritten(
            "both of a stated shape, one an output",
            """(float[2,3] x) => (float[2,3] y, float[2,3] u) {
            n = RandomNormal<shape=[2,3], mean=1.0>() u = RandomUniform<shape=[2,3]>() y = Mul(x, n) }""",
            becomes="Identity, Mul",
        ),
        rewritten(
            "a mask of Bernoulli",
            """(float[2,8] x) => (float[2,8] y) {
            p = Sigmoid(x) b = Bernoulli<dtype=9>(p) f = Cast<to=1>(b) y = Mul(x, f) }""",
            becomes="2 Cast, Less, Mul, Sigmoid",
            opset=15,
        ),
        rewritten(
            "classes",
            """(float[2,5] x) => (float[2,3,4] y, float[2,5] z) {
            z = LogSoftmax<axis=1>(x) c = Multinomial<sample_size=3>(z) y = Gather(w, c) }""",
            becomes="Gather, LogSoftmax",
            w=(5, 4),
        ),
    )


def _in_nested_graphs() -> tuple[Example, ...]:
    """Where the input is captured, and where a function is written out first."""
    return (
        rewritten(
            "in the branch of an If",
            """(float[2,3] x, bool c) => (float[2,3] y) {
            a = If(c)<then_branch = t () => (float[2,3] p) { n = RandomNormalLike(x) p = Add(x, n) },
            else_branch = e () => (float[2,3] q) { q = Neg(x) }> y = Tanh(a) }""",
            becomes="If{Add | Neg}, Tanh",
        ),
        rewritten(
            "in a local function that is called twice",
            """(float[2,3] x) => (float[2,3] y) { a = my.noisy(x) y = my.noisy(a) }
            <opset_import: ["": 17], domain: "my"> noisy(v) => (w) { n = RandomNormalLike(v) w = Add(v, n) }""",
            becomes="2 Add",
            imports='"": 17, "my": 1',
        ),
    )


def _refused() -> tuple[Example, ...]:
    """What draws anew in every step, and what is a mistake of the export."""
    return (
        refused(
            "in a Loop",
            "draws anew in every step",
            """(float[2,3] x) => (float[2,3] y) <int64 trips = {3}, bool go = {1}> {
            y = Loop(trips, go, x)<body = b (int64 i, bool c, float[2,3] v) => (bool d, float[2,3] w) {
            d = Identity(c) n = RandomNormalLike(v) w = Add(v, n) }> }""",
        ),
        refused(
            "Bernoulli of no consequence",
            "no output depends",
            "(float[2,3] x) => (float[2,3] y) { b = Bernoulli(x) y = Neg(x) }",
            opset=15,
        ),
        refused(
            "Dropout in training mode",
            "export the model for inference",
            """(float[2,3] x) => (float[2,3] y) <float p = {0.5}, bool t = {1}> {
            r = Relu(x) d = Dropout(r, p, t) y = Neg(d) }""",
        ),
    )


def _unchanged() -> tuple[Example, ...]:
    """Noise of no consequence."""
    return (
        unchanged(
            "only its shape is read",
            """(float[2,3] x) => (float[2,3] y) {
            n = RandomNormalLike(x) s = Shape(n) z = ConstantOfShape(s) y = Add(x, z) }""",
        ),
        unchanged(
            "multiplied by zero",
            """(float[2,3] x) => (float[2,3] y) <float z = {0.0}> {
            n = RandomNormalLike(x) m = Mul(n, z) y = Add(x, m) }""",
        ),
    )
