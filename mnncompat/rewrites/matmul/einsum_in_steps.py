"""Einsum in the form that MNN supports: at most two operands, no letter twice in a term, a stated result."""

from __future__ import annotations

import itertools
import math
import string
from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.support.relations.einsum import is_mistaken_for_matmul

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_ELLIPSIS = "..."
_LARGEST = 1 << 22
_MOST_OPERANDS = 64
"""Each becomes a step of several nodes."""


class EinsumInSteps(NodeRewrite):
    """Decompose an Einsum that MNN refuses or computes wrongly.

    **What.** Einsum of three and more operands, with a letter twice in a term, without a stated result, of two operands
    that are summed to a scalar or of which one is summed by itself, of integers, and with ellipses that are not one
    dimension or not at the position that the result has them.

    **Why.** MNN refuses more than two operands and equations without an arrow, supports no diagonals, crashes on inner
    products, multiplies integers as if their bits were floats, treats an ellipsis as one letter, and some terms of
    three and four letters as batches of matrices.

    **Before and after**::

        y = Einsum<"ij,jk,kl->il">(a, b, c)
        y = Einsum<"ik,kl->il">(Einsum<"ij,jk->ik">(a, b), c)

        y = Einsum<"ii->i">(x)
        y = Slice(Reshape(x, (n * n)), step = n + 1)

        y = Einsum<"ij,ij->">(a, b)
        y = ReduceSum(a * b)

        y = Einsum<"ij,jk->ik">(a, b)        integers
        y = ReduceSum(Unsqueeze(a, 2) * Unsqueeze(b, 0), 1)

    **Algebra.** Sums over a letter may be taken as soon as no later term and not the result names it. The diagonal of a
    square matrix is every (n + 1)-th of its elements.

    **Refuses** diagonals of dynamic dimensions, ellipses that stand for different numbers of dimensions, and products
    of integers of more than four million terms, which all are in memory at once, and more than 64
    operands.

    **Source.** https://onnx.ai/onnx/operators/onnx__Einsum.html
    """

    code = "MNN919"
    name = "einsum-in-steps"
    summary = "decomposed into operators that MNN computes correctly"
    op_types = ("Einsum",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the steps."""
        if len(node.node.input) > _MOST_OPERANDS:
            raise NotApplicable(f"it has {len(node.node.input)} operands")
        terms, result = _parsed(str(node.attribute("equation")), new)
        operands = new.inputs()
        pairs = [_without_diagonals(new, term, value) for term, value in zip(terms, operands, strict=True)]
        term, value = pairs[0]
        for position, (other, operand) in enumerate(pairs[1:], 1):
            last = position == len(pairs) - 1
            wanted = set(result).union(*(each for each, _ in pairs[position + 1 :]))
            kept = result if last else [letter for letter in dict.fromkeys(term + other) if letter in wanted]
            value, term = _contracted(new, (term, value), (other, operand), kept), kept
        if term == result:
            return value
        return _arranged(new, term, value, result)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Models that are decomposed, and models that stay unchanged or are refused."""
        return (
            *_diagonals(),
            *_products(),
            *_notations(),
            refused(
                "large products of integers",
                "8000000 terms",
                """(int32[200,200] a, int32[200,200] b) => (int32[200,200] y) {
                y = Einsum<equation="ij,jk->ik">(a, b) }""",
            ),
            refused(
                "diagonal of a dynamic dimension",
                "dimension 1 of 'x' is dynamic",
                """(float[2,N,N] x) => (float[2,N] y) { y = Einsum<equation="bii->bi">(x) }""",
            ),
            unchanged(
                "MNN has it",
                """(float[2,3] a, float[3,4] b) => (float[2,4] y) { y = Einsum<equation="ij,jk->ik">(a, b) }""",
            ),
        )


def _diagonals() -> tuple[Example, ...]:
    """Letters that stand twice in one operand."""
    return (
        rewritten(
            "diagonal",
            """(float[3,4,3] x) => (float[4,3] y) { y = Einsum<equation="iji->ji">(x) }""",
            becomes="Reshape, Slice, Transpose",
        ),
        rewritten(
            "batch diagonal",
            """(float[2,3,3] x) => (float[2,3] y) { y = Einsum<equation="...ii->...i">(x) }""",
            becomes="Reshape, Slice",
        ),
        rewritten(
            "trace",
            """(float[3,3] x) => (float y) { y = Einsum<equation="ii">(x) }""",
            becomes="ReduceSum, Reshape, Slice",
        ),
    )


def _products() -> tuple[Example, ...]:
    """Products, and sums of single operands."""
    return (
        rewritten(
            "three operands, dynamic",
            """(float[N,3] a, float[3,4] b, float[4,N] c) => (float[N,N] y) {
            y = Einsum<equation="ij, jk, kl -> il">(a, b, c) }""",
            becomes="2 Einsum",
        ),
        rewritten(
            "inner product",
            """(float[2,3] a, float[2,3] b) => (float y) { y = Einsum<equation="ij,ij">(a, b) }""",
            becomes="Mul, ReduceSum",
        ),
        rewritten(
            "integers",
            """(int32[2,3,5] a, int32[4,3,2] b) => (int32[4,2,5] y) {
            y = Einsum<equation="bij,kib->kbj">(a, b) }""",
            becomes="Mul, ReduceSum, 2 Transpose, 2 Unsqueeze",
        ),
        rewritten(
            "sums of one operand",
            """(float[2,N] a, float[2,4] b) => (float[2] y) { y = Einsum<equation="bi,bj->b">(a, b) }""",
            becomes="Mul, 2 ReduceSum",
        ),
    )


def _notations() -> tuple[Example, ...]:
    """Equations that MNN misreads, though it supports the product."""
    return (
        rewritten(
            "implicit",
            """(float[2,3] a, float[3,4] b) => (float[2,4] y) { y = Einsum<equation="ij,jk">(a, b) }""",
            becomes="Einsum",
        ),
        rewritten(
            "ellipses at different places",
            """(float[2,3,2,4] a, float[3,2,4,5] b) => (float[2,3,2,5] y) {
            y = Einsum<equation="b...i,...ij->b...j">(a, b) }""",
            becomes="Einsum, Transpose",
        ),
        rewritten(
            "taken for a batch of matrices",
            """(float[2,3,5] a, float[2,4,5] b) => (float[2,4,3] y) {
            y = Einsum<equation="aid,ajd->aji">(a, b) }""",
            becomes="Einsum, Transpose",
        ),
    )


def _parsed(equation: str, new: SubgraphBuilder) -> tuple[list[list[str]], list[str]]:
    """The letters of each term and of the result; dimensions of an ellipsis are letters of their own."""
    sides = equation.replace(" ", "").split("->")
    texts = sides[0].split(",")
    values = new.inputs()
    if len(texts) != len(values):
        raise NotApplicable(f"{equation} has {len(texts)} terms for {len(values)} operands")
    hidden = [
        value.rank - len(text.replace(_ELLIPSIS, ""))
        for text, value in zip(texts, values, strict=True)
        if _ELLIPSIS in text
    ]
    if len(set(hidden)) > 1:
        raise NotApplicable(f"the ellipses of {equation} stand for {hidden} dimensions")
    dots = [f".{index}" for index in range(hidden[0] if hidden else 0)]
    terms = [_letters(text, dots) for text in texts]
    if len(sides) > 1:
        return terms, _letters(sides[1], dots)
    found = [letter for term in terms for letter in term]
    once = sorted(letter for letter in set(found) if found.count(letter) == 1 and letter not in dots)
    return terms, [*dots, *once]


def _letters(text: str, dots: list[str]) -> list[str]:
    before, ellipsis, after = text.partition(_ELLIPSIS)
    return [*before, *(dots if ellipsis else []), *after]


def _without_diagonals(new: SubgraphBuilder, term: list[str], value: Value) -> tuple[list[str], Value]:
    """An operand and its term, with repeated letters reduced to one each."""
    while True:
        twice = next((letter for letter in term if term.count(letter) > 1), None)
        if twice is None:
            return term, value
        first = term.index(twice)
        second = term.index(twice, first + 1)
        size = value.dim(first)
        value.dim(second)
        rest = [axis for axis in range(len(term)) if axis not in (first, second)]
        moved = (
            value if [*rest, first, second] == list(range(len(term))) else new.transpose(value, [*rest, first, second])
        )
        flat = new.reshape(moved, [*[0] * len(rest), -1])
        value = new.slice(flat, [0], [size * size], [len(rest)], [size + 1])
        term = [*(term[axis] for axis in rest), twice]


def _contracted(
    new: SubgraphBuilder, one: tuple[list[str], Value], two: tuple[list[str], Value], kept: list[str]
) -> Value:
    """The product of two operands, summed over all letters but `kept`."""
    if not kept and sorted(one[0]) == sorted(two[0]):
        other = _arranged(new, two[0], two[1], one[0])
        return new.reduce("ReduceSum", one[1] * other, tuple(range(len(one[0]))), keepdims=False)
    if not one[1].is_float:
        return _summed(new, one, two, kept)
    (first, left_), (second, right) = (
        _summed_alone(new, term, value, {*kept, *other}) for (term, value), (other, _) in ((one, two), (two, one))
    )
    if {*first, *second} <= set(kept):
        return _summed(new, (first, left_), (second, right), kept)
    names = dict.fromkeys([*first, *second])
    free = iter(letter for letter in string.ascii_letters if letter not in names)
    short = {letter: letter if len(letter) == 1 else next(free) for letter in names}
    terms = ["".join(short[letter] for letter in term) for term in (first, second)]
    orders = ("".join(each) for each in itertools.permutations(short[letter] for letter in kept))
    result = next(each for each in orders if not is_mistaken_for_matmul(terms[0], terms[1], each))
    product = new.op("Einsum", left_, right, equation=f"{terms[0]},{terms[1]}->{result}")
    long = {each: letter for letter, each in short.items()}
    return _arranged(new, [long[each] for each in result], product, kept)


def _summed_alone(new: SubgraphBuilder, term: list[str], value: Value, wanted: set[str]) -> tuple[list[str], Value]:
    """An operand without the letters that nothing else has."""
    kept = [letter for letter in term if letter in wanted]
    return kept, _arranged(new, term, value, kept)


def _summed(new: SubgraphBuilder, one: tuple[list[str], Value], two: tuple[list[str], Value], kept: list[str]) -> Value:
    """Multiply two operands elementwise, and sum the product over all letters but `kept`."""
    letters = list(dict.fromkeys([*one[0], *two[0]]))
    if len(kept) < len(letters):
        _require_small(one, two)
    factors = []
    for term, value in (one, two):
        arranged = _arranged(new, term, value, [letter for letter in letters if letter in term])
        absent = [axis for axis, letter in enumerate(letters) if letter not in term]
        factors.append(new.unsqueeze(arranged, absent) if absent else arranged)
    return _arranged(new, letters, factors[0] * factors[1], kept)


def _require_small(*pairs: tuple[list[str], Value]) -> None:
    """Refuse products that are too large to be held before they are summed."""
    sizes = {letter: size for term, value in pairs for letter, size in zip(term, value.shape, strict=True)}
    terms = math.prod(sizes.values())
    if terms > _LARGEST:
        raise NotApplicable(f"{terms} terms would be in memory at once, more than {_LARGEST}")


def _arranged(new: SubgraphBuilder, term: list[str], value: Value, result: list[str]) -> Value:
    """One operand, summed over all letters but those of the result, and transposed to their order."""
    axes = tuple(axis for axis, letter in enumerate(term) if letter not in result)
    if axes:
        value = new.reduce("ReduceSum", value, axes, keepdims=False)
    kept = [letter for letter in term if letter in result]
    return value if kept == result else new.transpose(value, [kept.index(letter) for letter in result])
