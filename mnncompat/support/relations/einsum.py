"""Relations of Einsum: what its equation means, and what MNN's converter treats it as."""

from __future__ import annotations

from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.registry import relation

_PAIR = 2

_ELLIPSIS = "."


@relation(
    holds='(float[3,3] a) => (float[3] y) { y = Einsum<equation="ii->i">(a) }',
    fails='(float[3,3] a) => (float[3] y) { y = Einsum<equation="ij->i">(a) }',
)
def einsum_repeats_index(facts: NodeFacts) -> bool:
    """A term of the equation has an index twice: it asks for a diagonal or a trace."""
    return any(len(set(term)) < len(term) for term in _letters(facts))


@relation(
    holds='(float[3] a, float[3] b) => (float y) { y = Einsum<equation="i,i->">(a, b) }',
    fails='(float[3] a, float[3] b) => (float[3,3] y) { y = Einsum<equation="i,j->ij">(a, b) }',
)
def einsum_is_inner_product(facts: NodeFacts) -> bool:
    """Two operands with the same indices are summed to a scalar."""
    equation = str(facts.attribute("equation")).replace(" ", "")
    terms = _letters(facts)
    return equation.endswith("->") and len(terms) > 1 and all(sorted(term) == sorted(terms[0]) for term in terms)


@relation(
    holds='(float[2,3] a, float[3,4] b) => (float[2,4] y) { y = Einsum<equation="ij,jk">(a, b) }',
    fails='(float[2,3] a, float[3,4] b) => (float[2,4] y) { y = Einsum<equation="ij,jk->ik">(a, b) }',
)
def einsum_names_no_result(facts: NodeFacts) -> bool:
    """The equation names no result: it has no arrow."""
    return "->" not in str(facts.attribute("equation"))


@relation(
    holds='(int32[2,3] a, int32[3,4] b) => (int32[2,4] y) { y = Einsum<equation="ij,jk->ik">(a, b) }',
    fails='(float[2,3] a, float[3,4] b) => (float[2,4] y) { y = Einsum<equation="ij,jk->ik">(a, b) }',
)
def einsum_sums_integers(facts: NodeFacts) -> bool | None:
    """The operands are integers, and an index that two of them share is summed: it is not in the result."""
    dtype, terms, result = facts.dtype(facts.node.input[0]), *_equation(facts)
    if dtype is None:
        return None
    if "INT" not in dtype or len(terms) < _PAIR or result is None:
        return False
    letters = [set(term) - {_ELLIPSIS} for term in terms]
    return any(one & two - set(result) for one in letters for two in letters if one is not two)


@relation(
    holds='(float[2,3] a, float[4] b) => (float[2,4] y) { y = Einsum<equation="ij,k->ik">(a, b) }',
    fails='(float[2,3] a, float[3,4] b) => (float[2,4] y) { y = Einsum<equation="ij,jk->ik">(a, b) }',
)
def einsum_sums_single_operand(facts: NodeFacts) -> bool:
    """One of two operands has an index that neither the other nor the result has: it is summed before the product."""
    terms, result = _equation(facts)
    if len(terms) != _PAIR or result is None:
        return False
    one, other = (set(term) - set(result) - {_ELLIPSIS} for term in terms)
    return bool(one ^ other)


@relation(
    holds='(float[2,3,4,5] a) => (float[2,3,5,4] y) { y = Einsum<equation="...ij->...ji">(a) }',
    fails='(float[2,4,5] a) => (float[2,5,4] y) { y = Einsum<equation="...ij->...ji">(a) }',
)
def einsum_ellipsis_is_misread(facts: NodeFacts) -> bool | None:
    """An ellipsis is at another position, or stands for another number of dimensions, than MNN assumes.

    MNN treats it as one dimension, except at the beginning of every term of two operands, and numbers the dimensions
    before it as they are in the result.
    """
    terms, result = _equation(facts)
    dotted = [(position, term) for position, term in enumerate(terms) if _ELLIPSIS in term]
    if not dotted or result is None or len(terms) > _PAIR:
        return False
    ranks = [facts.rank(facts.node.input[position]) for position, _ in dotted]
    if None in ranks:
        return None
    hidden = max((rank or 0) - len(term) + 1 for rank, (_, term) in zip(ranks, dotted, strict=True))
    if len(terms) == 1:
        return hidden != 1
    if len({len(term) for term in (*terms, result)}) == 1 and len(result) == len("bhij"):
        gone = next((letter for letter in terms[0] if letter not in result), "")
        if gone and _are_batches(terms[0], terms[1], gone) and not is_mistaken_for_matmul(terms[0], terms[1], result):
            return False
    fronts = [term[: term.index(_ELLIPSIS)] for _, term in dotted]
    leading = result[: result.index(_ELLIPSIS)] if _ELLIPSIS in result else result
    if not any((*fronts, leading)):
        return False
    return hidden > 1 or len({len(each) for each in fronts}) > 1 or any(set(each) - set(leading) for each in fronts)


@relation(
    holds='(float[2,3,4] a, float[2,4,5] b) => (float[2,5,3] y) { y = Einsum<equation="bij,bjk->bki">(a, b) }',
    fails='(float[2,3,4] a, float[2,4,5] b) => (float[2,3,5] y) { y = Einsum<equation="bij,bjk->bik">(a, b) }',
)
def einsum_is_mistaken_for_matmul(facts: NodeFacts) -> bool:
    """MNN treats an Einsum of two operands as a product of batches of matrices, which has another result."""
    terms, result = _equation(facts)
    return len(terms) == _PAIR and result is not None and is_mistaken_for_matmul(terms[0], terms[1], result)


def is_mistaken_for_matmul(one: str, two: str, result: str) -> bool:
    """True if MNN makes a MatMul of an Einsum of two operands that gives something else.

    It does so for terms of three letters that begin alike, whatever the order of the result, and for terms of four
    whose result has the letters of the first and then of the second, wherever those of the batch are.
    """
    lengths = {len(one), len(two), len(result)}
    if lengths == {3} and one[0] == two[0] == result[0]:
        for mine, other in ((2, 2), (2, 1), (1, 1), (1, 2)):
            if one[mine] == two[other]:
                return result != one[0] + one[3 - mine] + two[3 - other]
    if lengths == {4}:
        gone = next((letter for letter in one if letter not in result), "")
        expected = "".join(dict.fromkeys(one + two)).replace(gone, "") if gone else ""
        return result == expected and not _are_batches(one, two, gone)
    return False


def _are_batches(one: str, two: str, gone: str) -> bool:
    """True if the first two of four letters are a batch, and the one that is summed over follows it in both."""
    return one[:2] == two[:2] and gone in one[2:] and gone in two[2:]


def _equation(facts: NodeFacts) -> tuple[list[str], str | None]:
    """Terms and result, with a dot for an ellipsis; no result if the equation names none."""
    text = str(facts.attribute("equation")).replace(" ", "").replace("...", _ELLIPSIS)
    terms, arrow, result = text.partition("->")
    return terms.split(","), result if arrow else None


def _letters(facts: NodeFacts) -> list[str]:
    """The terms without their ellipses."""
    return [term.replace(_ELLIPSIS, "") for term in _equation(facts)[0]]
