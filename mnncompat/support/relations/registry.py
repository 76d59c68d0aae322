"""The register of relations: what a row names with ``relation = "NAME"``.

A relation is a function from a node to True, False, or None where the model does not tell enough. It is defined in the
module of its family of operators, and nothing else needs a change when one is added: its name is that of the function
with hyphens, its docstring is its documentation, and the two models that it is decorated with are its tests.

`check` imports only the modules of the relations that the rows of its model name. The sources tell which modules these
are: reading them all costs a tenth of importing them.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from mnncompat.graph.operator_traits import CONVOLUTIONS, FINDERS
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.three_valued import Truth

RelationTest = Callable[[NodeFacts], Truth]

WATCHED = frozenset((*FINDERS, *CONVOLUTIONS))
"""Op types that relations may need somewhere in the graph: which of them it has is a part of how its nodes look."""
_FOLDER = Path(__file__).parent
# The end of a decorator with arguments, and the def after it: half a millisecond for all modules.
_DEFINED = re.compile(rb"\)\ndef (\w+)\(")
_OPSET = 17


class Relation(NamedTuple):
    """One relation.

    Attributes:
        name: What rows call it.
        test: Evaluates the relation for a node.
        holds: A model in which it is True for the node that computes ``y``; ONNX text after the name of the graph.
        fails: Another one, as similar as possible, in which it is False.
        opset: Opset of both.
        behind: Op types of which one must compute an operand of the node; it is False otherwise. None for any.
        within: Op types of which the graph must have one; it is False otherwise. None for any.
        nested: It can hold in a graph that a node holds only, such as a branch of an If.
        of_types: It asks for no more than what the node itself states, state, type and shape of its values, and the op
            types of the nodes that compute them.
        first: A part of it that asks for no more than that: where it is False, so is the relation. None for no part.
    """

    name: str
    test: RelationTest
    holds: str
    fails: str
    opset: int
    behind: frozenset[str] | None = None
    within: frozenset[str] | None = None
    nested: bool = False
    of_types: bool = False
    first: RelationTest | None = None

    @property
    def explanation(self) -> str:
        """The docstring: what is compared, and what MNN does then; empty if Python runs without docstrings."""
        return self.test.__doc__ or ""

    def text_of(self, example: str) -> str:
        """A whole model as ONNX text, of `holds` or `fails`."""
        return f'<ir_version: 8, opset_import: ["" : {self.opset}]> example {example}'


_REGISTERED: dict[str, Relation] = {}


def relation(
    *,
    holds: str,
    fails: str,
    opset: int = _OPSET,
    behind: Iterable[str] | None = None,
    within: Iterable[str] | None = None,
    nested: bool = False,
    of_types: bool = False,
    first: RelationTest | None = None,
) -> Callable[[RelationTest], RelationTest]:
    """Register a function as the relation of its name, ``split_has_empty_part`` as ``split-has-empty-part``.

    Args:
        holds: See `Relation`.
        fails: See `Relation`.
        opset: See `Relation`.
        behind: See `Relation`; what it excludes is not asked of each node.
        within: See `Relation`; of `WATCHED`.
        nested: See `Relation`.
        of_types: See `Relation`; nodes that look alike get one answer.
        first: See `Relation`; nodes that look like one for which it is False are not asked.
    """
    ops = None if behind is None else frozenset(behind)
    needed = None if within is None else frozenset(within)
    if needed is not None and not needed <= WATCHED:
        raise ValueError(f"{sorted(needed - WATCHED)} are not watched")

    def register(test: RelationTest) -> RelationTest:
        name = test.__name__.replace("_", "-")
        _REGISTERED[name] = Relation(name, test, holds, fails, opset, ops, needed, nested, of_types, first)
        return test

    return register


def relation_named(name: str) -> Relation | None:
    """The relation that a row calls by this name, None if there is none; imports its module only."""
    if name not in _REGISTERED and name in _modules():
        importlib.import_module(f"{__package__}.{_modules()[name]}")
    return _REGISTERED.get(name)


@cache
def relation_names() -> tuple[str, ...]:
    """The names of all relations, sorted; imports nothing."""
    return tuple(sorted(_modules()))


@cache
def all_relations() -> tuple[Relation, ...]:
    """Every relation, by module and then in the order of the module."""
    found = (relation_named(name) for name in _modules())
    return tuple(each for each in found if each is not None)


def family_of(found: Relation) -> str:
    """The name of the module that defines a relation."""
    return found.test.__module__.rpartition(".")[2]


@cache
def _modules() -> Mapping[str, str]:
    """The module of every relation."""
    return {
        name.decode().replace("_", "-"): path.stem
        for path in sorted(_FOLDER.glob("*.py"))
        for name in _DEFINED.findall(path.read_bytes())
    }
