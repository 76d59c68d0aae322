"""`--transform`, `--labels`, `--metric` and `--variant`: what the model is for, beside what it computes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from mnncompat.cli.data_options import DataOptions, named_values
from mnncompat.cli.declared import option
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from mnncompat.deploying.accuracy import Variant
    from mnncompat.graph.model_file import Model
    from mnncompat.mnn import Failure, Limits
    from mnncompat.parity import RealData
    from mnncompat.parity.real_data import InputData
    from mnncompat.report import Verified
    from mnncompat.results.accuracy import AccuracyReport
    from mnncompat.results.preprocess_report import PreprocessReport

Transforms = Annotated[
    list[str] | None,
    option(
        "--transform",
        metavar="NAME=MODULE:FUNCTION",
        help="The training transform of an input that is fed with images: it gets a PIL image. With --preprocess both "
        "are compared, and differences are named; without it the model is fed with what it gives. Repeatable.",
    ),
]
Labels = Annotated[
    Path | None,
    option(
        "--labels",
        metavar="FILE",
        help="Labels of the samples, one a line, `file,label` lines, or a .npy: tells the accuracy of both sides.",
    ),
]
MetricOption = Annotated[
    str | None,
    option("--metric", metavar="MODULE:FUNCTION", help="With --labels: scores the outputs of all samples, not top-1."),
]
Variants = Annotated[
    list[str] | None,
    option(
        "--variant",
        metavar="SPEC",
        help="With --labels: another way of deployment in the table: `weights=8`, `weights=fp16`, "
        "`device=arm64,precision=low`, or both. Repeatable.",
    ),
]
_MOST_DRAWS = 16
"""Labelled samples that the comparison of outputs runs as well."""
_BITS = {"fp16": 16, **{str(bits): bits for bits in range(2, 9)}}
_FORM = "--variant weights=8, --variant device=arm64,precision=low"
_IMAGE_AXES = 4


class TaskOptions(NamedTuple):
    """What the model is for."""

    transform: Transforms = None
    labels: Labels = None
    metric: MetricOption = None
    variant: Variants = None

    def read(self, data: DataOptions, model: Path | None) -> RealData:
        """The samples; those of inputs with a transform alone are what it gives.

        Raises:
            UsageError: An option is malformed, or what it names gives no arrays.
        """
        self._require()
        transforms = named_values("--transform", self.transform, "NAME=FILE.py:FUNCTION")
        given = named_values("--input", data.data, "NAME=PATH")
        declared = named_values("--preprocess", data.preprocess, "NAME=STEPS")
        for name in transforms:
            if name not in given:
                raise UsageError(f"--transform {name}: there are no images for it", hint=f"--input {name}=FOLDER")
        alone = {name: target for name, target in transforms.items() if name not in declared}
        others = [f"{name}={path}" for name, path in given.items() if name not in alone]
        found = data._replace(data=others or None, data_only=data.data_only and not alone).read()
        if not alone or model is None:
            return found
        made = {name: _samples(model, name, Path(given[name]), target) for name, target in alone.items()}
        return replace(found, inputs={**found.inputs, **made}, only=data.data_only)

    def compared(self, data: RealData) -> RealData:
        """The samples whose outputs are compared: all, or the first ones if they are labelled."""
        if self.labels is None:
            return data
        first = {name: replace(each, samples=each.samples[:_MOST_DRAWS]) for name, each in _rows(data).inputs.items()}
        return replace(data, inputs=first, feeds=data.feeds[:_MOST_DRAWS])

    def told(
        self, verified: Verified, data: DataOptions, samples: RealData, limits: Limits, shape: list[str] | None
    ) -> Verified:
        """With what was found about the preprocessing and the accuracy.

        Raises:
            UsageError: Images, labels, a transform or a metric do not fit.
        """
        transforms = named_values("--transform", self.transform, "NAME=FILE.py:FUNCTION")
        steps = named_values("--preprocess", data.preprocess, "NAME=STEPS")
        paths = named_values("--input", data.data, "NAME=PATH")
        tried = (_prepared(name, paths[name], each, transforms.get(name, ""), limits) for name, each in steps.items())
        prepared = tuple(each for each in tried if each is not None)
        accuracy = None if self.labels is None else self._accuracy(self.labels, verified, samples, limits, shape)
        return replace(verified, preprocess=prepared, accuracy=accuracy)

    def _accuracy(
        self, labels: Path, verified: Verified, samples: RealData, limits: Limits, shape: list[str] | None
    ) -> AccuracyReport:
        from mnncompat.cli import options
        from mnncompat.deploying.accuracy import Labelled, measure_accuracy, sample_names, scored_output
        from mnncompat.deploying.labels import own_metric, read_labels, top_metric
        from mnncompat.graph.model_file import load

        model = load(Path(verified.source))
        names, feeds = sample_names(model, samples, options.parse_shapes(shape, model))
        output = "" if self.metric else scored_output(model)
        metric = own_metric(self.metric) if self.metric else top_metric(output)
        labelled = Labelled(path=labels, feeds=feeds, labels=read_labels(labels, names), metric=metric, output=output)
        convert = partial(_rounded, model, limits)
        return measure_accuracy(model, Path(verified.file), labelled, self._variants(), convert=convert, limits=limits)

    def _variants(self) -> list[Variant]:
        return [_variant(each) for each in self.variant or ()]

    def _require(self) -> None:
        if self.labels is None and (self.metric or self.variant):
            wanted = "--metric" if self.metric else "--variant"
            raise UsageError(f"{wanted} is about the accuracy on labels", hint="add --labels FILE")
        if self.labels is not None and not self.labels.is_file():
            raise UsageError(f"--labels {self.labels}: no such file", hint="check the path")
        self._variants()


NO_TASK = TaskOptions()
"""As it is by default."""


def _rounded(model: Model, limits: Limits, bits: int, out: Path) -> Path | Failure:
    """Rewrite a model as `convert` does, and convert it with rounded weights."""
    from mnncompat.converting.handed_model import convert_handed
    from mnncompat.fixing.transaction import fix_model
    from mnncompat.mnn import ConvertOptions, Failure

    fixed = fix_model(model, prove=False)
    wanted = ConvertOptions(fp16=True) if bits == _BITS["fp16"] else ConvertOptions(weight_bits=bits)
    spare = out.with_suffix(".onnx")
    found = convert_handed(fixed.model, spare, out, wanted, limits, is_original=not fixed.changed)
    return found if isinstance(found, Failure) else out


def _variant(text: str) -> Variant:
    from mnncompat.cli.device_options import parse_where
    from mnncompat.deploying.accuracy import Variant

    parts = dict(each.split("=", 1) for each in text.split(",") if "=" in each)
    unknown = [each for each in parts if each not in ("weights", "device", "precision")]
    if not parts or unknown or len(parts) != len(text.split(",")):
        raise UsageError(f"--variant {text} is not understood", hint=_FORM)
    weights = parts.get("weights")
    if weights is not None and weights not in _BITS:
        raise UsageError(f"--variant {text}: there are no weights of {weights}", hint="2 to 8 bits, or fp16")
    if "precision" in parts and "device" not in parts:
        raise UsageError(f"--variant {text}: precision makes no difference on this machine", hint=_FORM)
    where = parse_where(parts.get("device"), parts.get("precision"), 1) if "device" in parts else None
    return Variant(weights=_BITS[weights] if weights else 0, where=where)


def _samples(model: Path, name: str, path: Path, target: str) -> InputData:
    from mnncompat.deploying.preprocess_check import transformed
    from mnncompat.graph.model_file import load
    from mnncompat.parity.real_data import InputData, Sample, image_files
    from mnncompat.parity.signature import input_signature

    files = image_files(name, path)
    if not files:
        raise UsageError(f"--transform {name}: {path} holds no images", hint=f"--input {name}=FOLDER of images")
    spec = next((each for each in input_signature(load(model).skeleton) if each.name == name), None)
    axes = None if spec is None or spec.shape is None else len(spec.shape)
    arrays = transformed(files, target)
    if axes == _IMAGE_AXES:
        arrays = [each[None] if each.ndim == axes - 1 else each for each in arrays]
    named = zip(files, arrays, strict=True)
    return InputData(samples=tuple(Sample(name=f"sample {file.name}", array=array) for file, array in named))


def _prepared(name: str, path: str, steps: str, transform: str, limits: Limits) -> PreprocessReport | None:
    from mnncompat.deploying.preprocess_check import check_preprocess
    from mnncompat.parity.images import parse_preprocess
    from mnncompat.parity.real_data import image_files

    files = image_files(name, Path(path))
    if not files:
        return None
    preprocess = parse_preprocess(f"--preprocess {name}", steps)
    return check_preprocess(name, files, preprocess, steps, transform, limits=limits)


def _rows(data: RealData) -> RealData:
    """Samples in rows of one array as arrays of their own, so that they can be counted."""
    from mnncompat.parity.real_data import Sample

    found: dict[str, InputData] = {}
    for name, each in data.inputs.items():
        (first, *more) = each.samples
        if each.may_be_stacked and not more and len(first.array) > _MOST_DRAWS:
            found[name] = replace(each, samples=(Sample(name=first.name, array=first.array[:_MOST_DRAWS]),))
        else:
            found[name] = each
    return replace(data, inputs=found)
