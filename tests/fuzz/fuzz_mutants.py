"""Mutants by seed and number: the same pair gives the same bytes, whatever ran before."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from random import Random

from fuzz_bytes import BYTE_MUTATIONS
from fuzz_gentle import GENTLE, undeclared
from fuzz_mutations import MUTATIONS
from fuzz_oddities import ODDITIES
from google.protobuf.message import DecodeError, EncodeError
from onnx import ModelProto

_INAPPLICABLE = (ValueError, IndexError, TypeError, KeyError, MemoryError, OverflowError, EncodeError, AttributeError)
_BYTES_ONLY, _BOTH, _GENTLE = 0.15, 0.25, 0.65
_LARGEST_BYTES = 2_000_000


def mutant(corpus: Sequence[bytes], seed: int, number: int) -> bytes:
    """A model of the corpus after one to four mutations; after a third to a half of them it can still be read."""
    random = Random(f"{seed}:{number}")
    data = random.choice(corpus)
    kind = random.random()
    if kind > _BYTES_ONLY:
        data = _mutated(data, random, gently=kind > 1 - (1 - _BOTH) * _GENTLE)
    if kind < _BOTH:
        data = random.choice(BYTE_MUTATIONS)(data, random)
    return data


def _mutated(data: bytes, random: Random, *, gently: bool) -> bytes:
    model = ModelProto()
    with contextlib.suppress(DecodeError):
        model.ParseFromString(data)
    mutations = GENTLE if gently else (*MUTATIONS, *ODDITIES)
    for _ in range(random.choice((1, 1, 1, 2, 3, 4))):
        with contextlib.suppress(*_INAPPLICABLE):
            random.choice(mutations)(model, random)
    if gently and random.random() < _GENTLE:
        undeclared(model, random)
    with contextlib.suppress(*_INAPPLICABLE):
        found = model.SerializeToString()
        return found if len(found) <= _LARGEST_BYTES else data
    return data
