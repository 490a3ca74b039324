"""Files that change are as before, or complete."""

from __future__ import annotations

import errno
import importlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mediafile
import pytest
from support.audio import MADE
from support.beet import context

from beetsplug.soundtags.file_tags import write_tags
from soundtags.atomic import replacing, writing
from soundtags.audio.decoding import decode
from soundtags.errors import UnwritableTags

if TYPE_CHECKING:
    from collections.abc import Iterator

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has others")
TAGS = {"mood": ["happy", "sad"], "danceability": 0.5}
# The steps of a change, in this order.
STEPS = [
    "os.open",  # of an empty copy
    "shutil.copyfile",
    "shutil.copystat",
    "beetsplug.soundtags.file_tags.check_copy",
    "os.fsync",
    "os.replace",
]


def write_and_die(path: str, when: str, step: str) -> None:
    """Write tags, and die before or after the first time of a step."""
    module, name = step.rsplit(".", 1)
    owner = importlib.import_module(module)
    do = getattr(owner, name)

    def die(*args: Any, **kwargs: Any) -> None:
        if when == "after":
            do(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, die)
    write_tags(path, TAGS, id3v23=False)


def audio(path: Path) -> bytes:
    return b"".join(block.tobytes() for block in decode(str(path)).blocks)


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("originals")
    made = {}
    for ending, make in MADE.items():
        made[ending] = folder / f"track.{ending}"
        make(made[ending])
        file = mediafile.MediaFile(made[ending])
        file.update({"title": "Title", "artist": "Someone", "year": 1999})
        file.save()
    return made


@pytest.fixture
def flac(originals, tmp_path) -> Path:
    return shutil.copy(originals["flac"], tmp_path / "track.flac")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("ending", ["mp3", "flac", "ogg", "m4a"])
def test_a_killed_process_leaves_the_file_whole(
    originals, tmp_path, ending, step, when
):
    path = shutil.copy(originals[ending], tmp_path / f"track.{ending}")
    before = path.read_bytes()
    wanted = shutil.copy(path, tmp_path / f"wanted.{ending}")
    write_tags(str(wanted), TAGS, id3v23=False)
    process = context.Process(
        target=write_and_die, args=(str(path), when, step)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    replaced = (step, when) == ("os.replace", "after")
    assert path.read_bytes() == (wanted.read_bytes() if replaced else before)
    assert write_tags(str(path), TAGS, id3v23=False) != replaced
    assert path.read_bytes() == wanted.read_bytes()
    if not replaced:  # otherwise, the second call has nothing to do
        names = {each.name for each in tmp_path.iterdir()}
        assert names == {path.name, wanted.name}


@pytest.mark.parametrize("ending", MADE)
def test_other_tags_and_the_audio_stay(originals, tmp_path, ending):
    path = shutil.copy(originals[ending], tmp_path / f"track.{ending}")
    before = audio(path)
    assert write_tags(str(path), TAGS, id3v23=False)
    assert audio(path) == before
    file = mediafile.MediaFile(path)
    assert (file.title, file.artist, file.year) == ("Title", "Someone", 1999)


@pytest.mark.parametrize(
    "step",
    ["shutil.copyfile", "mediafile.MediaFile.save", "os.fsync", "os.replace"],
)
def test_a_full_disk_leaves_the_file_alone(flac, monkeypatch, step):
    def fail(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = flac.read_bytes()
    monkeypatch.setattr(step, fail)
    with pytest.raises(UnwritableTags, match="No space left"):
        write_tags(str(flac), TAGS, id3v23=False)
    assert flac.read_bytes() == before
    assert list(flac.parent.iterdir()) == [flac]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0,
    reason="permissions do not stop this user",
)
@pytest.mark.parametrize("which", ["file", "folder"])
def test_a_file_without_permission_stays_as_it_is(flac, which):
    before = flac.read_bytes()
    locked, mode = (flac, 0o444) if which == "file" else (flac.parent, 0o555)
    locked.chmod(mode)
    try:
        with pytest.raises(UnwritableTags, match="Permission denied"):
            write_tags(str(flac), TAGS, id3v23=False)
    finally:
        locked.chmod(0o755)
    assert flac.read_bytes() == before


def test_a_change_by_another_program_meanwhile_is_kept(flac, monkeypatch):
    save = mediafile.MediaFile.save

    def meddle(self):
        save(self)
        flac.write_bytes(b"by another program")

    monkeypatch.setattr(mediafile.MediaFile, "save", meddle)
    with pytest.raises(UnwritableTags, match="another program has changed it"):
        write_tags(str(flac), TAGS, id3v23=False)
    assert flac.read_bytes() == b"by another program"
    assert list(flac.parent.iterdir()) == [flac]


def test_links_and_permissions_stay(flac, tmp_path):
    link, name = tmp_path / "link.flac", tmp_path / "name.flac"
    try:
        link.symlink_to(flac)
    except OSError:
        pytest.skip("no symbolic links here")
    os.link(flac, name)
    before = flac.read_bytes()
    flac.chmod(0o640)
    assert write_tags(str(link), TAGS, id3v23=False)
    assert link.is_symlink()
    assert mediafile.MediaFile(flac).title == "Title"
    assert flac.read_bytes() != before == name.read_bytes()
    if os.name != "nt":
        assert stat.S_IMODE(flac.stat().st_mode) == 0o640


@pytest.mark.parametrize("length", [200, 255])
def test_names_of_any_length(flac, tmp_path, length):
    path = flac.rename(tmp_path / ("x" * (length - 5) + ".flac"))
    assert write_tags(str(path), TAGS, id3v23=False)
    assert not write_tags(str(path), TAGS, id3v23=False)  # it has them
    assert list(tmp_path.iterdir()) == [path]


def test_a_change_that_fails_is_not_made(flac):
    before = flac.read_bytes()

    def change() -> None:
        with replacing(str(flac)) as copy, open(copy, "ab") as file:
            file.write(b"half of")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change()
    assert flac.read_bytes() == before
    assert list(flac.parent.iterdir()) == [flac]


def write(path: Path, content: bytes) -> None:
    with writing(path) as file:
        file.write(content)


@pytest.mark.parametrize("older", [None, b"older"])
def test_a_written_file_appears_when_it_is_complete(tmp_path, older):
    path = tmp_path / "report.html"
    if older:
        path.write_bytes(older)
    with writing(path) as file:
        file.write(b"new")
        file.flush()
        assert (path.read_bytes() if path.exists() else None) == older
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_completed_leaves_what_was_there(tmp_path):
    path = tmp_path / "report.html"
    path.write_bytes(b"older")

    def fail() -> None:
        with writing(path) as file:
            file.write(b"half of")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


def test_files_of_others_stay(tmp_path):
    names = "x.part", "x.tmp", ".x.part", "x~"
    for name in names:
        (tmp_path / name).write_bytes(b"the user's")
    write(tmp_path / "x", b"new")
    for name in names:
        assert (tmp_path / name).read_bytes() == b"the user's"


@pytest.mark.parametrize("exists", [True, False])
def test_links_are_followed(tmp_path, exists):
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    target.parent.mkdir()
    if exists:
        target.write_bytes(b"older")
    try:
        link.symlink_to(target)
    except OSError:
        pytest.skip("no symbolic links here")
    write(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


@posix
def test_a_pipe_is_written_to(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as reader:
        read = reader.submit(pipe.read_bytes)
        write(pipe, b"new")
        assert read.result() == b"new"
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


@posix
def test_a_device_is_written_to():
    ours, theirs = os.openpty()
    terminal = Path(os.ttyname(theirs))
    before = terminal.stat().st_ino
    write(terminal, b"new")
    assert os.read(ours, 100) == b"new"
    assert terminal.is_char_device()
    assert terminal.stat().st_ino == before
    os.close(ours)
    os.close(theirs)


@posix
def test_what_is_open_and_has_no_name_is_written_to(tmp_path):
    if not Path("/dev/fd").is_dir():
        pytest.skip("no /dev/fd here")
    with tempfile.TemporaryFile(dir=tmp_path) as file:
        write(Path(f"/dev/fd/{file.fileno()}"), b"new")
        file.seek(0)
        assert file.read() == b"new"
    assert list(tmp_path.iterdir()) == []


@posix
def test_what_nothing_can_be_written_to_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # names of sockets must be short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
        (tmp_path / "folder").mkdir()
        (tmp_path / "loop").symlink_to("loop")
        for name in ("socket", "folder", "loop", "no/where", "folder/x/y"):
            with pytest.raises(OSError) as error:  # noqa: PT011
                write(Path(name), b"new")
            assert error.value.filename == name
            assert error.value.strerror
    assert (tmp_path / "socket").is_socket()
    assert {each.name for each in tmp_path.iterdir()} == {
        "socket",
        "folder",
        "loop",
    }


@pytest.mark.parametrize("step", ["os.fsync", "os.replace"])
def test_a_full_disk_is_that_of_the_file(tmp_path, monkeypatch, step):
    def fail(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "x"
    path.write_bytes(b"older")
    monkeypatch.setattr(step, fail)
    with pytest.raises(OSError, match="No space left") as error:
        write(path, b"new")
    assert error.value.filename == str(path)
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


@posix
def test_permissions_are_those_of_the_file_or_the_usual_ones(tmp_path):
    new, usual = tmp_path / "new", tmp_path / "usual"
    write(new, b"new")
    usual.touch()
    assert new.stat().st_mode == usual.stat().st_mode
    new.chmod(0o640)
    write(new, b"newer")
    assert stat.S_IMODE(new.stat().st_mode) == 0o640


@posix
def test_file_and_folder_are_on_the_disk(tmp_path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace

    def note_sync(handle: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        steps.append("folder" if is_folder else "file")
        fsync(handle)

    def note_replace(*args: Any) -> None:
        steps.append("replace")
        replace(*args)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)
    write(tmp_path / "x", b"new")
    assert steps == ["file", "replace", "folder"]


def test_two_may_write_one_file(tmp_path):
    path = tmp_path / "x"
    with writing(path) as first:
        first.write(b"first")
        with writing(path) as second:
            second.write(b"second")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


@posix
def test_what_a_killed_writer_leaves_is_deleted_by_the_next(tmp_path):
    path = tmp_path / "x"
    program = (
        "import os, signal\n"
        "from soundtags.atomic import writing\n"
        f"with writing({str(path)!r}):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    write(path, b"new")
    assert list(tmp_path.iterdir()) == [path]


OWNER, OTHER, SHARED = 61_001, 61_002, 61_003  # users, and a group of both


@pytest.fixture
def shared_file() -> Iterator[Path]:
    """A file of one user, which others of the group may write to."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root can act for several users")
    with tempfile.TemporaryDirectory() as name:
        folder, path = Path(name), Path(name, "track.flac")
        MADE["flac"](path)
        for each, mode in ((folder, 0o2770), (path, 0o660)):
            os.chown(each, OWNER, SHARED)
            each.chmod(mode)
        yield path


def as_user(user: int, path: Path) -> str:
    """Write tags as a user; return what went wrong."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([SHARED])
        os.setgid(user)
        os.setuid(user)
        try:
            write_tags(str(path), TAGS, id3v23=False)
        except UnwritableTags as exc:
            os.write(writer, str(exc).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with open(reader, encoding="utf-8") as said:
        return said.read()


def test_a_shared_file_keeps_its_owner_and_group(shared_file):
    before = shared_file.read_bytes()
    assert as_user(OWNER, shared_file) == ""
    written, found = shared_file.read_bytes(), shared_file.stat()
    assert written != before
    assert (found.st_uid, found.st_gid) == (OWNER, SHARED)
    assert stat.S_IMODE(found.st_mode) == 0o660
    shared_file.write_bytes(before)
    assert "owner" in as_user(OTHER, shared_file)
    assert shared_file.read_bytes() == before
    assert [*shared_file.parent.iterdir()] == [shared_file]


def test_where_modes_cannot_be_set_files_are_written(flac, monkeypatch):
    """Some mounts give all files one mode, and refuse to change it."""

    def refuse(*_args, **_kwargs):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    flac.chmod(0o600)  # as the copy has anyway
    for name in ("chmod", "chown"):
        monkeypatch.setattr(os, name, refuse)
    assert write_tags(str(flac), TAGS, id3v23=False)


def test_a_file_that_others_could_not_read_any_more_stays(flac, monkeypatch):
    before = flac.read_bytes()
    flac.chmod(0o644)
    monkeypatch.setattr(os, "chmod", lambda *_args, **_kwargs: None)
    with pytest.raises(UnwritableTags, match="permissions cannot be kept"):
        write_tags(str(flac), TAGS, id3v23=False)
    assert flac.read_bytes() == before
