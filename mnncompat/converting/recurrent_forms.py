"""Choose in which form MNN holds the recurrent layers of a model.

Measured on 3.6.1, after `fix`, on 341 node tests, generated models and look-alikes of rows, and 216 models of 1 to 3
layers as torch writes them: the own ops are right, in both APIs, wherever `_is_right_as_op` holds. The loops are right
as well, but run in the Module API only. How long both take is in `rules/recurrent.json`: ops of LSTM 0.1 to 1.6 of the
time of loops; those of GRU 0.5 to 1 for few units and sequences, up to 22 times as long for 512 units and batch 8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mnncompat.graph.protos import is_onnx
from mnncompat.graph.validation import all_nodes
from mnncompat.inference.model_view import view_model
from mnncompat.results.recurrent_form import RecurrentForm
from mnncompat.support.api_conditions import is_loop, subgraph_by_size_in_file, subgraph_in_file
from mnncompat.support.model_scope import Scope
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.operand_conditions import is_used
from mnncompat.support.recurrent_times import nearest
from mnncompat.support.releases import contains, installed_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mnncompat.graph.model_file import Model
    from mnncompat.mnn import ConvertOptions

_SINCE = ">=3.2.2"
"""The releases whose converter writes loops, and has the option against it."""
_INITIAL_H, _INITIAL_C = 5, 6
_LENGTHS = 4
_SLOWEST = 2.0
"""How many times as long as loops ops may take: they run in a Session as well."""
_OPEN_STEPS = 16
"""Steps to compare by where their number is open; an open batch counts as 1."""
_ACTIVATIONS = {
    "GRU": (["Sigmoid", "Tanh"], ["Sigmoid", "Tanh"] * 2),
    "LSTM": (["Sigmoid", "Tanh", "Tanh"], ["Sigmoid", "Tanh", "Tanh"] * 2),
}


class FormChoice(NamedTuple):
    """In which forms to convert a model.

    Attributes:
        forms: The best first, until one agrees; none if the model has no layer with two forms.
        why: Why the first one is, in words that go on after the form; empty if it was asked for.
    """

    forms: tuple[RecurrentForm, ...] = ()
    why: str = ""

    def reason(self, form: RecurrentForm | None) -> str:
        """Why it is this form in the end."""
        return self.why if form in self.forms[:1] else "the outputs of the other form differ" if self.forms else ""


def choose_forms(
    model: Model, wanted: RecurrentForm | None, converter: ConvertOptions, *, for_session: bool
) -> FormChoice:
    """The forms to convert a model in.

    Args:
        model: What is converted, after its rewrites.
        wanted: What the user wants; None to choose.
        converter: Options of the converter: it leaves the weights of its own ops as they are where it is asked to round
            to few bits.
        for_session: A Session has to run the file, whatever time that takes.
    """
    version = installed_version()
    if version is None or not contains(_SINCE, version):
        return FormChoice()
    layers = list(_layers(model))
    if not layers:
        return FormChoice()
    if wanted is not None:
        return FormChoice((wanted,))
    if converter.weight_bits:
        return FormChoice((RecurrentForm.LOOPS,), "the converter does not round the weights of its own ops")
    if not all(map(_is_right_as_op, layers)):
        return FormChoice((RecurrentForm.LOOPS,), "MNN's own op does not compute all that these layers ask for")
    return _by_time(layers, runs_anywhere=not _has_subgraphs(model), for_session=for_session)


def _by_time(layers: Sequence[NodeFacts], *, runs_anywhere: bool, for_session: bool) -> FormChoice:
    """Ops, which run in both APIs, unless they take too long or no Session runs the file in any case."""
    found = [nearest(facts.node.op_type, **_sizes(facts)) for facts in layers]
    ratio = sum(each.ops for each in found) / sum(each.loops for each in found)
    most = max(found, key=lambda each: abs(each.ops - each.loops))
    took = f"{ratio:.2g} times as long as loops, measured: {most.words}"
    both = (RecurrentForm.OPS, RecurrentForm.LOOPS)
    if not runs_anywhere and not for_session:
        no_session = "other subgraphs keep a Session from running the file"
        if ratio > 1:
            return FormChoice(both[::-1], f"{no_session}, and ops take {took}")
        return FormChoice(both, f"{no_session}, and ops take {took}")
    if ratio > _SLOWEST and not for_session:
        return FormChoice(both[::-1], f"ops, which a Session runs as well, take {took}")
    return FormChoice(both, f"a Session runs ops as well, and they take {took}")


def _has_subgraphs(model: Model) -> bool:
    view = view_model(model)
    scope = Scope(view, tuple(view.graphs()), lambda _: True)
    return any(True for search in (subgraph_by_size_in_file, subgraph_in_file) for _ in search(scope))


def _sizes(facts: NodeFacts) -> dict[str, int]:
    shape = (*(facts.shape(facts.node.input[0]) or ()), None, None)
    steps, batch = (shape[1], shape[0]) if facts.attribute("layout") else (shape[0], shape[1])
    recurrence = facts.shape(facts.node.input[2]) or ()
    units = recurrence[-1] if recurrence and isinstance(recurrence[-1], int) else 1
    return {
        "units": units,
        "batch": batch if isinstance(batch, int) else 1,
        "steps": steps if isinstance(steps, int) else _OPEN_STEPS,
    }


def _layers(model: Model) -> Iterator[NodeFacts]:
    """The nodes that the converter writes as loops if it is not told otherwise."""
    if not any(node.op_type in _ACTIVATIONS for node in all_nodes(model.skeleton.graph.node)):
        return  # shapes need not be inferred
    for view in view_model(model).graphs():
        for index, node in enumerate(view.nodes):
            if is_onnx(node) and node.op_type in _ACTIVATIONS:
                facts = NodeFacts(view, index, {})
                if is_loop(facts):
                    yield facts


def _is_right_as_op(facts: NodeFacts) -> bool:
    """Whether MNN's own op computes a layer right."""
    op = facts.node.op_type
    if facts.given("activations") and facts.attribute("activations") not in _ACTIVATIONS[op]:
        return False
    if op == "LSTM":
        return (facts.operand(_INITIAL_H) is None) == (facts.operand(_INITIAL_C) is None)
    both = facts.given("direction") and facts.attribute("direction") == "bidirectional"
    last = facts.result(1)
    return facts.operand(_LENGTHS) is None and not (both and last is not None and is_used(facts, last))
