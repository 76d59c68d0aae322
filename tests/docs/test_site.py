"""The site: each rule has a page, each document is listed, links that lead nowhere are found. `make site` builds it."""

from __future__ import annotations

import re
from pathlib import Path

from build_site import broken, documents, toctrees
from rule_pages import LISTS, escaped, pages

from mnncompat.checking.rule_catalog import all_rule_infos


def test_each_rule_has_a_page_with_what_it_rests_on() -> None:
    made = pages()
    rules = all_rule_infos()
    assert set(made) == {*LISTS, *(f"{rule.code}.md" for rule in rules)}
    for rule in rules:
        page = made[f"{rule.code}.md"]
        assert page.startswith(f"# {rule.code} {rule.name}\n")
        assert f"[{rule.code}](rule:{rule.code})" in made["index.md"]
        assert all(f"| {escaped(op)} | " in made["operators.md"] for op in rule.op_types)
        if rule.evidence:
            assert "Evidence:" in page or rule.evidence[0] in page
    softmax = made["MNN220.md"]
    assert "`mnncompat fix` rewrites it: [softmax-axis](MNN817.html)." in softmax
    assert "| Softmax opset 9 rank 3 axis None | wrong:values |" in softmax
    assert "/blob/3.6.1/tools/converter/source/optimizer/onnxextra/OnnxSoftmax.cpp): int axis = -1" in softmax
    rewrite = made["MNN817.md"]
    assert "- [MNN220](MNN220.html) Softmax" in rewrite
    assert "**joined** (opset 11): becomes `Flatten, LogSoftmax, Reshape`" in rewrite


def test_each_document_is_listed(repository: Path) -> None:
    index = (repository / "docs" / "index.md").read_text()
    listed = set(re.findall(r"^- \[[^\]]+\]\(([^)]+)\)", index, re.MULTILINE))
    found = {path for path in documents(repository) if path.parent.name != "decisions"}
    names = {
        (f"../{path.relative_to(repository)}" if path.parent != repository / "docs" else path.name) for path in found
    }
    assert names - {"index.md"} == listed - {"rules/index.md", "decisions/README.md"}


def test_lists_become_the_contents() -> None:
    text = "# Title\n\n- [no](x.md) heading\n\n## One\n- [a](a.md): about it\n- [b](../b.md)\n\n## Two\n- [c](c.md#d)\n"
    assert toctrees(text).split() == [
        *("```{toctree}", ":hidden:", "x", "```"),
        *("```{toctree}", ":hidden:", ":caption:", "One", "a", "../b", "```"),
    ]


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.html").write_text(
        '<p id="here"><a href="#here"></a><a href="#no"></a><a href="b.html#x"></a><a href="b.html"></a>'
        '<a href="https://example.org/nothing"></a><img src="../none.png">'
    )
    (tmp_path / "docs" / "b.html").write_text("<p>")
    assert list(broken(tmp_path)) == ["docs/a.html: #no", "docs/a.html: b.html#x", "docs/a.html: ../none.png"]


def test_text_is_shown_as_it_is() -> None:
    assert escaped("a*b_c <d> `x*y` [e]|f") == r"a\*b\_c \<d\> `x*y` \[e\]\|f"
