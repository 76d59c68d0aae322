"""Choose in which form MNN holds the recurrent layers of a model.

Measured on 3.6.1, after `fix`, on 341 node tests, generated models and look-alikes of rows, and 216 models of 1 to 3
layers as torch writes them: the own ops are right, in both APIs, wherever `_is_right_as_op` holds. The loops are right
as well, but run in the Module API only. Own ops of LSTM take 0.2 to 0.7 of the time of loops; those of GRU 0.5 to 0.9
for one sequence of up to 128 units, and four to five times as long for 512 units or eight sequences: see
`tests/benchmarks/recurrent_forms.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.graph.protos import is_onnx
from mnncompat.graph.validation import all_nodes
from mnncompat.inference.model_view import view_model
from mnncompat.results.recurrent_form import RecurrentForm
from mnncompat.support.api_conditions import is_loop
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.operand_conditions import is_used
from mnncompat.support.releases import contains, installed_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnncompat.graph.model_file import Model
    from mnncompat.mnn import ConvertOptions

_SINCE = ">=3.2.2"
"""The releases whose converter writes loops, and has the option against it."""
_INITIAL_H, _INITIAL_C = 5, 6
_LENGTHS = 4
_ACTIVATIONS = {
    "GRU": (["Sigmoid", "Tanh"], ["Sigmoid", "Tanh"] * 2),
    "LSTM": (["Sigmoid", "Tanh", "Tanh"], ["Sigmoid", "Tanh", "Tanh"] * 2),
}


def forms_to_try(model: Model, wanted: RecurrentForm | None, converter: ConvertOptions) -> tuple[RecurrentForm, ...]:
    """The forms to convert a model in, until one agrees.

    Args:
        model: What is converted, after its rewrites.
        wanted: What the user wants; None to choose.
        converter: Options of the converter: it leaves the weights of its own ops as they are where it is asked to round
            to few bits.

    Returns:
        The best first; none if the model has no layer with two forms.
    """
    version = installed_version()
    if version is None or not contains(_SINCE, version):
        return ()
    layers = list(_layers(model))
    if not layers:
        return ()
    if wanted is not None:
        return (wanted,)
    if converter.weight_bits or not all(map(_is_right_as_op, layers)):
        return (RecurrentForm.LOOPS,)
    return (RecurrentForm.OPS, RecurrentForm.LOOPS)


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
