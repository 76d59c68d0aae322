"""Build the site of the documentation into `build/site/html`, and check its links: `make site`.

What Sphinx reads is laid out in `build/site/source` as it lies in the repository, so that a link between documents
leads to the same place in both; beside them are the pages that are made from the table. The list of pages is that of
`docs/index.md`. Nothing is loaded from elsewhere. Any warning is an error, and so is a link within the site that leads
nowhere, or a document that no page lists.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rule_pages import LISTS, pages

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = REPOSITORY / "build" / "site"
_ENTRY = re.compile(r"^(## (?P<caption>.+)|- \[[^\]]+\]\((?P<page>[^)#]+)\.md\).*)$", re.MULTILINE)
_START = """\
<!doctype html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url=docs/index.html">
<title>mnncompat</title>
<a href="docs/index.html">mnncompat: documentation</a>
"""


class Links(HTMLParser):
    """What a page refers to, and the places in it that can be referred to."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take a tag's references and its name."""
        del tag
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.targets.append(value)
            elif name in ("id", "name") and value:
                self.anchors.add(value)


def lay_out(source: Path) -> None:
    """Write what Sphinx reads: the documents, and the pages that are made."""
    shutil.rmtree(source, ignore_errors=True)
    for path in documents(REPOSITORY):
        place = source / path.relative_to(REPOSITORY)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    for index in (source / "docs" / "index.md", source / "docs" / "decisions" / "README.md"):
        index.write_text(f"{index.read_text()}\n{toctrees(index.read_text())}")
    lists, others = source / "docs" / "rules", source.parent / "rules"
    shutil.rmtree(others, ignore_errors=True)
    lists.mkdir()
    others.mkdir()
    for name, text in pages().items():
        ((lists if name in LISTS else others) / name).write_text(text)


def documents(root: Path) -> list[Path]:
    """The documents that are pages."""
    top = (root / f"{name}.md" for name in ("ARCHITECTURE", "CHANGELOG", "CONTRIBUTING", "SECURITY"))
    return [*top, *sorted((root / "docs").rglob("*.md")), root / "examples" / "mnist" / "README.md"]


def toctrees(index: str) -> str:
    """The lists of links of a page as Sphinx has to be told them: one for each heading that has entries."""
    listed: dict[str, list[str]] = {}
    caption = ""
    for entry in _ENTRY.finditer(index):
        caption = entry["caption"] or caption
        if entry["page"]:
            listed.setdefault(caption, []).append(entry["page"])
    lines = []
    for caption, names in listed.items():
        lines += ["```{toctree}", ":hidden:", *([f":caption: {caption}"] if caption else []), "", *names, "```", ""]
    return "\n".join(lines)


def broken(html: Path) -> Iterator[str]:
    """Links within a site that lead nowhere: no such page, or no such place in it."""
    found: dict[Path, Links] = {}
    for path in sorted(html.rglob("*.html")):
        found[path] = Links()
        found[path].feed(path.read_text(encoding="utf-8"))
    for path, links in found.items():
        for target in dict.fromkeys(links.targets):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            file = file / "index.html" if file.is_dir() else file
            there = file.exists()
            if there and parts.fragment and file in found:
                there = unquote(parts.fragment) in found[file].anchors
            if not there:
                yield f"{path.relative_to(html)}: {target}"


def main() -> int:
    """Build and check; 1 if something is wrong."""
    began = time.monotonic()
    lay_out(BUILD / "source")
    shutil.rmtree(BUILD / "html", ignore_errors=True)
    words = [
        "-b",
        "html",
        "-q",
        "-W",
        "--keep-going",
        "-E",
        "-j",
        "2",
        "-d",
        str(BUILD / "doctrees"),
        "-c",
        str(REPOSITORY / "tests" / "docs"),
    ]
    command = [sys.executable, "-m", "sphinx", *words, str(BUILD / "source"), str(BUILD / "html")]
    status = subprocess.run(command, check=False).returncode
    if status:
        return status
    (BUILD / "html" / "index.html").write_text(_START)
    wrong = list(broken(BUILD / "html"))
    sys.stderr.writelines(f"{each}\n" for each in wrong)
    count = sum(1 for _ in (BUILD / "html").rglob("*.html"))
    sys.stdout.write(
        f"{BUILD / 'html'}: {count} pages in {time.monotonic() - began:.0f} s, {len(wrong)} broken links\n"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
