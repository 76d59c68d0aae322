"""Export every module of the corpus, fix it, convert it, and compare MNN with torch.

    python tests/torchmodules/measure_torch.py                      # both exporters, opsets 11 to 20
    python tests/torchmodules/measure_torch.py --only conv2d --opset 17 --exporter torchscript

Prints one line for each export that is not right, and the share that is, with and without `fix`. What the exporter
itself refuses, or exports as something else than torch computes, is counted apart: there is nothing to convert.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import sys
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from onnx import ModelProto

from mnncompat.parity.runners import OnnxRunner
from mnncompat.probe.before_after import attempt
from mnncompat.probe.case import Case
from mnncompat.probe.judge import judge
from mnncompat.probe.measurement import Aspect, Outcome
from mnncompat.probe.prober import LIMITS, Prober
from mnncompat.results.failures import Failure
from mnncompat.support.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from torch_corpus import Entry

TORCHSCRIPT, DYNAMO = "torchscript", "dynamo"
OPSETS = range(11, 21)


class Job(NamedTuple):
    """One export."""

    name: str
    exporter: str
    opset: int


class Result(NamedTuple):
    """Outcome of one export: `before` and `after` are `Measurement.code`; both are empty if the export is wrong."""

    job: Job
    before: str = ""
    after: str = ""
    words: str = ""


def case_of(entry: Entry, job: Job) -> Case:
    """Export a module, and take torch's own outputs as the right ones.

    Raises:
        Exception: Whatever the exporter raises; NotImplementedError if it writes another opset.
    """
    import torch

    torch.manual_seed(0)
    module = entry.build().eval()
    torch.manual_seed(1)
    inputs = entry.inputs()
    with torch.no_grad():
        expected = _flat(module(*inputs))
    buffer = io.BytesIO()
    if job.exporter == DYNAMO:
        program: Any = torch.onnx.export(
            module, inputs, dynamo=True, opset_version=job.opset, verbose=False, external_data=False
        )
        model = program.model_proto
        (written,) = (each.version for each in model.opset_import if not each.domain)
        if written != job.opset:  # it writes opset 18 and converts from there, if it can
            raise NotImplementedError(f"the exporter keeps opset {written}")
    else:
        torch.onnx.export(module, inputs, cast("Any", buffer), dynamo=False, opset_version=job.opset)
        model = ModelProto.FromString(buffer.getvalue())
    given = {tensor.name for tensor in model.graph.initializer}
    fed = [value.name for value in model.graph.input if value.name not in given]
    return Case(
        id=f"torch:{job.name}-{job.exporter}-{job.opset}",
        op=job.name,
        model=model.SerializeToString(),
        feeds={name: value.numpy() for name, value in zip(fed, inputs, strict=False)},
        expected={value.name: array.numpy() for value, array in zip(model.graph.output, expected, strict=True)},
        atol=1e-5,
    )


def _flat(found: Any) -> list[torch.Tensor]:
    if isinstance(found, (tuple, list)):
        return [tensor for each in found for tensor in _flat(each)]
    return [found.detach()]


def is_faithful(case: Case) -> bool:
    """False if ONNX Runtime does not compute either what torch computed."""
    found = OnnxRunner(ModelProto.FromString(case.model)).run([case.feeds])
    return isinstance(found, Failure) or judge(case, found[0])[0] is Aspect.NONE


def measure(jobs: list[Job]) -> list[Result]:
    """Measure a share of the jobs; runs in a process of its own."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    from torch_corpus import CORPUS

    entries, target = {entry.name: entry for entry in CORPUS}, Target()
    silence = contextlib.redirect_stdout(io.StringIO())  # exporters print what they could not export
    with silence, Prober(limits=replace(LIMITS, seconds=30.0)) as prober:
        return [_measured(entries[job.name], job, prober, target) for job in jobs]


def _measured(entry: Entry, job: Job, prober: Prober, target: Target) -> Result:
    try:
        case = case_of(entry, job)
    except Exception as error:  # noqa: BLE001 - exporters raise anything
        return Result(job, words=f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}")
    before = prober.measure(case)
    fixed = attempt(case, target)
    after = before if fixed.model is None else prober.measure(replace(case, model=fixed.model))
    if after.outcome is not Outcome.OK and not is_faithful(case):
        return Result(job, words="the export is not what torch computes")
    words = [", ".join(fixed.applied), fixed.problem, after.detail]
    return Result(job, before.code, after.code, "; ".join(filter(None, words)))


def jobs_of(names: list[str], exporters: list[str], opsets: list[int]) -> Iterator[Job]:
    """The exports that are asked for."""
    from torch_corpus import CORPUS

    for entry in CORPUS:
        for exporter in exporters:
            for opset in OPSETS:
                if (not names or entry.name in names) and (not opsets or opset in opsets):
                    yield Job(entry.name, exporter, opset)


def report(results: list[Result]) -> str:
    """The lines that are printed."""
    lines = [
        f"{r.job.name} {r.job.exporter} {r.job.opset}: {r.after}  {r.words}"
        for r in results
        if r.after not in ("", "ok")
    ]
    for exporter in (TORCHSCRIPT, DYNAMO):
        those = [each for each in results if each.job.exporter == exporter]
        exported = [each for each in those if each.after]
        if not exported:
            continue
        right = Counter[str]()
        for each in exported:
            right["before"] += each.before == Outcome.OK.value
            right["after"] += each.after == Outcome.OK.value
            right["broken"] += each.before == Outcome.OK.value != each.after
        share = {key: 100 * right[key] / len(exported) for key in ("before", "after")}
        lines.append(
            f"{exporter}: {len(exported)} exports of {len({each.job.name for each in exported})} modules "
            f"({len(those) - len(exported)} refused by the exporter): right as exported {right['before']} "
            f"({share['before']:.1f} %), after fix {right['after']} ({share['after']:.1f} %), broken {right['broken']}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--exporter", action="append", default=[], choices=[TORCHSCRIPT, DYNAMO])
    parser.add_argument("--opset", action="append", default=[], type=int)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    jobs = list(jobs_of(arguments.only, arguments.exporter or [TORCHSCRIPT, DYNAMO], arguments.opset))
    shares = [jobs[start :: arguments.jobs * 8] for start in range(arguments.jobs * 8)]
    with ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn")) as pool:
        results = [each for share in pool.map(measure, filter(None, shares)) for each in share]
    sys.stdout.write(report(sorted(results, key=lambda each: each.job)) + "\n")


if __name__ == "__main__":
    main()
