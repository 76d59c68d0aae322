"""Which backends need fully connected heads as convolutions."""

from __future__ import annotations

from collections.abc import Iterable

from mnncompat.backends.registry import Backend, backend, require
from mnncompat.support.head_form import HeadForm


def wanted_head(names: Iterable[str], version: str) -> HeadForm | None:
    """The form of heads that runs on all of these backends; None if none of them needs one.

    A backend that registers Convolution but not MatMul or Reshape runs a head as convolutions alone: with an H x W
    kernel, because nothing is reshaped before it.

    Args:
        names: Backends.
        version: MNN release.

    Raises:
        UsageError: The release has no such backend.
    """
    chosen = [backend(name, version) for name in require(names)]
    return HeadForm.SPATIAL if any(_runs_convolutions_alone(each) for each in chosen) else None


def _runs_convolutions_alone(chosen: Backend) -> bool:
    return _runs(chosen, "Convolution") and not (_runs(chosen, "MatMul") and _runs(chosen, "Reshape"))


def _runs(chosen: Backend, op_type: str) -> bool:
    return chosen.registered.issuperset(chosen.needs(op_type))
