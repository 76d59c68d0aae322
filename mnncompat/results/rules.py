"""The rules of findings that come from a result as a whole, not from the table or a rewrite."""

from __future__ import annotations

from mnncompat.results.diagnostics import Diagnostic, Location, RuleInfo, Severity
from mnncompat.results.failures import Failure

UNREADABLE = RuleInfo(
    code="MNN090",
    name="unreadable-model",
    summary="the file is not a model that can be read: nothing is known about it",
    severity=Severity.ERROR,
    explanation="""\
The file is missing, is no ONNX model, is truncated or damaged, refers to data that is missing or outside its folder, or
its graph is not valid. The finding says which, and what to do. The other models of the same command are not affected;
the exit status is 2.
""",
)

NOT_FINISHED = RuleInfo(
    code="MNN098",
    name="not-finished",
    summary="the command could not do its work with this model",
    severity=Severity.ERROR,
    explanation="""\
The model could be read, but an option does not fit it, its result cannot be written, or something that the work needs
is missing or failed. The finding says which, and what to do. The other models of the same command are not affected; the
exit status is 2.
""",
)

NOT_PROVEN = RuleInfo(
    code="MNN091",
    name="fix-not-proven",
    summary="a rewrite was rolled back: its result could not be proven equal",
    severity=Severity.ERROR,
    explanation="""\
Every rewrite is a transaction. After it was applied, the model must pass `onnx.checker`, the rewrite must find
nothing more to do, and ONNX Runtime must compute the same results with the original and the rewritten model on several
draws of random inputs. If one of these does not hold, the rewrite is rolled back, the model keeps its nodes, and this
finding gives the reason.

The model is as correct as before, but the hazard that the rewrite would have removed is still there. Leave the rewrite
out with `--ignore NAME`, or give inputs that the model is meant for: `--shape name:1,3,224,224`,
`--input name=file.npy`. A rewrite that computes other results on sensible inputs is a bug of mnncompat: please report
it with the model.
""",
)

CONVERSION_FAILED = RuleInfo(
    code="MNN092",
    name="conversion-failed",
    summary="MNN's converter refused the model, crashed on it, or wrote nothing",
    severity=Severity.ERROR,
    explanation="""\
The converter ran in a process of its own, with limits on time, memory and output, and wrote no usable file. The
finding says how it ended (refused, crash, hang, memory, flood, no file), and shows what the converter printed. An
earlier output file is unchanged.

`mnncompat check MODEL` names the nodes that MNN is known to refuse or to crash on, and the rewrites that replace them.
""",
)

PARITY_FAILED = RuleInfo(
    code="MNN093",
    name="parity-failed",
    summary="the converted file computes other results than the ONNX model, or does not run",
    severity=Severity.ERROR,
    explanation="""\
ONNX Runtime ran the original model and MNN ran the converted file on the same inputs: several seeded draws (normal,
uniform, negative, zeros, large), in several batch sizes if the batch is dynamic. An output is missing, has another
shape or dtype, has NaN or infinities in other positions, or differs by more than the tolerance allows. The finding
names the output, the draw and the worst metrics. `mnncompat convert` then publishes no file.

A draw in which rounding alone moves the original as far is inconclusive: it is named, and does not count if enough
others remain as proof.

If the model is meant for other inputs than these, give real ones: `--input name=file.npy`. If a larger error is
acceptable (quantised weights, float16), give a tolerance for that output.
""",
)

FIX_REFUSED = RuleInfo(
    code="MNN094",
    name="fix-refused",
    summary="a rewrite does not apply to a node, because a precondition does not hold",
    severity=Severity.INFO,
    explanation="""\
The rewrite recognised the node and left it unchanged, because one of its preconditions does not hold: the result would
not be equal, or not better. The finding says which. This matters only if `mnncompat check` reports the node.
""",
)

NOT_EXERCISED = RuleInfo(
    code="MNN095",
    name="not-exercised",
    summary="the comparison would not have shown wrong operators, or could not compare an output",
    severity=Severity.ERROR,
    explanation="""\
Nothing differs, but that proves too little. A fault was planted in every operator with weights, one at a time, and for
fewer than nine tenths of them an output moved beyond its tolerance: had MNN computed the others wrongly, the comparison
would have passed all the same. Mostly an output is saturated or dead on the inputs that were drawn. Or an output is
random, or nearly zero in every draw, and shows nothing.

Give real data, on which the outputs move: `--input name=file.npy`. `--accept not-proven` publishes the file unproven.
""",
)

ONE_SIZE = RuleInfo(
    code="MNN096",
    name="one-size",
    summary="a dynamic dimension was compared at too few sizes",
    severity=Severity.ERROR,
    explanation="""\
Every output agrees, but a dimension that the model declares dynamic was compared at too few sizes: two prove it, three
for the batch. MNN's converter may have stored the one size. A size that the graph itself fixes counts as proven.

Other sizes are tried unless the data are all there is (`--data-only`) or the memory limit does not allow them
(`--memory-limit`). If the application uses this size alone, fix it in the model: `mnncompat fix --shape`.
`--accept one-size` publishes the file all the same.
""",
)

WITHIN = RuleInfo(
    code="MNN097",
    name="within-tolerance",
    summary="the outputs agree by a tolerance that is wider than that of float32",
    severity=Severity.INFO,
    explanation="""\
Weights in float16 or in few bits, outputs in half precision, or a `--tolerance` that was given: the outputs are near
those of the original, not equal. The finding gives the lowest signal-to-noise ratio that was measured.
""",
)

OVER_BUDGET = RuleInfo(
    code="MNN086",
    name="over-budget",
    summary="the converted file takes more than is allowed",
    severity=Severity.ERROR,
    explanation="""\
`--max-size`, `--max-ops` and `--max-latency-ratio` say what a file may take where it is deployed; in the configuration
they are `max-size`, `max-ops` and `max-latency-ratio`, for all models or in the table of some. The file was proven, and
is not published.

Smaller: `--weight-bits 8`, `--fp16`. Faster, and of fewer ops: see the findings about performance of `mnncompat check`.
""",
)
NO_SESSION = RuleInfo(
    code="MNN099",
    name="session-differs",
    summary="MNN's Session API does not run the file as the Module API does",
    severity=Severity.INFO,
    explanation="""\
The verdict is that of MNN's Module API (`MNN::Express::Module`, in Python `MNN.nn.load_module_from_file`). The file was
also run in a Session (`MNN::Interpreter`), on one draw, and on one at other sizes if a dimension is dynamic. A Session
does not run subgraphs, which If, Loop, and LSTM and GRU as loops become: every output then has the shape (0, 0, 0, 0).
It loses inputs that no op reads, and may compute others than the Module API. The finding says which.

`--require-session` makes this an error, and `mnncompat convert` then publishes no file. `mnncompat check` names what
becomes a subgraph (MNN048, MNN050) and inputs that nothing reads (MNN049).
""",
)

CHANGED = RuleInfo(
    code="MNN087",
    name="changed",
    summary="something has changed since the lock file was written, or with another MNN, and is not worse",
    severity=Severity.INFO,
    explanation="""\
`mnncompat ci` or `mnncompat upgrade` compared what was measured before with what was measured now. The finding says
what is otherwise: the model's file, the release of MNN, options, the size, ops of the converted file.
`mnncompat ci --update` keeps the state of today.
""",
)

WORSE = RuleInfo(
    code="MNN088",
    name="worse",
    summary="a model has become worse since the lock file was written, or is worse with another MNN",
    severity=Severity.ERROR,
    explanation="""\
`mnncompat ci` or `mnncompat upgrade` compared what was measured before with what was measured now. Worse is: a verdict
that proves less; a file that has grown by more than a twentieth; ops that were not there; operators that the proof does
not exercise any more; the Session API that does not run the file any more; rules that are an error in the converted
model now; an output that is gone, has another type or fewer right classes; values that have nothing to do with those
that the model gave before. A model that was trained further passes.

If that is meant, `mnncompat ci --update` keeps the state of today.
""",
)

NOT_KEPT = RuleInfo(
    code="MNN089",
    name="not-kept",
    summary="the lock file does not know the model",
    severity=Severity.ERROR,
    explanation="""\
`mnncompat ci` compares each model with what `mnncompat.lock` holds of it, and that has nothing of this one: it is new,
or was moved. `mnncompat ci --update` adds it; commit the file with the model.
""",
)

RESULT_RULES = (
    CHANGED,
    WORSE,
    NOT_KEPT,
    UNREADABLE,
    NOT_PROVEN,
    CONVERSION_FAILED,
    PARITY_FAILED,
    FIX_REFUSED,
    NOT_EXERCISED,
    ONE_SIZE,
    WITHIN,
    NOT_FINISHED,
    NO_SESSION,
    OVER_BUDGET,
)
"""Rules of the findings about what the commands did, or could not do."""


def conversion_failed(failure: Failure | None, at: Location) -> Diagnostic:
    """MNN092: how a conversion failed, where that is known."""
    hint = "`mnncompat check` names the nodes that MNN cannot run"
    if failure is None:
        return CONVERSION_FAILED.finding(at, CONVERSION_FAILED.summary, status="refused", hint=hint)
    words = [line for line in failure.words.splitlines() if line.strip() and line.strip() != failure.message.strip()]
    message = f"the converter failed ({failure.kind}): {failure.message}"
    if words:
        message += f"; it printed: {' | '.join(line.strip() for line in words)}"
    return CONVERSION_FAILED.finding(at, message, status=failure.kind.value, hint=hint)
