"""Results as the commands return them, made by hand: ordinary ones, and ones whose names hold markup or commands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from onnx import ModelProto

from mnncompat.graph.model_file import Model
from mnncompat.parity import FLOAT32, FP16_WEIGHTS
from mnncompat.report import Subject, Verified
from mnncompat.results.backend_placement import BackendReport, Fallback, Placement
from mnncompat.results.device_parity import DeviceOutput, DeviceParity
from mnncompat.results.diagnostics import Applicability, Category, CheckResult, Diagnostic, Location, RuleInfo, Severity
from mnncompat.results.failures import Failure, FailureKind, Stage
from mnncompat.results.kept import KeptOutput, KeptResult
from mnncompat.results.outcomes import (
    AppliedFix,
    ChangeKind,
    ConvertResult,
    FixResult,
    IntegerWeights,
    NodeChange,
    RefusedFix,
    RolledBack,
    Unfinished,
    Verdict,
)
from mnncompat.results.parity_report import (
    Comparison,
    InputAssumption,
    OutputParity,
    ParityReport,
    RunnerFailure,
    Speed,
)
from mnncompat.results.proof_strength import Power, SizeCoverage
from mnncompat.results.recurrent_form import RecurrentForm
from mnncompat.results.rules import NOT_FINISHED, UNREADABLE
from mnncompat.results.session_parity import SessionParity

SOURCE = "models/digits.onnx"
ASSUMPTION = InputAssumption(name="image", dtype="float32", shape=(1, 1, 28, 28), values="numbers")
REWRITE = "fully-connected-to-convolution"
MATMUL = Location(model=SOURCE, index=11, node="/head/MatMul", op_type="MatMul", outputs=("/head/MatMul_output_0",))
GEMM = Location(model=SOURCE, index=13, node="/head/Gemm", op_type="Gemm", outputs=("logits",))

UNDECLARED = Diagnostic(
    code="MNN001",
    name="undeclared-op",
    severity=Severity.ERROR,
    message="MatMul is not in MNN 0.2.0.4 (declared since 0.2.1.6)",
    location=MATMUL,
    status="refused",
    remedy=REWRITE,
    fixable=True,
    evidence=("rules/declared.json: MatMul",),
)
POOL = Diagnostic(
    code="MNN212",
    name="pool-without-strides",
    severity=Severity.ERROR,
    message="AveragePool without strides: MNN takes [1, 1] for [2, 2]",
    location=Location(model=SOURCE, graph=("if_1.then_branch",), index=0, node="pool", op_type="AveragePool"),
    status="wrong",
    remedy="explicit-strides",
    hint="set strides when exporting",
    evidence=("node:test_averagepool_2d_default", "src:tools/converter/source/onnx/PoolingOnnx.cpp@3.6.1", "#1234"),
)
WIDE = Diagnostic(
    code="MNN801",
    name=REWRITE,
    severity=Severity.WARNING,
    message="Gemm 500 -> 10 can be a 1x1 convolution",
    location=GEMM,
    status="rewrite",
    category=Category.PERFORMANCE,
    remedy=REWRITE,
    fixable=True,
)
UNKNOWN = Diagnostic(
    code="MNN002",
    name="unmeasured-op",
    severity=Severity.INFO,
    message="Einsum is declared by MNN 3.6.1, but the table says nothing about this use of it",
    location=Location(model=SOURCE, index=3, node="/attention/Einsum", op_type="Einsum"),
    status="unknown",
)
WHOLE_MODEL = Diagnostic(
    code="MNN010",
    name="onnx-opset-not-first",
    severity=Severity.ERROR,
    message="opset_import begins with com.microsoft 1: MNN takes 1 for the ONNX opset, which is 17",
    location=Location(model=SOURCE),
    status="wrong",
    hint="put the ONNX domain first in opset_import",
)

HOSTILE = "名前 [bold red]x[/] {0} [a](1) :smile:\x1b[31m\r\n::error::%25,\u202e\udc80"
"""Text that must not be interpreted: markup, placeholders, links, escapes, commands, bidi marks and surrogates."""
LONG = "/encoder/layers." + "0123456789" * 9

RULES = (
    RuleInfo(
        code="MNN212",
        name="pool-without-strides",
        summary="a pooling layer without strides",
        severity=Severity.ERROR,
        explanation="ONNX's default is 1 along each axis.\n\nMNN takes the kernel's size.",
        remedy="explicit-strides",
        op_types=("AveragePool", "MaxPool"),
        mnn=">=3.0",
        evidence=POOL.evidence,
    ),
    RuleInfo(
        code="MNN801",
        name=REWRITE,
        summary="a fully connected layer that can be a convolution",
        severity=Severity.WARNING,
        explanation="x @ W is a convolution with W as its kernel.",
        category=Category.PERFORMANCE,
        remedy=REWRITE,
        applicability=Applicability.SAFE,
        op_types=("Gemm", "MatMul"),
    ),
)


def check(*found: Diagnostic, nodes: int = 14) -> CheckResult:
    return CheckResult(model=SOURCE, mnn_version="3.6.1", nodes=nodes, diagnostics=found)


def many(count: int) -> CheckResult:
    """One finding at many nodes, and as many that differ in their messages."""
    same = [replace(POOL, location=replace(POOL.location, index=n, node=f"/pool_{n}")) for n in range(count)]
    other = [
        replace(UNKNOWN, message=f"Op{n} is unknown", location=replace(UNKNOWN.location, index=n, node=f"/op_{n}"))
        for n in range(count)
    ]
    return check(*same, *other, nodes=2 * count)


def comparison(
    draw: str, *, problems: Sequence[str] = (), error_ratio: float = 0.01, max_abs: float = 1.2e-7
) -> Comparison:
    return Comparison(
        draw=draw,
        expected_shape=(1, 10),
        actual_shape=(1, 10),
        expected_dtype="float32",
        actual_dtype="float32",
        compared=10,
        max_abs=max_abs,
        max_rel=30 * max_abs,
        cosine=1.0 if error_ratio < 1 else 0.25,
        snr_db=126.3 if error_ratio < 1 else -3.0,
        top1=1.0 if error_ratio < 1 else 0.0,
        error_ratio=error_ratio,
        discriminative=True,
        problems=tuple(problems),
    )


EXACT = replace(comparison("zeros"), max_abs=0.0, max_rel=0.0, snr_db=math.inf, top1=None, error_ratio=0.0)
MISSING = replace(
    comparison("normal", problems=["the output is missing"], error_ratio=math.inf),
    actual_shape=None,
    actual_dtype=None,
    compared=0,
    max_abs=math.nan,
    max_rel=math.nan,
    cosine=math.nan,
    snr_db=math.nan,
    top1=None,
)


def output(name: str, *comparisons: Comparison) -> OutputParity:
    problems = tuple(f"{each.draw}: {problem}" for each in comparisons for problem in each.problems)
    return OutputParity(name=name, tolerance=FLOAT32, comparisons=comparisons, problems=problems)


def parity(
    *outputs: OutputParity, failures: tuple[RunnerFailure, ...] = (), notes: tuple[str, ...] = ()
) -> ParityReport:
    problems = [f"{each.runner}: {each.failure.message}" for each in failures]
    problems += [f"output {each.name!r}, {problem}" for each in outputs for problem in each.problems]
    return ParityReport(
        outputs=outputs,
        failures=failures,
        problems=tuple(problems) if outputs or problems else ("nothing was compared: the model has no outputs",),
        draws=("normal", "zeros"),
        shapes=({"image": (1, 1, 28, 28)}, {"image": (1, 1, 28, 28)}),
        notes=notes,
        seed=7,
        assumptions=(ASSUMPTION,),
    )


CRASH = Failure(kind=FailureKind.CRASH, stage=Stage.RUN, message="killed by SIGSEGV", words="line one\nline [two]\n")
REFUSED = Failure(
    kind=FailureKind.REFUSED,
    stage=Stage.CONVERT,
    message="Not Support: ai.onnx.ml::TreeEnsemble",
    words="These Op Not Support: ai.onnx.ml::TreeEnsemble\n\x1b[31mNot Support: ai.onnx.ml::TreeEnsemble",
)
EQUAL = replace(
    parity(output("logits", comparison("normal"), EXACT), notes=("the model does not accept a batch of 2",)),
    speed=Speed(reference=0.0123456, mnn=0.00075, runs=4),
)
SILENT = Power(exercised=("Conv 'head'",), silent=tuple(f"Conv 'layer_{n}'" for n in range(12)), seconds=0.5)
FEW_SIZES = replace(
    EQUAL,
    sizes=(
        SizeCoverage(dimension="N", inputs=("image",), sizes=(1,), needed=3),
        SizeCoverage(dimension="image axis 2", inputs=("image",), sizes=(28,), needed=2, settled="Reshape to [1, 784]"),
    ),
)
NEAR = replace(
    parity(replace(output("logits", replace(comparison("normal"), snr_db=20.94), EXACT), tolerance=FP16_WEIGHTS)),
    power=Power(exercised=("Conv 'a'", "Conv 'b'")),
)
TOO_FAR = "3 of 10 elements too far off, the worst 51 times at [0, 3]: 1.5 instead of 0.5"
DIFFERENT = parity(
    output("logits", comparison("normal", problems=[TOO_FAR], error_ratio=51.0, max_abs=1.0), EXACT),
    output("features", EXACT, comparison("normal")),
    output("mask", MISSING),
)

CHANGES = (
    NodeChange(
        kind=ChangeKind.REMOVED,
        graph=(),
        op_type="MatMul",
        name="/head/MatMul",
        inputs=("x: float32[N, 800]", "w: float32[800, 500]"),
        outputs=("y: float32[N, 500]",),
    ),
    NodeChange(
        kind=ChangeKind.ADDED,
        graph=(),
        op_type="Conv",
        name="/head/MatMul_conv",
        inputs=("x: float32[N, 50, 4, 4]", "w_4x4: float32[500, 50, 4, 4]"),
        outputs=("y_4d: float32[N, 500, 1, 1]",),
        attributes=(("kernel_shape", "[4, 4]"), ("group", "1")),
    ),
    NodeChange(
        kind=ChangeKind.CHANGED,
        graph=("if_1.then_branch",),
        op_type="Relu",
        name="relu",
        inputs=("y_4d: float32[N, 500, 1, 1]",),
        outputs=("z: float32[N, 500, 1, 1]",),
        before="Relu(y: float32[N, 500])",
    ),
)
APPLIED = (
    AppliedFix(code="MNN801", rewrite=REWRITE, location=MATMUL, message="MatMul 800 -> 500 becomes a 4x4 convolution"),
    AppliedFix(code="MNN801", rewrite=REWRITE, location=GEMM, message="Gemm 500 -> 10 becomes a 1x1 convolution"),
)
MODEL = Model(proto=ModelProto(), path=Path(SOURCE))
UNCHANGED = FixResult(source=SOURCE)
FIXED = FixResult(
    source=SOURCE,
    applied=APPLIED,
    refused=(RefusedFix(rewrite=REWRITE, location=GEMM, reason="the weight w is not constant"),),
    changes=CHANGES,
    proof=EQUAL,
)
ROLLED_BACK = FixResult(
    source=SOURCE,
    rolled_back=(RolledBack(rewrite=REWRITE, reason="its result is not equal under ONNX Runtime: 3 elements"),),
)
LOOPS = RecurrentForm.LOOPS
BY_SESSION = SessionParity(draws=("normal", "normal, batch 2"))
MODULE_ONLY = replace(EQUAL, session=replace(BY_SESSION, problems=("runSession returns 3 (sizes cannot be computed)",)))
ON_PHONE = DeviceParity(
    device="arm64:a76",
    precision="low",
    threads=1,
    mnn="3.6.1",
    draws=("normal", "zeros"),
    left_out=5,
    outputs=(DeviceOutput(name="logits", snr_db=58.25, top1=0.91, worst="normal", is_rough=True),),
)
NAN_ON_PHONE = replace(
    ON_PHONE,
    left_out=0,
    outputs=(replace(ON_PHONE.outputs[0], problems=("zeros: NaN in 128 elements instead of 0",)),),
)
DEPLOYED = replace(EQUAL, device=ON_PHONE)
NAN_THERE = replace(EQUAL, device=NAN_ON_PHONE)
GONE_THERE = replace(EQUAL, device=replace(ON_PHONE, outputs=(), failure="SIGSEGV while running the converted model"))
LOST = replace(EQUAL, session=replace(BY_SESSION, lost=("mask", "ids")))
UNTRIED = replace(EQUAL, session=replace(BY_SESSION, untried="its input 'q' has a type that Python cannot reach"))
CONVERTED = ConvertResult(
    source=SOURCE,
    out=Path("out/digits.mnn"),
    verdict=Verdict.CONVERTED,
    check=check(UNDECLARED, POOL, WIDE, UNKNOWN),
    fix=FIXED,
    parity=EQUAL,
    remaining=(POOL, UNKNOWN),
    ops={"Input": 1, "Pooling": 2, "Convolution": 4},
    bytes=1_724_416,
    source_bytes=431_080,
    became_floats=IntegerWeights(kinds=("int8",), bytes=430_000),
    words="warning: [C] is unused",
)
NOT_CONVERTED = replace(
    CONVERTED,
    out=None,
    verdict=Verdict.NOT_CONVERTED,
    failure=REFUSED,
    parity=None,
    ops={},
    bytes=0,
    became_floats=None,
    words="",
)
NOT_EQUAL = replace(CONVERTED, out=None, verdict=Verdict.NOT_EQUAL, parity=DIFFERENT)
NOT_RUN = replace(
    CONVERTED,
    out=None,
    verdict=Verdict.NOT_EQUAL,
    parity=parity(failures=(RunnerFailure(runner="MNN", failure=CRASH),)),
)
ONE_SIZE = replace(CONVERTED, out=None, verdict=Verdict.ONE_SIZE, parity=FEW_SIZES)
ACCEPTED = replace(CONVERTED, parity=FEW_SIZES, accepted=FEW_SIZES.lacks)
UNEXERCISED = replace(EQUAL, power=SILENT)
NOT_PROVEN = ConvertResult(
    source=SOURCE,
    out=None,
    verdict=Verdict.NOT_PROVEN,
    check=check(UNDECLARED, WIDE),
    fix=ROLLED_BACK,
    remaining=(UNDECLARED, WIDE),
)


PLACED = Placement(
    direct=3,
    lowered=4,
    on_cpu=2,
    at_resize=9,
    partitions=5,
    fallbacks=(Fallback(op_type="MatMul", count=2, missing=("MatMul",), nodes=("/head/MatMul", "/head/Gemm")),),
)
ON_NNAPI = BackendReport(
    backend="nnapi",
    mnn_version="3.6.1",
    compiler="geometry",
    execution="graph",
    placement=PLACED,
    fixed=Placement(direct=5, lowered=2, partitions=1),
    rewrites=(REWRITE,),
)
FALLBACK = Diagnostic(
    code="MNN005",
    name="cpu-fallback",
    severity=Severity.WARNING,
    message="2 MatMul ops (from /head/MatMul, /head/Gemm) on the CPU: nnapi does not register MatMul",
    location=MATMUL,
    status="fallback",
    remedy=REWRITE,
    fixable=True,
    hint="compare outputs on the device",
    evidence=("rules/backends.json", "rules/geometry.json"),
)
PLACEMENT = Diagnostic(
    code="MNN004",
    name="backend-placement",
    severity=Severity.INFO,
    message="nnapi: 7 of 9 ops registered, 2 on the CPU (MatMul), in 5 partitions",
    location=Location(model=SOURCE),
    status="placement",
)


def hostile(name: str) -> list[Subject]:
    """One result of each kind in which every free text is `name`."""
    at = Location(model=name, graph=(name,), index=0, node=name, op_type=name, outputs=(name,))
    found = replace(POOL, name=name, message=name, location=at, remedy=name, hint=name, evidence=(name,))
    fallback = Fallback(op_type=name, count=1, lowered=(name,), missing=(name,), nodes=(name,))
    checked = CheckResult(
        model=name,
        mnn_version=name,
        nodes=1,
        diagnostics=(found, replace(found, fixable=True)),
        backends=(replace(ON_NNAPI, backend=name, placement=Placement(fallbacks=(fallback,)), rewrites=(name,)),),
    )
    failure = Failure(kind=FailureKind.CRASH, stage=Stage.RUN, message=name, words=f"{name}\n{name}")
    report = parity(
        output(name, replace(comparison(name, problems=[name], error_ratio=2.0))),
        failures=(RunnerFailure(runner=name, failure=failure),),
        notes=(name,),
    )
    fixed = FixResult(
        source=name,
        applied=(AppliedFix(code="MNN801", rewrite=name, location=at, message=name),),
        refused=(RefusedFix(rewrite=name, location=at, reason=name),),
        rolled_back=(RolledBack(rewrite=name, reason=name),),
        changes=(replace(CHANGES[2], graph=(name,), name=name, op_type=name, inputs=(name,), before=name),),
        proof=report,
    )
    converted = ConvertResult(
        source=name,
        out=Path("x.mnn"),
        verdict=Verdict.NOT_EQUAL,
        check=checked,
        fix=fixed,
        failure=failure,
        parity=report,
        remaining=checked.diagnostics,
        ops={name: 1},
        bytes=1,
        words=name,
    )
    refused = replace(converted, verdict=Verdict.NOT_CONVERTED, parity=None)
    unread = UNREADABLE.finding(Location(model=name), name, status="error", hint=name)
    unfinished = Unfinished(source=name, diagnostics=(unread,))
    kept = KeptResult(
        source=name,
        before=name,
        now=name,
        was=name,
        verdict=name,
        worse=(name,),
        otherwise=(name,),
        gone=(name,),
        new=(name,),
        outputs=(KeptOutput(name=name, snr_db=(None, 1.0)),),
        findings_new=(found,),
    )
    return [checked, fixed, converted, refused, Verified(source=name, file=name, parity=report), unfinished, kept]


UNREAD = Unfinished(
    source="bad.onnx",
    diagnostics=(
        UNREADABLE.finding(
            Location(model="bad.onnx"), "the file is empty", status="error", hint="export the model again"
        ),
    ),
)
UNWRITTEN = Unfinished(
    source="full.onnx",
    diagnostics=(
        NOT_FINISHED.finding(
            Location(model="full.onnx"),
            "cannot write full.mnn: No space left on device",
            status="error",
            hint="clear it",
        ),
    ),
)

WORSE = KeptResult(
    source=SOURCE,
    before="mnncompat.lock",
    now="MNN 3.6.1",
    was="equal",
    verdict="within",
    worse=("was equal, is within a ratio only",),
    otherwise=("the model's file is another one",),
    sizes=(1000, 900),
    gone=("Convolution conv1",),
    new=("Raster conv1",),
    outputs=(KeptOutput(name="logits", snr_db=(math.inf, 60.5)),),
)
AS_BEFORE = KeptResult(source="other.onnx", before="mnncompat.lock", now="MNN 3.6.1", was="equal", verdict="equal")

SUBJECTS: dict[str, list[Subject]] = {
    "check": [check(WHOLE_MODEL, UNDECLARED, POOL, WIDE, UNKNOWN)],
    "check-backend": [replace(check(FALLBACK, PLACEMENT), backends=(ON_NNAPI,))],
    "check-clean": [check()],
    "check-many": [many(13)],
    "check-several": [check(WIDE), replace(check(), model="other.onnx"), replace(check(UNKNOWN), model="third.onnx")],
    "fix": [FIXED],
    "fix-unproven": [replace(FIXED, proof=None)],
    "fix-remaining": [
        replace(
            FIXED,
            applied=FIXED.applied * 4,
            refused=tuple(replace(each, reason=f"reason {n}") for n in range(7) for each in FIXED.refused),
            remaining=(POOL, POOL, replace(POOL, severity=Severity.INFO)),
        )
    ],
    "fix-nothing-remains": [replace(FIXED, remaining=())],
    "fix-nothing": [UNCHANGED],
    "fix-rolled-back": [ROLLED_BACK],
    "convert": [CONVERTED],
    "convert-refused": [NOT_CONVERTED],
    "convert-different": [NOT_EQUAL],
    "convert-crashed": [NOT_RUN],
    "convert-not-proven": [NOT_PROVEN],
    "convert-one-size": [ONE_SIZE],
    "convert-accepted": [ACCEPTED],
    "convert-within": [replace(CONVERTED, parity=NEAR)],
    "convert-not-exercised": [replace(ONE_SIZE, verdict=Verdict.NOT_EXERCISED, parity=UNEXERCISED)],
    "convert-dry": [replace(CONVERTED, out=None, fix=None)],
    "convert-no-session": [
        replace(CONVERTED, out=None, verdict=Verdict.NO_SESSION, parity=MODULE_ONLY, recurrent=LOOPS)
    ],
    "convert-module-only": [replace(CONVERTED, parity=MODULE_ONLY, recurrent=LOOPS)],
    "verify": [Verified(source=SOURCE, file="digits.mnn", parity=EQUAL)],
    "verify-device": [Verified(source=SOURCE, file="digits.mnn", parity=DEPLOYED)],
    "verify-nan-on-device": [Verified(source=SOURCE, file="digits.mnn", parity=NAN_THERE)],
    "verify-gone-on-device": [Verified(source=SOURCE, file="digits.mnn", parity=GONE_THERE)],
    "convert-device": [replace(CONVERTED, parity=DEPLOYED)],
    "convert-nan-on-device": [replace(CONVERTED, out=None, verdict=Verdict.NOT_EQUAL, parity=NAN_THERE)],
    "verify-lost": [Verified(source=SOURCE, file="digits.mnn", parity=LOST, requires_session=True)],
    "verify-untried": [Verified(source=SOURCE, file="digits.mnn", parity=UNTRIED)],
    "verify-one-size": [Verified(source=SOURCE, file="digits.mnn", parity=FEW_SIZES)],
    "verify-not-exercised": [Verified(source=SOURCE, file="digits.mnn", parity=UNEXERCISED)],
    "verify-different": [Verified(source=SOURCE, file="digits.mnn", parity=DIFFERENT)],
    "verify-nothing": [Verified(source="", file="digits.mnn", parity=parity())],
    "kept": [
        WORSE,
        AS_BEFORE,
        replace(AS_BEFORE, source="new.onnx", was=None),
        replace(AS_BEFORE, source="third.onnx", otherwise=("MNN 3.5.0 -> 3.6.1",)),
        UNREAD,
    ],
    "kept-one": [AS_BEFORE],
    "kept-written": [replace(WORSE, written=True), replace(AS_BEFORE, source="new.onnx", was=None, written=True)],
    "unfinished": [check(WIDE), UNREAD, replace(check(), model="third.onnx"), UNWRITTEN],
    "hostile": hostile(HOSTILE),
    "long": hostile(LONG),
    "none": [],
}
