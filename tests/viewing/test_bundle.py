"""The program of the page is what its sources say, and is small."""

from __future__ import annotations

import hashlib
import json

from mnncompat.viewing.page import BUNDLE

MOST_BYTES = 2_000_000


def test_it_was_built_from_these_sources() -> None:
    viewer = BUNDLE.parent / "viewer"
    told = json.loads((BUNDLE / "built-from.json").read_text())
    names = [
        "package.json",
        "package-lock.json",
        "build.mjs",
        *sorted(f"src/{each.name}" for each in (viewer / "src").iterdir()),
    ]
    sources = hashlib.sha256()
    for name in names:
        sources.update(name.encode() + b"\0" + (viewer / name).read_bytes() + b"\0")
    assert sources.hexdigest() == told["sources"], "run `npm ci && npm run build` in mnncompat/viewing/viewer"
    bundle = hashlib.sha256(b"".join((BUNDLE / name).read_bytes() for name in ("viewer.js", "viewer.css")))
    assert bundle.hexdigest() == told["bundle"], "the bundle was changed by hand: build it"


def test_it_is_small() -> None:
    assert sum((BUNDLE / name).stat().st_size for name in ("viewer.js", "viewer.css")) < MOST_BYTES


def test_names_are_never_taken_for_markup() -> None:
    sources = (BUNDLE.parent / "viewer" / "src").iterdir()
    for each in sources:
        text = each.read_text()
        for word in (
            "innerHTML",
            "dangerouslySetInnerHTML",
            "document.write",
            "eval(",
            "Function(",
            "insertAdjacentHTML",
        ):
            assert word not in text, f"{each.name} uses {word}"


def test_every_library_has_its_licence() -> None:
    told = (BUNDLE / "LICENSES.txt").read_text()
    lock = json.loads((BUNDLE.parent / "viewer" / "package-lock.json").read_text())
    packages = {name.removeprefix("node_modules/"): entry for name, entry in lock["packages"].items() if name}
    shipped = {name for name, entry in packages.items() if not entry.get("dev")}
    assert {"preact", "d3-selection", "d3-zoom"} <= shipped
    missing = {name for name in shipped if f"\n{name} {packages[name]['version']} (" not in told}
    assert not missing


def test_the_lock_names_no_host() -> None:
    lock = json.loads((BUNDLE.parent / "viewer" / "package-lock.json").read_text())
    assert not any("resolved" in entry for entry in lock["packages"].values())


def test_the_sources_are_short() -> None:
    for each in (BUNDLE.parent / "viewer" / "src").iterdir():
        assert len(each.read_text().splitlines()) <= 350, each.name
