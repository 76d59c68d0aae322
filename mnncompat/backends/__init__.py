"""Where a converted model runs on a backend of MNN: `mnncompat check --backend NAME`.

    registry      what a release registers and lowers (`rules/backends.json`, `rules/geometry.json`)
    placement     a converted graph -> each op on the backend, lowered, on the CPU, or nowhere; partitions
    node_origins  ops of a converted graph -> nodes of the ONNX model
    analyze       a model -> `BackendReport`s: converted as it is and after its rewrites
    findings      `BackendReport`s -> findings

Everything here is by op type. That a backend registers an op type means that it *may* run the op: its creator can still
refuse (quantised or dynamic weights, ranks, data types, parameters), and the op then falls back to the CPU too.
"""
