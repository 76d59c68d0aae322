"""A report that is open in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


class Opened:
    """A report in the browser, and what must not happen in it: errors, and requests."""

    def __init__(self, browser: Browser, file: Path, address: str, width: int, height: int) -> None:
        self.page: Page = browser.new_page(viewport={"width": width, "height": height})
        self.page.set_default_timeout(10_000)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda said: self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(f"{file.as_uri()}{address}")

    def text(self, selector: str = "main") -> str:
        return self.page.locator(selector).first.inner_text()

    def close(self) -> None:
        self.page.close()
        asked = [url for url in self.requests if not url.startswith(("file:", "data:"))]
        assert not self.complaints, f"the page complains: {self.complaints}"
        assert not asked, f"the page asks for {asked}"
