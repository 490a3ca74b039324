"""Tags in files of every format, read back by mutagen alone."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path
from zlib import crc32

import mediafile
import mutagen
import numpy as np
import pytest
from support.audio import APEV2, FREEFORM, ID3, MADE, VORBIS
from support.beet import Beet

from soundtags.audio.decoding import decode

HAVE_NO_ART = ("wma",)


def read_with_mutagen(path: Path, name: str) -> list[str]:
    """Return the values of a tag, where the table of formats says."""
    file = mutagen.File(path)
    kind = path.name.split(".")[-1]
    if kind in ID3:
        frames = file.tags.getall(f"TXXX:{name.upper()}")
        values = [value for frame in frames for value in frame.text]
        if name == "mood":
            assert file.tags["TMOO"].text == values
        return values
    if kind in VORBIS:
        return file[name.upper()]
    if kind == "m4a":
        return [value.decode() for value in file[FREEFORM + name.upper()]]
    if kind == "wma":
        key = "WM/Mood" if name == "mood" else name.upper()
        return [str(value) for value in file[key]]
    assert kind in APEV2
    key = "Mood" if name == "mood" else name.upper()
    assert key in list(file.tags.keys())  # as written, capitals and all
    return list(file[key])


def everything_else(path: Path) -> dict[str, str]:
    """Return all tags but ours, art included, as text."""
    ours = {"MOOD", "DANCEABILITY", "VOICE_INSTRUMENTAL", "GENRE"}
    ours |= {"TMOO", "TCON", "\xa9GEN", "WM/GENRE"}
    return {
        key: repr(value)
        for key, value in dict(mutagen.File(path).tags).items()
        if key.upper().split(":")[-1].removeprefix("WM/") not in ours
        and key.upper() not in ours
    }


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IEND", b"")


def decoded(path: Path) -> np.ndarray:
    return np.concatenate(list(decode(str(path)).blocks))


@pytest.fixture(params=[*MADE, "ape"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file with tags of others, in each format there is."""
    kind = request.param
    folder = tmp_path / "in"
    folder.mkdir()
    path = folder / f"track.{kind}"
    if kind == "ape":
        shutil.copy(request.getfixturevalue("ape"), path)
    else:
        MADE[kind](path)
    tags = mediafile.MediaFile(path)
    tags.update(
        {
            "title": "Ein Titel",
            "artist": "Jemand",
            "comments": "nicht anfassen",
            "composers": ["Einer", "Noch einer"],
            "images": [mediafile.Image(png(), desc="cover")],
        }
    )
    tags.genres = None
    tags.save()
    foreign = mutagen.File(path)
    if kind in VORBIS:
        foreign["X_FOREIGN"] = ["1", "2"]
    elif kind in ID3:
        foreign.tags.add(mutagen.id3.TXXX(desc="X_FOREIGN", text=["1", "2"]))
        foreign.tags.add(mutagen.id3.PRIV(owner="x", data=b"\0\1"))
    elif kind.endswith("m4a"):
        foreign[f"{FREEFORM}X_FOREIGN"] = [b"1", b"2"]
    else:
        foreign["X_FOREIGN"] = ["1", "2"]
    foreign.save()
    return path


def test_four_tags_and_nothing_else(beet: Beet, file: Path):
    audio, others = decoded(file), everything_else(file)
    assert any("X_FOREIGN" in key.upper() for key in others)
    beet.configure(
        soundtags={"patches": 2, "mood_threshold": 0.1},
        **{"import": {"quiet": True, "copy": False, "write": True}},
    )
    beet("import", "-A", file.parent)
    (item,) = beet.items()
    assert len(item["mood"]) > 1
    assert read_with_mutagen(file, "mood") == item["mood"]
    written = f"{item['danceability']:.4f}"
    assert read_with_mutagen(file, "danceability") == [written]
    voice = [item["voice_instrumental"]]
    assert read_with_mutagen(file, "voice_instrumental") == voice
    assert mediafile.MediaFile(file).genres == item["genres"]
    assert item["genres"]

    assert everything_else(file) == others
    assert np.array_equal(decoded(file), audio)
    images = mediafile.MediaFile(file).images
    assert [bytes(image.data) for image in images] == [png()]
    assert beet("update").stdout == ""
    assert beet.items() == [item]


def test_id3v23_keeps_what_it_can(beet: Beet, tmp_path: Path):
    path = tmp_path / "in" / "track.mp3"
    path.parent.mkdir()
    MADE["mp3"](path)
    beet.configure(id3v23=True, soundtags={"patches": 2, "mood_threshold": 0.1})
    beet("import", "-A", path.parent)
    (item,) = beet.items()
    tags = mutagen.id3.ID3(item["path"], translate=False)
    assert tags.version == (2, 3, 0)
    assert "TMOO" not in tags  # there is no such frame in ID3v2.3
    assert tags["TXXX:MOOD"].text == ["/".join(item["mood"])]
    Path(item["path"]).touch()
    beet("update")
    assert beet.items()[0]["mood"] == item["mood"]


def test_files_that_say_it_already_are_not_rewritten(beet: Beet, tmp_path):
    path = tmp_path / "in" / "track.flac"
    path.parent.mkdir()
    MADE["flac"](path)
    beet("import", "-A", path.parent)
    written = Path(beet.items()[0]["path"])
    content, inode = written.read_bytes(), written.stat()
    beet("soundtags", "-f")
    assert written.read_bytes() == content
    assert written.stat().st_mtime_ns == inode.st_mtime_ns
