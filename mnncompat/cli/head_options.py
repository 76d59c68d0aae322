"""`--head` and `--backend`: in which form fully connected heads become convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from mnncompat.cli.declared import option
from mnncompat.cli.options import split_names

if TYPE_CHECKING:
    from mnncompat.support.head_form import HeadForm

Head = Annotated[
    str | None,
    option(
        "--head",
        metavar="FORM",
        help="Write every fully connected head as convolutions: `spatial`, the first with a kernel of the features' "
        "height and width, or `flat`, all 1x1. [default: what the release needs or runs faster, see "
        "`mnncompat rule MNN801`]",
    ),
]
RunsOn = Annotated[
    list[str] | None,
    option(
        "--backend",
        metavar="NAME",
        help="Where the result will run: nnapi, coreml, opencl, ... One that has no MatMul gets heads as `--head "
        "spatial`. Repeatable.",
    ),
]


def chosen_head(head: str | None, backends: list[str] | None, mnn: str | None) -> HeadForm | None:
    """The form that the options ask for; None if they leave it to each head.

    Args:
        head: Of ``--head``; it wins.
        backends: Of ``--backend``.
        mnn: Of ``--mnn``; the installed release if None.

    Raises:
        UsageError: There is no such form, or no such backend in the release.
    """
    if head is None and not backends:
        return None
    from mnncompat.backends.wanted_head import wanted_head
    from mnncompat.support.head_form import head_form
    from mnncompat.support.releases import resolve_version

    wanted = wanted_head(split_names(backends, "--backend"), resolve_version(mnn)) if backends else None
    return head_form(head) or wanted
