"""Frames of ID3v2 tags stay as they are, however they are written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mutagen import id3
from support.audio import MADE
from support.id3 import LONG, frames_of, id3_tag, id3v1, sized, tagged

from beetsplug.soundtags.file_tags import read_tags, restore_tags, write_tags
from soundtags.errors import UnwritableTags

VALUES = {
    "mood": ["happy", "böse"],
    "danceability": 0.5,
    "genres": ["Rock", "Trip Hop"],
}


def change(path: Path) -> None:
    assert write_tags(str(path), VALUES, id3v23=False)


def id3v23(path: Path) -> dict[str, list[bytes]]:
    """Make an MP3 file with frames that ID3v2.4 lacks, and unknown ones."""
    frames = {
        "TIT2": [b"\0\0\0title"],
        "TYER": [b"\0\0\x001999"],
        "TSIZ": [b"\0\0\x0012345"],
        "XSOP": [b"\0\0\0Sort"],
        "RVAD": [b"\0\0\x03\x10\0\1\0\1\0\1\0\1"],
        "ABCD": [b"\0\0anything"],
        "TXXX": [
            b"\0\0\x01\xfe\xff\0o\0d\0d\0\0\xfe\xff\0x",  # big-endian
            b"\0\0\x03utf\0\xc3\xb6",  # UTF-8, which came with 2.4
        ],
    }
    pairs = [(name, frame) for name in frames for frame in frames[name]]
    tagged(path, id3_tag(3, pairs, 8, padding=b""))
    path.write_bytes(path.read_bytes() + id3v1())
    return frames


def test_frames_of_id3v23_stay_as_they_are(tmp_path: Path):
    path = tmp_path / "track.mp3"
    frames = id3v23(path)
    before = path.read_bytes()
    undo = read_tags(str(path), VALUES)
    change(path)
    found = frames_of(path)
    for name, some in frames.items():
        assert set(some) <= set(found[name])
    written = id3.ID3(path, translate=False)
    assert written.version == (2, 3, 0)
    assert written["TXXX:MOOD"].text == VALUES["mood"]
    assert written["TXXX:DANCEABILITY"].text == ["0.5000"]
    assert written["TCON"].text == VALUES["genres"]
    assert "TMOO" not in written
    assert path.read_bytes().endswith(before[-128:])
    assert restore_tags(str(path), undo, VALUES, id3v23=False)
    assert frames_of(path) == frames
    assert path.read_bytes().endswith(before[-20_000:])


@pytest.mark.parametrize("size", [1, 100])
def test_frames_with_sizes_of_old_itunes_stay(size: int, tmp_path: Path):
    path = tmp_path / "track.mp3"
    frames = [(name, frame * size) for name, frame in LONG]
    tagged(path, id3_tag(4, frames, 8))
    undo = read_tags(str(path), VALUES)
    change(path)
    found = frames_of(path)
    for name, frame in frames:
        assert found[name] == [frame]
    written = id3.ID3(path)
    assert written["TXXX:MOOD"].text == VALUES["mood"]
    assert written["APIC:"].data == (LONG[1][1] * size)[15:]
    assert restore_tags(str(path), undo, VALUES, id3v23=False)
    assert frames_of(path) == {name: [frame] for name, frame in frames}


def unsynchronised(content: bytes) -> bytes:
    return re.sub(rb"\xff(?=[\xe0-\xff\0]|$)", b"\xff\0", content)


@pytest.mark.parametrize("flags", [0, 2, 3])
def test_unsynchronised_frames_keep_their_content(flags: int, tmp_path: Path):
    contents = {
        "TIT2": b"\1" + "\ufefftitle".encode("utf-16-le"),
        "PRIV": b"own\0" + b"\xff\xe0\xff\0\xff" * 9,
        "TPE1": b"\3artist",
        "TXXX": b"\1" + "\ufeffMOOD\0\ufeffold".encode("utf-16-le"),
    }
    path = tmp_path / "track.mp3"
    frames = []
    for name, content in contents.items():
        length = sized(len(content)) if flags & 1 else b""
        frame = bytes([0, flags]) + length + unsynchronised(content)
        frames.append((name, frame))
    tagged(path, id3_tag(4, frames, 7, 0x80))

    def content_of(name: str) -> bytes:
        (frame,) = frames_of(path)[name]
        content = frame[6:] if frame[1] & 1 else frame[2:]
        if frame[1] & 2:
            content = content.replace(b"\xff\0", b"\xff")
        return content

    undo = read_tags(str(path), VALUES)
    change(path)
    assert path.read_bytes()[5] == 0  # the tag's flags
    others = [name for name in contents if name != "TXXX"]
    assert [content_of(name) for name in others] == [
        contents[name] for name in others
    ]
    assert len(frames_of(path)["TXXX"]) == 2  # MOOD, DANCEABILITY
    written = id3.ID3(path)
    assert written["TIT2"].text == ["title"]
    assert written["TXXX:MOOD"].text == VALUES["mood"]
    assert restore_tags(str(path), undo, VALUES, id3v23=False)
    assert [content_of(name) for name in others] == [
        contents[name] for name in others
    ]
    assert id3.ID3(path)["TXXX:MOOD"].text == ["old"]


@pytest.mark.parametrize("version", [3, 4])
def test_frames_without_content_are_passed_over(version: int, tmp_path: Path):
    path = tmp_path / "track.mp3"
    frames = [LONG[0], ("TCOM", b"\0\0"), *LONG[1:]]
    tagged(path, id3_tag(version, frames, {3: 8, 4: 7}[version]))
    undo = read_tags(str(path), VALUES)
    change(path)
    found = frames_of(path)
    assert all(found[name] == [frame] for name, frame in LONG)
    assert restore_tags(str(path), undo, VALUES, id3v23=False)
    assert frames_of(path) == {name: [frame] for name, frame in LONG}


def test_id3v22_is_refused(tmp_path: Path):
    path = tmp_path / "track.mp3"
    MADE["mp3"](path)
    body = b"TT2\0\0\x06\0title" + b"XYZ\0\0\x04data"
    tag = b"ID3\2\0\0\0\0\0" + bytes([len(body)]) + body
    path.write_bytes(tag + path.read_bytes())
    before = path.read_bytes()
    with pytest.raises(UnwritableTags, match="beet write -f"):
        change(path)
    assert path.read_bytes() == before
