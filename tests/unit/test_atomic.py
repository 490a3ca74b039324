"""Files whose tags change: as they were, or as they are to be."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import mediafile
import pytest
from support.audio import MADE

from beetsplug.soundtags.file_tags import write_tags
from soundtags.atomic import replacing
from soundtags.audio.decoding import decode
from soundtags.errors import UnwritableTags

if TYPE_CHECKING:
    from pathlib import Path

TAGS = {"mood": ["happy", "sad"], "danceability": 0.5}
# What is done on the way, in this order.
STEPS = [
    "os.open",  # of an empty copy
    "shutil.copyfile",
    "shutil.copystat",
    "beetsplug.soundtags.file_tags.check_copy",
    "os.fsync",
    "os.replace",
]
# Dies before or after a step, at its first use on our file.
DYING = """
import importlib, os, signal, sys

from beetsplug.soundtags.file_tags import write_tags

module, name = sys.argv[3].rsplit(".", 1)
owner = importlib.import_module(module)
step = getattr(owner, name)


def die(*args, **kwargs):
    done = step(*args, **kwargs) if sys.argv[2] == "after" else None
    os.kill(os.getpid(), signal.SIGKILL)


setattr(owner, name, die)
write_tags(sys.argv[1], {"mood": ["happy", "sad"], "danceability": 0.5}, False)
"""


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
def test_whoever_is_killed_leaves_the_file_whole(
    originals, tmp_path, ending, step, when
):
    path = shutil.copy(originals[ending], tmp_path / f"track.{ending}")
    before = path.read_bytes()
    wanted = shutil.copy(path, tmp_path / f"wanted.{ending}")
    write_tags(str(wanted), TAGS, id3v23=False)
    done = subprocess.run(
        [sys.executable, "-c", DYING, path, when, step], check=False
    )
    assert done.returncode == -signal.SIGKILL
    replaced = (step, when) == ("os.replace", "after")
    assert path.read_bytes() == (wanted.read_bytes() if replaced else before)
    assert write_tags(str(path), TAGS, id3v23=False) != replaced
    assert path.read_bytes() == wanted.read_bytes()
    if not replaced:  # otherwise nothing was left to be done
        names = {each.name for each in tmp_path.iterdir()}
        assert names == {path.name, wanted.name}


@pytest.mark.parametrize("ending", MADE)
def test_tags_of_others_and_the_audio_stay(originals, tmp_path, ending):
    path = shutil.copy(originals[ending], tmp_path / f"track.{ending}")
    before = audio(path)
    assert write_tags(str(path), TAGS, id3v23=False)
    assert audio(path) == before
    file = mediafile.MediaFile(path)
    assert (file.title, file.artist, file.year) == ("Title", "Someone", 1999)


@pytest.mark.parametrize(
    "step",
    ["shutil.copy2", "mediafile.MediaFile.save", "os.fsync", "os.replace"],
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
    reason="whoever may do anything is not stopped by permissions",
)
@pytest.mark.parametrize("which", ["file", "folder"])
def test_what_must_not_be_written_is_not(flac, which):
    before = flac.read_bytes()
    locked, mode = (flac, 0o444) if which == "file" else (flac.parent, 0o555)
    locked.chmod(mode)
    try:
        with pytest.raises(UnwritableTags, match="Permission denied"):
            write_tags(str(flac), TAGS, id3v23=False)
    finally:
        locked.chmod(0o755)
    assert flac.read_bytes() == before


def test_what_somebody_else_writes_meanwhile_is_kept(flac, monkeypatch):
    save = mediafile.MediaFile.save

    def meddle(self):
        save(self)
        flac.write_bytes(b"by somebody else")

    monkeypatch.setattr(mediafile.MediaFile, "save", meddle)
    with pytest.raises(UnwritableTags, match="changed by somebody else"):
        write_tags(str(flac), TAGS, id3v23=False)
    assert flac.read_bytes() == b"by somebody else"
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


def test_a_change_that_fails_is_none(flac):
    before = flac.read_bytes()

    def change() -> None:
        with replacing(str(flac)) as copy, open(copy, "ab") as file:
            file.write(b"half of")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change()
    assert flac.read_bytes() == before
    assert list(flac.parent.iterdir()) == [flac]
