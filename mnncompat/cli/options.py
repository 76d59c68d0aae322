"""Arguments and options that several commands share, and the parsing of their values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mnncompat.cli.console import note
from mnncompat.cli.declared import option
from mnncompat.cli.model_arguments import ALL_MODELS, Models, OneModel, SearchOptions
from mnncompat.cli.report_options import Format
from mnncompat.errors import UsageError
from mnncompat.results.renamed_rules import current_name, notice

if TYPE_CHECKING:
    from mnncompat.fixing.selection import Chosen
    from mnncompat.graph.model_file import Model
    from mnncompat.parity import Tolerance
    from mnncompat.results.proof_strength import ProofVerdict

__all__ = ["ALL_MODELS", "Format", "Models", "OneModel", "SearchOptions"]

MOST_SEED = 2**63 - 1
"""The largest seed."""

Out = Annotated[
    Path | None,
    option("-o", "--output", metavar="OUT", help="Where to write the result: a file, or a folder that exists."),
]
MnnVersion = Annotated[
    str | None,
    option(
        "--mnn",
        metavar="VERSION",
        help="MNN release to check against: 0.1.1.2 to the newest, or `latest`. [default: the installed one]",
    ),
]
Select = Annotated[
    list[str] | None,
    option("--select", metavar="RULE", help="Only these rules: code, start of a code, or name. Repeatable."),
]
Ignore = Annotated[
    list[str] | None,
    option("--ignore", metavar="RULE", help="Not these rules: code, start of a code, or name. Repeatable."),
]
Unsafe = Annotated[bool, option("--unsafe-fixes", help="Apply unsafe rewrites too.")]
Shapes = Annotated[
    list[str] | None,
    option(
        "--shape",
        metavar="NAME:DIMS",
        help="Shape of an input that the runs begin with: `image:1,3,224,224`. Nothing is fixed to it; "
        "`mnncompat fix --shape` does that. Repeatable.",
    ),
]
Seed = Annotated[int, option("--seed", min=0, max=MOST_SEED, help="Seed of the drawn inputs.")]
Tolerances = Annotated[
    list[str] | None,
    option(
        "--tolerance",
        metavar="[OUTPUT=]RTOL",
        help="Relative tolerance, for one output or for all: `logits=1e-2`. Repeatable.",
    ),
]

Accept = Annotated[
    list[str] | None,
    option(
        "--accept",
        metavar="WORD",
        help="What may be missing for a proof: `not-proven` (too few operators exercised, or random outputs), "
        "`one-size` (a dynamic dimension at too few sizes). Separated by commas, or repeated.",
    ),
]
Diagnosed = Annotated[
    bool, option("--diagnose", help="Where the outputs differ, say which node it is: see `mnncompat diagnose`.")
]
Power = Annotated[
    bool,
    option("--power/--no-power", help="Measure which operators the comparison would have caught if wrong."),
]


# ---- of `check` ------------------------------------------------------------------------------------------------------

FailOn = Annotated[
    str,
    option(
        "--fail-on",
        metavar="LEVEL",
        help="Findings that make the exit status 1: error, warning, performance (warnings about speed and size too) or "
        "never.",
    ),
]
ProbeNodes = Annotated[
    bool, option("--probe", help="Measure each distinct node on the installed MNN as well; takes seconds.")
]
Backends = Annotated[
    list[str] | None,
    option(
        "--backend",
        metavar="NAME",
        help="Also convert with the installed MNN, and say which ops run on this backend: nnapi, coreml, opencl, ... "
        "Repeatable.",
    ),
]

# ---- of `fix` --------------------------------------------------------------------------------------------------------

InPlace = Annotated[bool, option("--in-place", help="Overwrite the models.")]
ShowDiff = Annotated[
    bool,
    option("--diff", help="Show removed, added and changed nodes. Without -o or --in-place nothing is written."),
]
Annotate = Annotated[
    bool,
    option("--annotate", help="Write findings about the result into it, as metadata of its nodes: Netron shows them."),
]
FixVersion = Annotated[
    str | None,
    option("--mnn", metavar="VERSION", help="MNN release to rewrite for, or `latest`. [default: the installed one]"),
]
Prove = Annotated[bool, option("--verify/--no-verify", help="Prove under ONNX Runtime that the result is equal.")]
Embedded = Annotated[
    list[str] | None,
    option(
        "--embed-preprocess",
        metavar="NAME=STEPS",
        help="Put scale, mean, std, order of colours and layout into the model: the input then takes uint8 images, "
        "[batch, height, width, 3]: `image=scale:255,mean:0.5,std:0.5`. Repeatable.",
    ),
]
Freeze = Annotated[
    list[str] | None,
    option(
        "--shape",
        metavar="NAME:DIMS",
        help="Fix a dynamic input to this shape, and fold what becomes constant: `image:1,3,224,224`. Unsafe by "
        "nature: the result takes no other shape. Of `convert`, `verify` and `check`, --shape fixes nothing. "
        "Repeatable.",
    ),
]

# ---- of `convert` ----------------------------------------------------------------------------------------------------

DryRun = Annotated[bool, option("--dry-run", help="Do everything but write the .mnn file.")]
Rewritten = Annotated[bool, option("--fix/--no-fix", help="Rewrite before the conversion.")]
Fp16 = Annotated[bool, option("--fp16", help="Store weights as float16.")]
WeightBits = Annotated[int, option("--weight-bits", help="Quantise weights to 2 to 8 bits; 0: do not.")]
ExternalWeights = Annotated[
    bool,
    option("--external-weights", help="Write weights to a file beside OUT: takes far less memory. Always above 2 GB."),
]
ExactGelu = Annotated[
    bool, option("--exact-gelu", help="Compute GELU with erf; MNN's approximation is off by up to 4.7e-4.")
]
MaybeExactGelu = Annotated[
    bool | None,
    option(
        "--exact-gelu/--no-exact-gelu",
        help="Compute GELU with erf; MNN's approximation is off by up to 4.7e-4. [default: where only that agrees]",
    ),
]
TargetVersion = Annotated[
    str | None,
    option("--target-version", metavar="MAJOR.MINOR", help="Oldest MNN that has to read the file."),
]
OptimizeLevel = Annotated[int | None, option("--optimize-level", help="The converter's graph optimisation: 0, 1 or 2.")]
Time = Annotated[
    bool,
    option("--time", help="Measure the latency of the file here, and that of the model converted without rewrites."),
]

# ---- of `probe` ------------------------------------------------------------------------------------------------------

CaseJobs = Annotated[int | None, option("--jobs", min=1, help="Cases at a time. [default: one per core]")]
Recorded = Annotated[Path | None, option("--out", metavar="FILE", help="Write what was measured.")]
Python = Annotated[
    Path | None,
    option("--python", metavar="PATH", help="Interpreter of an environment that has the MNN to measure."),
]


def split_names(values: Sequence[str] | None, option: str) -> tuple[str, ...]:
    """Names given one by one or separated by commas; a `UsageError` for an option that names nothing."""
    if any(not value.strip(", ") for value in values or ()):
        raise UsageError(f"{option} names nothing", hint=f"leave {option} out, or name something after it")
    return tuple(part.strip() for value in values or () for part in value.split(",") if part.strip())


def chosen_rules(select: Sequence[str] | None, ignore: Sequence[str] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What ``--select`` and ``--ignore`` name; old names are replaced by those of today, with a notice."""
    chosen = split_names(select, "--select"), split_names(ignore, "--ignore")
    for each in dict.fromkeys((*chosen[0], *chosen[1])):
        tell_renamed(each)
    return tuple(map(current_name, chosen[0])), tuple(map(current_name, chosen[1]))


def tell_renamed(name: str) -> None:
    """Say on stderr that a rule has another name now."""
    told = notice(name)
    if told:
        note(f"note: {told}")


def chosen_rewrites(select: Sequence[str] | None, ignore: Sequence[str] | None, *, unsafe: bool) -> Chosen:
    """The rewrites that the options choose, and the findings to remove by them.

    Raises:
        UsageError: An entry means no rule at all.
    """
    from mnncompat.checking.rule_catalog import is_rule, require_rules
    from mnncompat.fixing.selection import choose

    chosen = chosen_rules(select, ignore)
    require_rules((*chosen[0], *chosen[1]), what="rewrite")
    return choose(select=chosen[0], ignore=chosen[1], unsafe=unsafe, is_rule=is_rule)


def parse_shapes(values: Sequence[str] | None, model: Model) -> dict[str, tuple[int, ...]]:
    """Read ``name:1,3,224,224``; the name may be left out if the model has one input, and may contain colons itself.

    Raises:
        UsageError: It is neither, names no input of the model, or names one twice.
    """
    if not values:
        return {}
    from mnncompat.parity.given_inputs import require_inputs
    from mnncompat.parity.signature import input_signature

    signature = input_signature(model.skeleton)
    names = [spec.name for spec in signature]
    shapes: dict[str, tuple[int, ...]] = {}
    for value in values:
        name, colon, dims = value.rpartition(":")
        if not colon:
            if len(names) != 1:
                raise UsageError(f"--shape {value} names no input", hint=f"the inputs are: {', '.join(names)}")
            name = names[0]
        sizes = _sizes(value, dims)
        require_inputs(signature, {name: sizes})
        if name in shapes:
            raise UsageError(f"--shape names {name} twice", hint="give one shape for each input")
        shapes[name] = sizes
    return shapes


def parse_sizes(values: Sequence[str] | None) -> dict[str, tuple[int, ...]]:
    """Read ``name:1,3,224,224`` where there is no model that names its inputs.

    Raises:
        UsageError: It is no such thing.
    """
    found = {}
    for value in values or ():
        name, colon, dims = value.rpartition(":")
        if not colon:
            raise UsageError(f"--shape {value} names no input", hint="write it as NAME:1,3,224,224")
        found[name] = _sizes(value, dims)
    return found


def _sizes(value: str, dims: str) -> tuple[int, ...]:
    """The sizes of a shape, written with commas or with x."""
    parts = [part.strip() for part in dims.replace("x", ",").split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise UsageError(
            f"--shape {value} is not a shape", hint="write it as NAME:1,3,224,224; every size is at least 1"
        )
    return tuple(map(int, parts))


def parse_accepted(values: Sequence[str] | None) -> frozenset[ProofVerdict]:
    """Read ``not-proven,one-size``.

    Raises:
        UsageError: A word cannot be accepted.
    """
    from mnncompat.results.proof_strength import acceptable

    return acceptable(split_names(values, "--accept"))


def parse_tolerances(values: Sequence[str] | None) -> tuple[Tolerance | None, dict[str, Tolerance]]:
    """Read ``1e-3`` (for all outputs) and ``output=1e-2``.

    Returns:
        The tolerance of outputs that are not named (None: the default one), and those of the others.

    Raises:
        UsageError: It is not a positive number.
    """
    from dataclasses import replace

    from mnncompat.parity import FLOAT32

    general: Tolerance | None = None
    overrides: dict[str, Tolerance] = {}
    for value in values or ():
        name, equals, number = value.rpartition("=")
        try:
            rtol = float(number)
        except ValueError:
            rtol = -1.0
        if not 0.0 <= rtol < float("inf"):
            raise UsageError(f"--tolerance {value} is not a tolerance", hint="write it as 1e-3 or OUTPUT=1e-3")
        if equals:
            overrides[name] = replace(FLOAT32, rtol=rtol)
        else:
            general = replace(FLOAT32, rtol=rtol)
    return general, overrides
