"""What a comparison proved, in words: the same in every format.

label(report)       `equal`, `equal for batch 1 only`, `within 20.9 dB`, `not proven`, `NOT equal`
reasons(report)     what is missing for a proof, one line each
exercised(report)   `exercised 45 of 47 operators with weights; silent: Conv 'a', Conv 'b'`
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.report.measures import counted, decibel, share
from mnncompat.report.printable import printable
from mnncompat.results.proof_strength import BATCH_SIZES, ENOUGH, ProofVerdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.results.device_parity import DeviceParity
    from mnncompat.results.parity_report import ParityReport
    from mnncompat.results.proof_strength import Power, SizeCoverage

_MOST_NAMES = 10


def label(report: ParityReport) -> str:
    """What was proven, in a few words; where it was run on a device, what was proven where."""
    if report.device is None:
        return _on_host(report, report.verdict)
    here = report.lacks_on_host[0] if report.lacks_on_host else ProofVerdict.EQUAL
    return f"{_on_host(report, here)} on host; {on_device(report.device)}"


def on_device(found: DeviceParity) -> str:
    """`on arm64:a76 low within 58.2 dB, top-1 91%`."""
    place = f"on {printable(found.device)} {found.precision}"
    if found.failure:
        return f"{place} no outputs"
    top1 = "" if found.top1 is None else f", top-1 {share(found.top1)}"
    if not found.passed:
        return f"{place} NOT equal"
    return f"{place} {'equal' if found.verdict is ProofVerdict.EQUAL else f'within {decibel(found.snr_db)}'}{top1}"


def _on_host(report: ParityReport, verdict: ProofVerdict) -> str:
    match verdict:
        case ProofVerdict.DIFFERENT:
            return "NOT equal"
        case ProofVerdict.NOT_PROVEN:
            return "not proven"
        case ProofVerdict.ONE_SIZE:
            return f"{agreement(report)} for {compared_sizes(report.few_sizes)} only"
    return agreement(report)


def agreement(report: ParityReport) -> str:
    """How the outputs that agree do so: `equal`, `within 20.9 dB`."""
    return f"within {decibel(report.snr_db)}" if report.is_rough else "equal"


def compared_sizes(few: Sequence[SizeCoverage]) -> str:
    """`batch 1`, `batch 1 and 2, x axis 2 = 48`."""
    return ", ".join(_compared(each) for each in few)


def _compared(each: SizeCoverage) -> str:
    sizes = _listed([str(size) for size in each.sizes]) or "no size"
    if each.needed == BATCH_SIZES:
        return f"batch {sizes}"
    return f"{printable(each.dimension)} = {sizes}"


def reasons(report: ParityReport) -> list[str]:
    """What is missing for a proof beside `ParityReport.problems`, one line each: operators and sizes."""
    power = report.power
    found = []
    if power is not None and not power.is_enough:
        found.append(power_reason(power))
    found += [size_reason(each) for each in report.few_sizes]
    return found


def way_out(report: ParityReport, effect: str) -> str:
    """What helps, and which option accepts it: `give real data with --input; --accept not-proven ...`."""
    may_show = ProofVerdict.NOT_PROVEN in report.lacks and not report.undetermined
    is_sample = report.power is None or report.power.is_sample
    data = "real data may show more: --input; " if may_show and is_sample else ""
    return f"{data}`--accept {','.join(report.lacks)}` {effect}"


def power_reason(power: Power) -> str:
    """Why wrong operators may not show, in one line."""
    if power.is_sample:
        return f"wrong operators may not show: a proof exercises {ENOUGH:.0%} of the operators with weights"
    tried = f"a fault could be tried in {power.tried} of {counted(power.tried + len(power.untried), 'operator')}"
    return f"wrong operators may not show: {tried} with weights"


def size_reason(each: SizeCoverage) -> str:
    """Which sizes are missing, in one line."""
    what = f"the batch ({printable(each.dimension)})" if each.needed == BATCH_SIZES else printable(each.dimension)
    sizes = _listed([str(size) for size in each.sizes])
    at = f"at {sizes} alone" if sizes else "at no size"
    return f"{what} is dynamic, and was proven {at}: a proof takes {counted(each.needed, 'size')}"


def exercised(report: ParityReport) -> str:
    """Which operators with weights the comparison would have caught, had they been wrong."""
    power = report.power
    if power is None:
        return "power not measured"
    if not power.tried and not power.untried:
        return "no operators with weights"
    text = f"exercised {len(power.exercised)} of {counted(power.tried, 'operator')} with weights"
    for what, names in (("silent", power.silent), ("not tried", power.untried)):
        if names:
            text += f"; {what}: {shortened(names)}"
    return text


def shortened(names: Sequence[str]) -> str:
    """The first ten names, and how many more there are."""
    left = len(names) - _MOST_NAMES
    return ", ".join(map(printable, names[:_MOST_NAMES])) + (f" and {left} more" if left > 0 else "")


def _listed(words: Sequence[str]) -> str:
    """`1`, `1 and 2`, `1, 2 and 3`."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
