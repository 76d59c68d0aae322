"""The report of a trained model: PP-OCR's recognition, 860 nodes without names of modules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import trained
from viewing.opened_page import Opened

from mnncompat.cli import main


@pytest.fixture(scope="module")
def recognition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = trained.wheels() / trained.MODELS["ocr-recognition"].path
    file = tmp_path_factory.mktemp("recognition") / "report.html"
    assert main(["diagnose", str(model), "--shape", "x:1,3,48,64", "--html", str(file), "--quiet"]) == 0
    return file


def test_its_repeated_blocks_are_groups(opened: Callable[..., Opened], recognition: Path) -> None:
    report = opened(recognition, "#page=graph")
    report.page.wait_for_function("document.querySelector('canvas')?.dataset.painted > 0")
    report.page.get_by_label("Search nodes").fill("p2o.Conv.9")
    report.page.get_by_role("button", name="Conv p2o.Conv.9", exact=True).click()
    details = report.page.get_by_role("complementary", name="Details")
    assert "in block 1" in details.inner_text()
    assert "Layer" in details.inner_text()
    report.page.get_by_label("beside").select_option("mnn")
    assert report.page.locator("canvas").count() == 2
    report.page.get_by_label("Colours").select_option("accumulated")
    assert "Error accumulated" in report.text(".legend")


def test_every_layer_is_in_the_chart(opened: Callable[..., Opened], recognition: Path) -> None:
    report = opened(recognition, "#page=layers")
    assert "there is no culprit" in opened(recognition).text()
    assert report.page.locator(".chart g.pick").count() > 300
    report.page.get_by_label("only the telling ones").uncheck()
    assert report.page.locator("tbody tr").count() > 300
