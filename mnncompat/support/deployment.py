"""Where a converted file is deployed: what rows of the table may be limited to."""

from __future__ import annotations

from collections.abc import Collection

ARCHITECTURES = ("x86_64", "aarch64", "armv7")
"""Machine architectures that rows may name; a row that names none holds for all."""

PRECISIONS = ("high", "normal", "low")
"""What MNN computes in there; a row that names none holds for all. On processors with float16, `low` is float16; on
x86-64 all are float32."""

HIGH, _, LOW = PRECISIONS


def limits_in_words(arch: Collection[str], precision: Collection[str]) -> str:
    """The architectures and precisions that a statement is limited to: `on aarch64 with precision low`, or empty."""
    parts = [f"on {', '.join(arch)}"] if arch else []
    parts += [f"with precision {' or '.join(precision)}"] if precision else []
    return " ".join(parts)
