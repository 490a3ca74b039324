"""ID3v1 tags stay as they are, at the very end of a file."""

from __future__ import annotations

from pathlib import Path

import mutagen
import pytest
from support.audio import MADE
from support.id3 import LONG, id3_tag, id3v1

from beetsplug.soundtags.file_tags import read_tags, restore_tags, write_tags
from soundtags.errors import UnwritableTags

VALUES = {"mood": ["happy", "böse"], "genres": ["Rock", "Trip Hop"]}


def change(path: Path) -> None:
    assert write_tags(str(path), VALUES, id3v23=False)


def test_id3v1_alone_has_to_be_converted(tmp_path: Path):
    path = tmp_path / "track.mp3"
    MADE["mp3"](path)
    path.write_bytes(path.read_bytes() + id3v1())
    before = path.read_bytes()
    with pytest.raises(UnwritableTags, match="its ID3v1 tag would have to be"):
        change(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("number", [1, 2])
def test_id3v1_stays_beside_id3v2(number: int, tmp_path: Path):
    path = tmp_path / "track.mp3"
    MADE["mp3"](path)
    audio, last = path.read_bytes(), id3v1() * number
    path.write_bytes(id3_tag(3, LONG, 8) + audio + last)
    undo = read_tags(str(path), VALUES)
    change(path)
    assert path.read_bytes().endswith(audio + last)
    assert restore_tags(str(path), undo, VALUES, id3v23=False)
    assert path.read_bytes().endswith(audio + last)


@pytest.mark.parametrize("with_ape", [False, True])
def test_id3v1_stays_behind_an_ape_tag(with_ape: bool, tmp_path: Path):
    path = tmp_path / "track.wv"
    MADE["wv"](path)
    file = mutagen.File(path)
    file.delete()
    if with_ape:
        file["Title"] = "new title"
        file.save()
    path.write_bytes(path.read_bytes() + id3v1())
    undo = read_tags(str(path), VALUES)
    change(path)
    assert path.read_bytes().endswith(id3v1())
    written = mutagen.File(path)
    assert list(written["Mood"]) == VALUES["mood"]
    assert ("Title" in written) == with_ape
    assert path.read_bytes().count(id3v1()) == 1
    assert restore_tags(str(path), undo, VALUES, id3v23=False)
    assert path.read_bytes().endswith(id3v1())
    assert [*mutagen.File(path)] == ["Title"] * with_ape
