"""A parity report: a table with a line for each output, the problems, and the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.report.apis import told
from mnncompat.report.apis import way_out as session_way_out
from mnncompat.report.location import model_name
from mnncompat.report.measures import cosine, counted, decibel, distance, measures, shape, share
from mnncompat.report.printable import printable, shortened
from mnncompat.report.subject import Verified
from mnncompat.report.text import task
from mnncompat.report.text.page import Page, Style
from mnncompat.report.text.table import Cell, write_table
from mnncompat.report.verdict import exercised, label, reasons, way_out
from mnncompat.results.proof_strength import ProofVerdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.results.device_parity import DeviceParity
    from mnncompat.results.parity_report import (
        InputAssumption,
        OutputParity,
        ParityReport,
        Speed,
        UndeterminedOutput,
    )

_HEADER = ("output", "shape", "dtype", "worst draw", "max abs", "max rel", "cosine", "SNR", "top-1", "equal")
_LEFT = 4
_LONGEST_NAME = 48
_MOST_INPUTS = 20
_MOST_SAMPLES = 5


def write(page: Page, result: Verified) -> None:
    """Write a verified pair of files."""
    page.line(title(result), style=Style.BOLD)
    write_report(page, result.parity)
    task.write(page, result)
    write_verdict(page, result.parity, result.accepted)
    _write_requirement(page, result)
    task.write_conclusion(page, result)


def write_verdict(page: Page, report: ParityReport, accepted: Sequence[ProofVerdict]) -> None:
    """Write what was proven, and what is missing."""
    style = Style.BAD if report.lacks and not accepted else Style.WARN if report.lacks else Style.GOOD
    told = "accepted, " if accepted else ""
    power = "" if report.verdict is ProofVerdict.DIFFERENT else f"; {exercised(report)}"
    page.labelled(f"{label(report)}:", style, f" {told}{scope(report)}{power}", indent=4)
    if report.verdict is ProofVerdict.DIFFERENT:
        return
    for reason in reasons(report):
        page.line(printable(reason), lead="  ")
    if report.lacks and not accepted:
        page.line(way_out(report, "makes this exit with 0"), lead="  hint: ")


def _write_requirement(page: Page, result: Verified) -> None:
    """Write that MNN's Session does not do what is required of it, and what helps."""
    if result.fails_requirement:
        page.line("NOT good in MNN's Session API, as --require-session demands", style=Style.BAD)
        page.line(session_way_out(result.parity.session), lead="  hint: ")


def title(result: Verified) -> str:
    """`model.onnx against model.mnn`."""
    return f"{model_name(result.source)} against {printable(result.file) or 'MNN'}"


def write_report(page: Page, report: ParityReport, *, indent: str = "") -> None:
    """Write the table, the notes, and the problems."""
    rows = [*(_row(each, report) for each in report.outputs), *map(_random_row, report.undetermined)]
    if rows:
        write_table(page, _HEADER, rows, left=_LEFT, indent=indent)
    _write_inputs(page, report, indent)
    if report.speed is not None and report.verdict is not ProofVerdict.DIFFERENT:
        page.line(speed(report.speed), lead=f"{indent}speed: ")
    if report.session is not None:
        style = Style.GOOD if report.passed and report.session.passed else Style.WARN
        page.labelled(f"{indent}APIs:", style, f" {told(report)}", indent=len(indent) + 4)
    if report.device is not None:
        _write_device(page, report.device, indent)
    for note in report.notes:
        page.line(printable(note), lead=f"{indent}note: ")
    for problem in report.problems:
        page.labelled(f"{indent}problem:", Style.BAD, f" {printable(problem)}", indent=len(indent) + 4)
    for side in report.failures:
        page.words(side.failure.words, said=side.failure.message)


def _write_device(page: Page, found: DeviceParity, indent: str) -> None:
    """Where else the file was run, and what each output is like there."""
    draws = f"{counted(len(found.draws), 'draw')}: {'; '.join(found.draws)}"
    more = f"; {found.left_out} more would take too long there" if found.left_out else ""
    threads = f", {found.threads} threads" if found.threads > 1 else ""
    style = Style.GOOD if found.passed else Style.BAD
    told = f" {found.device}, precision {found.precision}{threads}, MNN {found.mnn}, {draws}{more}"
    page.labelled(f"{indent}device:", style, printable(told), indent=len(indent) + 4)
    for each in found.outputs[:_MOST_INPUTS]:
        top1 = "" if each.top1 is None else f", top-1 {share(each.top1)}"
        worst = f", worst draw {each.worst}" if each.worst else ""
        page.line(printable(f"{each.name}: SNR {decibel(each.snr_db)}{top1}{worst}"), lead=f"{indent}  output ")
    for problem in found.problems[:_MOST_INPUTS]:
        page.labelled(f"{indent}problem on the device:", Style.BAD, f" {printable(problem)}", indent=len(indent) + 4)


def _write_inputs(page: Page, report: ParityReport, indent: str) -> None:
    """What the user's data are called, and what was assumed of the inputs that were drawn."""
    if report.given:
        named = ", ".join(printable(each) for each in report.given[:_MOST_SAMPLES])
        page.line(f"{named}{_more(len(report.given) - _MOST_SAMPLES)}", lead=f"{indent}given data: ")
    for each in report.assumptions[:_MOST_INPUTS]:
        page.line(assumption(each), lead=f"{indent}input ")
    left = len(report.assumptions) - _MOST_INPUTS
    if left > 0:
        page.line(f"{indent}and {counted(left, 'more input')}")


def assumption(assumed: InputAssumption) -> str:
    """`tokens: int64 [1, 12], ids below 500 (Gather of word [500, 16])`."""
    reasons = f" ({'; '.join(assumed.reasons)})" if assumed.reasons else ""
    sizes = ", ".join(map(str, assumed.shape))
    relations = f" with {'; '.join(assumed.relations)}" if assumed.relations else ""
    return printable(f"{assumed.name}: {assumed.dtype} [{sizes}]{relations}, {assumed.values}{reasons}")


def speed(found: Speed) -> str:
    """`0.310 ms a draw under ONNX Runtime, 0.120 ms under MNN (...)`."""
    reference, mnn = (f"{seconds * 1e3:.3g} ms" for seconds in (found.reference, found.mnn))
    how = f"on this machine, median of {counted(found.runs, 'run')}, processor time of one thread"
    return f"a draw takes {reference} under ONNX Runtime without its optimisations, {mnn} under MNN ({how})"


def _more(left: int) -> str:
    return f" and {left} more" if left > 0 else ""


def scope(report: ParityReport) -> str:
    """`2 outputs in 7 draws, seed 0`, `1 of 2 outputs agree in 7 draws, seed 0`."""
    draws = f"in {counted(len(report.draws), 'draw')}, seed {report.seed}"
    agree = sum(output.passed for output in report.outputs)
    if report.failures:
        return f"{' and '.join(printable(side.runner) for side in report.failures)} gave no outputs {draws}"
    if report.passed:
        return f"{counted(agree, 'output')} {draws}"
    total = counted(len(report.outputs) + len(report.undetermined), "output")
    random = f", {len(report.undetermined)} cannot be compared," if report.undetermined else ""
    return f"{agree} of {total} agree{random} {draws}"


def proof(report: ParityReport) -> str:
    """`2 outputs in 7 draws, seed 0; closest to the limit: prob: max abs 1.2e-07, ...`."""
    judged = [(output, output.worst) for output in report.outputs]
    compared = [(output.name, worst) for output, worst in judged if worst is not None]
    if not compared:
        return scope(report)
    name, worst = max(compared, key=lambda each: (not each[1].passed, each[1].error_ratio))
    of_several = "worst output" if len(report.outputs) > 1 else "output"
    return f"{scope(report)}; {of_several} {printable(name)}: {measures(worst)}"


def _cell(output: OutputParity, report: ParityReport) -> tuple[str, Style]:
    """`yes` is what is equal and proven to be."""
    if output.shows_nothing:
        return "unknown", Style.WARN
    if not output.passed:
        return "NO", Style.BAD
    if output.is_rough:
        return "within", Style.GOOD
    unproven = report.few_sizes or (report.power is not None and not report.power.is_enough)
    return ("agrees", Style.WARN) if unproven else ("yes", Style.GOOD)


def _row(output: OutputParity, report: ParityReport) -> list[Cell]:
    worst = output.worst
    verdict = _cell(output, report)
    if worst is None:
        return [shortened(output.name, _LONGEST_NAME), *(["-"] * (len(_HEADER) - 2)), verdict]
    return [
        shortened(output.name, _LONGEST_NAME),
        shape(worst.expected_shape),
        worst.expected_dtype,
        shortened(worst.draw, _LONGEST_NAME),
        distance(worst.max_abs),
        distance(worst.max_rel),
        cosine(worst.cosine),
        decibel(worst.snr_db),
        share(worst.top1),
        verdict,
    ]


def _random_row(output: UndeterminedOutput) -> list[Cell]:
    return [shortened(output.name, _LONGEST_NAME), *(["-"] * (len(_HEADER) - 2)), ("random", Style.WARN)]
