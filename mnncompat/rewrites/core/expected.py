"""What an example expects of its rewrite; imported when examples are built, which `check` never does."""

from typing import NamedTuple


class Rewritten(NamedTuple):
    """A model that must be rewritten.

    Attributes:
        becomes: Structure of the result, in the notation of `mnncompat.rewrites.core.examples`.
    """

    becomes: str


class Unchanged(NamedTuple):
    """A model without the hazard, in which a rewrite must find nothing."""


class Refused(NamedTuple):
    """A model with the hazard that a rewrite must refuse.

    Attributes:
        reason: Words of the refusal.
    """

    reason: str
