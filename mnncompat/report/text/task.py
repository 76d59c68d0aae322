"""Preprocessing and the accuracy of a task, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.report.measures import decibel, size
from mnncompat.report.printable import printable
from mnncompat.report.text.page import Style
from mnncompat.report.text.table import Cell, write_table

if TYPE_CHECKING:
    from mnncompat.report.subject import Verified
    from mnncompat.report.text.page import Page
    from mnncompat.results.accuracy import AccuracyReport, TaskAccuracy
    from mnncompat.results.preprocess_report import PreprocessReport


_LEAST = 0.1


def write(page: Page, result: Verified) -> None:
    """Write what was compared of preprocessing, and the table of accuracy."""
    for each in result.preprocess:
        page.line(_preprocess(each))
        for fault in each.faults:
            page.line(f"the transform differs: {printable(fault)}", style=Style.BAD, lead="  ")
    if result.accuracy is not None:
        _accuracy(page, result.accuracy)


def write_conclusion(page: Page, result: Verified) -> None:
    """Write that images are not prepared as in training."""
    if not result.is_prepared:
        text = " images are not prepared as in training, whatever the model computes of them"
        page.labelled("preprocessing differs:", Style.BAD, text, indent=4)


def _preprocess(found: PreprocessReport) -> str:
    images = f"{found.images} image" + ("" if found.images == 1 else "s")
    told = f"preprocessing of {printable(found.input)} ({printable(found.steps)}), on {images}: "
    if found.problem:
        return told + printable(found.problem)
    before = "the code's resize and " if found.resizes_before else ""
    told += f"{before}MNN's ImageProcess within {_levels(found.levels)} of the declared steps"
    if not found.transform:
        return told
    if found.transform_levels is None:
        return f"{told}; {printable(found.transform)} gives another size"
    return f"{told}; {printable(found.transform)} within {_levels(found.transform_levels)}"


def _levels(number: float | None) -> str:
    if number is None:
        return "an unknown number of levels of 8 bits"
    return f"{number:.1f} levels of 8 bits" if number >= _LEAST else f"{_LEAST} levels of 8 bits"


def _accuracy(page: Page, report: AccuracyReport) -> None:
    names = list(dict.fromkeys(name for row in report.rows for name in row.scores))
    of = f" of output {printable(report.output)}" if report.output else ""
    page.line(f"accuracy{of} on {report.samples} samples labelled by {printable(report.labels)}")
    same = ["same class"] if any(each.agreement is not None for each in report.rows) else []
    head = ["where", *map(printable, names), *same, "size", "SNR", "a sample"]
    write_table(page, head, [_row(each, names, same=bool(same)) for each in report.rows], left=1)
    for each in report.rows:
        if each.problem:
            page.line(f"{printable(each.where)}: {printable(each.problem)}", style=Style.BAD, lead="  ")


def _row(found: TaskAccuracy, names: list[str], *, same: bool) -> list[Cell]:
    scores = ["" if name not in found.scores else _score(name, found.scores[name]) for name in names]
    agreement = ["" if found.agreement is None else f"{found.agreement:.2%}"] if same else []
    taken = "" if found.seconds is None else f"{found.seconds * 1e3:.3g} ms"
    snr = "" if found.snr_db is None else decibel(found.snr_db)
    return [printable(found.where), *scores, *agreement, size(found.bytes) if found.bytes else "", snr, taken]


def _score(name: str, value: float) -> str:
    return f"{value:.2%}" if name.startswith("top-") else f"{value:.4g}"
