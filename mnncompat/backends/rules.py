"""The rules of the findings of `mnncompat check --backend`, explained."""

from __future__ import annotations

from mnncompat.results.diagnostics import RuleInfo, Severity

_BY_OP_TYPE = """\
The answer is by op type. That a backend registers an op type means that it may run the op: its creator can still
refuse it for a weight that is not constant, a rank, a data type or a parameter, and the op then falls back as well.
`rules/backends.json` holds what the backends of every release since 3.0.0 register, `rules/geometry.json` what MNN
lowers first; both are derived from MNN's source. Backends are not run."""

_READ = ("rules/backends.json", "rules/geometry.json")

PLACEMENT = RuleInfo(
    code="MNN004",
    name="backend-placement",
    summary="how the converted model is divided between a backend and the CPU",
    severity=Severity.INFO,
    explanation=f"""\
`mnncompat check --backend NAME` converts the model with the installed MNN and examines every op of the result. An op
runs on the backend if the backend registers its type, or if MNN's geometry lowers it into types that it registers
(views of memory become Raster). Other ops fall back to the CPU. Ops that only compute shapes run on the CPU when a
session is resized, and are counted separately.

A partition is a maximal run of ops, in file order, that all run on the backend or all do not. Where MNN's `Module` cuts
the model (If, While, NonMaxSuppression, a shape that depends on values), a partition ends.

{_BY_OP_TYPE}

The same is done for the model after `mnncompat fix`, to show whether the rewrites help.
""",
    evidence=_READ,
)

FALLBACK = RuleInfo(
    code="MNN005",
    name="cpu-fallback",
    summary="a backend does not register an op type: those ops run on the CPU",
    severity=Severity.WARNING,
    explanation=f"""\
The converted model has ops of a type that the backend does not register, or that MNN's geometry lowers into a type
that it does not register. MNN runs them, or that part of them, on the CPU. Every transition between backend and CPU
costs a copy and a synchronisation.

Backends that run their ops as one graph (CoreML, HiAI, NNAPI, QNN, TensorRT) have a second problem: by MNN's source,
they copy only the session's inputs and outputs, so an op on the CPU between two of theirs does not get what the backend
computed, and the result may be wrong. This was read in the source, not measured: compare outputs on the device.

{_BY_OP_TYPE}
""",
    evidence=(*_READ, "src:source/core/Pipeline.cpp@3.6.1: _createExecutions tries the backend, then the CPU"),
)

NOWHERE = RuleInfo(
    code="MNN006",
    name="no-implementation",
    summary="neither the backend nor the CPU registers an op type: MNN creates no session",
    severity=Severity.ERROR,
    explanation=f"""\
The converted model has ops of a type that neither the backend nor MNN's CPU backend registers. On the CPU, and on
OpenCL, Vulkan, Metal and CUDA, geometry turns such an op into others. For CoreML, NNAPI and TensorRT it leaves Gather,
LSTM, Scatter and BatchMatMul as they are, and for HiAI, OpenGL and QNN it leaves everything. MNN then prints
`Create execution error`, and resizing the session fails with NOT_SUPPORT.

Use another backend, or replace the operator: if a rewrite does that, the finding names it.

{_BY_OP_TYPE}
""",
    evidence=(
        *_READ,
        "src:source/core/Pipeline.cpp@3.6.1: _createExecutions returns NOT_SUPPORT",
        "issue:alibaba/MNN#2123: CoreML, GatherV2",
    ),
)

BACKEND_RULES = (PLACEMENT, FALLBACK, NOWHERE)
"""Rules that `mnncompat check --backend` can report."""
