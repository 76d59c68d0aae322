"""Make docs/foreign-operators.md: which operators of other domains are rewritten, and which are refused, and why.

`make docs` runs this; a test compares the file with what it would write. What ONNX Runtime has kernels for is asked of
the installed one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import onnx

from mnncompat.inference.contrib_op_types import RIGHT_BY_NAME, TAKEN_OVER
from mnncompat.inference.foreign_domains import CONTRIB_DOMAIN, ML_DOMAIN
from mnncompat.rewrites.contrib.contrib_op_to_onnx import EMITTERS, ML_EMITTERS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "foreign-operators.md"

_INTRODUCTION = """\
# Operators of other domains

MNN ignores domains: it refuses operators whose name it does not know, and runs the others as ONNX's operator of that
name. `mnncompat fix` writes the operators below with ONNX's own (`mnncompat rule contrib-op-to-onnx`). Each is compared
with ONNX Runtime's own kernel in configurations that are drawn from seeds, and what `fix` makes of it runs in MNN:

```sh
PYTHONPATH=. python tests/rewrites/measure_foreign.py --mnn --configurations 20
```

Made by `make docs`.
"""

DEFINED = ("BiasSplitGelu", "GemmFastGelu", "NhwcConv", "NhwcFusedConv")
"""Operators without a kernel on the CPU, which are compared with the operators that they are fusions of."""

REFUSED: Mapping[str, str] = {
    "Attention": "a mask of rank 4, rotation, a cache that is a shared buffer (no kernel on the CPU)",
    "CropAndResize": "images of dynamic height or width, a size that is computed",
    "DecoderMaskedMultiHeadAttention": "caches of several beams, keys and values packed into the query",
    "DynamicQuantizeLSTM": "sequences that may end before the last step: their states are quantised together",
    "FusedConv": "activations that ONNX does not have",
    "FusedGemm": "activations that ONNX does not have",
    "GatherBlockQuantized": "tables of 8-bit and 4-bit floats, tables that are computed",
    "GroupQueryAttention": "quantised caches, caches of a window, normalised queries (no kernel on the CPU), keys of "
    "another layer",
    "Inverse": "more than 64 rows, or a number that is dynamic",
    "MatMulNBits": "weights that are computed, or packed for a GPU; 3, 5, 6 and 7 bits (no kernel on the CPU)",
    "MultiHeadAttention": "queries, keys and values packed into one operand (no kernel on the CPU); several beams",
    "QAttention": "rotation, a cache that is a shared buffer (no kernel on the CPU)",
    "UnfoldTensor": "an axis of dynamic length",
    "LabelEncoder": "labels that are strings",
    "LinearClassifier": "labels that are strings; PROBIT of one score for two classes",
    "OneHotEncoder": "categories that are strings",
    "SVMClassifier": "labels that are strings; probabilities of more than 8 classes; linear ones of two classes",
    "TreeEnsemble": "trees of more than 64 comparisons; SOFTMAX and LOGISTIC, which ONNX Runtime exchanges",
    "TreeEnsembleClassifier": "labels that are strings; trees of more than 64 comparisons; leaves that tell nothing of "
    "a class; two classes with a number for each beforehand",
    "TreeEnsembleRegressor": "trees of more than 64 comparisons",
}
"""What is refused of the operators that have a twin."""

_STRINGS = "its operands are strings or maps"
_SEARCH = "searches with a graph of its own"
_RANDOM = "draws random numbers"
_TOLD: Mapping[str, str] = {
    **dict.fromkeys(("CastMap", "CategoryMapper", "DictVectorizer", "Tokenizer"), _STRINGS),
    "ZipMap": "dropped when a model is read (MNN054): the output is the tensor of scores",
    **dict.fromkeys(("BeamSearch", "GreedySearch", "Sampling", "WhisperBeamSearch"), _SEARCH),
    **dict.fromkeys(("BiasDropout", "BitmaskBiasDropout", "BitmaskDropout"), _RANDOM),
}
_NO_KERNEL = "ONNX Runtime's CPU has no kernel to compare with"
_NOT_YET = "not written"


def document() -> str:
    """The text of the document."""
    kernels, names = _runtime()
    lines = [_INTRODUCTION]
    for title, domain, twins in (
        ("com.microsoft", CONTRIB_DOMAIN, {*EMITTERS, *TAKEN_OVER, *RIGHT_BY_NAME}),
        ("ai.onnx.ml", ML_DOMAIN, {*ML_EMITTERS}),
    ):
        lines += [f"\n## {title}\n", "| operator | compared with | refused |", "|---|---|---|"]
        lines += [f"| {op} | {_proof(op)} | {REFUSED.get(op, '')} |" for op in sorted(twins)]
        others = sorted(names[domain] - twins)
        lines += [f"\nWithout a twin, of {title}:\n", "| operator | why |", "|---|---|"]
        lines += [f"| {op} | {_reason(op, domain, kernels)} |" for op in others]
    return "\n".join(lines) + "\n"


def _proof(op: str) -> str:
    if op in RIGHT_BY_NAME:
        return "runs as ONNX's operator of that name"
    return "what it is a fusion of" if op in DEFINED else "the kernel"


def _reason(op: str, domain: str, kernels: set[tuple[str, str]]) -> str:
    if op in _TOLD:
        return _TOLD[op]
    return _NOT_YET if (domain, op) in kernels else _NO_KERNEL


def _runtime() -> tuple[set[tuple[str, str]], dict[str, set[str]]]:
    """What the installed ONNX Runtime has CPU kernels for, and the operators of each domain."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    kernels = {(each.domain, each.op_name) for each in state.get_all_opkernel_def() if each.provider.startswith("CPU")}
    contrib = {each.name for each in state.get_all_operator_schema() if each.domain == CONTRIB_DOMAIN}
    return kernels, {CONTRIB_DOMAIN: contrib, ML_DOMAIN: set(_of_ml())}


def _of_ml() -> Iterator[str]:
    for schema in onnx.defs.get_all_schemas():
        if schema.domain == ML_DOMAIN:
            yield schema.name


if __name__ == "__main__":
    DOCUMENT.write_text(document())
    sys.exit(0)
