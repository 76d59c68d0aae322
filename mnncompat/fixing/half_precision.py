"""Rewrites for half precision, judged on a device or by a simulation: what brings values nearer to the original."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar

from mnncompat.results.outcomes import AppliedFix, TriedFix

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mnncompat.devices.device import Where
    from mnncompat.fixing.device_trial import Draws, Ratios
    from mnncompat.graph.model_file import Model
    from mnncompat.rewrites.core.base import Rewrite

_BEST, _WORST = 60.0, -10.0
"""Beyond these numbers of dB, differences do not count: right is right, and garbage is garbage."""
_GAIN, _LOSS = 1.0, 1.0
"""In dB, of the worst output of the worst draw."""
_GOOD = 50.0
"""Where so many dB are left, what never hurts stays: it is there for values that these draws do not reach."""


class Trial(Protocol):
    """What `judged` asks of `mnncompat.fixing.device_trial.DeviceTrial`, and of a simulation."""

    @property
    def where(self) -> object:
        """What reports call it."""
        ...

    @property
    def decides(self) -> bool:
        """Whether it measures: what a simulation says counts only for what costs time."""
        ...

    def measure(self, model: Model) -> Ratios | str:
        """How near a model comes to the original there, or why it does not run."""
        ...


BeginTrial: TypeAlias = "Callable[[Draws], AbstractContextManager[Trial]]"
"""Begins to judge forms of a model on draws."""


def begin_trial(where: Where | None, simulate: BeginTrial | None) -> BeginTrial | None:
    """What judges: a device if there is one, else a simulation, if that was given."""
    if where is None:
        return simulate
    from mnncompat.fixing.device_trial import DeviceTrial

    return partial(DeviceTrial, where)


class Applied(Protocol):
    """A rewritten model."""

    @property
    def applied(self) -> tuple[AppliedFix, ...]:
        """Nodes that were replaced."""
        ...


_Attempt = TypeVar("_Attempt", bound=Applied)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged(Generic[_Attempt]):
    """What is left after the device judged.

    Attributes:
        attempt: The model with the rewrites that help.
        tried: What was tried, in this order.
    """

    attempt: _Attempt
    tried: tuple[TriedFix, ...]


def usual(rewrites: Sequence[Rewrite]) -> tuple[Rewrite, ...]:
    """Those that never hurt: all but what has to be judged on the model."""
    return tuple(each for each in rewrites if not each.needs_device)


def judged(
    rewrites: Sequence[Rewrite],
    attempt: Callable[[tuple[Rewrite, ...]], _Attempt],
    model_of: Callable[[_Attempt], Model],
    trial: Trial,
    device: str,
) -> Judged[_Attempt]:
    """Try rewrites for half precision on a device, and keep what helps.

    Those that never hurt are tried together, and one by one if that loses something; the others one by one.

    Args:
        rewrites: All rewrites, in order.
        attempt: Applies rewrites to the model as it was, and proves the result.
        model_of: The model of an attempt.
        trial: The device.
        device: What reports call it.
    """
    chosen = [each for each in rewrites if not each.for_half_precision]
    best = attempt(tuple(chosen))
    near: Ratios | str | None = None
    tried: list[TriedFix] = []
    groups = [[each for each in rewrites if each.for_half_precision and not each.needs_device]]
    groups += [[each] for each in rewrites if each.needs_device]
    while groups:
        group = groups.pop(0)
        wanted = {each.name for each in (*chosen, *group)}
        following = attempt(tuple(each for each in rewrites if each.name in wanted))
        names = {each.name for each in group}
        is_judged = any(each.needs_device for each in group)
        if is_judged and not trial.decides and near is not None and _floor(near) >= _GOOD:
            continue
        new = [each for each in following.applied if each.rewrite in names]
        if not new:
            continue
        before = near if near is not None else trial.measure(model_of(best))
        after = trial.measure(model_of(following))
        kept = _is_kept(trial, before, after, is_judged=is_judged)
        tried.append(_told(device, new, before, after, kept=kept))
        near = before
        if kept:
            chosen, best, near = [each for each in rewrites if each.name in wanted], following, after
        elif len({each.rewrite for each in new}) > 1:
            groups[:0] = [[each] for each in group]
    return Judged(attempt=best, tried=tuple(tried))


def _is_kept(trial: Trial, before: Ratios | str, after: Ratios | str, *, is_judged: bool) -> bool:
    """Whether a step stays."""
    change = _floor(after) - _floor(before)
    if is_judged:
        return change >= _GAIN
    return not trial.decides or change > -_LOSS or _floor(after) >= _GOOD


def _floor(ratios: Ratios | str) -> float:
    """The worst of all, as far as it counts."""
    return _WORST if isinstance(ratios, str) else min(max(_WORST, min(_BEST, each)) for each in ratios.values())


def _told(device: str, new: Sequence[AppliedFix], before: Ratios | str, after: Ratios | str, *, kept: bool) -> TriedFix:
    return TriedFix(
        device=device,
        rewrites=tuple(dict.fromkeys(each.rewrite for each in new)),
        nodes=len(new),
        before=None if isinstance(before, str) else min(before.values()),
        after=None if isinstance(after, str) else min(after.values()),
        failure=after if isinstance(after, str) else "",
        kept=kept,
    )
