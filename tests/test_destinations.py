"""Where results go: never onto a device, through links, and without what a killed process leaves."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
import pytest
from models import array
from test_model_files import assert_equal_but_for_rounding, outputs, stored_externally

from mnncompat.cli import main
from mnncompat.errors import OutputError
from mnncompat.files.destination import destination
from mnncompat.files.scratch import ScratchFolder, remove_stale
from mnncompat.graph.atomic_files import publish, require_writable, write_atomically
from mnncompat.parity.save_data import Saving

ROOT = os.geteuid() == 0


def fifo(path: Path) -> None:
    os.mkfifo(path)


def listening_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        before = Path.cwd()
        os.chdir(path.parent)  # the path of a socket has 108 bytes
        try:
            made.bind(path.name)
        finally:
            os.chdir(before)


def device(path: Path) -> None:
    """A device of its own where the user may make one, else a link to one that everybody may write to."""
    if ROOT:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    else:
        path.symlink_to(os.devnull)


def block_device(path: Path) -> None:
    if ROOT:
        os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(7, 250))
    else:
        path.symlink_to(os.devnull)


def folder(path: Path) -> None:
    path.mkdir()


def link_to_folder(path: Path) -> None:
    (path.parent / "folder").mkdir()
    path.symlink_to("folder")


def loop(path: Path) -> None:
    path.symlink_to("other")
    (path.parent / "other").symlink_to(path.name)


def link_to_fifo(path: Path) -> None:
    os.mkfifo(path.parent / "pipe")
    path.symlink_to("pipe")


def link_into_nowhere(path: Path) -> None:
    path.symlink_to("no/such/folder/file")


STRANGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "fifo": (fifo, "it is a pipe"),
    "socket": (listening_socket, "it is a socket"),
    "device": (device, "it is a device"),
    "block device": (block_device, "it is a device"),
    "folder": (folder, "it is a directory"),
    "link to a folder": (link_to_folder, "it is a directory"),
    "loop": (loop, "symbolic links"),
    "link to a fifo": (link_to_fifo, "it is a pipe"),
    "link into nowhere": (link_into_nowhere, "its folder does not exist"),
}
COMMANDS = {
    "fix": ["fix", "{model}", "-o", "{out}"],
    "convert": ["convert", "{model}", "-o", "{out}"],
    "probe": ["probe", "--op", "Relu", "--out", "{out}"],
}


def kind(path: Path) -> tuple[int, int, int]:
    found = path.lstat()
    return stat.S_IFMT(found.st_mode), found.st_rdev, found.st_ino


FOLDERS = ("folder", "link to a folder")


@pytest.mark.parametrize(
    ("case", "command"),
    [(case, command) for case in STRANGE for command in COMMANDS if case not in FOLDERS or command == "probe"],
)
def test_what_is_no_file_is_refused_and_stays(
    case: str, command: str, tutorial: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, words = STRANGE[case]
    out = tmp_path / "out"
    make(out)
    before = {path: kind(path) for path in tmp_path.iterdir()}
    assert main([each.format(model=tutorial, out=out) for each in COMMANDS[command]]) == 2
    assert words in " ".join(capsys.readouterr().err.split())
    assert {path: kind(path) for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("case", FOLDERS)
def test_a_result_goes_into_a_folder(case: str, tutorial: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    STRANGE[case][0](out)
    before = {path: kind(path) for path in tmp_path.iterdir()}
    assert main(["fix", str(tutorial), "-o", str(out), "--no-verify"]) == 0
    assert [each.name for each in out.iterdir()] == [tutorial.name]
    assert {path: kind(path) for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["/dev/null", "/dev/full", "/dev/stdout", "/dev/stdin"])
def test_devices_of_the_system(name: str) -> None:
    before = kind(Path(name))
    done = subprocess.run(
        [sys.executable, "-m", "mnncompat", "fix", "none.onnx", "-o", name],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        check=False,
    )
    assert done.returncode == 2
    with pytest.raises(OutputError, match=r"device|pipe|directory|socket"):
        require_writable(Path("/dev/null"))
    assert kind(Path(name)) == before


@pytest.mark.parametrize("name", ["x" * 300, "x" * 256, "a\0b"])
def test_names_that_no_file_can_have(name: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        write_atomically(tmp_path / name, b"data")
    assert list(tmp_path.iterdir()) == []


def test_the_longest_name(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    write_atomically(path, b"data")
    assert path.read_bytes() == b"data"


@pytest.fixture
def linked(tmp_path: Path) -> tuple[Path, Path]:
    """A link in one folder, and the file behind it in another."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "cache" / "blob").write_bytes(b"old")
    (tmp_path / "work" / "middle").symlink_to("../cache/blob")
    (tmp_path / "work" / "link").symlink_to("middle")
    return tmp_path / "work" / "link", tmp_path / "cache" / "blob"


def test_a_link_is_followed(linked: tuple[Path, Path]) -> None:
    link, file = linked
    file.chmod(0o640)
    before = file.stat().st_ino
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert link.parent.joinpath("middle").is_symlink()
    assert file.read_bytes() == b"new"
    assert file.stat().st_ino != before, "replaced in one step"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [path.name for path in file.parent.iterdir()] == ["blob"]


def test_a_dangling_link_gets_its_file(linked: tuple[Path, Path]) -> None:
    link, file = linked
    file.unlink()
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert file.read_bytes() == b"new"


def test_a_link_whose_folder_may_not_be_written(linked: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests may run as root, for whom file modes do not count: the refusal is simulated."""
    link, file = linked
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != file.parent and real(path, mode))
    with pytest.raises(OutputError, match=r"a link to .*blob: permission denied"):
        write_atomically(link, b"new")
    assert file.read_bytes() == b"old"


def test_a_hard_link_is_parted(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"old")
    (tmp_path / "file").hardlink_to(tmp_path / "cache")
    write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "cache").read_bytes() == b"old"
    assert (tmp_path / "file").read_bytes() == b"new"


@pytest.mark.skipif(not ROOT, reason="only root may give files away")
def test_the_owner_stays(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.chown(tmp_path / "file", 1234, 2345)
    write_atomically(tmp_path / "file", b"new")
    assert ((tmp_path / "file").stat().st_uid, (tmp_path / "file").stat().st_gid) == (1234, 2345)


def test_weights_go_beside_the_name_that_was_given(linked: tuple[Path, Path]) -> None:
    link, file = linked
    made = link.parent / "made.mnn"
    made.write_bytes(b"graph")
    made.with_name("made.mnn.weight").write_bytes(b"weights")
    publish(made, link)
    assert file.read_bytes() == b"graph"
    assert link.with_name("link.weight").read_bytes() == b"weights"


def test_a_linked_model_is_fixed_in_place(tmp_path: Path, tutorial: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / "blob").write_bytes(tutorial.read_bytes())
    (tmp_path / "model.onnx").symlink_to(store / "blob")
    assert main(["fix", str(tmp_path / "model.onnx"), "--in-place"]) == 0
    assert (tmp_path / "model.onnx").is_symlink()
    assert "MatMul" not in {node.op_type for node in onnx.load(store / "blob").graph.node}
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["blob", "model.onnx", "store"]


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    """A model with external data as the cache of Hugging Face has it: every file is a link into one folder."""
    snapshot, blobs = tmp_path / "snapshots" / "1", tmp_path / "blobs"
    for each in (snapshot, blobs):
        each.mkdir(parents=True)
    (tmp_path / "plain").mkdir()
    stored_externally(tmp_path / "plain")
    for number, name in enumerate(("model.onnx", "model.bin")):
        (tmp_path / "plain" / name).replace(blobs / str(number))
        (snapshot / name).symlink_to(f"../../blobs/{number}")
    return snapshot / "model.onnx"


def test_a_cached_model_is_fixed_in_place(cached: Path) -> None:
    images = array(2, 3, 6, 6)
    expected = outputs(cached, images)
    assert main(["fix", str(cached), "--in-place"]) == 0
    assert all(path.is_symlink() for path in cached.parent.iterdir())
    assert_equal_but_for_rounding(outputs(cached, images), expected)
    assert "MatMul" not in {node.op_type for node in onnx.load(cached, load_external_data=False).graph.node}


def test_a_cached_model_is_converted(cached: Path) -> None:
    out = cached.parent / "out.mnn"
    assert main(["convert", str(cached), "-o", str(out), "-q"]) == 0
    assert out.stat().st_size > 1000


def test_saved_data_follow_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert Saving(tmp_path / "link", tmp_path / "m.onnx", tmp_path / "m.mnn")._folder == tmp_path / "real"
    for name in ("pipe", "loop"):
        STRANGE[{"pipe": "fifo", "loop": "loop"}[name]][0](tmp_path / name)
        with pytest.raises(OutputError, match="cannot write"):
            Saving(tmp_path / name, tmp_path / "m.onnx", tmp_path / "m.mnn")


# ---- what a killed process leaves ------------------------------------------------------------------------------------

HOLDER = """
import sys, time
from pathlib import Path
from mnncompat.files.scratch import ScratchFile, ScratchFolder
with ScratchFolder() as folder, ScratchFile(Path(sys.argv[1])) as file:
    (folder / "inside").write_text("x")
    print(folder, file.path, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    yield tmp_path
    monkeypatch.undo()


def holder(place: Path) -> tuple[subprocess.Popen[str], list[Path]]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(place)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, [Path(each) for each in process.stdout.readline().split()]


def test_what_a_killed_process_left_is_removed_and_what_is_in_use_is_not(place: Path) -> None:
    living, used = holder(place)
    killed, left = holder(place)
    for name in ("mnncompat-releases", "mnncompat-scratch-mine", ".mnncompat-scratch-note"):
        (place / name).mkdir()
    with living, killed:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert len(left) == 2
        assert all(each.exists() for each in left)
        with ScratchFolder() as folder:
            assert folder.is_dir()
            remaining = sorted(path.name for path in place.iterdir() if path != folder)
        assert all(each.exists() for each in used)
        living.kill()
    others = ["mnncompat-releases", "mnncompat-scratch-mine", ".mnncompat-scratch-note"]
    assert remaining == sorted([*others, *(each.name for each in used)])


def test_a_link_with_such_a_name_is_not_followed(place: Path) -> None:
    (place / "precious").mkdir()
    (place / "mnncompat-scratch-abcdefgh").symlink_to("precious")
    remove_stale(place)
    assert (place / "precious").is_dir()
    assert (place / "mnncompat-scratch-abcdefgh").is_symlink()


@pytest.mark.skipif(not ROOT, reason="only root may give files away")
def test_what_other_users_left_stays(place: Path) -> None:
    (place / "mnncompat-scratch-abcdefgh").mkdir()
    os.chown(place / "mnncompat-scratch-abcdefgh", 1234, 2345)
    remove_stale(place)
    assert (place / "mnncompat-scratch-abcdefgh").is_dir()


def test_a_start_removes_what_was_left(place: Path, tutorial: Path) -> None:
    (place / "mnncompat-scratch-abcdefgh").mkdir()
    done = subprocess.run([sys.executable, "-m", "mnncompat", "check", str(tutorial)], capture_output=True, check=False)
    assert done.returncode in (0, 1)
    assert list(place.iterdir()) == []


def test_a_folder_that_vanishes_before_it_is_locked_is_made_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open
    taken: list[str | Path] = []

    def open_late(path: str | Path, flags: int, *arguments: int) -> int:
        if not taken and flags & os.O_DIRECTORY and Path(path).parent == place:
            taken.append(path)
            Path(path).rmdir()
        return real(path, flags, *arguments)

    monkeypatch.setattr(os, "open", open_late)
    with ScratchFolder() as folder:
        assert folder.is_dir()
    assert len(taken) == 1


def test_no_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_options: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with pytest.raises(OutputError, match="no temporary folder can be made: No space left"):
        ScratchFolder()


def test_destination_is_the_path_itself_where_there_is_no_link(tmp_path: Path) -> None:
    assert destination(tmp_path / "file") == tmp_path / "file"
    assert destination(Path("relative")) == Path("relative")
