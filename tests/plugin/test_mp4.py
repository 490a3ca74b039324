"""Boxes of MP4 files that are not as the library that writes tags has them."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import mutagen
import pytest
from support.audio import FREEFORM, MADE

from beetsplug.soundtags.file_tags import read_tags, restore_tags, write_tags
from soundtags.errors import UnwritableTags

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VALUES = {"mood": ["happy", "böse"], "danceability": 0.5}
TRACK = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
HANDLER = bytes(8) + b"mdirappl" + bytes(9)


def box(name: bytes, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return struct.pack(">I4s", 8 + len(content), name) + content


def boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    while len(content) >= 8:
        size, name = struct.unpack(">I4s", content[:8])
        yield name, content[8:size]
        content = content[size:]


def inside(content: bytes, *names: bytes) -> bytes:
    """Return what is in a box in boxes; nothing without it."""
    for name in names:
        content = dict(boxes(content)).get(name, b"")
    return content


def samples(content: bytes) -> list[bytes]:
    """Return the beginnings of chunks of audio, where the file has them."""
    table = inside(content, *TRACK, b"stco")[8:]
    return [
        content[place : place + 50]
        for (place,) in struct.iter_unpack(">I", table)
    ]


def moved(content: bytes, distance: int) -> bytes:
    """Return boxes whose chunks of audio are somewhere else."""
    parts = []
    for name, inner in boxes(content):
        if name in TRACK:
            inner = moved(inner, distance)
        elif name == b"stco":
            places = struct.iter_unpack(">I", inner[8:])
            inner = inner[:8] + b"".join(
                struct.pack(">I", place + distance) for (place,) in places
            )
        parts.append(box(name, inner))
    return b"".join(parts)


def make(path: Path, *additions: bytes, front: bool = True) -> bytes:
    """Make a file without tags, and add boxes to its ``moov``.

    Parameters
    ----------
    path
        The file.
    additions
        The boxes.
    front
        Whether they are before the audio, which is moved by that.

    Returns
    -------
    bytes
        Its content.
    """
    MADE["m4a"](path)
    parts = dict(boxes(path.read_bytes()))
    first, audio = box(b"ftyp", parts[b"ftyp"]), box(b"mdat", parts[b"mdat"])
    moov = b"".join(
        box(name, content)
        for name, content in boxes(parts[b"moov"])
        if name != b"udta"
    ) + b"".join(additions)
    was = path.read_bytes().index(audio)
    place = len(first) + front * len(box(b"moov", moov))
    moov = box(b"moov", moved(moov, place - was))
    content = b"".join([first, moov, audio] if front else [first, audio, moov])
    path.write_bytes(content)
    return content


def tags(*items: bytes, handler: bytes = HANDLER) -> bytes:
    """Return a box with items of tags."""
    hdlr, ilst = box(b"hdlr", handler), box(b"ilst", *items)
    return box(b"udta", box(b"meta", bytes(4), hdlr, ilst))


UNTAGGED = {
    "nothing": (),
    "empty box": (box(b"udta"),),
    "note": (box(b"udta", box(b"\xa9cmt", b"\0\3\0\0abc")),),
    "two boxes": (box(b"udta", box(b"\xa9xyz", b"\0\3\0\0abc")), box(b"udta")),
    "tags of QuickTime": (
        box(
            b"meta", box(b"hdlr", bytes(8) + b"mdta" + bytes(13)), box(b"keys")
        ),
    ),
    "no list in QuickTime": (
        box(
            b"udta", box(b"meta", box(b"hdlr", bytes(8) + b"mdta" + bytes(13)))
        ),
    ),
}


@pytest.mark.parametrize("front", [True, False])
@pytest.mark.parametrize("name", UNTAGGED)
def test_a_file_is_tagged_that_never_was(name, front, tmp_path: Path):
    path = tmp_path / "track.m4a"
    content = make(path, *UNTAGGED[name], front=front)
    undo = read_tags(str(path), VALUES)
    assert write_tags(str(path), VALUES, id3v23=False)
    file = mutagen.File(path)
    moods = [mood.decode() for mood in file[f"{FREEFORM}MOOD"]]
    assert moods == VALUES["mood"]
    assert samples(path.read_bytes()) == samples(content)
    assert restore_tags(str(path), undo, VALUES, id3v23=False)
    assert not mutagen.File(path).tags
    assert samples(path.read_bytes()) == samples(content)


def test_no_other_handler_is_added(tmp_path: Path, monkeypatch):
    path = tmp_path / "track.m4a"
    before = make(path)
    save = mutagen.mp4.MP4.save

    def save_badly(file, filething=None, **options):
        save(file, filething, **options)
        (copy,) = tmp_path.glob(".soundtags-*")
        content = copy.read_bytes()
        copy.write_bytes(content.replace(b"mdirappl", b"mdirabcd"))

    monkeypatch.setattr(mutagen.mp4.MP4, "save", save_badly)
    with pytest.raises(UnwritableTags, match=r"its moov\.udta\.meta\.hdlr"):
        write_tags(str(path), VALUES, id3v23=False)
    assert path.read_bytes() == before


def data(kind: int, value: bytes, language: int = 0) -> bytes:
    return box(b"data", struct.pack(">II", kind, language), value)


def test_a_list_of_tags_that_the_library_does_not_see_stays(tmp_path: Path):
    path = tmp_path / "track.m4a"
    first = box(b"udta", box(b"\xa9xyz", b"\0\3\0\0abc"))
    before = make(path, first, tags(box(b"\xa9nam", data(1, b"Title"))))
    with pytest.raises(UnwritableTags, match="several lists of tags"):
        write_tags(str(path), VALUES, id3v23=False)
    assert path.read_bytes() == before


def free_form(name: bytes, value: bytes) -> bytes:
    mean = box(b"mean", bytes(4), b"com.apple.iTunes")
    return box(b"----", mean, box(b"name", bytes(4), name), data(1, value))


def items(path: Path) -> list[tuple[bytes, bytes]]:
    """Return the items of the tags, as they are stored."""
    udta = inside(path.read_bytes(), b"moov", b"udta", b"meta")
    return [*boxes(inside(udta[4:], b"ilst"))]


# Items that the library that writes tags would write in other bytes.
ODD = {
    "genre is a number": [box(b"gnre", data(0, b"\0\x09"))],
    "genre is the number 0": [box(b"gnre", data(0, b"\0\0"))],
    "genre is an unknown number": [box(b"gnre", data(0, b"\0\xf8"))],
    "two genres": [
        box(b"gnre", data(0, b"\0\x12")),
        box(b"\xa9gen", data(1, b"")),
    ],
    "genre in UTF-16": [box(b"\xa9gen", data(2, b"\0J\0a\0z\0z"))],
    "genre in Latin-1": [box(b"\xa9gen", data(1, b"\xe9lectro"))],
    "two artists": [
        box(b"\xa9ART", data(1, b"One")),
        box(b"\xa9ART", data(1, b"Two")),
    ],
    "two of a name": [free_form(b"X", b"1"), free_form(b"X", b"2")],
    "no type": [
        box(b"\xa9nam", data(0, b"title")),
        box(b"purl", data(0, b"http://x/")),
        box(b"egid", data(0, b"abc")),
    ],
    "short number": [box(b"tmpo", data(21, b"\x80"))],
    "long number": [box(b"stik", data(21, b"\0\0\0\1"))],
    "language": [box(b"\xa9alb", data(1, b"album", 0x15C7))],
    "cover with a name": [
        box(b"covr", data(13, b"JPEG"), box(b"name", bytes(4), b"a.jpg"))
    ],
    "cover without a type": [box(b"covr", data(0, b"JPEG"))],
    "no name": [box(b"----", box(b"mean", bytes(4), b"com.x"), data(1, b"v"))],
    "long track": [box(b"trkn", data(0, b"\0\0\0\1\0\2\0\3"))],
    "no text": [box(b"ABCD", data(0, b"anything"))],
}


@pytest.mark.parametrize("name", ODD)
def test_items_of_others_stay_as_they_are(name: str, tmp_path: Path):
    path = tmp_path / "track.m4a"
    odd = [*boxes(b"".join(ODD[name]))]
    make(path, tags(box(b"\xa9cmt", data(1, b"comment")), *ODD[name]))
    before = items(path)
    undo = read_tags(str(path), VALUES)
    assert write_tags(str(path), VALUES, id3v23=False)
    assert [item for item in items(path) if item in odd] == odd
    moods = [mood.decode() for mood in mutagen.File(path)[f"{FREEFORM}MOOD"]]
    assert moods == VALUES["mood"]
    assert restore_tags(str(path), undo, VALUES, id3v23=False)
    assert items(path) == before


def test_a_genre_that_is_the_same_stays_a_number(tmp_path: Path):
    path = tmp_path / "track.m4a"
    make(path, tags(*ODD["genre is a number"]))
    before = items(path)
    values = {**VALUES, "genres": ["Jazz"]}
    undo = read_tags(str(path), values)
    assert write_tags(str(path), values, id3v23=False)
    assert before[0] in items(path)
    assert restore_tags(str(path), undo, values, id3v23=False)
    assert items(path) == before


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("genre is an unknown number", "gnre"),
        ("genre in UTF-16", "\xa9gen"),
        ("genre in Latin-1", "\xa9gen"),
    ],
)
def test_a_genre_that_cannot_be_read_stays(name, complaint, tmp_path: Path):
    path = tmp_path / "track.m4a"
    content = make(path, tags(*ODD[name]))
    with pytest.raises(UnwritableTags, match=f"^[^\n]* {complaint} tag "):
        write_tags(str(path), {**VALUES, "genres": ["Rock"]}, id3v23=False)
    assert path.read_bytes() == content


def test_a_mood_that_cannot_be_read_stays(tmp_path: Path):
    path = tmp_path / "track.m4a"
    content = make(path, tags(free_form(b"Mood", b"sad")))
    with pytest.raises(UnwritableTags, match="Mood tag cannot be read"):
        write_tags(str(path), VALUES, id3v23=False)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "name", ["genre is a number", "genre is the number 0", "two genres"]
)
def test_undo_brings_numbers_of_genres_back(name: str, tmp_path: Path):
    path = tmp_path / "track.m4a"
    make(path, tags(*ODD[name]))
    before = items(path)
    values = {**VALUES, "genres": ["Rock", "Trip Hop"]}
    undo = json.loads(json.dumps(read_tags(str(path), values)))
    assert write_tags(str(path), values, id3v23=False)
    assert mutagen.File(path)["\xa9gen"] == values["genres"]
    assert b"gnre" not in dict(items(path))
    assert restore_tags(str(path), undo, values, id3v23=False)
    assert items(path) == before


def test_undo_brings_names_of_genres_to_other_formats(tmp_path: Path):
    path, other = tmp_path / "track.m4a", tmp_path / "track.flac"
    make(path, tags(*ODD["genre is a number"]))
    values = {"genres": ["Rock", "Trip Hop"]}
    undo = read_tags(str(path), values)
    MADE["flac"](other)
    assert write_tags(str(other), values, id3v23=False)
    assert restore_tags(str(other), undo, values, id3v23=False)
    assert mutagen.File(other)["GENRE"] == ["Jazz"]
