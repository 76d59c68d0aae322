"""What the page of `--html` shows, in a browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from viewing.opened_page import Opened

from mnncompat.cli import main


def test_a_check_in_the_browser(opened: Callable[..., Opened], checked: Path) -> None:
    report = opened(checked)
    assert "MNN 0.2.0.4 has trouble with this model" in report.text()
    report.page.get_by_role("link", name="Findings").click()
    assert "MatMul is not in MNN 0.2.0.4" in report.text()
    report.page.get_by_label("Severity").select_option("warning")
    assert "MatMul is not in MNN 0.2.0.4" not in report.text()
    report.page.get_by_label("Severity").select_option("error")
    report.page.get_by_role("button", name="/head/hidden/MatMul").click()
    details = report.page.get_by_role("complementary", name="Details")
    assert "MatMul is not in MNN 0.2.0.4" in details.inner_text()
    assert "float32[batch, 500]" in details.inner_text()


def test_a_permalink_leads_to_its_node(opened: Callable[..., Opened], checked: Path) -> None:
    report = opened(checked, "#node=/head/output/Gemm")
    details = report.page.get_by_role("complementary", name="Details").inner_text()
    assert "/head/output/Gemm" in details
    assert "fully-connected-to-convolution" in details


def test_what_was_accepted_is_not_called_equal(opened: Callable[..., Opened], tutorial: Path, tmp_path: Path) -> None:
    file, words = tmp_path / "report.html", ["--dry-run", "--data-only", "--accept", "one-size,not-proven", "--quiet"]
    np.save(tmp_path / "image.npy", np.zeros((1, 1, 28, 28), np.float32))
    given = f"image={tmp_path / 'image.npy'}"
    assert main(["convert", str(tutorial), *words, "--input", given, "--html", str(file)]) == 0
    report = opened(file)
    assert "it was accepted that it is" in report.text("h2")
    assert "computes what the model computes" not in report.text("h2")
