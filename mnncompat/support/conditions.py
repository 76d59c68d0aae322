"""The closed vocabulary in which a row of the table says when it holds.

A condition is a table of predicates that must all hold, or a list of such tables of which one must::

    when = { opset = ">=18", input.1 = "present", attr.keepdims = 1 }

* ``opset``, ``inputs``, ``outputs``: a range (``">=13,<18"``, ``"!=2"``, ``"4"``) for the opset and for the number of
  operands and results that the node lists.
* ``attr.NAME``: a value or a list of values it must be one of, or a table of ``given`` (stated in the node), ``is``,
  ``not``, and for numbers ``any``, ``all``, ``length`` (ranges). One that is left out has its schema's default.
* ``input.N``, ``output.N`` (``-1``: the last; ``any``/``all``: over those that are present): a state, or a table of
  ``is`` (a state), ``dtype``, ``rank``, ``elements``, ``dim`` (ranges by axis), ``value`` (``any``, ``all``: ranges
  over the elements of a constant) and ``producer`` (op types).
  States of inputs: present, absent, constant, runtime; of outputs: present, absent, used, unused, graph-output.
* ``relation``: names from `mnncompat.support.relations.catalog`, which compare several operands.

Evaluation is three-valued: True, False, or None where the model does not say.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.operand_conditions import Test, parse_operands, parse_results
from mnncompat.support.relations.catalog import RELATIONS
from mnncompat.support.three_valued import Truth, all_of, any_of, fail, parse_quantified, parse_range, require_table


class Condition(NamedTuple):
    """A disjunction of conjunctions of tests, cheap tests first.

    Attributes:
        clauses: The conjunctions.
        text: The condition as a row states it, on one line; empty if it always holds.
    """

    clauses: tuple[tuple[Test, ...], ...]
    text: str = ""

    def holds(self, facts: NodeFacts) -> Truth:
        """Evaluate the condition on a node; None if the model does not say enough, or the node is malformed."""
        try:
            return any_of(all_of(test(facts) for test in clause) for clause in self.clauses)
        except (IndexError, TypeError, ValueError, ZeroDivisionError):  # what onnx.checker would refuse
            return None


def parse_condition(data: Any, where: str) -> Condition:
    """Build a condition from what TOML gave.

    Args:
        data: A table of predicates, or a list of them.
        where: File and row, for error messages.

    Raises:
        TableError: A predicate is not in the vocabulary, or its argument does not fit.
    """
    clauses = data if isinstance(data, list) else [data]
    tests = tuple(_parse_clause(clause, where) for clause in clauses)
    return Condition(tests, " or ".join(filter(None, (", ".join(_stated(clause)) for clause in clauses))))


def _stated(data: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """The leaves of a clause: ``attr.strides.given = false``."""
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _stated(value, f"{path}{key}.")
        else:
            yield f"{path}{key} = {json.dumps(value, ensure_ascii=False)}"


def _parse_clause(data: Any, where: str) -> tuple[Test, ...]:
    unknown = sorted(set(require_table(data, where)) - _SUBJECTS.keys())
    if unknown:
        fail(where, f"unknown predicate {unknown[0]!r}")
    return tuple(
        test for subject, parse in _SUBJECTS.items() if subject in data for test in parse(data[subject], where)
    )


# ---- opset and counts ----------------------------------------------------------------------------------------------


def _parse_opset(data: Any, where: str) -> list[Test]:
    matches = parse_range(data, where)
    return [lambda facts: matches(facts.opset)]


def _parse_inputs(data: Any, where: str) -> list[Test]:
    matches = parse_range(data, where)
    return [lambda facts: matches(len(facts.node.input))]


def _parse_outputs(data: Any, where: str) -> list[Test]:
    matches = parse_range(data, where)
    return [lambda facts: matches(len(facts.node.output))]


def _parse_relations(data: Any, where: str) -> list[Test]:
    names = [data] if isinstance(data, str) else data
    for name in names:
        if name not in RELATIONS:
            fail(where, f"unknown relation {name!r}")
    return [RELATIONS[name] for name in names]


# ---- attributes ----------------------------------------------------------------------------------------------------


def _parse_attributes(data: Any, where: str) -> list[Test]:
    tests: list[Test] = []
    for name, wanted in require_table(data, where).items():
        table = wanted if isinstance(wanted, Mapping) else {"is": wanted}
        tests.extend(_attribute_test(name, key, argument, where) for key, argument in table.items())
    return tests


def _attribute_test(name: str, key: str, argument: Any, where: str) -> Test:
    if key == "given":
        return lambda facts: facts.given(name) is argument
    if key in ("is", "not"):
        values = argument if isinstance(argument, list) else [argument]
        return lambda facts: (facts.attribute(name) in values) is (key == "is")
    if key == "length":
        matches = parse_range(argument, where)
        return lambda facts: matches(len(facts.attribute(name) or ()))
    if key in ("any", "all"):
        quantified = parse_quantified(key, argument, where)
        return lambda facts: quantified(_numbers(facts.attribute(name)))
    return fail(where, f"unknown test {key!r} of attribute {name!r}")


def _numbers(value: Any) -> list[float]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


# In order of cost: what the node says about itself comes before what shape inference has to find out.
_SUBJECTS: dict[str, Callable[[Any, str], list[Test]]] = {
    "opset": _parse_opset,
    "inputs": _parse_inputs,
    "outputs": _parse_outputs,
    "attr": _parse_attributes,
    "output": parse_results,
    "input": parse_operands,
    "relation": _parse_relations,
}
