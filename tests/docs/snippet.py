# The README's example of the Python API, as it stands there: `make types` and `make pyright` check it.
# ruff: noqa: T201

import mnncompat

findings = mnncompat.check("model.onnx").diagnostics
on_nnapi = mnncompat.check("model.onnx", backend="nnapi").backends[0]  # .placement, .fixed: counts and partitions
fixed = mnncompat.fix("model.onnx")  # .model.proto, .applied, .refused, .changes, .proof
result = mnncompat.convert("model.onnx", "model.mnn")
if isinstance(result, mnncompat.Converted):  # published: it has its parity
    print(result.parity.verdict, result.out, result.ops, result.parity.outputs)
report = mnncompat.verify("model.onnx", "model.mnn", shapes={"image": (1, 3, 224, 224)})
found = mnncompat.diagnose("model.onnx", "model.mnn")  # .culprits, .layers: each with .accumulated and .own
