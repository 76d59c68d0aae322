"""The probe: micro-models measured on MNN itself."""

from mnncompat.probe.case import Case

__all__ = ["Case"]
