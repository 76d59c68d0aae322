"""A browser for the pages that `--html` writes: Debian's Chromium, driven by Playwright, without a network."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
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
