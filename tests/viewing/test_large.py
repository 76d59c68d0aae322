"""Large graphs: made, opened and moved in the time that people wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from viewing.looked_at import deep
from viewing.opened_page import Opened

from mnncompat.cli import main

MADE_SECONDS, OPENED_SECONDS, PANNED_RATE = 10.0, 2.0, 30.0
_BUSY = 3.0
"""How much longer than on an idle machine it may take here, where other tests run at the same time."""
_PAN = """async (canvas) => {
  const { x, y } = canvas.getBoundingClientRect();
  const place = (dy) => ({ bubbles: true, view: window, clientX: x + 300, clientY: y + 400 + dy });
  const at = (name, dy) => new MouseEvent(name, place(dy));
  canvas.dispatchEvent(at("mousedown", 0));
  const frames = [];
  const until = performance.now() + 1500;
  while (performance.now() < until) {
    frames.push(await new Promise(requestAnimationFrame));
    window.dispatchEvent(at("mousemove", -2 * frames.length));
  }
  window.dispatchEvent(at("mouseup", 0));
  const gaps = frames.slice(1).map((each, at) => each - frames[at]).sort((a, b) => a - b);
  return 1000 / gaps[Math.floor(gaps.length / 2)];
}"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """The report of 10,000 nodes, and the seconds of processor time that it took."""
    folder = tmp_path_factory.mktemp("large")
    onnx.save(deep(10_000), folder / "deep.onnx")
    started = time.process_time()
    main(["check", str(folder / "deep.onnx"), "--html", str(folder / "report.html"), "--quiet"])
    return folder / "report.html", time.process_time() - started


def test_it_is_made_in_time(large: tuple[Path, float]) -> None:
    assert large[1] < MADE_SECONDS


def test_it_opens_in_time(opened: Callable[..., Opened], large: tuple[Path, float]) -> None:
    report = opened(large[0], "#page=graph")
    report.page.wait_for_function("document.querySelector('canvas').dataset.painted > 0")
    assert report.page.evaluate("performance.now()") < 1000 * OPENED_SECONDS * _BUSY


def test_all_of_it_pans(opened: Callable[..., Opened], large: tuple[Path, float]) -> None:
    report = opened(large[0], "#page=graph")
    report.page.get_by_role("button", name="Open all").click()
    report.page.wait_for_timeout(500)
    assert report.page.locator("canvas").evaluate(_PAN) > PANNED_RATE / _BUSY


def test_a_node_deep_inside_is_found(opened: Callable[..., Opened], large: tuple[Path, float]) -> None:
    report = opened(large[0], "#node=/model/layers.300/mlp/Tanh")
    details = report.page.get_by_role("complementary", name="Details").inner_text()
    assert "in model / " in details
    assert "layers.300" in details
