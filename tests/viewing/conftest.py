"""A browser for the pages that `--html` writes: Debian's Chromium, driven by Playwright, without a network."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import pytest
from viewing.looked_at import with_hostile_names, wrong_in_the_middle
from viewing.opened_page import Opened

from mnncompat.cli import main

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    assert program, "Chromium is missing: apt-get install chromium, or `make chromium`"
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Opened]]:
    """Opens a report; at the end none has complained, and none has asked for anything."""
    pages: list[Opened] = []

    def open_report(file: Path, address: str = "", *, width: int = 1280, height: int = 800) -> Opened:
        pages.append(Opened(browser, file, address, width, height))
        return pages[-1]

    yield open_report
    for each in pages:
        each.close()


@pytest.fixture(scope="session")
def checked(tutorial: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a check that finds an error."""
    file = tmp_path_factory.mktemp("checked") / "report.html"
    assert main(["check", str(tutorial), "--mnn", "0.2.0.4", "--html", str(file), "--quiet"]) == 1
    return file


@pytest.fixture(scope="session")
def reported(tutorial: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a model that converts."""
    file = tmp_path_factory.mktemp("reported") / "report.html"
    assert main(["report", str(tutorial), str(file), "--quiet"]) == 0
    return file


@pytest.fixture(scope="session")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a model that MNN computes wrongly."""
    folder = tmp_path_factory.mktemp("failing")
    onnx.save(wrong_in_the_middle(), folder / "wrong.onnx")
    words = ["convert", str(folder / "wrong.onnx"), "--dry-run", "--no-fix", "--diagnose", "--quiet"]
    assert main([*words, "--html", str(folder / "report.html")]) == 1
    return folder / "report.html"


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a model whose names are markup, very long, or turn the direction of reading."""
    folder = tmp_path_factory.mktemp("hostile")
    onnx.save(with_hostile_names(), folder / "hostile.onnx")
    main(["check", str(folder / "hostile.onnx"), "--html", str(folder / "report.html"), "--quiet"])
    return folder / "report.html"
