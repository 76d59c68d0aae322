"""Operands of attention and of rotations that are no numbers: masks, lengths, positions and caches.

See `mnncompat.inference.domain_rules`. The operators of ONNX Runtime's own domain are told apart from ONNX's of the
same name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf

from mnncompat.inference.domain_claims import Claim, Kind, Reading, Use
from mnncompat.inference.foreign_domains import CONTRIB_DOMAIN

Found = Iterator[Use | Claim]

_STATES: Mapping[tuple[str, str], tuple[int, ...]] = {
    ("", "Attention"): (4, 5),
    (CONTRIB_DOMAIN, "Attention"): (4,),
    (CONTRIB_DOMAIN, "DecoderMaskedMultiHeadAttention"): (5, 6),
    (CONTRIB_DOMAIN, "GroupQueryAttention"): (3, 4),
    (CONTRIB_DOMAIN, "MultiHeadAttention"): (6, 7),
    (CONTRIB_DOMAIN, "QAttention"): (8,),
}
"""Operands that hold what earlier steps left."""
_MASKS = {"Attention": 3, "DecoderMaskedMultiHeadAttention": 3, "MultiHeadAttention": 4, "QAttention": 5}
"""Operands that are masks of integers, or lengths if they are of rank 1."""
_TABLES = {("", "RotaryEmbedding"): (3, 1), (CONTRIB_DOMAIN, "RotaryEmbedding"): (1, 2)}
"""Operands that are positions, and the tables whose rows they select."""
_HANDED_ON = frozenset(("Add", "Cast", "Gather", "Identity", "Reshape", "Squeeze", "Sub", "Unsqueeze"))
_PLACES = {"DecoderMaskedMultiHeadAttention": 7, "MultiHeadAttention": 8}
"""Operands that say where new keys are written to; the cache is two operands before."""
_LENGTHS, _TOTAL, _POSITIONS, _COSINE = 5, 6, 9, 7


def attention(reading: Reading) -> Found:
    """What attention of either domain asks."""
    node = reading.node
    domain = "" if node.domain == "ai.onnx" else node.domain
    if reading.position in _STATES.get((domain, node.op_type), ()):
        yield from reading.claim(Kind.STATE, -inf, inf, f"what {node.op_type} begins with")
    elif domain == CONTRIB_DOMAIN and reading.position == _MASKS.get(node.op_type):
        yield from _mask(reading)
    elif reading.position == _PLACES.get(node.op_type):
        yield from _place(reading)
    elif node.op_type == "GroupQueryAttention":
        yield from _lengths(reading)


def _place(reading: Reading) -> Found:
    """Where new keys are written to in a cache of a fixed length."""
    node = reading.node
    cache, steps = reading.shape(node.input[reading.position - 2]), reading.shape(node.input[0])
    most = cache[2] - steps[1] if cache and steps and cache[2] and steps[1] else -1
    if most >= 0 and cache:
        yield from reading.claim(Kind.IDS, 0, most, f"place in a cache of {cache[2]} steps")


def _mask(reading: Reading) -> Found:
    node = reading.node
    shape = reading.shape(node.input[reading.position])
    if shape is None or len(shape) != 1:
        yield from reading.claim(Kind.MASK, 0, 1, f"mask of {node.op_type}")
        return
    steps = reading.shape(node.input[0 if "Attention" in (node.op_type, node.op_type[1:]) else 1])
    if steps and steps[1] and len(steps) == 3:  # noqa: PLR2004 - batch, steps, columns
        yield from reading.claim(Kind.LENGTH, 1, steps[1], f"lengths of {node.op_type} over {steps[1]} steps")


def _lengths(reading: Reading) -> Found:
    """GroupQueryAttention: every sequence is as long as the steps and what the cache holds."""
    node = reading.node
    steps, past = (reading.shape(node.input[place]) for place in (0, 3))
    total = (steps[1] or 0) + ((past[2] or 0) if past else 0) if steps else 0
    if reading.position == _LENGTHS and total:
        yield from reading.claim(Kind.IDS, total - 1, total - 1, f"number of keys less 1, of {total}")
    elif reading.position == _TOTAL and total:
        yield from reading.claim(Kind.SIZE, total, total, f"number of keys, {total}")
    elif reading.position == _POSITIONS:
        table = reading.shape(node.input[_COSINE])
        if table and table[0]:
            yield from reading.claim(Kind.IDS, 0, table[0] - 1, reading.words(_COSINE))


def counts_keys(reading: Reading) -> bool:
    """Whether a sum becomes the numbers of keys of GroupQueryAttention: with fewer keys than steps it fails."""
    pending, seen = [reading.node.output[0]], set[str]()
    while pending:
        name = pending.pop()
        seen.add(name)
        for index in reading.view.consumers.get(name, ()):
            node = reading.view.nodes[index]
            if node.op_type == "GroupQueryAttention" and node.input[_LENGTHS] == name:
                return True
            if node.op_type in _HANDED_ON:
                pending.extend(each for each in node.output if each and each not in seen)
    return False


def rotary(reading: Reading) -> Found:
    """Positions, which select rows of the tables; one number is the position of the first step."""
    node = reading.node
    domain = "" if node.domain == "ai.onnx" else node.domain
    place, table = _TABLES.get((domain, node.op_type), (-1, -1))
    if reading.position == 0:
        yield from reading.passed()
    if reading.position != place:
        return
    rows, positions, value = (reading.shape(node.input[each]) for each in (table, place, 0))
    if not rows or not rows[0] or positions is None:
        return
    last = rows[0] - 1
    if len(positions) == 1 and value:
        last -= (value[2 if len(value) == 4 else 1] or 1) - 1  # noqa: PLR2004 - batch, heads, steps, size
    yield from reading.claim(Kind.IDS, 0, max(last, 0), reading.words(table))


def embedding(reading: Reading) -> Found:
    """ONNX Runtime's EmbedLayerNormalization: ids of words, of segments and of positions, each with a table; a mask."""
    table = {0: 2, 1: 4, 8: 3}.get(reading.position)
    if reading.node.op_type != "EmbedLayerNormalization" and reading.position > 1:
        table = None
    shape = None if table is None else reading.shape(reading.node.input[table])
    if table is not None and shape and shape[0]:
        yield from reading.claim(Kind.IDS, 0, shape[0] - 1, reading.words(table))
    elif reading.position == 7:  # noqa: PLR2004 - the mask
        yield from reading.claim(Kind.MASK, 0, 1, f"mask of {reading.node.op_type}")


ATTENTION_DOMAINS = {
    **dict.fromkeys(
        ("Attention", "DecoderMaskedMultiHeadAttention", "GroupQueryAttention", "MultiHeadAttention", "QAttention"),
        attention,
    ),
    **dict.fromkeys(("EmbedLayerNormalization", "QEmbedLayerNormalization"), embedding),
    "RotaryEmbedding": rotary,
}
"""By op type."""
