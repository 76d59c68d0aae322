"""Choose in which form MNN holds the recurrent layers of a model, by `mnncompat.support.recurrent_layers`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mnncompat.graph.validation import all_nodes
from mnncompat.inference.model_view import view_model
from mnncompat.results.recurrent_form import RecurrentForm
from mnncompat.support.api_conditions import subgraph_by_size_in_file, subgraph_in_file
from mnncompat.support.model_scope import Scope
from mnncompat.support.recurrent_layers import OPERATORS, SLOWEST, compared, is_right_as_op, recurrent_layers
from mnncompat.support.releases import contains, installed_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mnncompat.graph.model_file import Model
    from mnncompat.mnn import ConvertOptions
    from mnncompat.support.node_facts import NodeFacts

_SINCE = ">=3.2.2"
"""The releases whose converter writes loops, and has the option against it."""


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
    if not all(map(is_right_as_op, layers)):
        return FormChoice((RecurrentForm.LOOPS,), "MNN's own op does not compute all that these layers ask for")
    return _by_time(layers, runs_anywhere=not _has_subgraphs(model), for_session=for_session)


def _by_time(layers: Sequence[NodeFacts], *, runs_anywhere: bool, for_session: bool) -> FormChoice:
    """Ops, which run in both APIs, unless they take too long or no Session runs the file in any case."""
    times = compared(layers)
    ratio, took = times.ratio, times.words
    both = (RecurrentForm.OPS, RecurrentForm.LOOPS)
    if not runs_anywhere and not for_session:
        no_session = "other subgraphs keep a Session from running the file"
        if ratio > 1:
            return FormChoice(both[::-1], f"{no_session}, and ops take {took}")
        return FormChoice(both, f"{no_session}, and ops take {took}")
    if ratio > SLOWEST and not for_session:
        return FormChoice(both[::-1], f"ops, which --require-session chooses, run in a Session too, but take {took}")
    return FormChoice(both, f"a Session runs ops as well, and they take {took}")


def _has_subgraphs(model: Model) -> bool:
    view = view_model(model)
    scope = Scope(view, tuple(view.graphs()), lambda _: True)
    return any(True for search in (subgraph_by_size_in_file, subgraph_in_file) for _ in search(scope))


def _layers(model: Model) -> Iterator[NodeFacts]:
    """The nodes that the converter writes as loops if it is not told otherwise."""
    if any(node.op_type in OPERATORS for node in all_nodes(model.skeleton.graph.node)):  # else no shapes are needed
        yield from recurrent_layers(view_model(model).graphs())
