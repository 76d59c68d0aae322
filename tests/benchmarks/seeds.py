"""False alarms of `verify`: models that MNN computes right, each with many seeds.

    python tests/benchmarks/seeds.py                                   # all models, 20 seeds
    python tests/benchmarks/seeds.py --models vad bert --seeds 5
    python tests/benchmarks/seeds.py --kind small --first-seed 20

Every model is fixed and converted once, without proof, then compared with every seed, without any option. A comparison
ends in one of these ways:

    passed      equal
    inputs      a refusal for the inputs' sake: ONNX Runtime refuses them, or nothing finite was compared or proven
    differs     a difference in numbers: a false alarm, or MNN is wrong
    mnn         MNN computed nothing

The exit status is 1 if any comparison is not `passed`. Trained models are downloaded once, see `trained.py`. Run all of
it with `make seeds`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import NamedTuple

import onnx
from onnx.backend.test import loader

import mnncompat
from mnncompat.graph.model_file import save
from mnncompat.mnn import Converted, ConvertOptions, Limits, convert
from mnncompat.results.parity_report import ParityReport

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "inputs"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "seeds"))
import networks
import test_small_models
import trained

REAL, SMALL, TINY = "real", "small", "tiny"
SEEDS = 20
CONVERTED = (
    *("Conv1d", "Conv2d_depthwise", "Conv2d_dilated", "Conv3d", "ConvTranspose2d", "ELU", "Embedding", "GLU"),
    *("Linear", "MaxPool2d", "PReLU_2d_multiparam", "PixelShuffle", "Softplus", "log_softmax_lastdim"),
)
"""Names among the ONNX package's tests that were converted from torch."""


WRONG = frozenset(("count-rows-of-trips", "probability-below-noise", "probability-bernoulli"))
"""Models of a few nodes that MNN crashes on or refuses, or whose outputs are random."""


class Subject(NamedTuple):
    """A model.

    Attributes:
        name: What the table calls it.
        kind: `REAL`, `SMALL` or `TINY`.
        write: Puts it into a folder, or says where it is.
    """

    name: str
    kind: str
    write: Callable[[Path], Path]


class Row(NamedTuple):
    """What came of one model.

    Attributes:
        ways: How often its comparisons ended in which way.
        ratio: The largest error ratio of a comparison that counts.
        inconclusive: How many draws proved nothing.
        seconds: Of the slowest comparison.
        words: What was said the first time that it did not pass.
    """

    ways: Counter[str]
    ratio: float
    inconclusive: int
    seconds: float
    words: str


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--models", nargs="*", default=[], metavar="NAME", help="only these")
    parser.add_argument("--kind", choices=(REAL, SMALL, TINY), help="only those of this kind")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="seeds per model (%(default)s)")
    parser.add_argument("--first-seed", type=int, default=0, help="the first of them (%(default)s)")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    options = parser.parse_args(arguments)
    known = {subject.name: subject for subject in subjects()}
    unknown = [name for name in options.models if name not in known]
    if unknown:
        parser.error(f"no such models: {', '.join(unknown)}; --list prints the names")
    chosen = [known[name] for name in options.models] or [
        each for each in known.values() if options.kind in (None, each.kind)
    ]
    if options.list:
        print("\n".join(f"{each.kind}  {each.name}" for each in chosen))
        return 0
    return measure(chosen, range(options.first_seed, options.first_seed + options.seeds))


def subjects() -> Iterator[Subject]:
    """All models: trained ones and the ONNX package's networks, small ones, and those of a few nodes."""
    for name, model in trained.MODELS.items():
        yield Subject(name, REAL, lambda _, path=model.path: trained.wheels() / path)  # type: ignore[misc]
    for name, path in trained.MORE.items():
        yield Subject(name, REAL, lambda _, path=path: trained.wheels(trained.MORE_WHEELS) / path)  # type: ignore[misc]
    for name in networks.NETWORKS:
        yield Subject(name, SMALL, lambda folder, name=name: _exported(name, folder))  # type: ignore[misc]
    cases = {case.name: case for case in loader.load_model_tests(kind="pytorch-converted")}
    for name in CONVERTED:
        case = cases[f"test_{name}"]
        yield Subject(f"torch-{name}", SMALL, lambda _, case=case: Path(case.model_dir) / "model.onnx")  # type: ignore[misc]

    for name, small in test_small_models.MODELS.items():
        if not name.startswith("random-") and name not in WRONG:
            yield Subject(f"{TINY}-{name}", TINY, lambda folder, small=small: _saved(small.model(), folder))  # type: ignore[misc]


def _exported(name: str, folder: Path) -> Path:
    return _saved(networks.export(name), folder)


def _saved(model: onnx.ModelProto, folder: Path) -> Path:
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def measure(chosen: Sequence[Subject], seeds: range) -> int:
    """Compare every model with every seed, and print a line for each and the sums."""
    total: dict[str, Counter[str]] = {}
    print(f"{'model':<37}{'kind':<7}{'passed':>7}{'inputs':>7}{'differs':>8}{'mnn':>5}  worst ratio  inconcl.  slowest")
    for subject in chosen:
        with tempfile.TemporaryDirectory() as folder:
            row = measured(subject, seeds, Path(folder))
        sums = total.setdefault(subject.kind, Counter())
        sums["models"] += 1
        sums["right"] += row.ways["passed"] == len(seeds)
        sums.update(row.ways)
        print(
            f"{subject.name:<37}{subject.kind:<7}{row.ways['passed']:>7}{row.ways['inputs']:>7}{row.ways['differs']:>8}"
            f"{row.ways['mnn']:>5}  {row.ratio:>11.3f}  {row.inconclusive:>8}  {row.seconds:>6.2f}s  {row.words}",
            flush=True,
        )
    for kind, sums in total.items():
        print(
            f"{kind}: {sums['models']} models x {len(seeds)} seeds: {sums['passed']} passed, {sums['inputs']} refused "
            f"for the inputs' sake, {sums['differs']} differ, {sums['mnn']} times MNN computed nothing, "
            f"{sums['unconverted']} models not converted; {sums['right']} models passed with every seed"
        )
    return int(any(sums["right"] != sums["models"] for sums in total.values()))


def measured(subject: Subject, seeds: range, folder: Path) -> Row:
    """All comparisons of one model."""
    path = subject.write(folder)
    fixed = mnncompat.fix(path, prove=False)
    source = path
    if fixed.changed:
        source = folder / "fixed.onnx"
        save(fixed.model, source)
    converted = convert(source, folder / "model.mnn", options=ConvertOptions(), limits=Limits())
    if not isinstance(converted, Converted):
        return Row(Counter(unconverted=1), 0.0, 0, 0.0, converted.message)
    ways: Counter[str] = Counter()
    ratio, slowest, inconclusive, words = 0.0, 0.0, 0, ""
    for seed in seeds:
        begin = time.perf_counter()
        report = mnncompat.verify(path, folder / "model.mnn", seed=seed)
        slowest = max(slowest, time.perf_counter() - begin)
        way = way_of(report)
        ways[way] += 1
        comparisons = [each for output in report.outputs for each in output.comparisons]
        ratios = [each.error_ratio for each in comparisons if not each.inconclusive and isfinite(each.error_ratio)]
        ratio = max([ratio, *ratios])
        inconclusive += sum(each.inconclusive for each in comparisons)
        if way != "passed" and not words:
            words = f"seed {seed}: {report.problems[0]}" + (f" ({report.notes[0]})" if report.notes else "")
    return Row(ways, ratio, inconclusive, slowest, words)


def way_of(report: ParityReport) -> str:
    """How a comparison ended, in one word."""
    if report.passed:
        return "passed"
    if report.failures:
        return "mnn" if all(each.runner == "MNN" for each in report.failures) else "inputs"
    failed = [output for output in report.outputs if not output.passed]
    if any(each.problems for output in failed for each in output.comparisons):
        return "differs"
    return "inputs"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
