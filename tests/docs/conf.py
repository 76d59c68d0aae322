"""Sphinx's settings of the site; `tests/docs/build_site.py` lays out what it reads, and builds it offline."""

from __future__ import annotations

from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markdown_it import MarkdownIt
from pygments.lexers.special import TextLexer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

project = "mnncompat"
author = "The mnncompat authors"
version = release = installed("mnncompat")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
html_theme = "furo"
html_title = f"mnncompat {version}"
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
highlight_language = "none"
smartquotes = False
myst_heading_anchors = 3
myst_url_schemes = {"http": None, "https": None, "rule": "{{path}}.html"}
myst_disable_syntax = ["html_inline", "html_block"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_use_ivar = True
napoleon_use_rtype = False
python_maximum_signature_line_length = 88


def rules(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The pages of the rules: there are hundreds, and reading them as documents takes ten times as long."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    for path in sorted((Path(app.srcdir).parent / "rules").glob("*.md")):
        text = path.read_text()
        title = text.partition("\n")[0].removeprefix("# ")
        yield f"docs/rules/{path.stem}", {"title": title, "body": markdown.render(text), "toc": ""}, "page.html"


def setup(app: Sphinx) -> None:
    """Diagrams are shown as text: the site loads no scripts from elsewhere."""
    app.add_lexer("mermaid", TextLexer)
    app.connect("html-collect-pages", rules)
