"""The text of an issue about a repro, for those who maintain MNN."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import onnx

from mnncompat.diagnosing.environment import versions
from mnncompat.report.printable import printable, printable_lines

if TYPE_CHECKING:
    from mnncompat.devices.device import Where
    from mnncompat.diagnosing.bench import Outcome
    from mnncompat.diagnosing.excerpts import Excerpt
    from mnncompat.mnn import ConvertOptions
    from mnncompat.results.diagnosis import Culprit

_MARKUP = re.compile(r"[\\`*_<>\[\]#@&|~!]")
_TICKS = re.compile("`+")
_ELEMENTS = 16
_LONGEST_MODEL = 4000


def issue(
    part: Excerpt, outcome: Outcome, culprit: Culprit, options: ConvertOptions, where: Where | None = None
) -> str:
    """The text, in Markdown.

    Args:
        part: The minimal model and its data.
        outcome: What MNN does with it.
        culprit: What was found in the whole model.
        options: Of the conversion.
        where: The device that shows it; None for this machine.
    """
    ops = " + ".join(dict.fromkeys(node.op_type for node in part.model.graph.node))
    opset = next((each.version for each in part.model.opset_import if each.domain in ("", "ai.onnx")), 0)
    argv = " ".join(options.argv()) or "none"
    title, text = _plain(_title(outcome)), _model_text(part)
    fence = _fence(text)
    parts = [
        f"# {_plain(ops)} (opset {opset}): {title}",
        "",
        f"{title[:1].upper()}{title[1:]}. ONNX Runtime is the reference.",
        "",
        "## Environment",
        "",
        *(f"- {name}: {version}" for name, version in versions().items()),
        f"- options of the converter: {argv}",
        *([] if where is None else [_on_device(where)]),
        "",
        "## Model",
        "",
        fence,
        text,
        fence,
        "",
        "## Expected and actual",
        "",
        *_values(part, outcome),
        "",
        *_helps(culprit),
        "## To reproduce",
        "",
        "`python repro.py` in this folder; it needs onnx, onnxruntime, numpy and MNN.",
        "",
    ]
    return "\n".join(parts)


def _on_device(where: Where) -> str:
    """Where MNN ran; the reference and the converter did on the platform above."""
    threads = "one thread" if where.threads == 1 else f"{where.threads} threads"
    return f"- run on {_plain(str(where.device))}, precision {where.precision.value}, {threads}; converted as above"


def _plain(text: str) -> str:
    """A text of others as one line of Markdown that means nothing but its words."""
    return _MARKUP.sub(r"\\\g<0>", printable(text))


def _code(text: str) -> str:
    """A name as a code span, which ends where the name does."""
    fence = "`" * (1 + max(map(len, _TICKS.findall(text)), default=0))
    space = " " if "`" in text else ""
    return f"{fence}{space}{printable(text)}{space}{fence}"


def _fence(text: str) -> str:
    return "`" * max(3, 1 + max(map(len, _TICKS.findall(text)), default=0))


def _title(outcome: Outcome) -> str:
    if outcome.failure is not None:
        return outcome.failure.message
    return f"wrong results, {outcome.words}"


def _model_text(part: Excerpt) -> str:
    """The model in ONNX's text, unless it is long."""
    text = "\n".join(printable_lines(str(onnx.printer.to_text(part.model))))
    return text if len(text) <= _LONGEST_MODEL else f"{text[:_LONGEST_MODEL]}\n... (model.onnx has all of it)"


def _values(part: Excerpt, outcome: Outcome) -> list[str]:
    lines = []
    for name, array in part.feeds.items():
        lines.append(f"- input {_code(name)} {array.dtype.name}{list(array.shape)}: {_few(array)}")
    for name, array in part.expected.items():
        lines.append(f"- expected {_code(name)} {array.dtype.name}{list(array.shape)}: {_few(array)}")
        if name in outcome.outputs:
            found = outcome.outputs[name]
            lines.append(f"- actual {_code(name)} {found.dtype.name}{list(found.shape)}: {_few(found)}")
    if outcome.failure is not None:
        lines.append(f"- actual: {_plain(outcome.failure.message)}")
    return lines


def _helps(culprit: Culprit) -> list[str]:
    right = [each.what for each in culprit.attempts if each.helps]
    wrong = [each.what for each in culprit.attempts if not each.helps]
    if not right and not wrong:
        return []
    lines = ["## What was tried", ""]
    lines += [f"- right with: {', '.join(right)}"] if right else []
    lines += [f"- still wrong with: {', '.join(wrong)}"] if wrong else []
    return [*lines, ""]


def _few(array: np.ndarray) -> str:
    flat = np.array2string(array.reshape(-1)[:_ELEMENTS], separator=", ", precision=6).replace("\n", "")
    return flat if array.size <= _ELEMENTS else f"{flat[:-1]}, ...]"
