"""What a rewritten model has in common with the original is computed once, by the original.

A rewrite changes a few nodes. What lies before them is the same in both models, node by node: on the same inputs it has
the same values. The original shows those that the changed part reads, and only that part is run, on them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from onnx import ModelProto, NodeProto, ValueInfoProto, helper

from mnncompat.graph.tensor_values import data_type_of
from mnncompat.graph.validation import subgraphs
from mnncompat.graph.value_names import captured
from mnncompat.parity.joined_draws import joined
from mnncompat.parity.mapped_weights import is_held
from mnncompat.parity.runners import OnnxRunner, OnnxRuntimeRunner
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Arrays = dict[str, np.ndarray]

_MOST_TAPS = 32
_MOST_BYTES = 64_000_000
"""Of the values that are kept for the changed part, of all draws together."""


class Split(NamedTuple):
    """A rewritten model without what it has in common with the original.

    Attributes:
        rest: The changed part; its inputs that the original computes are still to be declared.
        taps: Names of these inputs.
        fed: Names of its other inputs, which are the model's.
        same: Outputs of the model that the original computes.
    """

    rest: ModelProto
    taps: tuple[str, ...]
    fed: tuple[str, ...]
    same: tuple[str, ...]


def split(original: ModelProto, rewritten: ModelProto) -> Split | None:
    """Find what two models have in common; None if that is nothing, or cannot be told.

    Args:
        original: The model. Nothing in it may be random.
        rewritten: What rewrites made of it; its nodes are sorted.
    """
    if _surroundings(original) != _surroundings(rewritten):
        return None
    known = _common_values(original, rewritten)
    before = {_first(node): node.SerializeToString() for node in original.graph.node}
    producers: dict[str, NodeProto] = {}
    computed: set[str] = set()
    for node in rewritten.graph.node:
        is_same = _first(node) != "" and before.get(_first(node)) == node.SerializeToString()
        if is_same and all(name in known for name in _read(node)):
            computed.update(filter(None, node.output))
            known.update(filter(None, node.output))
        else:
            producers.update(dict.fromkeys(filter(None, node.output), node))
    results = [each.name for each in rewritten.graph.output]
    same = [name for name in results if name in known]
    rest, needed = _rest(rewritten, [name for name in results if name not in known], producers)
    taps = tuple(sorted(needed & computed))
    stored = {each.name for each in rest.graph.initializer}
    fed = tuple(each.name for each in rest.graph.input if each.name not in stored)
    if not taps or len(taps) > _MOST_TAPS or not {*same} <= {each.name for each in original.graph.output}:
        return None
    return Split(rest, taps, fed, tuple(same))


def _surroundings(model: ModelProto) -> tuple[object, ...]:
    """What the meaning of a node depends on beside its inputs."""
    parts = (*model.opset_import, *model.functions)
    sparse = model.graph.sparse_initializer
    return (model.ir_version, *(each.SerializeToString() for each in (*parts, *sparse)))


def _common_values(original: ModelProto, rewritten: ModelProto) -> set[str]:
    """Inputs that both models have, and equal initializers."""
    stored = {each.name: each.SerializeToString() for each in original.graph.initializer}
    common = {each.name for each in rewritten.graph.initializer if stored.get(each.name) == each.SerializeToString()}
    inputs = {each.name for each in original.graph.input} - stored.keys()
    inputs &= {each.name for each in rewritten.graph.input} - {each.name for each in rewritten.graph.initializer}
    return common | inputs


def _read(node: NodeProto) -> Iterator[str]:
    yield from filter(None, node.input)
    for _, graph in subgraphs(node):
        yield from captured(graph)


def _rest(model: ModelProto, outputs: Sequence[str], producers: Mapping[str, NodeProto]) -> tuple[ModelProto, set[str]]:
    """The part that computes these outputs by these nodes alone, and all names that it reads."""
    pending, needed, kept = list(outputs), set(outputs), set[str]()
    while pending:
        node = producers.get(pending.pop())
        if node is None or _first(node) in kept:
            continue
        kept.add(_first(node))
        new = set(_read(node)) - needed
        needed |= new
        pending += new
    graph = model.graph
    rest = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    rest.graph.name = graph.name
    rest.graph.node.extend(node for node in graph.node if _first(node) in kept)
    made = {name for node in rest.graph.node for name in node.output}
    rest.graph.initializer.extend(each for each in graph.initializer if each.name in needed)
    rest.graph.sparse_initializer.extend(graph.sparse_initializer)
    rest.graph.input.extend(each for each in graph.input if each.name in needed)
    rest.graph.output.extend(each for each in graph.output if each.name in set(outputs))
    rest.graph.value_info.extend(each for each in graph.value_info if each.name in made)
    return rest, needed


def _first(node: NodeProto) -> str:
    return next(filter(None, node.output), "")


class Shared(NamedTuple):
    """Both runners of a comparison."""

    reference: OnnxRunner
    subject: OnnxRunner


def sharing(original: ModelProto, rewritten: ModelProto, reference: OnnxRunner, subject: OnnxRunner) -> Shared:
    """Runners that compute what a large model has in common with the rewritten one but once; as they are otherwise.

    Args:
        original: The model. Nothing in it may be random.
        rewritten: What rewrites made of it.
        reference: Runs the first.
        subject: Runs the second.
    """
    found = split(original, rewritten) if is_held(original) else None
    if found is None:
        return Shared(reference, subject)
    tapped = _Tapped(original, found, reference.name)
    return Shared(tapped, _Rest(rewritten, found, tapped, subject.name))


class _Tapped(OnnxRunner):
    """Runs the original, and keeps what the changed part reads; the plain model if that fails."""

    __slots__ = ("_bytes", "_kept", "_outputs", "_shown", "_tapping", "_taps")

    def __init__(self, model: ModelProto, found: Split, name: str) -> None:
        super().__init__(model, name=name)
        shown = self._shown = ModelProto()
        shown.CopyFrom(model)
        present = {each.name for each in model.graph.output}
        shown.graph.output.extend(ValueInfoProto(name=name) for name in found.taps if name not in present)
        self._outputs, self._taps = [each.name for each in model.graph.output], (*found.taps, *found.same)
        self._tapping: OnnxRuntimeRunner | None = OnnxRuntimeRunner(shown, name=name)
        self._tapping.timings = self.timings
        self._kept: list[tuple[Mapping[str, np.ndarray], Arrays]] = []
        self._bytes = 0

    def run(self, feeds: Sequence[Mapping[str, np.ndarray]]) -> list[Arrays] | Failure:
        """As `OnnxRunner.run`."""
        found = None if self._tapping is None else self._joined(feeds) or self._tapping.run(feeds)
        if found is None or isinstance(found, Failure):
            self.give_up()
            return super().run(feeds)
        for feed, values in zip(feeds, found, strict=True):
            self._keep(feed, {name: values[name] for name in self._taps})
        return [{name: values[name] for name in self._outputs} for values in found]

    def _joined(self, feeds: Sequence[Mapping[str, np.ndarray]]) -> list[Arrays] | None:
        """All draws in one run; None if that cannot be done."""
        together = joined(self._shown, feeds)
        found = None if together is None else OnnxRuntimeRunner(together.model, name=self.name).run([together.feeds])
        if together is None or found is None or isinstance(found, Failure):
            return None
        return together.apart(found[0], [each.name for each in self._shown.graph.output])

    def kept(self, feed: Mapping[str, np.ndarray]) -> Arrays | None:
        """What was kept of a run on these very arrays."""
        for other, values in self._kept:
            if feed.keys() == other.keys() and all(feed[name] is other[name] for name in feed):
                return values
        return None

    def load(self) -> None:
        """As `OnnxRunner.load`."""
        if self._tapping is None:
            super().load()
        else:
            self._tapping.load()

    def release(self) -> None:
        """As `OnnxRunner.release`."""
        if self._tapping is not None:
            self._tapping.release()
        super().release()

    def give_up(self) -> None:
        """Keep nothing."""
        if self._tapping is not None:
            self._tapping.release()
        self._tapping = None
        self._kept.clear()

    def _keep(self, feed: Mapping[str, np.ndarray], values: Arrays) -> None:
        self._bytes += sum(each.nbytes for each in values.values())
        if self._bytes <= _MOST_BYTES:
            self._kept.append((dict(feed), values))
        else:
            self._kept.clear()


class _Rest(OnnxRunner):
    """Runs the changed part on what was kept; the whole model where nothing was, or if that fails."""

    __slots__ = ("_found", "_reference", "_whole")

    def __init__(self, model: ModelProto, found: Split, reference: _Tapped, name: str) -> None:
        super().__init__(model, name=name)
        self._whole = OnnxRuntimeRunner(model, name=name)
        self._found, self._reference = found, reference

    def run(self, feeds: Sequence[Mapping[str, np.ndarray]]) -> list[Arrays] | Failure:
        """As `OnnxRunner.run`."""
        found = self._shared(feeds)
        self._reference.give_up()
        return super().run(feeds) if found is None else found

    def _shared(self, feeds: Sequence[Mapping[str, np.ndarray]]) -> list[Arrays] | None:
        kept = [self._reference.kept(feed) for feed in feeds]
        values = [each for each in kept if each is not None]
        if len(values) < len(feeds) or isinstance(self._whole.run([]), Failure):  # the whole model must load
            return None
        self._whole.release()
        rest = _declared(self._found, values[0])
        given = [
            {name: feed[name] for name in self._found.fed} | {name: own[name] for name in self._found.taps}
            for feed, own in zip(feeds, values, strict=True)
        ]
        found = OnnxRuntimeRunner(rest, name=self.name).run(given)
        if isinstance(found, Failure):
            return None
        same = self._found.same
        return [{name: own[name] for name in same} | each for own, each in zip(values, found, strict=True)]


def _declared(found: Split, values: Arrays) -> ModelProto:
    """The changed part, its inputs declared by what they are; their sizes are open."""
    for name in found.taps:
        kind = data_type_of(values[name].dtype)
        shape = [None] * values[name].ndim
        found.rest.graph.input.append(helper.make_tensor_value_info(name, kind, shape))
    return found.rest
