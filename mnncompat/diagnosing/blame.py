"""Which of the values that are wrong by themselves make the outputs of the model wrong.

Two tests, both on the file itself. *Effect*: everything that does not depend on a group is fed with golden values, and
the group's values as the file computes them from golden ones: what the outputs are off by then is its doing, or that of
what follows. *Cure*: the file runs from the inputs of the model, but the group's values are put right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnncompat.diagnosing.correspondence import Group, reached
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    import numpy as np

    from mnncompat.diagnosing.measuring import Measuring
    from mnncompat.results.diagnosis import Deviation

_MOST_TESTED = 8
_NEAR = 10.0
"""Effects that differ by no more than this factor do not say which comes first: the order of computation does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A group that is wrong by itself.

    Attributes:
        group: The group.
        own: Its error, fed with golden values.
        effect: Largest error ratio of an output that it causes; its own, where that could not be tested.
        outputs: The outputs that are wrong because of it.
        shown_by: How that is known, one line each.
    """

    group: Group
    own: float
    effect: float
    outputs: tuple[str, ...]
    shown_by: tuple[str, ...]


def suspects(
    measuring: Measuring, wrong: Mapping[str, Deviation], ahead: Callable[[], object] = lambda: None
) -> list[Suspect]:
    """The groups to blame, first the one to blame first.

    Args:
        measuring: What was measured.
        wrong: The outputs of the model that are wrong.
        ahead: Other work, done where this one waits for MNN.
    """
    groups = [each for each in measuring.tensors.groups if _own(measuring, each) > 1 and _arrives(measuring, each)]
    if not groups:
        return _amplified(measuring, wrong)
    reach = [each for each in groups if reached(measuring.tensors.before, each.values) & set(wrong)] or groups
    strongest = sorted(reach, key=lambda each: -_own(measuring, each))[:_MOST_TESTED]
    for each in strongest:
        _begin_test(measuring, each, wrong)
    if len(strongest) == 1:  # it will be the one to blame
        _begin_cure(measuring, strongest, list(wrong))
    ahead()
    tested = [_tested(measuring, each, wrong) for each in reach if each in strongest]
    return _ordered(measuring, [each for each in tested if each.effect > 1] or tested)


def _amplified(measuring: Measuring, wrong: Mapping[str, Deviation]) -> list[Suspect]:
    """Groups that are within their tolerance, but what follows magnifies the error of one beyond that of an output.

    The outputs are known to be wrong: here no element of theirs passes as an outlier.
    """
    groups = [each for each in measuring.tensors.groups if _own(measuring, each) > 0 and _arrives(measuring, each)]
    strongest = sorted(groups, key=lambda each: -_own(measuring, each))[:_MOST_TESTED]
    found = []
    for group in strongest:
        measuring.keep(group.values)
        suspect = _tested(measuring, group, wrong, strict=True)
        if suspect.effect > 1 and suspect.shown_by and suspect.outputs and _is_right_after(measuring, group, suspect):
            found.append(suspect)
    return _ordered(measuring, found)


def _is_right_after(measuring: Measuring, group: Group, suspect: Suspect) -> bool:
    """Whether what follows a group makes the outputs right of its right values: if not, the error may be its own."""
    after, wanted = _affected(measuring, group, suspect.outputs)
    if not wanted:
        return True
    boundary = _boundary(measuring, group, after, wanted)
    right = {name: measuring.value(name) for name in boundary}
    found = _outputs(measuring, right, wanted, strict=True)
    return found is not None and not any(each.is_wrong for each in found.values())


def _ordered(measuring: Measuring, guilty: Sequence[Suspect]) -> list[Suspect]:
    """First the one to blame first."""
    most = max((each.effect for each in guilty), default=0.0)
    place = {each.values: number for number, each in enumerate(measuring.tensors.groups)}
    return sorted(guilty, key=lambda each: (each.effect * _NEAR < most, place[each.group.values]))


def cures(measuring: Measuring, groups: Sequence[Group], outputs: Collection[str]) -> bool | None:
    """Whether outputs agree when the values of groups are put right; None if that cannot be run."""
    feeds, wanted = _cured(measuring, groups, outputs)
    if not feeds:
        return None
    if not wanted:
        return True
    found = _outputs(measuring, feeds, wanted)
    return None if found is None else not any(each.is_wrong for each in found.values())


def _cured(
    measuring: Measuring, groups: Sequence[Group], outputs: Collection[str]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """What is fed to put the values of groups right, nothing if none can be; and what is computed then."""
    names = [name for group in groups for name in group.values if name in measuring.found.held]
    feeds = measuring.feeds | {name: measuring.value(name) for name in names} if names else {}
    return feeds, [name for name in outputs if name not in names]


def _begin_cure(measuring: Measuring, groups: Sequence[Group], outputs: Collection[str]) -> None:
    feeds, wanted = _cured(measuring, groups, outputs)
    if feeds and wanted:
        measuring.runner.begin(feeds, wanted, measuring.found.held)


def _begin_test(measuring: Measuring, group: Group, wrong: Mapping[str, Deviation]) -> None:
    after, wanted = _affected(measuring, group, wrong)
    if wanted:
        measuring.runner.begin(_boundary(measuring, group, after, wanted), wanted, measuring.found.held)


def _affected(measuring: Measuring, group: Group, wrong: Iterable[str]) -> tuple[set[str], list[str]]:
    """What is computed from a group, and the wrong outputs among that."""
    after = reached(measuring.tensors.before, group.values)
    return after, [name for name in wrong if name in after and name not in group.values]


def _own(measuring: Measuring, group: Group) -> float:
    found = [measuring.found.own[name].error_ratio for name in group.values if name in measuring.found.own]
    return max((math.inf if math.isnan(each) else each for each in found), default=0.0)


def _strict_own(measuring: Measuring, group: Group) -> float:
    """The same where no element may be an outlier; only of values that were kept."""
    kept = measuring.found.kept
    found = [measuring.strict_deviation(name, kept[name]).error_ratio for name in group.values if name in kept]
    return max(found, default=_own(measuring, group))


def _arrives(measuring: Measuring, group: Group) -> bool:
    """Whether the file itself computes it wrongly: if not, it is wrong only when it is fed."""
    found = [measuring.found.accumulated[name] for name in group.values if name in measuring.found.accumulated]
    return not found or _own(measuring, group) <= 1 or any(each.is_wrong for each in found)


def _tested(measuring: Measuring, group: Group, wrong: Mapping[str, Deviation], *, strict: bool = False) -> Suspect:
    own = _strict_own(measuring, group) if strict else _own(measuring, group)
    direct = [name for name in group.values if name in wrong]
    after, wanted = _affected(measuring, group, wrong)
    boundary = _boundary(measuring, group, after, wanted)
    found = _outputs(measuring, boundary, wanted, strict=strict) if wanted else {}
    if found is None:
        return Suspect(group=group, own=own, effect=own, outputs=tuple(direct or wanted), shown_by=())
    hit = [name for name, each in found.items() if each.is_wrong]
    effect = max([*(found[name].error_ratio for name in hit), *([own] if direct else [])], default=0.0)
    outputs = tuple(name for name in wrong if name in hit or name in direct)
    told = [] if not outputs else [f"fed with right values, it makes {_listed(outputs)} wrong"]
    return Suspect(group=group, own=own, effect=effect, outputs=outputs, shown_by=tuple(told))


def _boundary(
    measuring: Measuring, group: Group, after: Collection[str], wanted: Sequence[str]
) -> dict[str, np.ndarray]:
    """What the outputs are computed from, if a group's own values are among them and all else is golden."""
    feeds: dict[str, np.ndarray] = {}
    ahead, seen = list(wanted), set(wanted)
    while ahead:
        for name in measuring.tensors.before.get(ahead.pop(), ()):
            if name in group.values:
                feeds[name] = measuring.found.kept.get(name, measuring.value(name))
            elif name not in after and (name in measuring.found.held or name in measuring.feeds):
                feeds[name] = measuring.value(name)
            elif name not in seen:
                seen.add(name)
                ahead.append(name)
    return feeds


def _outputs(
    measuring: Measuring, feeds: Mapping[str, np.ndarray], wanted: Sequence[str], *, strict: bool = False
) -> dict[str, Deviation] | None:
    traced = measuring.runner.trace(feeds, wanted, measuring.found.held)
    if isinstance(traced, Failure):
        return None
    judge = measuring.strict_deviation if strict else measuring.deviation
    return {name: judge(name, array) for name, array in traced.values.items()}


def _listed(names: Sequence[str]) -> str:
    return ("output " if len(names) == 1 else "outputs ") + ", ".join(repr(each) for each in names)
