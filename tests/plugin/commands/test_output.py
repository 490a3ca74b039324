"""What `-o` names, for every command that writes a file."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.audio import write_track
from support.beet import Beet

# Each writes one file, whose first bytes are these.
COMMANDS = {
    "report.html": (["soundreport"], b"<!doctype html>"),
    "features.npz": (["soundfeatures"], b"PK"),
    "means.csv": (["soundstore", "export"], b"id,artist"),
    "means.parquet": (["soundstore", "export"], b"PAR1"),
}
PNG = b"\x89PNG"
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has others")
commands = pytest.mark.parametrize("name", COMMANDS)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Beet:
    """A library with one track, which is analysed."""
    folder = tmp_path_factory.mktemp("in")
    write_track(folder / "a.flac", "a")
    beet = Beet(tmp_path_factory.mktemp("beets"))
    beet.configure()
    beet("import", "-A", folder)
    return beet


@pytest.fixture(autouse=True)
def needed(request: pytest.FixtureRequest) -> None:
    if "parquet" in request.node.name:
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")


def export(beet: Beet, path: Path, status: int = 0) -> str:
    args, _ = COMMANDS[path.name]
    done = beet(*args, "-o", path, status=status)
    assert "Traceback" not in done.stderr
    return done.stderr


@commands
def test_links_are_followed_and_files_of_others_stay(
    library: Beet, tmp_path: Path, name: str
):
    path, target = tmp_path / name, tmp_path / "target"
    target.write_bytes(b"older")
    path.symlink_to(target)
    other = tmp_path / f"{name}.part"
    other.write_bytes(b"the user's")
    export(library, path)
    assert path.is_symlink()
    assert target.read_bytes().startswith(COMMANDS[name][1])
    assert other.read_bytes() == b"the user's"
    assert {*tmp_path.iterdir()} == {path, target, other}


@posix
@commands
def test_pipes_are_written_to(library: Beet, tmp_path: Path, name: str):
    pipe, plain = tmp_path / name, tmp_path / "plain" / name
    os.mkfifo(pipe)
    plain.parent.mkdir()
    with ThreadPoolExecutor(1) as reader:
        read = reader.submit(pipe.read_bytes)
        export(library, pipe)
        content = read.result()
    export(library, plain)
    if name != "features.npz":  # where sizes come later in a stream
        assert content == plain.read_bytes()
    assert content.startswith(COMMANDS[name][1])
    assert pipe.is_fifo()
    assert {*tmp_path.iterdir()} == {pipe, plain.parent}


@posix
@commands
def test_devices_stay_devices(library: Beet, tmp_path: Path, name: str):
    if not Path("/dev/null").is_char_device():
        pytest.skip("no /dev/null here")
    before = os.stat("/dev/null")
    # By a link, as the names of tables have to end in what they are.
    (tmp_path / name).symlink_to("/dev/null")
    if os.geteuid() == 0:  # who could replace it, if this went wrong
        (tmp_path / name).unlink()
        try:
            os.mknod(tmp_path / name, before.st_mode, before.st_rdev)
        except OSError:
            pytest.skip("no devices can be made here")
    export(library, tmp_path / name)
    assert (tmp_path / name).is_char_device()
    assert list(tmp_path.iterdir()) == [tmp_path / name]


@commands
def test_what_cannot_be_written_is_named(
    library: Beet, tmp_path: Path, name: str
):
    (tmp_path / name).mkdir()
    (line,) = export(library, tmp_path / name, status=1).splitlines()
    assert str(tmp_path / name) in line
    assert list(tmp_path.iterdir()) == [tmp_path / name]


@posix
def test_a_full_device_is_named(library: Beet, tmp_path: Path):
    if not Path("/dev/full").is_char_device():
        pytest.skip("no /dev/full here")
    for name in COMMANDS.keys() - {"means.parquet"}:
        path = tmp_path / name
        path.symlink_to("/dev/full")
        (line,) = export(library, path, status=1).splitlines()
        assert f"{path}: No space left on device" in line


def test_pictures_follow_links_and_leave_files_of_others(
    library: Beet, tmp_path: Path
):
    folder, target = tmp_path / "folder", tmp_path / "target"
    folder.mkdir()
    (folder / "scores.png").symlink_to(target)
    (folder / "scores.png.part").write_bytes(b"the user's")
    library("soundplot", "-o", folder, "title:a")
    assert (folder / "scores.png").is_symlink()
    assert target.read_bytes().startswith(PNG)
    assert (folder / "scores.png.part").read_bytes() == b"the user's"
    assert len(list(folder.iterdir())) == 3


@posix
@pytest.mark.parametrize("args", [["soundmodels"], ["soundmodels", "--json"]])
def test_whoever_stops_reading_is_told_nothing(library: Beet, args):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "beets", *args],
        env=library.environment(),
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert done.stderr == ""
