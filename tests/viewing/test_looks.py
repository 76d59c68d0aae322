"""Whether people can look at reports: on large and small screens, with other colours, without a mouse, on paper."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from viewing.looked_at import HOSTILE
from viewing.opened_page import Opened

_SIZES = [(1280, 800), (390, 844)]


@pytest.mark.parametrize(("width", "height"), _SIZES)
def test_every_page_fits_the_screen_and_is_accessible(
    opened: Callable[..., Opened], reported: Path, width: int, height: int
) -> None:
    report = opened(reported, width=width, height=height)
    axe = Axe()
    for link in report.page.get_by_role("navigation").get_by_role("link").all():
        link.click()
        assert report.page.evaluate("document.documentElement.scrollWidth") <= width, link.inner_text()
        _require_accessible(axe, report)


def test_dark_colours_can_be_read(opened: Callable[..., Opened], failing: Path) -> None:
    report = opened(failing)
    report.page.emulate_media(color_scheme="dark")
    axe = Axe()
    for page in ("summary", "findings", "parity", "layers"):
        report.page.goto(f"{failing.as_uri()}#page={page}")
        _require_accessible(axe, report)
    before = report.page.evaluate("getComputedStyle(document.body).backgroundColor")
    report.page.get_by_label("Theme").select_option("light")
    assert report.page.evaluate("getComputedStyle(document.body).backgroundColor") != before


def _require_accessible(axe: Axe, report: Opened) -> None:
    found = axe.run(report.page).response["violations"]
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    told = [f"{each['id']}: {each['help']}: {each['nodes'][0]['html'][:200]}" for each in serious]
    assert not told, "\n".join(told)


def test_the_graph_is_drawn(opened: Callable[..., Opened], reported: Path) -> None:
    report = opened(reported, "#page=graph")
    report.page.wait_for_function("document.querySelector('canvas').dataset.painted > 0")
    pixels = "each.getContext('2d').getImageData(0, 0, each.width, each.height).data.buffer"
    colors = report.page.locator("canvas").evaluate(f"each => new Set(new Uint32Array({pixels})).size")
    assert colors > 20


def test_without_a_mouse(opened: Callable[..., Opened], reported: Path) -> None:
    report = opened(reported, "#page=graph")
    keys, details = report.page.keyboard, report.page.get_by_role("complementary", name="Details")
    keys.press("/")
    keys.type("maxpool")
    keys.press("Enter")
    assert "/features/pool1/MaxPool" in details.inner_text()
    report.page.locator("canvas").focus()
    keys.press("ArrowDown")
    assert "/features/conv2/Conv" in details.inner_text()
    keys.press("ArrowUp")
    assert "/features/pool1/MaxPool" in details.inner_text()
    keys.press("Escape")
    assert "Select a node" in details.inner_text()


def test_groups_are_opened_and_closed(opened: Callable[..., Opened], reported: Path) -> None:
    report = opened(reported, "#group=0")
    details = report.page.get_by_role("complementary", name="Details")
    assert "features" in details.inner_text()
    report.page.locator("canvas").focus()
    before = report.page.screenshot()
    report.page.keyboard.press("Enter")
    report.page.wait_for_timeout(100)
    assert report.page.screenshot() != before
    report.page.get_by_role("button", name="Open all").click()
    report.page.get_by_role("button", name="Close all").click()


def test_it_can_be_printed(opened: Callable[..., Opened], reported: Path) -> None:
    report = opened(reported)
    report.page.emulate_media(media="print")
    assert not report.page.get_by_role("navigation").is_visible()
    assert report.page.pdf().startswith(b"%PDF")


def test_a_failing_model_names_its_culprit(opened: Callable[..., Opened], failing: Path) -> None:
    report = opened(failing)
    assert "MNN does not compute the same" in report.text()
    report.page.get_by_role("button", name="Show in the graph").click()
    details = report.page.get_by_role("complementary", name="Details").inner_text()
    assert "fault" in details
    assert re.search(r"Layer \d+: culprit", details)
    report.page.get_by_role("link", name="Parity").click()
    assert "differs" in report.text()
    report.page.get_by_role("link", name="Layers").click()
    assert report.page.locator(".badbar").count() == 1


def test_hostile_names_are_text(opened: Callable[..., Opened], hostile: Path) -> None:
    report = opened(hostile)
    for page in ("summary", "findings", "graph", "environment"):
        report.page.goto(f"{hostile.as_uri()}#page={page}")
        assert report.page.locator("main img, main script, main b b, main u").count() == 0
        assert "taken" not in report.page.title()
        assert report.page.evaluate("document.documentElement.scrollWidth") <= 1280
    report.page.goto(f"{hostile.as_uri()}#page=graph")
    report.page.get_by_label("Search nodes").fill("onerror")
    report.page.get_by_role("button", name=HOSTILE[1]).click()
    details = report.page.get_by_role("complementary", name="Details").inner_text()
    assert HOSTILE[1] in details
    report.page.get_by_label("Search nodes").fill("gnp.exe")
    report.page.locator(".found button").first.click()
    details = report.page.get_by_role("complementary", name="Details").inner_text()
    assert "\\u202egnp.exe\\u2066" in details
    assert "\u202e" not in details
