"""A conversion step by step: check, rewrite, convert, parity, verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mnncompat.report.apis import way_out as session_way_out
from mnncompat.report.location import model_name
from mnncompat.report.measures import counted, size
from mnncompat.report.printable import printable
from mnncompat.report.text import check, fix, parity
from mnncompat.report.text.page import Page, Style
from mnncompat.report.verdict import compared_sizes, exercised, label, reasons, way_out
from mnncompat.results.diagnostics import Applicability, Severity
from mnncompat.results.outcomes import ConvertResult, FixResult, IntegerWeights, KeptQuantized, Verdict
from mnncompat.results.proof_strength import ProofVerdict
from mnncompat.results.recurrent_form import RecurrentForm

if TYPE_CHECKING:
    from mnncompat.results.file_info import FileInterface
    from mnncompat.results.latency import Latency
    from mnncompat.results.parity_report import ParityReport

_MOST_LEFT = 3
_MOST_FED = 6
_ADDED = {
    "exact-gelu": "GELU is computed with Erf: only so do the outputs agree (tried in this run); `--no-exact-gelu` "
    "forbids it",
}
_FORMS = {
    RecurrentForm.OPS: "LSTM and GRU are MNN's own ops, not loops over a subgraph{}; `--recurrent loops` writes those",
    RecurrentForm.LOOPS: "LSTM and GRU are loops over a subgraph{}; `--recurrent ops` writes them as MNN's own ops",
}
_VERDICTS = {
    Verdict.CONVERTED: "converted",
    Verdict.NOT_PROVEN: "not converted: a rewrite could not be proven equal",
    Verdict.NOT_CONVERTED: "not converted: MNN failed",
    Verdict.NOT_EQUAL: "not published: MNN does not compute the same",
    Verdict.NOT_EXERCISED: "not published: not proven",
    Verdict.ONE_SIZE: "not published",
    Verdict.NO_SESSION: "not published: not good in MNN's Session API, as --require-session demands",
    Verdict.OVER_BUDGET: "not published: more than is allowed",
}


def write(page: Page, result: ConvertResult, applicability: Mapping[str, Applicability]) -> None:
    """Write one conversion."""
    page.line(model_name(result.source), style=Style.BOLD)
    _step(page, "check", _check(result))
    if result.fix is None:
        _step(page, "rewrite", "switched off")
    else:
        _rewrite(page, result.fix)
    if result.shapes:
        _step(page, "shape", _shapes(result.shapes))
    if result.verdict is not Verdict.NOT_PROVEN:
        _conversion(page, result)
    if result.parity is not None:
        _step(page, "parity", parity.scope(result.parity))
        parity.write_report(page, result.parity, indent="  ")
    elif result.failure is not None and result.verdict is Verdict.NOT_EQUAL:
        _step(page, "parity", f"MNN could not run the file: {printable(result.failure.message)}")
        page.words(result.failure.words, said=result.failure.message)
    if result.latency is not None:
        _step(page, "time", _latency(result.latency))
    _verdict(page, result)
    _findings(page, result, applicability)


def _findings(page: Page, result: ConvertResult, applicability: Mapping[str, Applicability]) -> None:
    """What the check still finds; beside a published file its errors alone."""
    published = result.verdict is Verdict.CONVERTED
    least = Severity.ERROR if published else Severity.WARNING
    left = [each for each in result.remaining if each.severity.rank <= least.rank]
    if not left:
        return
    page.blank()
    after = " after the rewrites" if result.fix and result.fix.changed else ""
    told = ", which the comparison did not confirm" if published else ""
    page.line(f"Findings of the check{after}{told}:", style=Style.BOLD)
    check.write_findings(page, left, result.check.mnn_version, applicability)


def _step(page: Page, name: str, text: str) -> None:
    page.labelled(f"  {name:<9}", Style.FAINT, text, indent=11)


def _check(result: ConvertResult) -> str:
    given = result.check
    text = check.summary(given.diagnostics, given.nodes, given.mnn_version)
    if result.remaining != given.diagnostics:
        text += f"; after the rewrites {check.counts(result.remaining) or 'none'}"
    return text


def _latency(found: Latency) -> str:
    """`before 0.31 ms, after 0.27 ms, before / after 1.15 (medians of 20 runs in turn, ...)`."""
    if found.after is None:
        return f"not measured: {printable(found.reason)}"
    sizes = ", ".join(f"{printable(name)} {list(shape)}" for name, shape in found.shapes.items())
    how = f"medians of {found.rounds} runs in turn, {counted(found.threads, 'thread')}, {sizes}"
    after = f"{found.after * 1e3:.3g} ms"
    if found.before is None or found.ratio is None:
        return f"{after} ({how}); nothing to compare with: {printable(found.reason)}"
    return f"before {found.before * 1e3:.3g} ms, after {after}, before / after {found.ratio:.2f} ({how})"


def _shapes(shapes: Mapping[str, tuple[int, ...]]) -> str:
    listed = ", ".join(f"{printable(name)} {list(shape)}" for name, shape in shapes.items())
    return f"the comparison begins at {listed}; nothing is fixed to it: `mnncompat fix --shape` does that"


def _rewrite(page: Page, result: FixResult) -> None:
    names = Counter(done.rewrite for done in result.applied)
    by = ", ".join(f"{count} by {printable(name)}" for name, count in sorted(names.items()))
    _step(page, "rewrite", f"{fix.headline(result)}: {by}" if by else fix.headline(result))
    for given_up in result.rolled_back:
        text = f" {printable(given_up.rewrite)}: {printable(given_up.reason)}"
        page.labelled(f"{'':<11}rolled back", Style.BAD, text, indent=13)
    if result.recorded is not None:
        proven = f"proven {label(result.recorded)} under ONNX Runtime"
        told = f"{proven}, fed with what the original drew: {parity.proof(result.recorded)}"
        page.line(told, lead=" " * 11)
    if result.approximation is not None:
        page.line(f"near the original under ONNX Runtime: {parity.proof(result.approximation)}", lead=" " * 11)
    if result.proof is not None:
        equal = f"proven {label(result.proof)}" if result.proof.passed else "NOT equal"
        page.line(f"{equal} under ONNX Runtime: {parity.proof(result.proof)}", lead=" " * 11)


def _conversion(page: Page, result: ConvertResult) -> None:
    if result.failure is not None and result.verdict is Verdict.NOT_CONVERTED:
        _step(page, "convert", f"{result.failure.kind}: {printable(result.failure.message)}")
        page.words(result.failure.words or result.words, said=result.failure.message)
        return
    if not result.bytes:
        _step(page, "convert", "with full weights first; the file with rounded weights was not made")
        return
    total = sum(result.ops.values())
    ops = ", ".join(f"{count} {printable(name)}" for name, count in _by_count(result.ops))
    written = size(result.bytes)
    if result.source_bytes:
        written += f" from {size(result.source_bytes)}"
    text = f"{counted(total, 'op')}, {written}: {ops}" if ops else f"{written}; its ops could not be counted"
    _step(page, "convert", text)
    if result.became_floats is not None:
        page.line(_grown(result, result.became_floats), lead=" " * 11)
    if result.kept_quantized is not None:
        page.line(_kept(result.kept_quantized), lead=" " * 11)
    if result.added_rewrite:
        page.line(_ADDED[result.added_rewrite], lead=" " * 11)
    if result.recurrent is not None:
        why = f" ({result.recurrent_reason})" if result.recurrent_reason else ""
        page.line(_FORMS[result.recurrent].format(why), lead=" " * 11)
    page.words(result.words)
    if result.interface is not None:
        _step(page, "info", _fed(result.interface))


def _fed(found: FileInterface) -> str:
    """`fed with ids: int32 [1, 8], NCHW (int64 in the model); MNN's schema has all its op types since 2.0.0`."""
    told = []
    for each in found.inputs[:_MOST_FED]:
        sizes = ", ".join("?" if size is None else str(size) for size in each.shape or ())
        other = f" ({each.original} in the model)" if each.original not in ("", each.dtype) else ""
        told.append(f"{printable(each.name)}: {each.dtype} [{sizes}], {each.layout}{other}")
    more = len(found.inputs) - _MOST_FED
    fed = "; ".join(told) + (f" and {more} more" if more > 0 else "")
    return f"fed with {fed or 'nothing'}; MNN's schema has all its op types since {found.least_release}"


def _kept(found: KeptQuantized) -> str:
    """`11 of 12 nodes keep their quantised weights, of 4 bits; floats: /head (...)`."""
    bits = " and ".join(map(str, found.bits))
    keep = "keeps its" if found.kept == 1 else "keep their"
    told = f"{found.kept} of {counted(found.products, 'node')} {keep} quantised weights"
    told += f", of {bits} bits" if bits else ""
    left = ", ".join(f"{printable(each.node)} ({printable(each.reason)})" for each in found.left[:_MOST_LEFT])
    more = len(found.left) - _MOST_LEFT
    return f"{told}; floats: {left}" + (f" and {more} more" if more > 0 else "") if left else told


def _grown(result: ConvertResult, weights: IntegerWeights) -> str:
    kinds = " and ".join(weights.kinds)
    grew = f"the file grew from {size(result.source_bytes)} to {size(result.bytes)}"
    return f"{size(weights.bytes)} of {kinds} weights became floats: {grew}"


def _by_count(ops: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(ops.items(), key=lambda each: (-each[1], each[0]))


def _verdict(page: Page, result: ConvertResult) -> None:
    if result.verdict is Verdict.CONVERTED:
        _published(page, result)
        return
    page.line(_refused(result), style=Style.BAD)
    report = result.parity
    if report is not None and result.verdict in (Verdict.NOT_EXERCISED, Verdict.ONE_SIZE):
        for reason in reasons(report):
            page.line(printable(reason), lead="  ")
        page.line(way_out(report, "publishes it all the same"), lead="  hint: ")
    if result.verdict is Verdict.NO_SESSION and report is not None:
        page.line(session_way_out(report.session, result.recurrent), lead="  hint: ")
    for reason in result.exceeded:
        page.line(printable(reason), lead="  ")
    if result.hint:
        page.line(f"hint: {result.hint}", lead="  ")


def _refused(result: ConvertResult) -> str:
    report = result.parity
    if report is None:
        return _VERDICTS[result.verdict]
    if report.failures:
        return "not published: the comparison could not be made"
    if result.verdict is Verdict.NOT_EQUAL and report.device is not None and not report.lacks_on_host:
        return f"not published: {label(report)}"
    if result.verdict in (Verdict.NOT_EXERCISED, Verdict.ONE_SIZE):
        return f"not published: {label(report)}; {exercised(report)}"
    return _VERDICTS[result.verdict]


def _published(page: Page, result: ConvertResult) -> None:
    """What the file is, as far as that was proven."""
    source = model_name(result.source)
    rough = "" if result.fix is None or result.fix.approximation is None else " without its rounding"
    if result.fix is not None and result.fix.recorded is not None:
        rough += " with its noise as an input"
    computed = f"what {source} computes{rough}"
    told = f"{printable(str(result.out))} {_proven(result.parity, computed)}"
    if result.out is None:
        told = f"{source}, not written" + (f": {label(result.parity)}" if result.parity else "")
    if result.accepted:
        told += " (accepted)"
    power = "" if result.parity is None else f"; {exercised(result.parity)}"
    page.labelled("converted:", Style.WARN if result.accepted else Style.GOOD, f" {told}{power}", indent=4)
    for reason in reasons(result.parity) if result.parity is not None else ():
        page.line(printable(reason), lead="  ")


def _proven(report: ParityReport | None, computed: str) -> str:
    """`computes what model.onnx computes`, `is within 20.9 dB of what model.onnx computes`, or what was not proven."""
    if report is not None and report.device is not None:
        return f"against {computed}: {label(report)}"
    if report is None or report.verdict is ProofVerdict.EQUAL:
        return f"computes {computed}"
    if report.verdict is ProofVerdict.WITHIN:
        return f"is {label(report)} of {computed}"
    if report.verdict is ProofVerdict.ONE_SIZE and not report.is_rough:
        return f"is equal to {computed} for {compared_sizes(report.few_sizes)} only"
    return f"against {computed}: {label(report)}"
