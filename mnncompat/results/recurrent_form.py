"""The forms in which MNN holds LSTM and GRU. Plain values."""

from __future__ import annotations

from enum import StrEnum

from mnncompat.errors import UsageError

AUTO = "auto"
"""The form is chosen for each model."""


class RecurrentForm(StrEnum):
    """How a file holds LSTM and GRU of several steps and constant weights."""

    OPS = "ops"
    """As MNN's own ops (`--useOriginRNNImpl`), which run in the Module API and in the Session API."""
    LOOPS = "loops"
    """As loops over a subgraph, the converter's default since 3.2.2, which run in the Module API only."""


def wanted_form(word: str) -> RecurrentForm | None:
    """Read what a user wants; None for `AUTO`.

    Raises:
        UsageError: There is no such form.
    """
    if word == AUTO:
        return None
    if word not in tuple(RecurrentForm):
        listed = ", ".join((AUTO, *RecurrentForm))
        raise UsageError(f"MNN has no form {word!r} of recurrent layers", hint=f"there are: {listed}")
    return RecurrentForm(word)
