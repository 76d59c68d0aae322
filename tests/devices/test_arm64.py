"""The emulation of arm64. Set up where it is missing; MNNCOMPAT_NO_DEVICE=1 leaves all of this out."""

from __future__ import annotations

import pytest

from mnncompat.devices.device import Precision
from mnncompat.devices.names import device_named
from mnncompat.devices.self_test import self_test


@pytest.mark.usefixtures("emulation")
@pytest.mark.parametrize(
    ("name", "half"), [("arm64:a53", ()), ("arm64", (Precision.LOW,)), ("arm64:max", (Precision.LOW,))]
)
def test_each_profile_computes_as_its_processor_does(name: str, half: tuple[Precision, ...]) -> None:
    found = self_test(device_named(name))
    assert not found.problem
    assert found.half == half
    assert found.environment.machine == "aarch64"
