"""Relations of products of matrices and of recurrent operators; see `mnncompat.support.relations.catalog`."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from onnx import FunctionProto

from mnncompat.graph.protos import Dim, dims_of
from mnncompat.support.node_facts import NodeFacts

_PAIR = 2
_IMAGE_RANK = 4
_ELLIPSIS = "."
_CONVOLUTIONS = {"Conv": (1, 2), "ConvTranspose": (1, 2)}
_READ_WHILE_CONVERTING = _CONVOLUTIONS | {
    "BatchNormalization": (1, 2, 3, 4),
    "InstanceNormalization": (1, 2),
    "LayerNormalization": (1, 2),
}


def transposes_single_column(facts: NodeFacts) -> bool | None:
    """Input 0 has one column for certain: a dynamic number of columns is taken for several."""
    shape = facts.shape(facts.node.input[0])
    return None if shape is None else shape[-1] == 1


def is_single_row(facts: NodeFacts) -> bool | None:
    """Input 0 is a matrix of one row for certain: a dynamic number of rows is taken for several."""
    shape = facts.shape(facts.node.input[0])
    return None if shape is None else len(shape) == _PAIR and shape[0] == 1


def scales_are_misread(facts: NodeFacts) -> bool | None:
    """The scales of DequantizeLinear (input 1) lie along another axis than MNN takes them to, or are for blocks.

    It takes them to lie along the last axis; along the first one where they are of an int8 weight of a convolution.
    """
    scales, shape = facts.shape(facts.node.input[1]), facts.shape(facts.node.input[0])
    if scales is None:
        return None
    if len(scales) != 1 or scales == (1,):
        return len(scales) > 1
    if shape is None:
        return None
    axis = int(facts.attribute("axis")) % len(shape)
    if len(shape) != _IMAGE_RANK or facts.dtype(facts.node.input[0]) != "INT8":
        return axis != len(shape) - 1
    view, name = facts.view, facts.node.output[0]
    readers = {view.nodes[index].op_type for index in view.consumers.get(name, [])}
    return axis != 0 or bool(readers - {"Conv", "ConvTranspose"}) or view.is_external_use(name)


def dequantized_while_converting(facts: NodeFacts) -> bool | None:
    """The result is an operand that MNN's converter reads: it finds what is not dequantised before the model runs."""
    view = facts.view
    read = [
        (view.nodes[index], position)
        for index in view.consumers.get(facts.node.output[0], [])
        for position, name in enumerate(view.nodes[index].input)
        if name == facts.node.output[0]
    ]
    if not any(position in _READ_WHILE_CONVERTING.get(reader.op_type, ()) for reader, position in read):
        return False
    if any(position != 1 or reader.op_type not in _CONVOLUTIONS for reader, position in read):
        return True
    rank = facts.rank(facts.node.output[0])
    return None if rank is None else rank > _IMAGE_RANK or any(reader.op_type == "Conv" for reader, _ in read)


def einsum_sums_integers(facts: NodeFacts) -> bool | None:
    """Integers of two operands are multiplied and summed: a letter of both is none of the result's."""
    dtype, terms, result = facts.dtype(facts.node.input[0]), *_equation(facts)
    if dtype is None:
        return None
    if "INT" not in dtype or len(terms) < _PAIR or result is None:
        return False
    letters = [set(term) - {_ELLIPSIS} for term in terms]
    return any(one & two - set(result) for one in letters for two in letters if one is not two)


def einsum_sums_single_operand(facts: NodeFacts) -> bool:
    """Of two operands one has a letter that neither the other nor the result has: it is summed by itself."""
    terms, result = _equation(facts)
    if len(terms) != _PAIR or result is None:
        return False
    one, other = (set(term) - set(result) - {_ELLIPSIS} for term in terms)
    return bool(one ^ other)


def einsum_ellipsis_is_misread(facts: NodeFacts) -> bool | None:
    """An ellipsis is not where, or does not stand for as many dimensions as, MNN takes it to.

    MNN takes it for one dimension, except at the beginning of every term of two operands, and numbers those before it
    as they are in the result.
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


def einsum_is_mistaken_for_matmul(facts: NodeFacts) -> bool:
    """Three terms of three or four letters each that MNN multiplies as batches of matrices, which they are not."""
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
    """True if the first two of four letters are a batch, and the one that is summed over is behind it in both."""
    return one[:2] == two[:2] and gone in one[2:] and gone in two[2:]


def open_batch_is_broadcast(facts: NodeFacts) -> bool | None:
    """Batches of a product, one of a size that an input of the model leaves open, match while that size is 1 only.

    MNN looks for what is broadcast when a session is first resized, and not again where nothing was.
    """
    return _matches_at_one(facts, _is_declared_open)


def unknown_batch_is_broadcast(facts: NodeFacts) -> bool | None:
    """Batches of a product, one of a size that is not known, would match if that size were 1, and not otherwise."""
    return _matches_at_one(facts, lambda _, dim: not isinstance(dim, int)) and not open_batch_is_broadcast(facts)


def _matches_at_one(facts: NodeFacts, may_change: Callable[[NodeFacts, Dim], bool]) -> bool | None:
    one, two = (facts.shape(name) for name in facts.node.input[:_PAIR])
    if one is None or two is None:
        return None
    if any(_is_expanded(facts, name) for name in facts.node.input[:_PAIR]):
        return False
    rank = max(len(one), len(two))
    batches = [(1,) * (rank - len(shape)) + shape[:-2] for shape in (one, two)]
    if not any(may_change(facts, dim) for batch in batches for dim in batch):
        return False
    small, large = ([_opened(batch, size) for batch in batches] for size in (1, 2))
    counts, later = [[prod(batch) for batch in each] for each in (small, large)]
    return (counts[0] == counts[1] or 1 in counts) and large[0] != large[1] and 1 not in later


def _is_expanded(facts: NodeFacts, name: str) -> bool:
    """A value is expanded to sizes that the model computes, whether or not inference can follow them."""
    producer = facts.view.producer(name)
    return producer is not None and producer.op_type == "Expand" and facts.constant(producer.input[1]) is None


def _opened(batch: tuple[Dim, ...], size: int) -> list[int]:
    return [dim if isinstance(dim, int) else size for dim in batch]


def _is_declared_open(facts: NodeFacts, dim: Dim) -> bool:
    view = facts.view
    while view.parent is not None:
        view = view.parent
    values = () if isinstance(view.graph, FunctionProto) else view.graph.input
    return isinstance(dim, str) and any(dim in (dims_of(value) or ()) for value in values)


def _equation(facts: NodeFacts) -> tuple[list[str], str | None]:
    """Terms and result, with a dot for an ellipsis; no result if the equation names none."""
    text = str(facts.attribute("equation")).replace(" ", "").replace("...", _ELLIPSIS)
    terms, arrow, result = text.partition("->")
    return terms.split(","), result if arrow else None


PRODUCT_RELATIONS: dict[str, Callable[[NodeFacts], bool | None]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        transposes_single_column,
        is_single_row,
        scales_are_misread,
        dequantized_while_converting,
        einsum_sums_integers,
        einsum_sums_single_operand,
        einsum_ellipsis_is_misread,
        einsum_is_mistaken_for_matmul,
        open_batch_is_broadcast,
        unknown_batch_is_broadcast,
    )
}
