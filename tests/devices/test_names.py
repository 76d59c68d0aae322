"""Names of devices, and those that a project declares."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnncompat.cli import main
from mnncompat.devices.names import Profile, device_named
from mnncompat.errors import UsageError

DECLARED = {
    "phone": {"ssh": "me@board", "python": "/opt/venv/bin/python"},
    "old": "arm64:a53",
}


@pytest.mark.parametrize(
    ("text", "kind", "profile", "host"),
    [
        ("host", "host", None, ""),
        ("arm64", "arm64", Profile.A76, ""),
        ("arm64:a53", "arm64", Profile.A53, ""),
        ("arm64:max", "arm64", Profile.MAX, ""),
        ("ssh:pi@192.168.1.2", "ssh", None, "pi@192.168.1.2"),
        ("phone", "ssh", None, "me@board"),
        ("old", "arm64", Profile.A53, ""),
    ],
)
def test_a_name_is_read(text: str, kind: str, profile: Profile | None, host: str) -> None:
    found = device_named(text, DECLARED)
    assert (found.kind, found.profile, found.host) == (kind, profile, host)
    assert found.arch == ("aarch64" if kind == "arm64" else None)


def test_the_name_that_was_given_is_the_one_that_is_shown() -> None:
    shown = [str(device_named(each, DECLARED)) for each in ("host", "arm64", "arm64:a53", "ssh:board", "phone", "old")]
    assert shown == ["host", "arm64:a76", "arm64:a53", "ssh:board", "phone", "old"]


@pytest.mark.parametrize("text", ["", "arm", "arm64:", "arm64:a99", "ssh:", "ssh:-oProxyCommand=x", "ssh:a b", "hosts"])
def test_what_is_no_device_is_an_error(text: str) -> None:
    with pytest.raises(UsageError):
        device_named(text, DECLARED)


@pytest.mark.parametrize(
    "value", [{}, {"ssh": 1}, {"ssh": "-oX"}, {"ssh": "b", "python": "-c"}, {"ssh": "b", "run": "x"}, 3, "phone"]
)
def test_what_is_declared_in_another_form_is_an_error(value: object) -> None:
    with pytest.raises(UsageError):
        device_named("mine", {"mine": value})


def test_a_project_cannot_take_the_name_of_a_device() -> None:
    taken = {"arm64": {"ssh": "evil"}, "host": {"ssh": "evil"}}
    assert device_named("arm64", taken).kind == "arm64"
    assert device_named("host", taken).kind == "host"


@pytest.mark.parametrize("key", ["device", "ssh", "host", "remote"])
def test_a_project_does_not_choose_where_files_run(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyproject.toml").write_text(f'[tool.mnncompat]\n{key} = "ssh:evil"\n')
    monkeypatch.chdir(tmp_path)
    assert main(["device", "list"]) == 2
    assert "may not be in [tool.mnncompat]" in capsys.readouterr().err


def test_declared_devices_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.mnncompat.devices]\nphone = { ssh = "me@board" }\nold = "arm64:a53"\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNNCOMPAT_CACHE", str(tmp_path / "cache"))
    assert main(["device", "list"]) == 0
    shown = capsys.readouterr().out
    assert "phone     ssh:me@board, python3 (pyproject.toml)" in shown
    assert "old       arm64:a53 (pyproject.toml)" in shown
    assert "not set up: mnncompat device setup arm64" in shown
    assert not (tmp_path / "cache").exists()
