"""Language models as ONNX Runtime's optimiser and its GenAI builder write them: right in MNN, in prefill and decode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from optimised_models import bert, llama
from remedied import assert_remedied

from mnncompat import convert
from mnncompat.probe.prober import Prober

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as prober:
        yield prober


def test_bert_of_any_size_is_proven() -> None:
    assert convert(bert(), None).verdict == "converted"


def test_llama_with_a_cache_is_proven() -> None:
    """The number of keys is found: as many as the cache and the new steps have."""
    assert convert(llama(1, bits=4), None).verdict == "converted"


@pytest.mark.parametrize(("steps", "past"), [(6, 2), (1, 5), (4, 0)])
def test_llama_computes_further_steps(prober: Prober, steps: int, past: int) -> None:
    rng = np.random.default_rng(1)
    feeds: dict[str, NDArray[np.generic]] = {
        "input_ids": np.asarray(rng.integers(0, 50, (1, steps))),
        "attention_mask": np.ones((1, past + steps), np.int64),
    }
    for layer in range(2):
        for kind in ("key", "value"):
            feeds[f"past_key_values.{layer}.{kind}"] = rng.normal(0, 1, (1, 1, past, 16)).astype(np.float32)
    assert "contrib-op-to-onnx" in assert_remedied(llama(packed=False), prober, feeds)


def test_decoding_two_sequences_of_different_lengths(prober: Prober) -> None:
    rng = np.random.default_rng(2)
    feeds: dict[str, NDArray[np.generic]] = {
        "input_ids": np.asarray(rng.integers(0, 50, (2, 1))),
        "attention_mask": np.asarray([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]),
    }
    for layer in range(2):
        for kind in ("key", "value"):
            feeds[f"past_key_values.{layer}.{kind}"] = rng.normal(0, 1, (2, 1, 4, 16)).astype(np.float32)
    assert "contrib-op-to-onnx" in assert_remedied(llama(), prober, feeds)
