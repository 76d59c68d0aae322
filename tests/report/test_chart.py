"""`--chart`: charts of characters."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from mnncompat.cli import main
from mnncompat.report.text.chart import bars, sparkline, squeezed


def test_a_sparkline_has_a_character_for_each_value() -> None:
    assert sparkline([0, 70, 140, 200, -5, math.nan], 0, 140) == "▁▅██▁ "
    assert sparkline([0, 70, 140], 0, 140, plain=True) == "_+#"


def test_bars_are_as_tall_as_their_values() -> None:
    assert bars([0, 1, 1.25, 2, math.nan], 0, 2, rows=2) == ["  ▃█ ", " ███ "]


def test_many_values_are_squeezed_to_their_largest() -> None:
    assert squeezed([1, 5, 2, 3, math.nan, 4], 3) == [5, 3, 4]
    assert squeezed([1, 2], 10) == [1, 2]


def test_outputs_and_layers_are_drawn(tutorial: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tutorial), str(tmp_path / "a.html"), "--chart", "--quiet"]) == 0
    text = capsys.readouterr().out
    for part in ("output logits", "SNR by draw", "values", "differences", "error along the graph", "accumulated:"):
        assert part in text
    assert "█" in text


def test_only_text_is_drawn(tutorial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tutorial), "--chart", "--output-format", "json"]) == 2
    assert "--chart draws" in capsys.readouterr().err
