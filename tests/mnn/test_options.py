"""Options of the converter."""

from __future__ import annotations

from typing import Any

import pytest

from mnncompat.errors import UsageError
from mnncompat.mnn import ConvertOptions


@pytest.mark.parametrize(
    ("given", "argv"),
    [
        ({}, []),
        ({"fp16": True}, ["--fp16"]),
        ({"weight_bits": 8}, ["--weightQuantBits=8"]),
        (
            {"weight_bits": 4, "weight_block": 32, "weight_asymmetric": False},
            ["--weightQuantBits=4", "--weightQuantBlock=32", "--weightQuantAsymmetric=0"],
        ),
        ({"target_version": "2.8"}, ["--targetVersion=2.8"]),
        ({"optimize_level": 0, "optimize_prefer": 2}, ["--optimizeLevel=0", "--optimizePrefer=2"]),
        ({"external_weights": True}, ["--saveExternalData"]),
        ({"static_model": True, "keep_input_format": False}, ["--keepInputFormat=0", "--saveStaticModel"]),
        ({"gelu_approximation": False}, ["--useGeluApproximation=0"]),
    ],
)
def test_options_become_arguments(given: dict[str, Any], argv: list[str]) -> None:
    assert ConvertOptions(**given).argv() == argv


@pytest.mark.parametrize(
    "given",
    [
        {"weight_bits": 1},
        {"weight_bits": 9},
        {"weight_bits": -1},
        {"weight_bits": 8, "weight_block": 20},
        {"weight_bits": 8, "weight_block": 0},
        {"weight_block": 32},
        {"weight_asymmetric": True},
        {"target_version": "3.6.1"},
        {"target_version": "three"},
        {"target_version": ""},
        {"target_version": "-1.0"},
        {"target_version": "2.10"},
        {"optimize_level": 3},
        {"optimize_prefer": -1},
    ],
)
def test_values_that_the_converter_would_misread_are_refused_with_a_hint(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        ConvertOptions(**given)
    assert caught.value.hint
