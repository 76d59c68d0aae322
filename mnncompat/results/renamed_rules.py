"""Names of rules and rewrites that have changed: the old ones are accepted for one release, with a notice.

To rename a rule or a rewrite, add its old name here; ``--select``, ``--ignore``, the configuration, `mnncompat rule`
and the Python API read this table.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

RENAMED: Mapping[str, str] = {
    "apart-from-output": "copy-output-before-activation",
    "conv-bias-apart": "conv-bias-to-op",
    "foreign-twin": "contrib-op-to-onnx",
    "gemm-transpose-apart": "gemm-transpose-to-op",
    "not-finite": "isnan-isinf",
    "pool-pad-apart": "pool-pad-to-op",
    "product-apart": "break-gelu-fusion",
    "reshape-nothing": "reshape-empty",
    "settled-condition": "constant-if",
    "settled-optional": "constant-optional",
}
"""Old name -> name."""
_GOES_WITH = "0.3"
"""The release that stops accepting the old names above."""


def notice(name: str) -> str:
    """What to say about an old name; empty if the name is none."""
    new = RENAMED.get(name.lower())
    return f"'{name}' is called {new} now; the old name goes with {_GOES_WITH}" if new else ""


def current_name(name: str) -> str:
    """The name by which a rule goes now; one that never changed, and a code, as it is."""
    return RENAMED.get(name.lower(), name)


def accepted(name: str) -> str:
    """Like `current_name`, with a `DeprecationWarning` about an old name: for callers from Python."""
    told = notice(name)
    if told:
        warnings.warn(told, DeprecationWarning, stacklevel=5)
    return current_name(name)
